//! What a seed decides before anything happens: the broker, the clients, and how bad the weather is.

use core::time::Duration;

use dunlin_broker::{Overlapping, QueueFull, Settings};
use dunlin_proto::version::Version;

use super::random::Random;

/// Session expiry interval that means "never".
pub(super) const NEVER: u32 = u32::MAX;

/// Everything that stays as it is for a whole run, unless it says otherwise.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) settings: Settings,
    /// Shards of the first process; later ones may have others.
    pub(super) shards: u16,
    pub(super) clients: Vec<Character>,
    /// How long things go wrong before everything is healed.
    pub(super) duration: Duration,
    /// Mean time between faults.
    pub(super) faults: Duration,
    /// Faults, each so many times as its weight says.
    pub(super) weights: Vec<(Fault, u64)>,
    /// Typical time on the way between a client and the broker.
    pub(super) latency: Duration,
    /// Typical time of a sync of the disk.
    pub(super) sync: Duration,
    /// Bytes read from a connection at once.
    pub(super) slice: usize,
    /// Bytes of a segment of the store.
    pub(super) segment: u64,
    /// Topics that are published to.
    pub(super) topics: usize,
    /// The most bytes of a payload.
    pub(super) payload: usize,
    /// Queues are so small that messages are dropped.
    pub(super) lossy: bool,
    /// A session may have several subscriptions that match one topic.
    pub(super) overlapping: bool,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A connection is lost.
    Cut,
    /// The process dies; what it wrote stays written.
    Kill,
    /// The machine dies; what was not synced may be lost, torn or there.
    PowerCut,
    /// The disk takes no more.
    Full,
    /// One operation of the disk fails.
    Error,
    /// Syncs take a hundred times as long for a while.
    Slow,
}

/// What kind of client one is.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Debug, Clone)]
pub(super) struct Character {
    pub(super) version: Version,
    /// Its session outlives its connections.
    pub(super) persistent: bool,
    /// Seconds its session outlives a connection.
    pub(super) expiry: u32,
    pub(super) receive_maximum: u16,
    pub(super) alias_maximum: u16,
    /// Typical time between two things it does.
    pub(super) pace: Duration,
    pub(super) publishes: bool,
    pub(super) subscribes: bool,
    /// Its subscriptions are shared ones, unless they may overlap.
    pub(super) member: bool,
    /// It now and then drops its connection, reads slowly, starts clean.
    pub(super) restless: bool,
    pub(super) wills: bool,
    /// The first of its kind: it is there for all wills.
    pub(super) witness: bool,
}

impl Plan {
    pub(super) fn new(random: &mut Random, keep: bool) -> Self {
        let lossy = random.chance(100);
        let settings = Settings {
            maximum_inflight: random.pick(&[1, 3, 20, 1000]),
            maximum_output: random.pick(&[200, 2_000, 1 << 20]),
            maximum_queued_messages: if lossy { 5 } else { 100_000 },
            queue_full: random.pick(&[QueueFull::DropNewest, QueueFull::DropOldest]),
            keep,
            ..Settings::default()
        };
        let count = random.between(3, 8);
        let mut clients: Vec<Character> = (0..count).map(|_| Character::new(random)).collect();
        clients.push(Character::witness(random));
        let crashes = if keep { random.pick(&[0, 3, 10]) } else { 0 };
        let disk = if keep { random.pick(&[0, 0, 3]) } else { 0 };
        Self {
            settings,
            shards: random.pick(&[1, 2, 2, 3]),
            clients,
            duration: Duration::from_secs(random.pick(&[5, 20, 60])),
            faults: Duration::from_millis(random.pick(&[300, 1_000, 5_000])),
            weights: vec![
                (Fault::Cut, 10),
                (Fault::Kill, crashes),
                (Fault::PowerCut, crashes),
                (Fault::Full, disk),
                (Fault::Error, disk),
                (Fault::Slow, if keep { 2 } else { 0 }),
            ],
            latency: Duration::from_micros(random.pick(&[50, 1_000, 50_000])),
            sync: Duration::from_micros(random.pick(&[20, 500, 20_000])),
            slice: random.pick(&[1, 7, 100, 65_536, 65_536, 65_536]),
            segment: random.pick(&[1 << 16, 1 << 16, 1 << 20]),
            topics: random.pick(&[1, 3, 9]),
            payload: random.pick(&[0, 0, 200, 3_000]),
            lossy,
            overlapping: random.chance(300),
        }
    }

    /// What of the broker is chosen besides, by a chance of its own, so that the rest of a seed does not depend
    /// on it.
    pub(super) fn vary(&mut self, seed: u64) {
        let mut random = Random::new(seed.rotate_left(32));
        let whole = self.settings.maximum_queue_memory;
        self.settings.maximum_queue_memory = random.pick(&[whole, whole, 0, 2_000]);
        self.settings.queue_qos0 = random.chance(250);
        self.settings.overlapping = random.pick(&[Overlapping::Each, Overlapping::Once]);
    }

    /// A fault, the likely ones more often.
    pub(super) fn fault(&self, random: &mut Random) -> Fault {
        let sum: u64 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut left = random.below(sum.max(1));
        for (fault, weight) in &self.weights {
            if left < *weight {
                return *fault;
            }
            left -= weight;
        }
        Fault::Cut
    }

    /// Mostly small.
    pub(super) fn payload_size(&self, random: &mut Random) -> usize {
        if random.chance(800) { random.index(20) } else { random.index(self.payload + 1) }
    }
}

impl Character {
    fn new(random: &mut Random) -> Self {
        let version = random.pick(&[Version::V3_1, Version::V3_1_1, Version::V5_0, Version::V5_0]);
        let persistent = random.chance(700);
        let expiry = match (persistent, version) {
            (false, _) => 0,
            (true, Version::V5_0) => random.pick(&[2, 20, 1_000, 1_000, NEVER]),
            (true, _) => NEVER,
        };
        Self {
            version,
            persistent,
            expiry,
            receive_maximum: random.pick(&[1, 3, 50, u16::MAX]),
            alias_maximum: random.pick(&[0, 0, 2]),
            pace: Duration::from_millis(random.pick(&[10, 50, 300])),
            publishes: random.chance(700),
            subscribes: random.chance(700),
            member: random.chance(300),
            restless: random.chance(500),
            wills: random.chance(400),
            witness: false,
        }
    }

    fn witness(random: &mut Random) -> Self {
        Self {
            version: random.pick(&[Version::V3_1_1, Version::V5_0]),
            persistent: true,
            expiry: NEVER,
            publishes: false,
            subscribes: false,
            wills: false,
            witness: true,
            ..Self::new(random)
        }
    }
}
