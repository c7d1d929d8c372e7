//! A reload that was asked for and is not done: who comes after SIGHUP is to be judged by what it reads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether a reload is due or under way.
#[derive(Debug, Default)]
pub(crate) struct Reloading {
    /// Set by the signal itself, before anybody has been woken by it.
    asked: OnceLock<Arc<AtomicBool>>,
    running: AtomicUsize,
}

/// A reload that is under way, until it is dropped.
pub(crate) struct Running<'a>(&'a Reloading);

impl Reloading {
    /// From now on it is this that says that a reload was asked for; only the first one counts.
    pub(crate) fn watch(&self, asked: Arc<AtomicBool>) {
        self.asked.get_or_init(|| asked);
    }

    /// Whether what is in force may be about to change.
    pub(crate) fn is_due(&self) -> bool {
        self.asked.get().is_some_and(|asked| asked.load(Ordering::Acquire))
            || self.running.load(Ordering::Acquire) > 0
    }

    /// A reload begins, which sees whatever was changed before it was asked for.
    pub(crate) fn begin(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::AcqRel);
        if let Some(asked) = self.asked.get() {
            asked.store(false, Ordering::Release);
        }
        Running(self)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_is_due_from_the_signal_to_its_end() {
        let (reloading, asked) = (Reloading::default(), Arc::new(AtomicBool::new(false)));
        assert!(!reloading.is_due(), "nobody watches yet");
        reloading.watch(Arc::clone(&asked));
        asked.store(true, Ordering::Release);
        assert!(reloading.is_due());
        let first = reloading.begin();
        assert!(reloading.is_due() && !asked.load(Ordering::Acquire));
        // Another signal while it runs.
        asked.store(true, Ordering::Release);
        drop(first);
        assert!(reloading.is_due());
        drop(reloading.begin());
        assert!(!reloading.is_due());
    }
}
