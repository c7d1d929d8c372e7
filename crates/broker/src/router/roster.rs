//! The subscribers of one filter, or the members of one group.

use hashbrown::HashTable;

use super::hashing::Hashing;
use super::{SessionKey, Subscriber};

/// Subscribers in the order they came, until one leaves: the last one then takes its place, so that
/// many thousands of clients of one filter can leave together at constant cost each.
#[derive(Debug, Default)]
pub(super) struct Roster {
    entries: Vec<Subscriber>,
    /// Position of each session, kept once there are too many to look through.
    places: HashTable<u32>,
}

impl Roster {
    #[inline]
    pub(super) fn entries(&self) -> &[Subscriber] {
        &self.entries
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn find(&self, session: SessionKey, hashing: &Hashing) -> Option<usize> {
        if self.places.is_empty() {
            return self.entries.iter().position(|entry| entry.session == session);
        }
        let is_it = |place: &u32| self.entries[*place as usize].session == session;
        self.places.find(hashing.session(session), is_it).map(|place| *place as usize)
    }

    /// Replaces the entry at `place`, which is of the same session.
    pub(super) fn replace(&mut self, place: usize, subscriber: Subscriber) {
        self.entries[place] = subscriber;
    }

    /// Appends a session that is not in yet.
    pub(super) fn push(&mut self, subscriber: Subscriber, hashing: &Hashing) {
        self.entries.push(subscriber);
        if !self.places.is_empty() {
            self.index(self.entries.len() - 1, hashing);
        } else if self.entries.len() > LOOK_THROUGH {
            for place in 0..self.entries.len() {
                self.index(place, hashing);
            }
        }
    }

    /// Removes the entry at `place`; the last one takes its place.
    pub(super) fn swap_remove(&mut self, place: usize, hashing: &Hashing) {
        self.swap(place, self.entries.len() - 1, hashing);
        let Some(gone) = self.entries.pop() else { return };
        if self.places.is_empty() {
            return;
        }
        let last = self.entries.len();
        let is_it = |place: &u32| *place as usize == last;
        if let Ok(entry) = self.places.find_entry(hashing.session(gone.session), is_it) {
            entry.remove();
        }
        // Halving on the way down keeps a roster that hovers at the limit from rebuilding each time.
        if last <= LOOK_THROUGH / 2 {
            self.places = HashTable::new();
        }
        if last < self.entries.capacity() / 4 {
            self.shrink(hashing);
        }
    }

    pub(super) fn swap(&mut self, a: usize, b: usize, hashing: &Hashing) {
        if a == b {
            return;
        }
        self.entries.swap(a, b);
        if self.places.is_empty() {
            return;
        }
        // Both are found by the number they had before either is given its new one.
        for (now, before) in [(a, b), (b, a)] {
            let hash = hashing.session(self.entries[now].session);
            let was = move |place: &u32| *place as usize == before;
            if let Ok(entry) = self.places.find_entry(hash, was) {
                entry.remove();
            }
        }
        self.index(a, hashing);
        self.index(b, hashing);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Subscriber>() + self.places.allocation_size()
    }

    fn index(&mut self, place: usize, hashing: &Hashing) {
        let entries = &self.entries;
        let hash = |place: &u32| hashing.session(entries[*place as usize].session);
        let number = u32::try_from(place).expect("fewer subscribers than u32::MAX");
        self.places.insert_unique(hash(&number), number, hash);
    }

    fn shrink(&mut self, hashing: &Hashing) {
        self.entries.shrink_to(self.entries.len() * 2);
        let entries = &self.entries;
        let hash = |place: &u32| hashing.session(entries[*place as usize].session);
        self.places.shrink_to(entries.len() * 2, hash);
    }
}

/// Up to this many, comparing them all is as fast as hashing one.
const LOOK_THROUGH: usize = 16;

#[cfg(test)]
mod tests {
    use dunlin_proto::qos::QoS;

    use super::*;

    fn subscriber(slot: u32) -> Subscriber {
        Subscriber {
            session: SessionKey { shard: 0, slot, generation: 1 },
            identifier: slot,
            qos: QoS::AtMostOnce,
            no_local: false,
            retain_as_published: false,
        }
    }

    #[test]
    fn everybody_is_found_however_many_come_and_leave() {
        let hashing = Hashing::new(1);
        let mut roster = Roster::default();
        for slot in 0..1_000 {
            roster.push(subscriber(slot), &hashing);
        }
        for slot in (0..1_000).filter(|slot| slot % 7 != 3) {
            let place = roster.find(subscriber(slot).session, &hashing).unwrap();
            roster.swap_remove(place, &hashing);
            assert_eq!(roster.find(subscriber(slot).session, &hashing), None);
        }
        for slot in (0..1_000).filter(|slot| slot % 7 == 3) {
            let place = roster.find(subscriber(slot).session, &hashing).unwrap();
            assert_eq!(roster.entries()[place], subscriber(slot));
            roster.swap_remove(place, &hashing);
        }
        assert_eq!(roster.len(), 0);
        assert!(roster.places.is_empty());
    }
}
