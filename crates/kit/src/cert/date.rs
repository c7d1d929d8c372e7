//! Dates, as certificates and people write them.

use time::OffsetDateTime;

use super::DAY;
use crate::{KitError, UnixSeconds};

/// The moment as rcgen wants it.
pub(super) fn moment(seconds: UnixSeconds) -> Result<OffsetDateTime, KitError> {
    let beyond = || KitError::refused("the date is beyond the year 9999");
    let seconds = i64::try_from(seconds).map_err(|_| beyond())?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| beyond())
}

/// As `2026-11-21 17:05 UTC`.
#[must_use]
pub fn date(seconds: UnixSeconds) -> String {
    let Ok(at) = moment(seconds) else { return "after the year 9999".into() };
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", at.hour(), at.minute())
}

/// Whole days until `end`; negative when it is past.
#[must_use]
pub fn days_left(end: UnixSeconds, now: UnixSeconds) -> i64 {
    let signed = |seconds: u64| i64::try_from(seconds / DAY).unwrap_or(i64::MAX);
    if end >= now { signed(end - now) } else { -1 - signed(now - end - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_down_through_zero() {
        let table =
            [(0, 0, 0), (DAY, 0, 1), (DAY - 1, 0, 0), (0, 1, -1), (0, DAY, -1), (0, DAY + 1, -2)];
        for (end, now, days) in table {
            assert_eq!(days_left(end, now), days, "{end} {now}");
        }
        assert_eq!(date(1_795_280_700), "2026-11-21 17:05 UTC");
    }
}
