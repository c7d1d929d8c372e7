//! What all shards share besides the subscription index: who is at home where, and the retained
//! messages.

mod directory;
mod placement;

use std::collections::HashMap;

use dunlin_broker::{Commons, Cursor, Message, Numbers, Retained, RetainedMessage, Time};
use dunlin_proto::topic::{TopicFilter, TopicName};
use parking_lot::{Mutex, RwLock};

use directory::Directory;
pub(crate) use placement::Loads;

use crate::clock::Clock;

/// Retained messages dropped under one guard: some ten microseconds.
const EXPIRED_AT_ONCE: usize = 100;

/// The shared state of a broker, behind locks.
pub(crate) struct SharedCommons {
    directory: Directory,
    /// A lock and not messages between shards: a subscriber must see what was retained before it
    /// subscribed, whichever shard the publisher is on. Held for one topic, or one page.
    retained: RwLock<Retained<RetainedMessage>>,
    numbers: Numbers,
    /// Connections by user, where they have a limit: a lock for the same reason, taken at CONNECT.
    users: Mutex<HashMap<Box<str>, usize>>,
}

impl SharedCommons {
    pub(crate) fn new(loads: Loads, clock: Clock, numbers: Numbers, seed: u64) -> Self {
        Self {
            directory: Directory::new(loads, clock),
            retained: RwLock::new(Retained::new(seed)),
            numbers,
            users: Mutex::default(),
        }
    }

    /// How busy the shards are; each keeps its own entry.
    pub(crate) const fn loads(&self) -> &Loads {
        self.directory.loads()
    }

    /// The shard that a session is to be at home in which was kept.
    pub(crate) fn place(&self, client_id: &str) -> u16 {
        self.directory.place(client_id)
    }

    /// Takes in retained messages that were kept.
    pub(crate) fn restore_retained(&self, kept: Retained<RetainedMessage>) {
        *self.retained.write() = kept;
    }

    /// Drops retained messages that have expired, a bounded number at once, and hands each of them to
    /// `expired` with its place in the order of changes.
    pub(crate) fn expire_retained(&self, now: Time, mut expired: impl FnMut(&Message, u64)) {
        if self.retained.read().next_deadline().is_some_and(|due| due <= now) {
            let mut retained = self.retained.write();
            retained.expire_each(now, EXPIRED_AT_ONCE, |kept| {
                expired(&kept.message, self.numbers.stamp());
            });
        }
    }

    /// What the retained messages count for in limits.
    pub(crate) fn retained_bytes(&self) -> u64 {
        self.retained.read().bytes() as u64
    }
}

impl Commons for SharedCommons {
    fn home(&self, client_id: &str, here: u16) -> u16 {
        self.directory.home(client_id, here)
    }

    fn release(&self, client_id: &str) {
        self.directory.release(client_id);
    }

    fn retain(&self, topic: TopicName<'_>, kept: RetainedMessage) -> u64 {
        let (expires, bytes) = (kept.message.expires(), kept.message.bytes());
        let mut retained = self.retained.write();
        retained.put(topic, expires, bytes, kept);
        self.numbers.stamp()
    }

    fn unretain(&self, topic: TopicName<'_>) -> u64 {
        let mut retained = self.retained.write();
        retained.remove(topic);
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
        self.retained.read().page(filter, from, limit, now, into)
    }

    fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    fn retained_count(&self) -> usize {
        self.retained.read().count()
    }

    fn sessions(&self) -> usize {
        self.directory.len()
    }

    fn user_came(&self, user: &str, allowed: usize) -> Result<(), usize> {
        let mut users = self.users.lock();
        match users.get_mut(user) {
            Some(open) if *open >= allowed => return Err(*open),
            Some(open) => *open += 1,
            None if allowed == 0 => return Err(0),
            None => {
                users.insert(user.into(), 1);
            }
        }
        Ok(())
    }

    fn user_left(&self, user: &str) {
        let mut users = self.users.lock();
        if let Some(open) = users.get_mut(user) {
            *open -= 1;
            if *open == 0 {
                users.remove(user);
            }
        }
    }

    fn retained_usage(&self) -> (usize, usize) {
        let retained = self.retained.read();
        (retained.count(), retained.bytes())
    }
}
