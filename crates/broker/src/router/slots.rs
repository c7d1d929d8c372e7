//! A hash table from 32-bit tags to node numbers that fits eight entries in a cache line.
//!
//! Open addressing with the entries kept in the order of their tags: an entry's home is its tag
//! scaled to the capacity, so the order is also that of the homes, a search ends at the first larger
//! tag, and growing is one pass from front to back that hashes nothing.

/// Several nodes may have one tag; the caller compares what they stand for.
#[derive(Debug)]
pub(super) struct Slots {
    /// `capacity` homes and then as many entries as ran over the end. The last is always vacant.
    entries: Vec<Entry>,
    capacity: u32,
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    node: u32,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { entries: vec![VACANT; 2], capacity: 1, used: 0 }
    }

    /// The nodes that were put under `tag`.
    #[inline]
    pub(super) fn find(&self, tag: u32) -> impl Iterator<Item = u32> {
        let cluster = self.entries.get(self.home(tag)..).unwrap_or_default();
        cluster
            .iter()
            .take_while(move |entry| entry.node != NOBODY && entry.tag <= tag)
            .filter(move |entry| entry.tag == tag)
            .map(|entry| entry.node)
    }

    pub(super) fn insert(&mut self, tag: u32, node: u32) {
        // At four fifths the searches are still about two entries long.
        if (self.used + 1) * 5 > self.capacity as usize * 4 {
            self.resize(self.capacity / 2 * 3 + 16);
        }
        let mut at = self.home(tag);
        while self.entries[at].node != NOBODY && self.entries[at].tag <= tag {
            at += 1;
        }
        let mut moved = Entry { tag, node };
        while moved.node != NOBODY {
            core::mem::swap(&mut self.entries[at], &mut moved);
            at += 1;
            if at == self.entries.len() {
                self.entries.push(VACANT);
            }
        }
        self.used += 1;
    }

    /// Takes out an entry that was put in.
    pub(super) fn remove(&mut self, tag: u32, node: u32) {
        let mut at = self.home(tag);
        while self.entries[at].node != node {
            if self.entries[at].node == NOBODY {
                return;
            }
            at += 1;
        }
        // Entries that are not at home move up into the gap.
        while self.entries[at + 1].node != NOBODY && self.home(self.entries[at + 1].tag) <= at {
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
        ((u64::from(tag) * u64::from(self.capacity)) >> 32) as usize
    }

    fn resize(&mut self, capacity: u32) {
        self.capacity = capacity.max(1);
        let room = self.capacity as usize + 64;
        let old = core::mem::replace(&mut self.entries, Vec::with_capacity(room));
        for entry in old.into_iter().filter(|entry| entry.node != NOBODY) {
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

/// No node has this number.
const NOBODY: u32 = u32::MAX;
const VACANT: Entry = Entry { tag: 0, node: NOBODY };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_in_and_nothing_else_while_it_grows_and_shrinks() {
        // Tags at the very end run over it, equal ones stay apart, every third is taken out again.
        let mut slots = Slots::new();
        let tag = |node: u32| match node % 4 {
            0 => u32::MAX - node / 64,
            _ => (node / 2).wrapping_mul(0x9e37_79b9),
        };
        for node in 0..5_000 {
            slots.insert(tag(node), node);
        }
        for node in (0..5_000).step_by(3) {
            slots.remove(tag(node), node);
        }
        for node in 0..5_000 {
            assert_eq!(slots.find(tag(node)).any(|found| found == node), node % 3 != 0, "{node}");
        }
        for node in (0..5_000).filter(|node| node % 3 != 0) {
            slots.remove(tag(node), node);
        }
        assert_eq!(slots.used, 0);
        assert!(slots.memory_bytes() < 4_096);
    }
}
