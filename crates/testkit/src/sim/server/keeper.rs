//! The store thread: groups of journals made durable one after the other, and stored messages read.

use core::mem;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use dunlin_broker::journal::{Record, Records};
use dunlin_broker::{Journal, Load, Message, Storage, Time};
use dunlin_store::{FaultyDisk, Log, Room, Status};

use super::super::scene::Scene;
use super::super::schedule::Event;
use super::Process;
use super::shard::Parcel;

/// How long records that nobody waits for are kept back.
const COMPANY: Duration = Duration::from_millis(10);

/// How often a disk is tried that was full or refused to be written.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Keeper {
    log: Log<FaultyDisk>,
    /// Handed in, and not written.
    pending: Vec<Batch>,
    /// Written, and not durable.
    written: Vec<Batch>,
    loads: VecDeque<(usize, Load)>,
    /// A step is under way, or waits for company.
    phase: Phase,
    /// What shards were told.
    told: Vec<Storage>,
    failing: bool,
    /// When the next step is; other events are leftovers.
    due: Option<Time>,
}

/// What a shard has handed in at once.
struct Batch {
    shard: usize,
    journal: Journal,
    at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Asleep,
    /// Lazy records wait for company.
    Lazy,
    /// About to write.
    Writing,
    Syncing,
}

impl Keeper {
    pub(super) fn new(log: Log<FaultyDisk>, shards: usize) -> Self {
        Self {
            log,
            pending: Vec::new(),
            written: Vec::new(),
            loads: VecDeque::new(),
            phase: Phase::Asleep,
            told: vec![Storage::Ready; shards],
            failing: false,
            due: None,
        }
    }

    pub(super) fn status(&self) -> Status {
        self.log.status()
    }

    /// When the first of what is not durable was handed in.
    pub(super) fn oldest(&self, now: Time) -> Time {
        self.pending.iter().chain(&self.written).map(|batch| batch.at).min().unwrap_or(now)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.written.is_empty() && self.loads.is_empty()
    }
}

impl Process {
    /// Hands in what a shard wants kept, and what it wants read.
    pub(super) fn record(&mut self, scene: &mut Scene, number: usize) {
        let Some(keeper) = &mut self.keeper else { return };
        let shard = &mut self.shards[number];
        let mut urgent = false;
        if let Some(journal) = shard.broker.take_journal() {
            shard.unhurried = !journal.urgent;
            urgent = journal.urgent;
            keeper.pending.push(Batch { shard: number, journal, at: scene.schedule.now });
        }
        if shard.unhurried && shard.broker.waiting() > 0 {
            shard.unhurried = false;
            urgent = true;
        }
        let mut loads = Vec::new();
        shard.broker.take_loads(&mut loads);
        urgent |= !loads.is_empty();
        keeper.loads.extend(loads.into_iter().map(|load| (number, load)));
        match keeper.phase {
            Phase::Asleep | Phase::Lazy if urgent => {
                keeper.phase = Phase::Writing;
                let delay = scene.random.delay(Duration::from_micros(20));
                keeper.go_on(scene, self.epoch, delay);
            }
            Phase::Asleep if !keeper.pending.is_empty() => {
                keeper.phase = Phase::Lazy;
                keeper.go_on(scene, self.epoch, COMPANY);
            }
            _ => {}
        }
    }

    /// The next step of the store thread.
    pub(in super::super) fn keep(&mut self, scene: &mut Scene) {
        let Some(keeper) = &mut self.keeper else { return };
        if keeper.due.take_if(|due| *due == scene.schedule.now).is_none() {
            return;
        }
        let next = match keeper.phase {
            Phase::Asleep => return,
            Phase::Lazy | Phase::Writing => keeper.write(scene),
            Phase::Syncing => {
                let next = keeper.sync(scene);
                self.tell_durable(scene);
                next
            }
        };
        let Some(keeper) = &mut self.keeper else { return };
        if let Some(delay) = next {
            keeper.go_on(scene, self.epoch, delay);
        } else {
            keeper.phase = Phase::Asleep;
        }
        self.read_messages(scene);
        self.tell_storage(scene);
    }

    fn tell_durable(&mut self, scene: &mut Scene) {
        let Some(keeper) = &mut self.keeper else { return };
        if keeper.failing {
            return;
        }
        for Batch { shard, journal, .. } in mem::take(&mut keeper.written) {
            self.shards[shard].mailbox.push_back(Parcel::Persisted(journal.token));
            self.rouse(scene, shard);
        }
    }

