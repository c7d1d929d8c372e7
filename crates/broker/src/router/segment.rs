//! A part of the filters: a small table and their records, back to back.
//!
//! Small enough that growing it, splitting it and squeezing out the dead are no events that anybody
//! waits for, whatever the number of filters.

use super::slots::{Hint, Slots};
use super::subscribers::{Packed, Subscribers};
use super::texts::grow;

/// Filters whose tags begin with the same bits.
#[derive(Debug)]
pub(super) struct Segment {
    /// How many bits.
    pub(super) depth: u8,
    /// Where the record of a tag begins.
    slots: Slots,
    /// Each: packed subscribers, length of the filter, filter. All that a match needs of a filter is
    /// in one place, and usually one cache line.
    records: Vec<u8>,
    dead: usize,
}

impl Segment {
    pub(super) fn new(depth: u8) -> Self {
        Self { depth, slots: Slots::new(depth), records: Vec::new(), dead: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(super) fn hint(&self, tag: u32) -> Hint {
        self.slots.hint(tag)
    }

    /// Records that may be the one of a filter with this tag.
    #[inline]
    pub(super) fn find(&self, tag: u32, hint: Hint) -> impl Iterator<Item = u32> {
        self.slots.find_with(tag, hint)
    }

    #[inline]
    pub(super) fn filter(&self, record: u32) -> &[u8] {
        let text = record as usize + HEAD;
        let length = [self.records[text - 2], self.records[text - 1]];
        &self.records[text..text + usize::from(u16::from_le_bytes(length))]
    }

    #[inline]
    pub(super) fn subscribers(&self, record: u32) -> Subscribers {
        let packed = self.records[record as usize..].first_chunk::<PACKED>();
        packed.map_or(Subscribers::Nobody, |packed| Subscribers::unpack(*packed))
    }

    /// Asks for the memory of a record.
    #[inline]
    pub(super) fn touch(&self, record: u32) -> u8 {
        self.records[record as usize]
    }

    pub(super) fn find_filter(&self, tag: u32, filter: &[u8]) -> Option<u32> {
        self.slots.find(tag).find(|record| self.filter(*record) == filter)
    }

    pub(super) fn set(&mut self, record: u32, subscribers: Subscribers) {
        let record = record as usize;
        self.records[record..record + PACKED].copy_from_slice(&subscribers.pack());
    }

    pub(super) fn add(&mut self, tag: u32, filter: &[u8], subscribers: Subscribers) {
        let length = u16::try_from(filter.len()).expect("a filter has at most 65535 bytes");
        let record = u32::try_from(self.records.len()).expect("a segment has few filters");
        grow(&mut self.records, HEAD + filter.len());
        self.records.extend_from_slice(&subscribers.pack());
        self.records.extend_from_slice(&length.to_le_bytes());
        self.records.extend_from_slice(filter);
        self.slots.insert(tag, record);
    }

    pub(super) fn remove(&mut self, tag: u32, record: u32) {
        self.dead += HEAD + self.filter(record).len();
        self.slots.remove(tag, record);
        if self.dead * 2 > self.records.len() {
            self.squeeze();
        }
    }

    /// Moves half of the filters to a new segment: those whose next bit is set.
    pub(super) fn split(&mut self) -> Self {
        let depth = self.depth + 1;
        let old = core::mem::replace(self, Self::new(depth));
        let mut other = Self::new(depth);
        let bit = 1 << (u32::BITS - u32::from(depth));
        for (tag, record) in old.slots.iter() {
            let half = if tag & bit == 0 { &mut *self } else { &mut other };
            half.add(tag, old.filter(record), old.subscribers(record));
        }
        other
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &[u8]> {
        self.slots.iter().map(|(_, record)| self.filter(record))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.slots.memory_bytes() + self.records.capacity()
    }

    /// Rewrites the segment without dead records.
    fn squeeze(&mut self) {
        let old = core::mem::replace(self, Self::new(self.depth));
        self.records.reserve_exact(old.records.len() - old.dead);
        for (tag, record) in old.slots.iter() {
            self.add(tag, old.filter(record), old.subscribers(record));
        }
    }
}

const PACKED: usize = size_of::<Packed>();
/// Subscribers and length.
const HEAD: usize = PACKED + 2;
