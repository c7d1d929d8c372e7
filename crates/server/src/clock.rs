//! Where the time that the broker is given comes from.

use std::time::{Instant, SystemTime};

use dunlin_broker::Time;

/// Microseconds since 1970, as they were at the start of the process, and monotonic from there on:
/// what is stored keeps its meaning over restarts, and setting the clock expires nothing meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    anchor: Time,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A clock before 1970 is not set at all.
        let anchor = Time::ZERO.saturating_add(since.unwrap_or_default());
        Self { origin: Instant::now(), anchor }
    }

    #[inline]
    pub(crate) fn now(&self) -> Time {
        self.anchor.saturating_add(Instant::now().duration_since(self.origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_time_of_the_world() {
        let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = Clock::start().now();
        let ahead = now.since(Time::ZERO.saturating_add(before));
        assert!(ahead.as_secs() < 60, "{ahead:?} ahead");
        assert!(now.as_micros() >= u64::try_from(before.as_micros()).unwrap());
    }
}
