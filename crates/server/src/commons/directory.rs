//! Which shard a client identifier is at home in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use parking_lot::Mutex;

use super::placement::Loads;
use crate::clock::Clock;

/// The shard that accepts connections: what arrives at another one was placed there by it.
const ACCEPTING: u16 = 0;

/// Client identifiers with a session, by hash.
///
/// A claim is taken by the shard that will hold the session, never on behalf of another one: so
/// two connections with one identifier that arrive at two shards at once still meet in one.
///
/// Only hashes are kept, 16 bytes for a session. Two identifiers of one hash share a home; among a
/// million sessions that is one chance in thirty million, and harms them only once one has ended.
pub(crate) struct Directory {
    /// A lock and not messages: asked once for each CONNECT, which cannot go on without an answer.
    homes: Mutex<HashMap<u64, u16, BuildHasherDefault<AsIs>>>,
    /// Keyed at random, so that nobody can choose identifiers that collide.
    hasher: RandomState,
    loads: Loads,
    clock: Clock,
}

impl Directory {
    pub(crate) fn new(loads: Loads, clock: Clock) -> Self {
        Self { homes: Mutex::default(), hasher: RandomState::new(), loads, clock }
    }

    pub(crate) const fn loads(&self) -> &Loads {
        &self.loads
    }

    /// The home of `client_id`, asked by shard `here`, which claims it if that is its answer.
    pub(crate) fn home(&self, client_id: &str, here: u16) -> u16 {
        match self.homes.lock().entry(self.hasher.hash_one(client_id)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let shard =
                    if here == ACCEPTING { self.loads.choose(self.clock.now()) } else { here };
                if shard == here {
                    entry.insert(shard);
                    self.loads.add_session(shard);
                }
                shard
            }
        }
    }

    /// How many client identifiers have a home.
    pub(crate) fn len(&self) -> usize {
        self.homes.lock().len()
    }

    /// The home of a session that was kept, chosen before any shard serves.
    pub(crate) fn place(&self, client_id: &str) -> u16 {
        match self.homes.lock().entry(self.hasher.hash_one(client_id)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let shard = *entry.insert(self.loads.choose(self.clock.now()));
                self.loads.add_session(shard);
                shard
            }
        }
    }

    /// No session of `client_id` is left.
    pub(crate) fn release(&self, client_id: &str) {
        let hash = self.hasher.hash_one(client_id);
        if let Some(shard) = self.homes.lock().remove(&hash) {
            self.loads.remove_session(shard);
        }
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(shards: u16) -> Directory {
        Directory::new(Loads::new(shards, 1_000), Clock::start())
    }

    #[test]
    fn a_home_is_kept_until_it_is_released() {
        let directory = directory(2);
        assert_eq!(directory.home("a", 1), 1);
        assert_eq!(directory.home("a", 0), 1);
        assert_eq!(directory.home("a", 1), 1);
        directory.release("a");
        assert_eq!(directory.home("a", 0), 0);
    }

    #[test]
    fn nothing_is_claimed_for_another_shard() {
        let directory = directory(2);
        for _ in 0..2_000 {
            directory.loads.add_session(0);
        }
        assert_eq!(directory.home("a", 0), 1);
        assert!(directory.homes.lock().is_empty());
        assert_eq!(directory.home("a", 1), 1);
        assert_eq!(directory.homes.lock().len(), 1);
    }

    #[test]
    fn a_connection_moved_here_is_not_moved_on() {
        let directory = directory(4);
        for shard in 1..4 {
            assert_eq!(directory.home(&format!("client {shard}"), shard), shard);
        }
    }

    #[test]
    fn sessions_that_were_kept_are_spread_and_stay_where_they_are() {
        let directory = directory(2);
        let homes: Vec<u16> =
            (0..2_000).map(|number| directory.place(&format!("client {number}"))).collect();
        assert_eq!(homes.iter().filter(|home| **home == 1).count(), 500);
        for (number, home) in homes.iter().enumerate() {
            assert_eq!(directory.home(&format!("client {number}"), 0), *home);
        }
    }

    #[test]
    fn releasing_the_unknown_does_nothing() {
        let directory = directory(1);
        directory.release("nobody");
        assert_eq!(directory.home("nobody", 0), 0);
    }
}
