//! The side of the shards: handing in what is to be kept, and hearing what is.

use std::mem;
use std::thread;
use std::time::Duration;

use dunlin_broker::{Load, Storage, Time, View};

use crate::access::guarded;
use crate::shard::Shard;

/// What a shard knows of the store.
#[derive(Default)]
pub(crate) struct Keeping {
    /// What the broker was told is durable.
    told: u64,
    /// Nobody waited for the last batch when it was handed in.
    unhurried: bool,
    full: bool,
    loads: Vec<Load>,
}

impl Shard<'_> {
    /// Tells the broker what has become durable, and whether there is room.
    pub(crate) fn hear_store(&mut self, now: Time, view: &View<'_>) {
        let Some(desk) = &self.shared.store else { return };
        let durable = desk.durable(self.number);
        if durable > self.keeping.told {
            self.keeping.told = durable;
            self.broker.persisted(now, durable, view);
        }
        let storage = desk.storage();
        let full = storage == Storage::Full;
        if mem::replace(&mut self.keeping.full, full) != full {
            self.broker.set_storage(storage);
        }
    }

    /// Hands in what this turn wants kept. To be called before mail is handed over: what another shard
    /// stores about a message comes behind the message in the log.
    pub(crate) fn hand_in_journal(&mut self) {
        let Some(desk) = &self.shared.store else { return };
        if let Some(journal) = self.broker.take_journal() {
            self.keeping.unhurried = !journal.urgent;
            if let Some(memory) = desk.hand_in(self.number, journal) {
                self.broker.lend(memory);
            }
        }
        if self.keeping.unhurried && self.broker.waiting() > 0 {
            self.keeping.unhurried = false;
            desk.hurry();
        }
        self.broker.take_loads(&mut self.keeping.loads);
        if !self.keeping.loads.is_empty() {
            desk.ask(self.number, &mut self.keeping.loads);
        }
    }

    /// Whether the shard may rest: nothing that it waits for has become durable. From now on it is woken
    /// when something does.
    pub(crate) fn may_rest(&self) -> bool {
        match &self.shared.store {
            Some(desk) if self.broker.waiting() > 0 => {
                desk.rest(self.number);
                desk.durable(self.number) <= self.keeping.told
            }
            _ => true,
        }
    }

    /// Whether so much waits for the disk that no client is to be read.
    pub(crate) fn disk_is_behind(&self) -> bool {
        self.shared.store.as_ref().is_some_and(|desk| desk.is_congested())
    }

    /// A pause in which answers go out as soon as what they wait for is durable. Ends before its time
    /// if that leaves something to do.
    pub(crate) fn pause_for_store(&mut self, until: Time) {
        loop {
            let now = self.shared.clock.now();
            if now >= until || self.time_to_sleep() == Some(Duration::ZERO) {
                return;
            }
            if self.may_rest() {
                thread::park_timeout(until.since(now));
            } else {
                self.release(now);
            }
        }
    }

    /// A turn that only sends what has become durable.
    fn release(&mut self, now: Time) {
        let shared = self.shared;
        let book = shared.accesses.guard();
        let index = shared.index.read();
        let view = View::new(&index, &shared.commons).guarded(guarded(book.as_ref()));
        self.hear_store(now, &view);
        drop(index);
        self.hand_over();
        self.flush(now);
        self.hand_over();
    }
}
