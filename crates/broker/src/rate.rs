//! How much in a second: rates, and how much of one is used up.

use core::time::Duration;

use dunlin_proto::Time;

/// So much in a second in the long run, and so much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In a second. 0 counts as 1.
    pub per_second: u64,
    /// At once after a pause. 0 counts as 1.
    pub burst: u64,
}

/// How far a rate is used up.
///
/// It is the time at which all that was taken would have been due if it had come evenly: as far as that
/// is ahead of the clock, the burst is used up. One number, and nothing to refill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meter {
    /// In nanoseconds.
    even: u64,
}

impl Rate {
    /// So much in a second, and as much at once.
    #[must_use]
    pub const fn per_second(amount: u64) -> Self {
        Self { per_second: amount, burst: amount }
    }

    /// Nanoseconds that an amount is worth, rounded up so that a burst is not one more.
    fn span(self, amount: u64) -> u64 {
        let nanos =
            (u128::from(amount) * 1_000_000_000).div_ceil(u128::from(self.per_second.max(1)));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

impl Meter {
    /// Nothing was taken yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { even: 0 }
    }

    /// Takes so much, whether or not there is as much: what is too much is a debt.
    pub fn take(&mut self, now: Time, rate: Rate, amount: u64) {
        self.even = self.even.max(nanos(now)).saturating_add(rate.span(amount));
    }

    /// Takes so much if anything is left.
    pub fn try_take(&mut self, now: Time, rate: Rate, amount: u64) -> bool {
        let left = self.is_left(now, rate);
        if left {
            self.take(now, rate, amount);
        }
        left
    }

    /// Whether anything is left.
    #[must_use]
    pub fn is_left(&self, now: Time, rate: Rate) -> bool {
        self.even < nanos(now).saturating_add(rate.span(rate.burst.max(1)))
    }

    /// When something will be left.
    #[must_use]
    pub fn ready_at(&self, now: Time, rate: Rate) -> Time {
        if self.is_left(now, rate) {
            return now;
        }
        let at = self.even.saturating_sub(rate.span(rate.burst.max(1)));
        // The first microsecond after it.
        Time::from_micros(at / 1000 + 1)
    }

    /// Whether it is as if nothing had ever been taken.
    #[must_use]
    pub fn is_full(&self, now: Time) -> bool {
        self.even <= nanos(now)
    }
}

impl Rate {
    /// A pause after which it is worth looking again: short for who waits, long enough for more than one
    /// message at a time.
    #[must_use]
    pub fn pause(self) -> Duration {
        Duration::from_nanos(self.span(self.burst.max(1)) / 4).min(PAUSE)
    }
}

/// The longest pause that is added so that more comes together.
const PAUSE: Duration = Duration::from_millis(20);

fn nanos(time: Time) -> u64 {
    time.as_micros().saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_at_once_and_the_rest_evenly() {
        let rate = Rate { per_second: 10, burst: 3 };
        let (mut meter, start) = (Meter::new(), Time::from_secs(100));
        let taken = (0..10).filter(|_| meter.try_take(start, rate, 1)).count();
        assert_eq!(taken, 3);
        let ready = meter.ready_at(start, rate);
        assert_eq!(ready, Time::from_micros(100_000_001));
        let mut taken = 0;
        for tenth in 1..=100u64 {
            let now = Time::from_micros(100_000_001 + tenth * 100_000);
            taken += (0..5).filter(|_| meter.try_take(now, rate, 1)).count();
        }
        assert!((99..=101).contains(&taken), "{taken} in ten seconds");
    }

    #[test]
    fn a_debt_is_paid_before_anything_is_left_again() {
        let rate = Rate::per_second(1000);
        let (mut meter, start) = (Meter::new(), Time::from_secs(1));
        assert!(meter.try_take(start, rate, 5000), "a large one passes while anything is left");
        assert!(!meter.is_left(start, rate));
        assert!(!meter.is_left(Time::from_secs(4), rate));
        assert!(meter.is_left(Time::from_secs(6), rate));
        assert!(meter.is_full(Time::from_secs(6)));
        assert_eq!(meter.ready_at(start, rate), Time::from_micros(5_000_001));
    }

    #[test]
    fn fast_rates_are_not_rounded_away() {
        let rate = Rate::per_second(1_000_000_000);
        let (mut meter, mut now, mut sum) = (Meter::new(), Time::ZERO, 0u64);
        while now < Time::from_secs(1) {
            while meter.try_take(now, rate, 100) {
                sum += 100;
            }
            now = now.saturating_add(Duration::from_millis(1));
        }
        assert!((1_990_000_000..=2_010_000_000).contains(&sum), "{sum}");
    }
}
