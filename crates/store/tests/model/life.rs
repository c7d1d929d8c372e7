//! The life of a store: groups, syncs, faults, deaths and rebirths.

use std::collections::VecDeque;

use dunlin_store::{FaultyDisk, Log, OnDamage, Operation, Options, Report, Room};

use crate::generator::{Generator, Random};
use crate::model::{Model, lines_of};

struct Life {
    seed: u64,
    random: Random,
    generator: Generator,
    disk: FaultyDisk,
    log: Log<FaultyDisk>,
    /// What the state may be after a restart: first as of the last sync, then after each later group.
    possible: VecDeque<Model>,
    /// A group that the store would not take.
    refused: Option<(Vec<u8>, Model)>,
    opened: u32,
}

pub(crate) fn run(seed: u64) {
    let disk = FaultyDisk::new(seed);
    let (log, _, report) = open(&disk, seed);
    assert!(report.created, "seed {seed}");
    let mut life = Life {
        seed,
        random: Random(seed ^ 0xABCD),
        generator: Generator::new(seed),
        disk,
        log,
        possible: VecDeque::from([Model::default()]),
        refused: None,
        opened: 1,
    };
    for _ in 0..1500 {
        life.step();
    }
    life.end();
}

fn open(disk: &FaultyDisk, seed: u64) -> (Log<FaultyDisk>, dunlin_broker::journal::State, Report) {
    let options = Options {
        segment_bytes: 64 << 10,
        minimum_segments: 2 + (seed % 4) as u32,
        on_damage: OnDamage::Refuse,
        identity: Some(seed.into()),
    };
    Log::open(disk.clone(), options).unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

impl Life {
    fn step(&mut self) {
        match self.random.below(200) {
            0..=99 => self.append(),
            100..=159 => self.sync(),
            160..=189 => drop(self.log.prepare()),
            190 => self.fault(),
            191..=193 => self.heal(),
            194 => self.die(false),
            195 => self.die(true),
            _ => self.load(),
        }
    }

    fn append(&mut self) {
        let last = self.possible.back().cloned().unwrap_or_default();
        let (bytes, after) = self.refused.take().unwrap_or_else(|| {
            let mut model = last;
            (self.generator.group(&mut model), model)
        });
        if self.log.append(&[&bytes, &[]]).is_ok() {
            self.possible.push_back(after);
        } else {
            self.refused = Some((bytes, after));
        }
    }

    fn sync(&mut self) {
        if self.log.sync().is_ok() {
            self.possible.drain(..self.possible.len() - 1);
        }
    }

    fn fault(&mut self) {
        let operation = match self.random.below(5) {
            0 => {
                let used = self.disk.used();
                return self.disk.set_capacity(used + self.random.below(3) * (64 << 10));
            }
            1 => Operation::Read,
            2 => Operation::Write,
            3 => Operation::Sync,
            _ => Operation::Directory,
        };
        let times = if self.random.one_in(3) { u32::MAX } else { 1 + self.random.below(3) as u32 };
        self.disk.fail(operation, times);
    }

    fn heal(&mut self) {
        self.disk.set_capacity(u64::MAX);
        for operation in [Operation::Read, Operation::Write, Operation::Sync, Operation::Directory]
        {
            self.disk.fail(operation, 0);
        }
    }

    fn die(&mut self, power: bool) {
        self.heal();
        if power {
            self.disk.crash();
        } else {
            self.disk.kill();
        }
        let (log, state, report) = open(&self.disk, self.seed);
        self.log = log;
        self.opened += 1;
        self.refused = None;
        let lines = lines_of(&state);
        let found = self.possible.iter().rposition(|model| model.lines() == lines);
        let Some(found) = found else {
            let expected = self.possible.front().map(Model::lines).unwrap_or_default();
            let missing: Vec<_> = expected.iter().filter(|line| !lines.contains(line)).collect();
            let more: Vec<_> = lines.iter().filter(|line| !expected.contains(line)).collect();
            panic!(
                "seed {} opening {}, power {power}: of {} possible states none; against the first, \
                 missing {missing:#?}, not expected {more:#?}, {report:?}",
                self.seed,
                self.opened,
                self.possible.len()
            );
        };
        // Of several that look the same, the first has given the fewest names.
        let least = self.possible.iter().find(|model| model.lines() == lines);
        let names = least.map(|model| (model.next_message, model.next_number)).unwrap_or_default();
        assert!(state.next_message >= names.0, "seed {}", self.seed);
        assert!(state.next_number >= names.1, "seed {}", self.seed);
        // What is there is durable now, as nothing takes it away any more.
        let mut model = self.possible[found].clone();
        model.restart();
        self.possible = VecDeque::from([model]);
    }

    fn load(&mut self) {
        let Some(model) = self.possible.back() else { return };
        let ids: Vec<u64> = model.messages.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.random.below(ids.len() as u64) as usize];
        let wanted = &model.messages[&id];
        match self.log.load(id) {
            Ok(message) => {
                let payload = message.map(|message| message.payload().to_vec());
                assert_eq!(payload.as_ref(), Some(&wanted.payload), "seed {} id {id}", self.seed);
            }
            Err(error) => {
                self.disk.fail(Operation::Read, 0);
                assert!(self.log.load(id).is_ok(), "seed {} id {id}: {error}", self.seed);
            }
        }
    }

    /// When the disk is well again, so is the store.
    fn end(&mut self) {
        self.heal();
        for _ in 0..10 {
            self.append();
            self.sync();
            self.log.prepare().unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        }
        assert_eq!(self.possible.len(), 1, "seed {}", self.seed);
        let status = self.log.status();
        assert_eq!(status.room, Room::Ready, "seed {}", self.seed);
        assert_eq!(status.messages, self.possible[0].messages.len() as u64, "seed {}", self.seed);
        self.die(true);
        let version = self.disk.contents("VERSION").map_or(0, |bytes| bytes.len() as u64);
        assert_eq!(self.disk.used(), self.log.status().disk_bytes + version, "seed {}", self.seed);
    }
}
