//! The wall clock as a date, in UTC: the standard library knows no time zones.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

const SECONDS_PER_DAY: u64 = 86_400;

/// A moment as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CivilTime {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
    since_1970: Duration,
}

impl CivilTime {
    /// Now; a clock set before 1970 counts as 1970.
    pub(crate) fn now() -> Self {
        Self::new(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    pub(crate) fn new(since_1970: Duration) -> Self {
        let seconds = since_1970.as_secs();
        let mut day = seconds / SECONDS_PER_DAY;
        let mut year = 1970;
        while day >= days_of_year(year) {
            day -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while day >= days_of_month(year, month) {
            day -= days_of_month(year, month);
            month += 1;
        }
        Self { year, month, day: day + 1, second_of_day: seconds % SECONDS_PER_DAY, since_1970 }
    }

    /// Seconds and nanoseconds since 1970.
    pub(crate) fn unix(&self) -> String {
        format!("{}.{:09}", self.since_1970.as_secs(), self.since_1970.subsec_nanos())
    }

    /// ISO 8601 to the second.
    pub(crate) fn iso(&self) -> String {
        format!("{}+0000", self.date_and_time())
    }

    /// ISO 8601 to the microsecond.
    pub(crate) fn iso_micros(&self) -> String {
        format!("{}.{:06}Z", self.date_and_time(), self.since_1970.subsec_micros())
    }

    /// Whether [`CivilTime::write_field`] knows the conversion.
    pub(crate) fn knows(conversion: char) -> bool {
        "YmdHMSNFTszZ".contains(conversion)
    }

    /// Appends one conversion of strftime, and `N` for nanoseconds.
    pub(crate) fn write_field(&self, conversion: char, into: &mut String) {
        let time = self.second_of_day;
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let written = match conversion {
            'Y' => write!(into, "{}", self.year),
            'm' => write!(into, "{:02}", self.month),
            'd' => write!(into, "{:02}", self.day),
            'H' => write!(into, "{hour:02}"),
            'M' => write!(into, "{minute:02}"),
            'S' => write!(into, "{second:02}"),
            'N' => write!(into, "{:09}", self.since_1970.subsec_nanos()),
            'F' => write!(into, "{}-{:02}-{:02}", self.year, self.month, self.day),
            'T' => write!(into, "{hour:02}:{minute:02}:{second:02}"),
            's' => write!(into, "{}", self.since_1970.as_secs()),
            'z' => write!(into, "+0000"),
            'Z' => write!(into, "UTC"),
            other => write!(into, "{other}"),
        };
        debug_assert!(written.is_ok(), "writing to a String does not fail");
    }

    fn date_and_time(&self) -> String {
        let mut text = String::new();
        self.write_field('F', &mut text);
        text.push('T');
        self.write_field('T', &mut text);
        text
    }
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_days_and_year_ends_are_where_they_belong() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00+0000"),
            (951_782_399, "2000-02-28T23:59:59+0000"),
            (951_782_400, "2000-02-29T00:00:00+0000"),
            (951_868_800, "2000-03-01T00:00:00+0000"),
            (1_735_689_599, "2024-12-31T23:59:59+0000"),
            (4_107_542_400, "2100-03-01T00:00:00+0000"),
        ] {
            assert_eq!(CivilTime::new(Duration::from_secs(seconds)).iso(), expected);
        }
    }

    #[test]
    fn fractions_keep_their_leading_zeros() {
        let time = CivilTime::new(Duration::new(5, 7_000));
        assert_eq!(time.unix(), "5.000007000");
        assert_eq!(time.iso_micros(), "1970-01-01T00:00:05.000007Z");
    }
}
