//! Values as `dunlin.toml` writes them, and the types that they become.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::measure::{Measure, TIMES, bounded, size, time, whole};

/// A value as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// A list of tables of simple values.
    Rows(Vec<Row>),
}

/// One table of [`Value::Rows`].
pub type Row = BTreeMap<String, Value>;

impl Value {
    /// What kind of value it is, for messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list of texts",
            Self::Rows(_) => "a list of tables",
        }
    }
}

impl fmt::Display for Value {
    /// As `dunlin.toml` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write_text(f, text),
            Self::List(texts) => write_list(f, texts, |f, text| write_text(f, text)),
            Self::Rows(rows) => write_list(f, rows, write_row),
        }
    }
}

fn write_list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("[")?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write(f, item)?;
    }
    f.write_str("]")
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    for (index, (name, value)) in row.iter().enumerate() {
        write!(f, "{} {name} = {value}", if index > 0 { "," } else { "{" })?;
    }
    f.write_str(" }")
}

/// A basic string of TOML.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for letter in text.chars() {
        match letter {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            letter if letter.is_control() => write!(f, "\\u{:04X}", u32::from(letter))?,
            letter => write!(f, "{letter}")?,
        }
    }
    f.write_str("\"")
}

/// A type that a key can have.
pub trait Setting: Sized {
    /// What may be written, for the reference page.
    fn kind() -> String;

    /// Understands a value.
    ///
    /// # Errors
    ///
    /// What would have been right, if the value is wrong.
    fn from_value(value: Value) -> Result<Self, String>;

    /// What may be written where it is known what is counted.
    #[must_use]
    fn kind_in(_measure: Measure) -> String {
        Self::kind()
    }

    /// Understands a value where it is known what is counted.
    ///
    /// # Errors
    ///
    /// As [`Setting::from_value`].
    fn from_value_in(_measure: Measure, value: Value) -> Result<Self, String> {
        Self::from_value(value)
    }

    /// The smallest and the largest, if it is a whole number.
    #[must_use]
    fn bounds() -> Option<(i64, i64)> {
        None
    }

    /// The value that [`Setting::from_value`] makes this of; none if it is the same as leaving the key out.
    fn to_value(&self) -> Option<Value>;
}

fn expected<T: Setting>(value: &Value) -> String {
    format!("expected {}, found {}", T::kind(), value.kind())
}

impl Setting for bool {
    fn kind() -> String {
        "`true` or `false`".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        if let Value::Flag(flag) = value { Ok(flag) } else { Err(expected::<Self>(&value)) }
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Flag(*self))
    }
}

/// Whole numbers without a sign.
macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            fn kind() -> String {
                "number".into()
            }

            fn from_value(value: Value) -> Result<Self, String> {
                Self::from_value_in(Measure::PLAIN, value)
            }

            fn kind_in(measure: Measure) -> String {
                measure.kind()
            }

            fn from_value_in(measure: Measure, value: Value) -> Result<Self, String> {
                let measure = Measure { bounds: measure.bounds.or_else(Self::bounds), ..measure };
                let value = measure.number(value)?;
                let Value::Number(number) = value else { return Err(expected::<Self>(&value)) };
                measure.check(number)?;
                Self::try_from(number).map_err(|_| format!("{number} is too large"))
            }

            fn bounds() -> Option<(i64, i64)> {
                Some((0, i64::try_from(Self::MAX).unwrap_or(i64::MAX)))
            }

            fn to_value(&self) -> Option<Value> {
                Some(Value::Number(i64::try_from(*self).unwrap_or(i64::MAX)))
            }
        }
    )* };
}

numbers!(u8, u16, u32, usize);

impl Setting for String {
    fn kind() -> String {
        "text".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        if let Value::Text(text) = value { Ok(text) } else { Err(expected::<Self>(&value)) }
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Text(self.clone()))
    }
}

impl Setting for PathBuf {
    fn kind() -> String {
        "path".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) if text.contains('\0') => Err("a path has no zero bytes".into()),
            Value::Text(text) => Ok(text.into()),
            value => Err(expected::<Self>(&value)),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Text(self.to_string_lossy().into_owned()))
    }
}

impl Setting for Vec<String> {
    fn kind() -> String {
        "list of texts".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::List(texts) => Ok(texts),
            Value::Text(text) => Ok(vec![text]),
            value => Err(expected::<Self>(&value)),
        }
    }

    fn to_value(&self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::List(self.clone()))
    }
}

impl<T: Setting> Setting for Option<T> {
    fn kind() -> String {
        T::kind()
    }

    /// An empty text is none, so that the environment can take a value of the file back.
    fn from_value(value: Value) -> Result<Self, String> {
        Self::from_value_in(Measure::PLAIN, value)
    }

    fn kind_in(measure: Measure) -> String {
        T::kind_in(measure)
    }

    fn from_value_in(measure: Measure, value: Value) -> Result<Self, String> {
        if value == Value::Text(String::new()) {
            return Ok(None);
        }
        T::from_value_in(measure, value).map(Some)
    }

    fn bounds() -> Option<(i64, i64)> {
        T::bounds()
    }

    fn to_value(&self) -> Option<Value> {
        self.as_ref().and_then(Setting::to_value)
    }
}

/// A bound on a count or on bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Limit {
    /// So many at the most.
    At(u64),
    /// None.
    #[default]
    Unlimited,
}

