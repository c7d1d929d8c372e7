//! The clock reading that every time-dependent function takes as an argument.

use core::time::Duration;

/// Microseconds since an origin that the caller chooses and keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// Later than anything that will happen: "never", as a deadline.
    pub const MAX: Self = Self(u64::MAX);

    /// A reading in microseconds since the origin.
    #[inline]
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A reading in milliseconds since the origin.
    #[inline]
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// A reading in seconds since the origin.
    #[inline]
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the origin.
    #[inline]
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This moment and `duration` later; stays at [`Time::MAX`] rather than wrap.
    #[inline]
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// This moment and `duration` earlier; stays at [`Time::ZERO`] rather than wrap.
    #[inline]
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// This moment and `duration` later, unless that is out of range.
    #[inline]
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(micros(duration)).map(Self)
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Whole microseconds, the longest durations cut to what fits.
#[inline]
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_wraps_at_either_end() {
        assert_eq!(Time::MAX.saturating_add(Duration::from_secs(1)), Time::MAX);
        assert_eq!(Time::ZERO.saturating_sub(Duration::MAX), Time::ZERO);
        assert_eq!(Time::from_secs(1).saturating_add(Duration::MAX), Time::MAX);
        assert_eq!(Time::MAX.checked_add(Duration::from_micros(1)), None);
    }

    #[test]
    fn a_moment_ahead_is_no_time_ago() {
        assert_eq!(Time::from_secs(1).since(Time::from_secs(2)), Duration::ZERO);
        assert_eq!(Time::from_secs(3).since(Time::from_millis(500)), Duration::from_millis(2_500));
    }
}
