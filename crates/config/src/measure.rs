//! Units: what the numbers of a key count, between which bounds, and sizes and times as people write them.

use std::time::Duration;

use crate::value::Value;

/// What the number of a key counts, and between which bounds it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// The unit, or what is counted; empty for neither.
    pub unit: &'static str,
    /// The smallest and the largest number; none if the type has none that a user could miss.
    pub bounds: Option<(i64, i64)>,
}

impl Measure {
    /// Numbers of which nothing is known but their type.
    pub const PLAIN: Self = Self { unit: "", bounds: None };

    /// Whether bytes are counted, so that a size may be written as a text.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        self.unit.starts_with("bytes")
    }

    /// What may be written for a whole number.
    pub(crate) fn kind(&self) -> String {
        let kind = match self.unit {
            _ if self.is_bytes() => "number, or size as `\"16 MiB\"`",
            "seconds" | "milliseconds" => "number, or time as `\"30s\"`",
            _ => "number",
        };
        kind.to_owned()
    }

    /// A number of our unit, where a text says it with a unit of its own.
    pub(crate) fn number(&self, value: Value) -> Result<Value, String> {
        let Value::Text(text) = &value else { return Ok(value) };
        let number = match self.unit {
            _ if self.is_bytes() => size(text)
                .ok_or_else(|| format!("`{text}` is no size: say a number or \"16 MiB\""))?
                .into(),
            "seconds" => whole_times(time(text)?, Duration::from_secs(1), text)?,
            "milliseconds" => whole_times(time(text)?, Duration::from_millis(1), text)?,
            _ => return Ok(value),
        };
        Ok(Value::Number(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    /// Whether a number is one that the key can have.
    pub(crate) fn check(&self, number: i64) -> Result<(), String> {
        let Some((least, most)) = self.bounds else { return Ok(()) };
        if (least..=most).contains(&number) {
            return Ok(());
        }
        if self.unit.starts_with("mode") {
            return Err(format!(
                "{number} is not between {least} and 0o{most:o}: it is a {}",
                self.unit
            ));
        }
        let space = if self.unit.is_empty() { "" } else { " " };
        Err(format!("{number} is not between {least} and {most}{space}{}", self.unit))
    }
}

fn whole_times(time: Duration, unit: Duration, text: &str) -> Result<u128, String> {
    let (time, unit) = (time.as_micros(), unit.as_micros());
    if time.is_multiple_of(unit) {
        Ok(time / unit)
    } else {
        let unit = if unit == 1_000 { "milliseconds" } else { "seconds" };
        Err(format!("`{text}` is no whole number of {unit}"))
    }
}

/// Units of sizes, the longer names first, so that `MiB` is not read as something ending in `B`.
const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

pub(crate) fn size(text: &str) -> Option<u64> {
    let known = SIZES.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = known.unwrap_or((text, 1));
    whole(digits.trim_end())?.checked_mul(factor)
}

/// A number written with digits alone: `parse` would take a plus sign.
pub(crate) fn whole(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// Units of time, each a multiple of the one before; milliseconds first.
pub(crate) const TIMES: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The longest time: what MQTT can say in seconds. With it no clock overflows.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// A length of time as people write it; a number alone is one of seconds.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no length of time: say for example \"100ms\", \"10s\" or \"7d\"");
    let of = |digits: &str| whole(digits.trim_end());
    if let Some(seconds) = whole(text) {
        return bounded(Duration::from_secs(seconds), text);
    }
    if let Some(micros) = text.strip_suffix("us") {
        return bounded(of(micros).map(Duration::from_micros).ok_or_else(wrong)?, text);
    }
    let known =
        TIMES.iter().find_map(|(unit, factor)| Some((of(text.strip_suffix(unit)?)?, factor)));
    let (digits, factor) = known.ok_or_else(wrong)?;
    bounded(Duration::from_millis(digits.saturating_mul(*factor)), text)
}

/// A time that clocks can count with.
pub(crate) fn bounded(time: Duration, written: &str) -> Result<Duration, String> {
    if time <= LONGEST {
        Ok(time)
    } else {
        Err(format!("{written} is not between 0 and {} seconds", LONGEST.as_secs()))
    }
}
