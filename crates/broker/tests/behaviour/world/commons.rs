//! What shards share, without locks: there is one thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use dunlin_broker::{Commons, Cursor, Numbers, Retained, RetainedMessage, Time};
use dunlin_proto::topic::{TopicFilter, TopicName};

pub struct Shared {
    pub retained: RefCell<Retained<RetainedMessage>>,
    pub homes: RefCell<BTreeMap<String, u16>>,
    next: Cell<u16>,
    shards: u16,
    pub numbers: Numbers,
    users: RefCell<BTreeMap<String, usize>>,
}

impl Shared {
    pub fn new(shards: u16) -> Self {
        Self {
            retained: RefCell::new(Retained::new(7)),
            homes: RefCell::default(),
            next: Cell::new(0),
            shards,
            numbers: Numbers::default(),
            users: RefCell::default(),
        }
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

    fn retain(&self, topic: TopicName<'_>, kept: RetainedMessage) -> u64 {
        let (expires, bytes) = (kept.message.expires(), kept.message.bytes());
        self.retained.borrow_mut().put(topic, expires, bytes, kept);
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

    fn retained_usage(&self) -> (usize, usize) {
        let retained = self.retained.borrow();
        (retained.count(), retained.bytes())
    }

    fn user_came(&self, user: &str, allowed: usize) -> Result<(), usize> {
        let mut users = self.users.borrow_mut();
        let open = users.entry(user.to_owned()).or_default();
        if *open >= allowed {
            return Err(*open);
        }
        *open += 1;
        Ok(())
    }

    fn user_left(&self, user: &str) {
        let mut users = self.users.borrow_mut();
        *users.get_mut(user).expect("it came") -= 1;
    }
}
