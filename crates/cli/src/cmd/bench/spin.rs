//! Threads that keep CPUs busy, so that everybody else has to ask the scheduler.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result};

use super::affinity::pin;

/// Busy threads; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Spin {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Spin {
    /// A thread on each of the first `cpus` CPUs.
    pub(super) fn start(cpus: usize) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut spin = Self { stop: Arc::clone(&stop), threads: Vec::new() };
        for cpu in 0..cpus {
            let stop = Arc::clone(&stop);
            let work = move || {
                // Unpinned it still keeps some CPU busy.
                drop(pin(&[cpu]));
                while !stop.load(Ordering::Relaxed) {
                    spin_loop();
                }
            };
            let thread = std::thread::Builder::new().name("spin".to_owned());
            spin.threads.push(thread.spawn(work).context("starting a thread")?);
        }
        Ok(spin)
    }
}

impl Drop for Spin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}
