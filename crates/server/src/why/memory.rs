//! How much memory the process has, against how much it may have.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_broker::{Limit, Reached, Time};

use crate::limits;

/// How old what is known of it may be: at a gigabyte a second, a tenth of that.
const FRESH: Duration = Duration::from_millis(100);

/// Percent of the limit below which there is room again: not to change all the time.
const ROOM_AGAIN: u64 = 95;

/// The memory of the process, looked at by any shard and heeded by all.
#[derive(Debug)]
pub(crate) struct Memory {
    /// In bytes; the greatest number is none.
    limit: AtomicU64,
    /// When somebody looked last, in microseconds.
    looked: AtomicU64,
    /// Bytes, while that is too much; else 0.
    full: AtomicU64,
}

impl Memory {
    pub(crate) const fn new(limit: Option<u64>) -> Self {
        let limit = match limit {
            Some(limit) => limit,
            None => u64::MAX,
        };
        Self { limit: AtomicU64::new(limit), looked: AtomicU64::new(0), full: AtomicU64::new(0) }
    }

    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
        if limit.is_none() {
            self.full.store(0, Ordering::Relaxed);
        }
    }

    /// The limit, if there is one.
    pub(crate) fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit < u64::MAX)
    }

    /// That there is too much, if there is.
    pub(crate) fn reached(&self) -> Option<Reached> {
        let value = self.full.load(Ordering::Relaxed);
        let allowed = self.limit.load(Ordering::Relaxed);
        (value > 0).then_some(Reached { limit: Limit::Memory, value, allowed })
    }

    /// Looks, unless there is no limit or somebody has looked just now; true if all should hear of it.
    pub(crate) fn look(&self, now: Time) -> bool {
        let Some(limit) = self.limit() else { return false };
        let looked = self.looked.load(Ordering::Relaxed);
        let due = Time::from_micros(looked).saturating_add(FRESH) <= now;
        let now = now.as_micros();
        let mine = due
            && self
                .looked
                .compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        mine && self.judge(limits::resident_bytes().unwrap_or(0), limit)
    }

    /// True if it was enough before and is not any more, or the other way round.
    fn judge(&self, resident: u64, limit: u64) -> bool {
        let before = self.full.load(Ordering::Relaxed);
        let room_again = limit / 100 * ROOM_AGAIN;
        let full = resident >= limit || before > 0 && resident >= room_again;
        self.full.store(if full { resident.max(1) } else { 0 }, Ordering::Relaxed);
        full != (before > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_full_is_so_until_there_is_some_room() {
        let memory = Memory::new(Some(1000));
        assert!(!memory.judge(999, 1000));
        assert!(memory.judge(1000, 1000));
        assert_eq!(memory.reached().map(|reached| reached.value), Some(1000));
        assert!(!memory.judge(960, 1000), "still");
        assert!(memory.reached().is_some());
        assert!(memory.judge(940, 1000));
        assert_eq!(memory.reached(), None);
    }

    #[test]
    fn somebody_looks_ten_times_a_second_if_there_is_a_limit() {
        let memory = Memory::new(Some(1));
        assert!(memory.look(Time::from_secs(1)), "this process has more than a byte");
        assert!(!memory.look(Time::from_millis(1099)));
        memory.set_limit(None);
        assert_eq!(memory.reached(), None);
        assert!(!memory.look(Time::from_secs(9)));
    }
}
