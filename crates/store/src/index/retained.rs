//! Which message is the retained one of each topic.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use foldhash::quality;
use hashbrown::{HashMap, HashTable};

use super::live::{Live, Place};

/// Topics that have, or had, a retained message.
///
/// Topics are known by 128 bits of hash, which no client can choose because it does not know the seed.
pub(crate) struct RetainedTopics {
    hashers: [quality::FixedState; 2],
    topics: Vec<Topic>,
    free: Vec<u32>,
    table: HashTable<u32>,
    /// Topics whose retained message was deleted, until no older one can come back.
    cleared: HashMap<u32, Cleared, FixedState>,
}

struct Topic {
    hash: [u64; 2],
    /// Of two changes the one with the higher stamp counts, whichever is logged first.
    stamp: u64,
    /// The message, or 0 if the topic was cleared.
    id: u64,
}

struct Cleared {
    place: Place,
    /// This is a copy: what may have been logged after it in spite of a lower stamp has gone.
    copied: bool,
}

/// A message has become the retained one of its topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Won {
    pub(crate) topic: u32,
    /// In place of this message.
    pub(crate) before: Option<u64>,
}

impl RetainedTopics {
    pub(crate) fn new(seed: u64) -> Self {
        let hasher = quality::FixedState::with_seed;
        Self {
            hashers: [hasher(seed), hasher(!seed)],
            topics: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            cleared: HashMap::default(),
        }
    }

    /// Topics that have a retained message.
    pub(crate) fn len(&self) -> usize {
        self.table.len() - self.cleared.len()
    }

    pub(crate) fn stamp(&self, topic: u32) -> u64 {
        self.topics[topic as usize].stamp
    }

    /// A message is to be the retained one of its topic, and is unless a later change is known.
    pub(crate) fn offer(
        &mut self,
        name: &[u8],
        stamp: u64,
        id: u64,
        live: &mut Live,
    ) -> Option<Won> {
        let topic = self.entry(name);
        let entry = &mut self.topics[topic as usize];
        if entry.stamp > stamp {
            return None;
        }
        let before = (entry.id != 0).then_some(entry.id);
        entry.stamp = stamp;
        entry.id = id;
        if let Some(cleared) = self.cleared.remove(&topic) {
            live.remove(cleared.place);
        }
        Some(Won { topic, before })
    }

    /// A topic has no retained message any more; returns the one it had.
    pub(crate) fn clear(
        &mut self,
        name: &[u8],
        stamp: u64,
        place: Place,
        live: &mut Live,
    ) -> Option<u64> {
        let topic = self.entry(name);
        let entry = &mut self.topics[topic as usize];
        if entry.stamp > stamp {
            return None;
        }
        let before = (entry.id != 0).then_some(entry.id);
        let again = entry.stamp == stamp;
        entry.stamp = stamp;
        entry.id = 0;
        live.add(place);
        let old = self.cleared.insert(topic, Cleared { place, copied: false });
        if let Some(old) = old {
            live.remove(old.place);
            if let Some(new) = self.cleared.get_mut(&topic).filter(|_| again) {
                new.copied = old.copied;
            }
        }
        before
    }

    /// Where it says that the topic was cleared, if it was.
    pub(crate) fn cleared_at(&self, name: &[u8]) -> Option<Place> {
        self.find(name).and_then(|topic| self.cleared.get(&topic)).map(|cleared| cleared.place)
    }

    pub(crate) fn move_cleared(&mut self, name: &[u8], to: Place) {
        if let Some(cleared) = self.find(name).and_then(|topic| self.cleared.get_mut(&topic)) {
            cleared.place = to;
        }
    }

    /// The record that clears a topic is in the oldest segment: whether it is to be copied. It is once.
    pub(crate) fn leave(&mut self, name: &[u8], live: &mut Live) -> bool {
        let Some(topic) = self.find(name) else { return false };
        let again = self.cleared.get(&topic).is_some_and(|cleared| !cleared.copied);
        if !again {
            self.remove(topic, live);
        }
        again
    }

    /// The record that clears a topic was copied.
    pub(crate) fn is_copied(&mut self, name: &[u8]) {
        if let Some(cleared) = self.find(name).and_then(|topic| self.cleared.get_mut(&topic)) {
            cleared.copied = true;
        }
    }

    /// The message cannot be read any more.
    pub(crate) fn forget(&mut self, id: u64, topic: u32) {
        if self.topics.get(topic as usize).is_some_and(|entry| entry.id == id) {
            self.remove(topic, &mut Live::default());
        }
    }

    /// What was cleared in this segment cannot be read any more.
    pub(crate) fn forget_cleared(&mut self, segment: u32, live: &mut Live) {
        let lost = |(topic, cleared): (&u32, &Cleared)| {
            (cleared.place.segment == segment).then_some(*topic)
        };
        let lost: Vec<u32> = self.cleared.iter().filter_map(lost).collect();
        lost.into_iter().for_each(|topic| self.remove(topic, live));
    }

    fn remove(&mut self, topic: u32, live: &mut Live) {
        if let Some(cleared) = self.cleared.remove(&topic) {
            live.remove(cleared.place);
        }
        let hash = self.topics[topic as usize].hash[0];
        if let Ok(found) = self.table.find_entry(hash, |found| *found == topic) {
            found.remove();
            self.free.push(topic);
        }
    }

    fn hash(&self, name: &[u8]) -> [u64; 2] {
        [self.hashers[0].hash_one(name), self.hashers[1].hash_one(name)]
    }

    fn find(&self, name: &[u8]) -> Option<u32> {
        let hash = self.hash(name);
        let same = |topic: &u32| self.topics[*topic as usize].hash == hash;
        self.table.find(hash[0], same).copied()
    }

    fn entry(&mut self, name: &[u8]) -> u32 {
        let hash = self.hash(name);
        let same = |topic: &u32| self.topics[*topic as usize].hash == hash;
        if let Some(topic) = self.table.find(hash[0], same) {
            return *topic;
        }
        let new = Topic { hash, stamp: 0, id: 0 };
        let topic = match self.free.pop() {
            Some(topic) => {
                self.topics[topic as usize] = new;
                topic
            }
            None => {
                self.topics.push(new);
                self.topics.len() as u32 - 1
            }
        };
        let topics = &self.topics;
        self.table.insert_unique(hash[0], topic, |topic| topics[*topic as usize].hash[0]);
        topic
    }
}
