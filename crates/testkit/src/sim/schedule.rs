//! What is to happen when, on virtual time.

use core::cmp::{Ordering, Reverse};
use core::time::Duration;
use std::collections::BinaryHeap;

use dunlin_broker::Time;

/// Something that is to happen. What belongs to a process names its epoch, and is void after its death.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// A shard goes on with its turn, or begins one.
    Turn { epoch: u32, shard: usize },
    /// A deadline of a shard has come.
    Wake { epoch: u32, shard: usize },
    /// The store thread takes its next step.
    Store { epoch: u32 },
    /// A connection reaches the listener.
    Accept { link: usize },
    /// Bytes reach the broker.
    Up { link: usize },
    /// Bytes reach the client.
    Down { link: usize },
    /// The broker learns that a connection is gone.
    BrokerNotices { link: usize },
    /// The client learns that its connection is gone.
    ClientNotices { link: usize },
    /// A client does something.
    Act { client: usize },
    /// Something goes wrong.
    Fault,
    /// Other clients may read what they could not read before.
    Rules,
    /// The disk recovers from what was wrong with it.
    Heal,
    /// The broker is started again.
    Restart,
}

struct Entry {
    at: Time,
    sequence: u64,
    event: Event,
}

impl Entry {
    const fn key(&self) -> (Time, u64) {
        (self.at, self.sequence)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// The clock and everything that waits for it.
pub(super) struct Schedule {
    pub(super) now: Time,
    entries: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Schedule {
    pub(super) const fn new(now: Time) -> Self {
        Self { now, entries: BinaryHeap::new(), sequence: 0 }
    }

    pub(super) fn at(&mut self, at: Time, event: Event) {
        self.sequence += 1;
        let at = at.max(self.now);
        self.entries.push(Reverse(Entry { at, sequence: self.sequence, event }));
    }

    pub(super) fn after(&mut self, delay: Duration, event: Event) {
        self.at(self.now.saturating_add(delay), event);
    }

    /// The next event up to `until`, to which the clock moves.
    pub(super) fn next(&mut self, until: Time) -> Option<Event> {
        if self.entries.peek().is_none_or(|Reverse(first)| first.at > until) {
            self.now = self.now.max(until);
            return None;
        }
        let Reverse(entry) = self.entries.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }
}
