//! A hash table from 16-bit tags to 16-bit numbers: sixteen entries in a cache line.
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
    used: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    number: u16,
}

/// What is at home of a tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hint(Entry);

impl Slots {
    pub(super) fn new() -> Self {
        Self { entries: vec![VACANT; 2], capacity: 1, used: 0 }
    }

    /// The numbers under `tag`.
    #[inline]
    pub(super) fn find(&self, tag: u16) -> impl Iterator<Item = u16> {
        let cluster = self.entries.get(self.home(tag)..).unwrap_or_default();
        cluster
            .iter()
            .take_while(move |entry| entry.number != NOTHING && entry.tag <= tag)
            .filter(move |entry| entry.tag == tag)
            .map(|entry| entry.number)
    }

    /// The first step of a search, so that the rest can be done once its memory has arrived.
    #[inline]
    pub(super) fn hint(&self, tag: u16) -> Hint {
        Hint(self.entries[self.home(tag)])
    }

    /// As [`Slots::find`], and faster if nothing is found.
    #[inline]
    pub(super) fn find_with(&self, tag: u16, Hint(first): Hint) -> impl Iterator<Item = u16> {
        let at_all = first.number != NOTHING && first.tag <= tag;
        at_all.then(|| self.find(tag)).into_iter().flatten()
    }

    /// Puts in a number below `u16::MAX`.
    pub(super) fn insert(&mut self, tag: u16, number: u16) {
        // At four fifths the searches are still about two entries long.
        if (self.used + 1) * 5 > self.capacity * 4 {
            self.resize(self.capacity / 4 * 5 + 8);
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
    pub(super) fn remove(&mut self, tag: u16, number: u16) {
        let Some(mut at) = self.position(tag, number) else { return };
        // Entries that are not at home move up into the gap.
        while self.entries[at + 1].number != NOTHING && self.home(self.entries[at + 1].tag) <= at {
            self.entries[at] = self.entries[at + 1];
            at += 1;
        }
        self.entries[at] = VACANT;
        self.used -= 1;
        if self.used < self.capacity / 8 {
            self.resize(self.capacity / 4);
        }
    }

    /// Gives an entry another number.
    pub(super) fn renumber(&mut self, tag: u16, from: u16, to: u16) {
        if let Some(at) = self.position(tag, from) {
            self.entries[at].number = to;
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    #[inline]
    fn home(&self, tag: u16) -> usize {
        ((u32::from(tag) * self.capacity) >> u16::BITS) as usize
    }

    fn position(&self, tag: u16, number: u16) -> Option<usize> {
        let home = self.home(tag);
        let cluster = self.entries.get(home..)?;
        let is_it = |entry: &Entry| (entry.tag, entry.number) == (tag, number);
        let mut cluster = cluster.iter().take_while(|entry| entry.number != NOTHING);
        Some(home + cluster.position(is_it)?)
    }

    fn resize(&mut self, capacity: u32) {
        self.capacity = capacity.max(1);
        let room = self.capacity as usize + 8;
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
const NOTHING: u16 = u16::MAX;
const VACANT: Entry = Entry { tag: 0, number: NOTHING };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_in_and_nothing_else_while_it_grows_and_shrinks() {
        // Tags at the very end run over it, equal ones stay apart, every third is taken out again.
        let mut slots = Slots::new();
        let tag = |number: u16| match number % 4 {
            0 => u16::MAX - number / 64,
            _ => (number / 2).wrapping_mul(0x9e37),
        };
        for number in 0..5_000 {
            slots.insert(tag(number), number);
        }
        for number in (0..5_000).step_by(3) {
            slots.remove(tag(number), number);
        }
        for number in 0..5_000 {
            let found = slots.find_with(tag(number), slots.hint(tag(number)));
            assert_eq!(found.filter(|found| *found == number).count() == 1, number % 3 != 0);
        }
        for number in (0..5_000).filter(|number| number % 3 != 0) {
            slots.renumber(tag(number), number, number + 10_000);
            assert!(slots.find(tag(number)).any(|found| found == number + 10_000), "{number}");
            slots.remove(tag(number), number + 10_000);
        }
        assert_eq!(slots.used, 0);
        assert!(slots.memory_bytes() < 4_096);
    }
}
