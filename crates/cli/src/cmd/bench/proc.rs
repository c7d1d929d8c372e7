//! What `/proc` says about the broker: CPU time of all its threads, resident memory.

use std::fs;

use anyhow::{Context, Result, bail};

/// A process on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pid: u32,
}

/// What the threads of a process had of the CPUs so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Time running, user and system.
    pub(super) cpu_ns: u64,
    /// Time ready to run while others had the CPU: what disturbed a measurement.
    pub(super) wait_ns: u64,
}

impl Usage {
    /// What was used since `earlier`; 0 rather than less if a thread that counted has ended.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            wait_ns: self.wait_ns.saturating_sub(earlier.wait_ns),
        }
    }
}

impl Process {
    /// Looks the process up, so that a wrong id is told before the run.
    pub(super) fn new(pid: u32) -> Result<Self> {
        let process = Self { pid };
        process
            .usage()
            .and_then(|_| process.resident_bytes())
            .with_context(|| format!("the broker's process {pid} cannot be watched"))?;
        Ok(process)
    }

    /// The generator itself.
    pub(super) fn own() -> Self {
        Self { pid: std::process::id() }
    }

    /// Usage of the threads alive. From the scheduler's own account in nanoseconds: `stat` counts
    /// ticks of 10 ms.
    pub(super) fn usage(self) -> Result<Usage> {
        let tasks = format!("/proc/{}/task", self.pid);
        let mut total = Usage::default();
        for task in fs::read_dir(&tasks).with_context(|| format!("reading {tasks}"))? {
            let path = task.with_context(|| format!("reading {tasks}"))?.path().join("schedstat");
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let mut fields = text.split_whitespace().map(str::parse::<u64>);
            let (Some(Ok(cpu_ns)), Some(Ok(wait_ns))) = (fields.next(), fields.next()) else {
                bail!("{} has no times", path.display());
            };
            total.cpu_ns += cpu_ns;
            total.wait_ns += wait_ns;
        }
        Ok(total)
    }

    /// Bytes this process has made the kernel write to a disk so far: whole pages, counted when they
    /// become dirty. `None` where only the owner may know.
    pub(super) fn written_bytes(self) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/io", self.pid)).ok()?;
        field_of(&text, "write_bytes:")
    }

    /// Resident memory. `smaps_rollup` is exact where `status` lags behind by a few pages a core,
    /// but only the owner may read it.
    pub(super) fn resident_bytes(self) -> Result<u64> {
        for (file, field) in [("smaps_rollup", "Rss:"), ("status", "VmRSS:")] {
            let Ok(text) = fs::read_to_string(format!("/proc/{}/{file}", self.pid)) else {
                continue;
            };
            if let Some(kibibytes) = field_of(&text, field) {
                return Ok(kibibytes * 1024);
            }
        }
        bail!("the memory of process {} cannot be read", self.pid)
    }
}

fn field_of(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let process = Process::own();
        assert!(process.usage().unwrap().cpu_ns > 0);
        assert!(process.resident_bytes().unwrap() > 100 * 1024);
    }

    #[test]
    fn a_difference_of_usage_is_never_negative() {
        let (less, more) = (Usage { cpu_ns: 5, wait_ns: 9 }, Usage { cpu_ns: 7, wait_ns: 3 });
        assert_eq!(more.since(less), Usage { cpu_ns: 2, wait_ns: 0 });
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Process::new(u32::MAX).is_err());
    }

    #[test]
    fn fields_are_found_by_name() {
        assert_eq!(field_of("Pss:  1 kB\nRss:   12 kB\n", "Rss:"), Some(12));
        assert_eq!(field_of("VmRSS:\n", "VmRSS:"), None);
    }
}
