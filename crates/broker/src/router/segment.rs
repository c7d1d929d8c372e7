//! A part of the filters: a small table, and their records without gaps.
//!
//! Small enough that growing and splitting it are no events that anybody waits for, whatever the
//! number of filters; and so that a slot is four bytes, of which a large cache holds millions.

use super::filters::Subscribers;
use super::slots::{Hint, Slots};

/// Filters whose tags begin with the same bits.
#[derive(Debug)]
pub(super) struct Segment {
    /// How many bits.
    pub(super) depth: u8,
    slots: Slots,
    records: Vec<Record>,
}

/// All that a match needs of a filter, in one cache line unless the filter is long.
#[derive(Debug)]
struct Record {
    tag: u32,
    subscribers: Subscribers,
    filter: Text,
}

#[derive(Debug)]
enum Text {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl Segment {
    pub(super) fn new(depth: u8) -> Self {
        Self { depth, slots: Slots::new(), records: Vec::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.records.len()
    }

    #[inline]
    pub(super) fn hint(&self, tag: u32) -> Hint {
        self.slots.hint(self.short(tag))
    }

    /// Records that may have this tag.
    #[inline]
    pub(super) fn find(&self, tag: u32, hint: Hint) -> impl Iterator<Item = u16> {
        self.slots.find_with(self.short(tag), hint)
    }

    #[inline]
    pub(super) fn tag(&self, record: u16) -> u32 {
        self.records[usize::from(record)].tag
    }

    #[inline]
    pub(super) fn get(&self, record: u16) -> (&[u8], Subscribers) {
        let record = &self.records[usize::from(record)];
        (record.filter.as_bytes(), record.subscribers)
    }

    pub(super) fn find_filter(&self, tag: u32, filter: &[u8]) -> Option<u16> {
        let is_it = |record: &u16| self.tag(*record) == tag && self.get(*record).0 == filter;
        self.slots.find(self.short(tag)).find(is_it)
    }

    pub(super) fn set(&mut self, record: u16, subscribers: Subscribers) {
        self.records[usize::from(record)].subscribers = subscribers;
    }

    pub(super) fn add(&mut self, tag: u32, filter: &[u8], subscribers: Subscribers) {
        self.push(Record { tag, subscribers, filter: Text::new(filter) });
    }

    pub(super) fn remove(&mut self, record: u16) {
        let tag = self.tag(record);
        self.slots.remove(self.short(tag), record);
        self.records.swap_remove(usize::from(record));
        if let Some(moved) = self.records.get(usize::from(record)) {
            let last = self.records.len() as u16;
            self.slots.renumber(self.short(moved.tag), last, record);
        }
        if self.records.len() * 4 < self.records.capacity() {
            self.records.shrink_to(self.records.len() * 2);
        }
    }

    /// Moves half of the filters to a new segment: those whose next bit is set.
    pub(super) fn split(&mut self) -> Self {
        let depth = self.depth + 1;
        // All of one size, so that the allocator need not find room for growing ones in between.
        let half = || Self::new(depth);
        let (one, mut other) = (half(), half());
        let old = core::mem::replace(self, one);
        let bit = 1 << (u32::BITS - u32::from(depth));
        for record in old.records {
            if record.tag & bit == 0 { self.push(record) } else { other.push(record) }
        }
        other
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(|record| record.filter.as_bytes())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let long = |record: &Record| match &record.filter {
            Text::Short { .. } => 0,
            Text::Long(bytes) => bytes.len(),
        };
        size_of::<Self>()
            + self.slots.memory_bytes()
            + self.records.capacity() * size_of::<Record>()
            + self.records.iter().map(long).sum::<usize>()
    }

    fn push(&mut self, record: Record) {
        let number = u16::try_from(self.records.len()).expect("a segment is split long before");
        self.slots.insert(self.short(record.tag), number);
        self.records.push(record);
    }

    /// The bits of a tag that follow those that all tags here have in common.
    #[inline]
    const fn short(&self, tag: u32) -> u16 {
        ((tag << self.depth) >> 16) as u16
    }
}

impl Text {
    fn new(text: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..text.len()) {
            Some(room) => {
                room.copy_from_slice(text);
                Self::Short { len: text.len() as u8, bytes }
            }
            None => Self::Long(text.into()),
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

/// What remains of a cache line.
const SHORT: usize = 38;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_cache_line() {
        assert_eq!(size_of::<Record>(), 64);
    }
}
