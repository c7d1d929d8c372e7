//! How the store does, as `$SYS` shows it.

use std::time::Duration;

/// The state of the store, and some counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gauge {
    pub(crate) condition: Condition,
    /// Files that belong to the log, and what they take on the disk.
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
    /// What of it would be needed after a restart.
    pub(crate) live_bytes: u64,
    /// Groups that were written and made durable.
    pub(crate) commits: u64,
    /// How long that takes in microseconds: an average over some twenty of them.
    pub(crate) commit_us: f64,
}

/// Whether what has to be kept can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing is kept.
    #[default]
    Off,
    /// It can.
    Ready,
    /// There is no room for more.
    Full,
    /// The disk refuses to be written.
    Broken,
}

/// The share of the latest commit in the average.
const LATEST: f64 = 0.1;

impl Gauge {
    /// A group is durable, after so long.
    pub(super) fn note_commit(&mut self, took: Duration) {
        let latest = took.as_micros() as f64;
        let before = if self.commits == 0 { latest } else { self.commit_us };
        self.commit_us = before + (latest - before) * LATEST;
        self.commits += 1;
    }
}

impl Condition {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Ready => "ready",
            Self::Full => "full",
            Self::Broken => "broken",
        }
    }
}
