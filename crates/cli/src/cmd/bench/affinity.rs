//! Where the generator and the brokers it starts run: on CPUs of their own, and soon.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Pins the calling thread, and all it starts from now on; nothing happens for an empty list.
pub(super) fn pin(cpus: &[usize]) -> Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for cpu in cpus {
        anyhow::ensure!(*cpu < CpuSet::MAX_CPU, "there is no CPU {cpu}");
        set.set(*cpu);
    }
    sched_setaffinity(None, &set).with_context(|| format!("pinning to CPU {cpus:?}"))
}

/// Lets the calling thread run soon after it is woken. On busy CPUs it would otherwise measure how
/// long it waits itself, which may be milliseconds. Not for threads that start brokers: these would
/// inherit it.
pub(super) fn run_soon() {
    // Older systems do not have it, and measure all the same.
    drop(dunlin_store::sharpen());
}

/// Runs `work` with the calling thread pinned elsewhere: what it starts stays there.
pub(super) fn pinned<T>(cpus: &[usize], work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = sched_getaffinity(None).context("reading the affinity")?;
    pin(cpus)?;
    let result = work();
    sched_setaffinity(None, &before).context("restoring the affinity")?;
    result
}
