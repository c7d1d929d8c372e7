//! A hash table from 32-bit tags to numbers that fits eight entries in a cache line.
//!
//! Open addressing with the entries kept in the order of their tags: an entry's home is its tag
//! scaled to the capacity, so the order is also that of the homes, a search ends at the first larger
//! tag, and growing is one pass from front to back that hashes nothing.

/// Several numbers may have one tag; the caller compares what they stand for.
#[derive(Debug)]
pub(super) struct Slots {
    /// `capacity` homes and then as many entries as ran over the end. The last is always vacant.
    entries: Vec<Entry>,
    capacity: u32,
    /// Leading bits that all tags here have in common, and that say nothing.
    skip: u8,
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    number: u32,
}

/// What is at home of a tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hint(Entry);

impl Slots {
    pub(super) fn new(skip: u8) -> Self {
        Self { entries: vec![VACANT; 2], capacity: 1, skip, used: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.used
    }

    /// The numbers under `tag`.
    #[inline]
    pub(super) fn find(&self, tag: u32) -> impl Iterator<Item = u32> {
        let cluster = self.entries.get(self.home(tag)..).unwrap_or_default();
        cluster
            .iter()
            .take_while(move |entry| entry.number != NOTHING && entry.tag <= tag)
            .filter(move |entry| entry.tag == tag)
            .map(|entry| entry.number)
    }

    /// The first step of a search, so that the rest can be done once its memory has arrived.
    #[inline]
    pub(super) fn hint(&self, tag: u32) -> Hint {
        Hint(self.entries[self.home(tag)])
    }

    /// As [`Slots::find`], and faster if nothing is found.
    #[inline]
    pub(super) fn find_with(&self, tag: u32, Hint(first): Hint) -> impl Iterator<Item = u32> {
        let at_all = first.number != NOTHING && first.tag <= tag;
        at_all.then(|| self.find(tag)).into_iter().flatten()
    }

    /// All tags with their numbers, by tag.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        let used = self.entries.iter().filter(|entry| entry.number != NOTHING);
        used.map(|entry| (entry.tag, entry.number))
    }

    pub(super) fn insert(&mut self, tag: u32, number: u32) {
        // At four fifths the searches are still about two entries long.
        if (self.used + 1) * 5 > self.capacity as usize * 4 {
            self.resize(self.capacity / 2 * 3 + 16);
        }
        let mut at = self.home(tag);
        while self.entries[at].number != NOTHING && self.entries[at].tag <= tag {
            at += 1;
        }
        let mut moved = Entry { tag, number };
        while moved.number != NOTHING {
            core::mem::swap(&mut self.entries[at], &mut moved);
            at += 1;
            if at == self.entries.len() {
                self.entries.push(VACANT);
            }
        }
        self.used += 1;
    }

    /// Takes out an entry that was put in.
    pub(super) fn remove(&mut self, tag: u32, number: u32) {
        let mut at = self.home(tag);
        while self.entries[at].number != number {
            if self.entries[at].number == NOTHING {
                return;
            }
            at += 1;
        }
        // Entries that are not at home move up into the gap.
        while self.entries[at + 1].number != NOTHING && self.home(self.entries[at + 1].tag) <= at {
            self.entries[at] = self.entries[at + 1];
            at += 1;
        }
        self.entries[at] = VACANT;
        self.used -= 1;
        if self.used < self.capacity as usize / 8 {
            self.resize(self.capacity / 4);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag << self.skip) * u64::from(self.capacity)) >> 32) as usize
    }

    fn resize(&mut self, capacity: u32) {
        self.capacity = capacity.max(1);
        let room = self.capacity as usize + 64;
        let old = core::mem::replace(&mut self.entries, Vec::with_capacity(room));
        for entry in old.into_iter().filter(|entry| entry.number != NOTHING) {
            let home = self.home(entry.tag);
            if home > self.entries.len() {
                self.entries.resize(home, VACANT);
            }
            self.entries.push(entry);
        }
        let end = (self.capacity as usize).max(self.entries.len()) + 1;
        self.entries.resize(end, VACANT);
    }
}

/// Marks a vacant entry.
const NOTHING: u32 = u32::MAX;
const VACANT: Entry = Entry { tag: 0, number: NOTHING };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_in_and_nothing_else_while_it_grows_and_shrinks() {
        // Tags at the very end run over it, equal ones stay apart, every third is taken out again.
        let mut slots = Slots::new(0);
        let tag = |number: u32| match number % 4 {
            0 => u32::MAX - number / 64,
            _ => (number / 2).wrapping_mul(0x9e37_79b9),
        };
        for number in 0..5_000 {
            slots.insert(tag(number), number);
        }
        for number in (0..5_000).step_by(3) {
            slots.remove(tag(number), number);
        }
        for number in 0..5_000 {
            assert_eq!(
                slots.find(tag(number)).any(|found| found == number),
                number % 3 != 0,
                "{number}"
            );
        }
        for number in (0..5_000).filter(|number| number % 3 != 0) {
            slots.remove(tag(number), number);
        }
        assert_eq!(slots.used, 0);
        assert!(slots.memory_bytes() < 4_096);
    }
}
