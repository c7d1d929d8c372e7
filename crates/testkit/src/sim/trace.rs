//! What happened, in words, for who replays a seed.

use dunlin_broker::Time;

/// Lines are made only when somebody wants them.
pub(super) struct Trace {
    on: bool,
    lines: Vec<String>,
}

impl Trace {
    pub(super) const fn new(on: bool) -> Self {
        Self { on, lines: Vec::new() }
    }

    pub(super) fn line(&mut self, now: Time, text: impl FnOnce() -> String) {
        if self.on {
            let micros = now.as_micros();
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            self.lines.push(format!("{seconds:>6}.{rest:06} {}", text()));
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}
