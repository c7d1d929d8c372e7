//! Who is turned away below MQTT: why, in a form that can be counted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_broker::{Cause, Causes, Reached, Refusal};

/// Why somebody is turned away, to be told and counted.
pub(crate) trait Reason: fmt::Display {
    /// Under which name it is counted.
    fn cause(&self) -> Cause;

    /// The setting behind it, by its key, or who decided.
    fn rule(&self) -> Option<&str> {
        None
    }
}

impl Reason for Refusal {
    fn cause(&self) -> Cause {
        self.cause()
    }

    fn rule(&self) -> Option<&str> {
        self.by().or_else(|| Some(self.limit()?.key()))
    }
}

impl Reason for Reached {
    fn cause(&self) -> Cause {
        self.limit.cause()
    }

    fn rule(&self) -> Option<&str> {
        Some(self.limit.key())
    }
}

/// How many were turned away for each cause since the start.
///
/// Not with the counters of shards: it happens on any thread, and a flood of it must not cost more than this.
#[derive(Debug)]
pub(crate) struct Turned([AtomicU64; Cause::ALL.len()]);

impl Default for Turned {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Turned {
    /// One more.
    pub(crate) fn count(&self, cause: Cause) {
        if let Some(count) = self.0.get(cause.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds them to what shards have counted.
    pub(crate) fn add_to(&self, causes: &mut Causes) {
        for (cause, count) in Cause::ALL.iter().zip(&self.0) {
            causes.add(*cause, count.load(Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_are_turned_away_are_added_to_what_shards_count() {
        let (turned, mut causes) = (Turned::default(), Causes::default());
        causes.add(Cause::Banned, 2);
        turned.count(Cause::Banned);
        turned.count(Cause::Network);
        turned.add_to(&mut causes);
        assert_eq!((causes.of(Cause::Banned), causes.of(Cause::Network)), (3, 1));
        assert_eq!(causes.iter().map(|(_, count)| count).sum::<u64>(), 4);
    }
}
