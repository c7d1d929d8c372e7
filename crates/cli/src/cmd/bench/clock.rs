//! The clock of schedules and latencies.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds in a second.
pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// `CLOCK_MONOTONIC` in nanoseconds: what the stamps carry.
pub(super) fn now_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Sleeps until the monotonic clock reads `when_ns`, at most `at_most`.
pub(super) fn sleep_towards(when_ns: u64, at_most: Duration) {
    let left = Duration::from_nanos(when_ns.saturating_sub(now_ns()));
    std::thread::sleep(left.min(at_most));
}

/// The same instant for the kernel.
pub(super) fn timespec(nanoseconds: u64) -> Timespec {
    Timespec {
        tv_sec: (nanoseconds / SECOND_NS).cast_signed(),
        tv_nsec: (nanoseconds % SECOND_NS).cast_signed(),
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec.cast_unsigned() * SECOND_NS + time.tv_nsec.cast_unsigned()
}