impl Limit {
    /// The bound, if there is one.
    #[must_use]
    pub const fn get(self) -> Option<u64> {
        match self {
            Self::At(bound) => Some(bound),
            Self::Unlimited => None,
        }
    }

    /// The bound as a size, which for none is the largest.
    #[must_use]
    pub fn size(self) -> usize {
        self.get().and_then(|bound| usize::try_from(bound).ok()).unwrap_or(usize::MAX)
    }

    /// From a number of which zero, and anything below, stands for none, as in `mosquitto.conf`.
    #[must_use]
    pub fn zero_is_none(number: i64) -> Self {
        u64::try_from(number).ok().filter(|number| *number > 0).map_or(Self::Unlimited, Self::At)
    }
}

impl Setting for Limit {
    fn kind() -> String {
        "number or `\"unlimited\"`".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        Self::from_value_in(Measure::PLAIN, value)
    }

    fn kind_in(measure: Measure) -> String {
        if measure.is_bytes() {
            "number, size as `\"16 MiB\"`, or `\"unlimited\"`".into()
        } else {
            Self::kind()
        }
    }

    fn from_value_in(measure: Measure, value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) if text == "unlimited" => Ok(Self::Unlimited),
            Value::Text(text) if measure.is_bytes() => size(&text).map(Self::At).ok_or_else(|| {
                format!("`{text}` is no size: say a number, \"16 MiB\" or \"unlimited\"")
            }),
            Value::Text(text) => whole(&text).map(Self::At).ok_or_else(|| {
                let counted = if measure.unit.is_empty() { "" } else { " of " };
                format!("`{text}` is no number{counted}{}: say 1000 or \"unlimited\"", measure.unit)
            }),
            Value::Number(number) => u64::try_from(number).map(Self::At).map_err(|_| {
                let unit = measure.unit;
                let space = if unit.is_empty() { "" } else { " " };
                format!("{number}{space}{unit} is negative; for no limit say \"unlimited\"")
            }),
            value => Err(expected::<Self>(&value)),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(match self {
            Self::At(bound) => Value::Number(i64::try_from(*bound).unwrap_or(i64::MAX)),
            Self::Unlimited => Value::Text("unlimited".into()),
        })
    }
}

impl Setting for Duration {
    fn kind() -> String {
        "seconds, or time as `\"100ms\"`, `\"5m\"`, `\"7d\"`".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Number(number) => {
                let seconds = u64::try_from(number)
                    .map_err(|_| format!("{number} seconds is negative, and times are not"))?;
                bounded(Self::from_secs(seconds), &number.to_string())
            }
            Value::Text(text) => time(&text),
            value => Err(expected::<Self>(&value)),
        }
    }

    fn to_value(&self) -> Option<Value> {
        let text = match u64::try_from(self.as_millis()) {
            // What is shorter than a millisecond, or not a whole number of them, keeps its precision.
            Ok(millis) if Self::from_millis(millis) == *self => {
                let fits = |unit: &&(&str, u64)| millis.is_multiple_of(unit.1);
                let (unit, factor) =
                    TIMES.iter().rev().find(fits).filter(|_| millis > 0).unwrap_or(&TIMES[1]);
                format!("{}{unit}", millis / factor)
            }
            _ => format!("{}us", self.as_micros()),
        };
        Some(Value::Text(text))
    }
}

/// When something ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expiry {
    /// After this long.
    After(Duration),
    /// It does not.
    #[default]
    Never,
}

impl Expiry {
    /// Whole seconds, `u32::MAX` for never, as MQTT counts them.
    #[must_use]
    pub fn seconds(self) -> u32 {
        match self {
            Self::After(after) => u32::try_from(after.as_secs()).unwrap_or(u32::MAX),
            Self::Never => u32::MAX,
        }
    }
}

impl Setting for Expiry {
    fn kind() -> String {
        "time as `\"7d\"`, or `\"never\"`".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) if text == "never" => Ok(Self::Never),
            value => Duration::from_value(value).map(Self::After),
        }
    }

    fn to_value(&self) -> Option<Value> {
        match self {
            Self::After(after) => after.to_value(),
            Self::Never => Some(Value::Text("never".into())),
        }
    }
}

/// Something that must not be seen: it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Setting for Secret {
    fn kind() -> String {
        "text, or a file by the same key with `_file`".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        String::from_value(value).map(Self)
    }

    fn to_value(&self) -> Option<Value> {
        self.0.to_value()
    }
}

/// An enum whose values are words, with what a key needs.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$about])* $variant,)+
        }

        impl $name {
            /// All of them, each with its word.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];

            /// The word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::value::Setting for $name {
            fn kind() -> String {
                let words: Vec<_> = Self::ALL.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
                words.join(", ")
            }

            fn from_value(value: $crate::value::Value) -> Result<Self, String> {
                let text = String::from_value(value)?;
                let found = Self::ALL.iter().find(|(word, _)| *word == text);
                found.map(|(_, value)| *value).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|(word, _)| *word).collect();
                    format!("`{text}` is none of: {}", words.join(", "))
                })
            }

            fn to_value(&self) -> Option<$crate::value::Value> {
                Some($crate::value::Value::Text(self.word().into()))
            }
        }
    };
}

pub(crate) use words;
