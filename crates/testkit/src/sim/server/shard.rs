//! One shard between its turns.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use dunlin_broker::{Broker, ConnId, Mail, Message, SessionKey, Storage, Time};

/// Where a shard is in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Mail, timers, what the store has done, input.
    Handle,
    /// Changes of the index.
    Commit,
    /// The journal goes to the store.
    Record,
    /// Mail goes out.
    Post,
    /// Output is written.
    Flush,
    /// The same again for what that has caused.
    RecordAgain,
    PostAgain,
}

/// What a shard is left by others.
pub(super) enum Parcel {
    Mail(Mail),
    /// A connection that was moved here, with its unread bytes.
    Moved(usize, Vec<u8>),
    /// A connection is gone.
    HungUp(usize),
    /// Everything up to here is durable.
    Persisted(u64),
    Storage(Storage),
    Loaded(SessionKey, Vec<(u64, Option<Arc<Message>>)>),
}

pub(super) struct Shard {
    pub(super) broker: Broker,
    pub(super) mailbox: VecDeque<Parcel>,
    pub(super) step: Step,
    /// A turn is under way, or about to be.
    pub(super) awake: bool,
    /// For when it is woken by itself.
    pub(super) wake_at: Time,
    /// Links that may have something to read.
    pub(super) readable: BTreeSet<usize>,
    /// Links that wait for the commit.
    pub(super) committing: Vec<usize>,
    /// To be written to.
    pub(super) dirty: Vec<ConnId>,
    pub(super) links: BTreeMap<(u32, u32), usize>,
    /// Nobody waited for the last journal when it was handed in.
    pub(super) unhurried: bool,
}

impl Shard {
    pub(super) const fn new(broker: Broker) -> Self {
        Self {
            broker,
            mailbox: VecDeque::new(),
            step: Step::Handle,
            awake: false,
            wake_at: Time::MAX,
            readable: BTreeSet::new(),
            committing: Vec::new(),
            dirty: Vec::new(),
            links: BTreeMap::new(),
            unhurried: false,
        }
    }

    pub(super) fn link(&self, id: ConnId) -> Option<usize> {
        self.links.get(&(id.slot, id.epoch)).copied()
    }
}
