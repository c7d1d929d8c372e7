//! What `/proc` says about the broker: CPU time of all its threads, resident memory.

use std::fs;

use anyhow::{Context, Result};

/// A process on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pid: u32,
}

impl Process {
    /// Looks the process up, so that a wrong id is told before the run.
    pub(super) fn new(pid: u32) -> Result<Self> {
        let process = Self { pid };
        process
            .cpu_ns()
            .and_then(|_| process.resident_bytes())
            .with_context(|| format!("the broker's process {pid} cannot be watched"))?;
        Ok(process)
    }

    /// CPU time, user and system, of the threads alive. From the scheduler's own account in
    /// nanoseconds: `stat` counts ticks of 10 ms.
    pub(super) fn cpu_ns(self) -> Result<u64> {
        let tasks = format!("/proc/{}/task", self.pid);
        let mut total = 0;
        for task in fs::read_dir(&tasks).with_context(|| format!("reading {tasks}"))? {
            let path = task.with_context(|| format!("reading {tasks}"))?.path().join("schedstat");
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            total += first_number(&text).with_context(|| format!("reading {}", path.display()))?;
        }
        Ok(total)
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
        anyhow::bail!("the memory of process {} cannot be read", self.pid)
    }
}

fn first_number(text: &str) -> Result<u64> {
    let number = text.split_whitespace().next().context("empty")?;
    Ok(number.parse()?)
}

fn field_of(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    first_number(rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let process = Process::new(std::process::id()).unwrap();
        assert!(process.cpu_ns().unwrap() > 0);
        assert!(process.resident_bytes().unwrap() > 100 * 1024);
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
