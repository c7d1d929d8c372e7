//! Pinning the generator and the brokers it starts to CPUs of their own.

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

/// Runs `work` with the calling thread pinned elsewhere: what it starts stays there.
pub(super) fn pinned<T>(cpus: &[usize], work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = sched_getaffinity(None).context("reading the affinity")?;
    pin(cpus)?;
    let result = work();
    sched_setaffinity(None, &before).context("restoring the affinity")?;
    result
}
