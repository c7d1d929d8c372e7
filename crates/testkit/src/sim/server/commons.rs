//! What shards share, without locks: there is one thread.

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_broker::journal::{RetainedState, State};
use dunlin_broker::{Commons, Cursor, Message, Numbers, Retained, RetainedMessage, Time};
use dunlin_proto::topic::{TopicFilter, TopicName};

pub(super) struct Shared {
    retained: RefCell<Retained<RetainedMessage>>,
    homes: RefCell<BTreeMap<String, u16>>,
    next: Cell<u16>,
    shards: u16,
    numbers: Numbers,
}

impl Shared {
    pub(super) fn new(shards: u16, state: &State) -> Self {
        Self {
            retained: RefCell::new(Retained::new(7)),
            homes: RefCell::default(),
            next: Cell::new(0),
            shards,
            numbers: Numbers::after(state),
        }
    }

    /// Gives a session that was kept a home.
    pub(super) fn place(&self, client_id: &str, shard: usize) {
        let shard = u16::try_from(shard).unwrap_or(0);
        self.homes.borrow_mut().insert(client_id.to_owned(), shard);
    }

    pub(super) fn restore(&self, retained: Vec<RetainedState>) {
        for state in retained {
            let RetainedState { message, publisher, .. } = state;
            self.put(RetainedMessage { message, publisher });
        }
    }

    pub(super) fn count(&self) -> usize {
        self.retained.borrow().count()
    }

    /// Drops what has expired, and hands it to `expired` with its place in the order of changes.
    pub(super) fn expire(&self, now: Time, mut expired: impl FnMut(&Message, u64)) {
        self.retained.borrow_mut().expire_each(now, 100, |kept| {
            expired(&kept.message, self.numbers.stamp());
        });
    }

    fn put(&self, kept: RetainedMessage) {
        let (expires, bytes) = (kept.message.expires(), kept.message.bytes());
        let topic = Arc::clone(&kept.message);
        self.retained.borrow_mut().put(topic.topic(), expires, bytes, kept);
    }
}

impl Commons for Shared {
    /// New sessions go round; as in the server, a shard claims only for itself, and shard 0 accepts.
    fn home(&self, client_id: &str, here: u16) -> u16 {
        let mut homes = self.homes.borrow_mut();
        if let Some(home) = homes.get(client_id) {
            return *home;
        }
        let home = if here == 0 {
            let next = self.next.get();
            self.next.set((next + 1) % self.shards);
            next
        } else {
            here
        };
        if home == here {
            homes.insert(client_id.to_owned(), home);
        }
        home
    }

    fn release(&self, client_id: &str) {
        self.homes.borrow_mut().remove(client_id);
    }

    fn retain(&self, _: TopicName<'_>, kept: RetainedMessage) -> u64 {
        self.put(kept);
        self.numbers.stamp()
    }

    fn unretain(&self, topic: TopicName<'_>) -> u64 {
        self.retained.borrow_mut().remove(topic);
        self.numbers.stamp()
    }

    fn retained_page(
        &self,
        filter: TopicFilter<'_>,
        from: Option<&Cursor>,
        limit: usize,
        now: Time,
        into: &mut Vec<RetainedMessage>,
    ) -> Option<Cursor> {
        self.retained.borrow().page(filter, from, limit, now, into)
    }

    fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    fn retained_count(&self) -> usize {
        self.retained.borrow().count()
    }
}