    fn read_messages(&mut self, scene: &mut Scene) {
        while let Some(keeper) = &mut self.keeper
            && let Some((shard, load)) = keeper.loads.pop_front()
        {
            let Some(messages) = keeper.read(scene, &load) else {
                keeper.loads.push_front((shard, load));
                return;
            };
            self.shards[shard].mailbox.push_back(Parcel::Loaded(load.session, messages));
            self.rouse(scene, shard);
        }
    }

    fn tell_storage(&mut self, scene: &mut Scene) {
        let Some(keeper) = &mut self.keeper else { return };
        let full = keeper.failing || keeper.log.status().room == Room::Full;
        let storage = if full { Storage::Full } else { Storage::Ready };
        if keeper.told.first() != Some(&storage) {
            scene.oracle.troubled(scene.schedule.now, full);
        }
        for shard in 0..self.shards.len() {
            let Some(keeper) = &mut self.keeper else { return };
            if mem::replace(&mut keeper.told[shard], storage) != storage {
                scene.trace(|| format!("shard {shard} is told: storage {storage:?}"));
                self.shards[shard].mailbox.push_back(Parcel::Storage(storage));
                self.rouse(scene, shard);
            }
        }
    }
}

impl Keeper {
    fn go_on(&mut self, scene: &mut Scene, epoch: u32, delay: Duration) {
        let due = scene.schedule.now.saturating_add(delay);
        self.due = Some(due);
        scene.schedule.at(due, Event::Store { epoch });
    }

    /// Writes what was handed in; returns when to go on, if there is anything to do.
    fn write(&mut self, scene: &mut Scene) -> Option<Duration> {
        self.phase = Phase::Writing;
        if self.pending.is_empty() {
            return self.prepare(scene);
        }
        let records = self.pending.iter().map(|batch| batch.journal.records.as_slice());
        // Some say only that a shard waits for what others have handed in before.
        let batches: Vec<&[u8]> = records.filter(|records| !records.is_empty()).collect();
        for batch in &self.pending {
            scene.trace(|| format!("store: shard {} writes{}", batch.shard, brief(&batch.journal)));
        }
        if let Err(why) = self.log.append(&batches) {
            scene.trace(|| format!("store: append failed: {why}"));
            self.failing = true;
            return self.prepare(scene).or(Some(RETRY));
        }
        self.written.append(&mut self.pending);
        self.phase = Phase::Syncing;
        Some(scene.sync_time())
    }

    fn sync(&mut self, scene: &mut Scene) -> Option<Duration> {
        if let Err(why) = self.log.sync() {
            scene.trace(|| format!("store: sync failed: {why}"));
            self.failing = true;
            return Some(RETRY);
        }
        scene.trace(|| "store: synced".to_owned());
        self.failing = false;
        self.phase = Phase::Writing;
        let next = self.prepare(scene);
        if self.pending.is_empty() {
            next
        } else {
            Some(Duration::from_micros(scene.random.below(5)))
        }
    }

    /// What is done between groups; a disk that has no room is looked at until it has.
    fn prepare(&mut self, scene: &mut Scene) -> Option<Duration> {
        if let Err(why) = self.log.prepare() {
            scene.trace(|| format!("store: prepare failed: {why}"));
            return Some(RETRY);
        }
        if self.failing || self.log.status().room == Room::Full {
            return Some(RETRY);
        }
        self.log.has_more().then_some(Duration::from_micros(5))
    }

    /// The messages of a load; `None` if they may be among what is still to be written.
    fn read(&mut self, scene: &mut Scene, load: &Load) -> Option<Messages> {
        let mut messages = Vec::with_capacity(load.ids.len());
        for id in &load.ids {
            let message = match self.log.load(*id) {
                Ok(None) if !self.pending.is_empty() => return None,
                Ok(message) => {
                    let found = if message.is_some() { "found" } else { "not there" };
                    scene.trace(|| format!("store: message {id} is {found}"));
                    message.map(Arc::new)
                }
                Err(why) => {
                    scene.oracle.fail(format!("a stored message cannot be read: {why}"));
                    None
                }
            };
            messages.push((*id, message));
        }
        Some(messages)
    }
}

/// Identifiers and what was stored under them.
type Messages = Vec<(u64, Option<Arc<Message>>)>;

/// The records of a journal, a line for each.
fn brief(journal: &Journal) -> String {
    let records = Records::new(&journal.records).filter_map(|read| read.ok()?.1);
    let lines = records.map(|record| {
        let text = match &record {
            Record::Message { id, held, retained, message, targets, .. } => {
                let payload = String::from_utf8_lossy(message.payload);
                let name = payload.split(':').next().unwrap_or("?");
                format!("Message {id} = {name}, {held:?}, {retained:?}, {targets:?}")
            }
            other => format!("{other:?}"),
        };
        format!("\n    {text}")
    });
    lines.collect()
}
