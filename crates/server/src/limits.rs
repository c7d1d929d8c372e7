//! What the system lets this process have: cores, descriptors, timer precision.

use std::num::NonZeroU64;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, set_current_timer_slack};

/// Descriptors that are not connections: standard streams, listeners, pollers, wakers, files.
const RESERVED_DESCRIPTORS: u64 = 32;

/// Assumed when the system sets no limit at all.
const UNLIMITED: u64 = 1 << 20;

/// How much threads yield to the shards that somebody waits for. They get a tenth of the share of a shard that
/// wants the same core, and more than enough of a core that is idle.
pub(crate) const PROMPT: i32 = 10;

/// The same of threads that compute all the time. They get a seventieth, and with a tenth a shard that had been busy
/// for a while still waited for them, up to 8 ms.
pub(crate) const BACKGROUND: i32 = 19;

/// The cores this process may run on; one if that cannot be told.
pub(crate) fn usable_cores() -> usize {
    sched_getaffinity(None).map_or(1, |cores: CpuSet| cores.count().max(1) as usize)
}

/// Raises the descriptor limit as far as allowed; returns how many connections fit under it.
pub(crate) fn raise_descriptor_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(cause) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!("descriptor limit stays at {current:?}: {cause}");
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED);
    usize::try_from(limit.saturating_sub(RESERVED_DESCRIPTORS)).unwrap_or(usize::MAX)
}

/// Asks for pauses that end within a microsecond of their time instead of the usual 50 us late.
pub(crate) fn sharpen_timers() {
    if let Err(cause) = set_current_timer_slack(NonZeroU64::new(1_000)) {
        tracing::debug!("timer slack stays at the default: {cause}");
    }
}

/// Asks for this thread to be woken soon even while others use the processor, at the price of short
/// slices: for the store thread, whose syncs took until the next tick otherwise. Shards gained nothing
/// by it: with both cores busy, acknowledgements took longer again.
pub(crate) fn sharpen_thread() {
    if let Err(cause) = dunlin_store::sharpen() {
        tracing::debug!("this thread waits its turn like others: {cause}");
    }
}

/// Lets the shards go first, at once: for threads that compute for long.
pub(crate) fn step_back(niceness: i32) {
    if let Err(cause) = dunlin_store::step_back(niceness) {
        tracing::debug!("this thread does not yield to others: {cause}");
    }
}

/// Resident memory in bytes, as `/proc` tells it; `None` where there is no `/proc`.
pub(crate) fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_cores_and_memory() {
        assert!(usable_cores() >= 1);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn a_raised_limit_leaves_room_for_connections() {
        assert!(raise_descriptor_limit() > 100);
    }
}
