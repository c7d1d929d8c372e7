//! How many bytes of each segment are still needed.

use std::collections::VecDeque;

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

/// Bytes of live records, in all and for each segment.
#[derive(Debug, Default)]
pub(crate) struct Live {
    total: u64,
    /// The segment that the first count is for.
    first: u32,
    counts: VecDeque<u64>,
}

impl Live {
    #[inline]
    pub(crate) fn add(&mut self, place: Place) {
        *self.count(place.segment) += u64::from(place.length);
        self.total += u64::from(place.length);
    }

    #[inline]
    pub(crate) fn remove(&mut self, place: Place) {
        let count = self.count(place.segment);
        debug_assert!(*count >= place.length.into(), "what is removed was added");
        *count = count.saturating_sub(place.length.into());
        self.total = self.total.saturating_sub(place.length.into());
    }

    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn of(&self, segment: u32) -> u64 {
        let at = segment.checked_sub(self.first).map(|at| at as usize);
        at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }

    /// Segments before this one are gone.
    pub(crate) fn begin_at(&mut self, segment: u32) {
        while self.first < segment {
            self.first += 1;
            let gone = self.counts.pop_front().unwrap_or(0);
            debug_assert_eq!(gone, 0, "what goes is dead");
            if self.counts.is_empty() {
                self.first = segment;
            }
        }
    }

    #[inline]
    fn count(&mut self, segment: u32) -> &mut u64 {
        if self.counts.is_empty() {
            self.first = segment;
        }
        debug_assert!(segment >= self.first, "what is gone is not counted");
        let at = segment.saturating_sub(self.first) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        &mut self.counts[at]
    }
}
