//! How `sub` prints a message: its payload, topic and payload, or a format of one's own.
//!
//! A format is text with `%` for parts of the message, `@` for the time (UTC) and `\` for escapes.
//! Between `%` and its letter there may be `-` (to the left), `0` (zeros), a least width and, after
//! a point, a greatest one.

use anyhow::{Context, Result, bail, ensure};
use dunlin_proto::client::Message;
use dunlin_proto::property::{Properties, Property};

use super::civil_time::CivilTime;
use super::json;

/// What is printed for each message.
#[derive(Debug)]
pub(crate) enum Layout {
    /// Nothing but the payload.
    Payload,
    /// Topic and payload.
    Verbose,
    /// As `-F` says.
    Custom(Format),
}

/// A parsed format.
#[derive(Debug, Clone)]
pub(crate) struct Format(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(Vec<u8>),
    Field(Field, Padding),
    Time(char),
}

/// A part of a message, by its letter.
#[derive(Debug, Clone, Copy)]
enum Field {
    Topic,
    Payload,
    LowerHex,
    UpperHex,
    Length,
    Qos,
    Retain,
    Json,
    JsonOfJson,
    IsoTime,
    UnixTime,
    ContentType,
    CorrelationData,
    MessageExpiry,
    PayloadFormat,
    UserProperties,
    ResponseTopic,
    SubscriptionIdentifiers,
}

#[derive(Debug, Default, Clone, Copy)]
struct Padding {
    left: bool,
    zeros: bool,
    width: usize,
    longest: Option<usize>,
}

impl Layout {
    /// Appends what is to be printed for `message`, without the end of the line; false if that is
    /// nothing at all.
    pub(crate) fn write(&self, message: &Message, into: &mut Vec<u8>) -> bool {
        match self {
            Self::Custom(format) => format.write(message, CivilTime::now(), into),
            Self::Payload if message.payload.is_empty() => return false,
            Self::Payload => into.extend_from_slice(&message.payload),
            Self::Verbose => {
                into.extend_from_slice(message.topic().as_str().as_bytes());
                into.push(b' ');
                match message.payload.as_slice() {
                    [] => into.extend_from_slice(b"(null)"),
                    payload => into.extend_from_slice(payload),
                }
            }
        }
        true
    }
}

impl Format {
    pub(crate) fn parse(format: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            let piece = match letter {
                '%' => field(&mut letters)?,
                '@' => time(&mut letters)?,
                '\\' => Piece::Text(vec![escape(&mut letters)?]),
                plain => {
                    text.push(plain);
                    continue;
                }
            };
            pieces.push(Piece::Text(std::mem::take(&mut text).into_bytes()));
            pieces.push(piece);
        }
        pieces.push(Piece::Text(text.into_bytes()));
        Ok(Self(pieces))
    }

    fn write(&self, message: &Message, now: CivilTime, into: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => into.extend_from_slice(text),
                Piece::Field(field, padding) => padding.write(&field.bytes(message, now), into),
                Piece::Time(conversion) => {
                    let mut text = String::new();
                    now.write_field(*conversion, &mut text);
                    into.extend_from_slice(text.as_bytes());
                }
            }
        }
    }
}

/// What stands behind a `%`.
fn field(letters: &mut std::str::Chars<'_>) -> Result<Piece> {
    let mut padding = Padding::default();
    let mut width = String::new();
    loop {
        let letter = letters.next().context("the format ends within a % sequence")?;
        match letter {
            '%' => return Ok(Piece::Text(vec![b'%'])),
            '-' if width.is_empty() => padding.left = true,
            '0' if width.is_empty() => padding.zeros = true,
            '0'..='9' | '.' => width.push(letter),
            _ => {
                let (least, longest) = width.split_once('.').unwrap_or((&width, ""));
                padding.width = column(least)?.unwrap_or(0);
                padding.longest = column(longest)?;
                return Ok(Piece::Field(Field::of(letter)?, padding));
            }
        }
    }
}

/// A width; widths above this are mistakes, and would only fill memory.
const WIDEST_COLUMN: usize = 10_000;

fn column(digits: &str) -> Result<Option<usize>> {
    if digits.is_empty() {
        return Ok(None);
    }
    let width = digits.parse().with_context(|| format!("{digits:?} is not a width"))?;
    ensure!(width <= WIDEST_COLUMN, "a width of {width} is more than {WIDEST_COLUMN}");
    Ok(Some(width))
}

/// What stands behind an `@`.
fn time(letters: &mut std::str::Chars<'_>) -> Result<Piece> {
    match letters.next() {
        Some('@') => Ok(Piece::Text(vec![b'@'])),
        Some(letter) if CivilTime::knows(letter) => Ok(Piece::Time(letter)),
        Some(letter) => bail!("@{letter} is not a known part of the time"),
        None => bail!("the format ends with @"),
    }
}

/// What stands behind a `\`.
fn escape(letters: &mut std::str::Chars<'_>) -> Result<u8> {
    Ok(match letters.next() {
        Some('\\') => b'\\',
        Some('0') => 0,
        Some('a') => 0x07,
        Some('e') => 0x1B,
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('v') => 0x0B,
        Some(letter) => bail!("\\{letter} is not a known escape"),
        None => bail!("the format ends with \\"),
    })
}

impl Field {
    fn of(letter: char) -> Result<Self> {
        Ok(match letter {
            't' => Self::Topic,
            'p' => Self::Payload,
            'x' => Self::LowerHex,
            'X' => Self::UpperHex,
            'l' => Self::Length,
            'q' => Self::Qos,
            'r' => Self::Retain,
            'j' => Self::Json,
            'J' => Self::JsonOfJson,
            'I' => Self::IsoTime,
            'U' => Self::UnixTime,
            'C' => Self::ContentType,
            'D' => Self::CorrelationData,
            'E' => Self::MessageExpiry,
            'F' => Self::PayloadFormat,
            'P' => Self::UserProperties,
            'R' => Self::ResponseTopic,
            'S' => Self::SubscriptionIdentifiers,
            _ => bail!("%{letter} is not a known part of a message"),
        })
    }

    fn bytes(self, message: &Message, now: CivilTime) -> Vec<u8> {
        let properties = message.properties.as_properties();
        match self {
            Self::Topic => message.topic().as_str().into(),
            Self::Payload => message.payload.clone(),
            Self::LowerHex => hex(&message.payload, b"0123456789abcdef"),
            Self::UpperHex => hex(&message.payload, b"0123456789ABCDEF"),
            Self::Length => message.payload.len().to_string().into(),
            Self::Qos => message.qos.as_u8().to_string().into(),
            Self::Retain => u8::from(message.retain).to_string().into(),
            Self::Json => json::message(message, now, json::Payload::Quoted),
            Self::JsonOfJson => json::message(message, now, json::Payload::AsItIs),
            Self::IsoTime => now.iso().into(),
            Self::UnixTime => now.unix().into(),
            Self::ContentType => properties.content_type().unwrap_or_default().into(),
            Self::CorrelationData => properties.correlation_data().unwrap_or_default().into(),
            Self::MessageExpiry => optional(properties.message_expiry_interval()),
            Self::PayloadFormat => optional(payload_format(properties).map(u8::from)),
            Self::UserProperties => {
                let pairs = properties.user_properties();
                joined(pairs.map(|(name, value)| format!("{name}:{value}")))
            }
            Self::ResponseTopic => properties.response_topic().unwrap_or_default().into(),
            Self::SubscriptionIdentifiers => {
                joined(properties.subscription_identifiers().map(|id| id.to_string()))
            }
        }
    }
}

impl Padding {
    fn write(self, bytes: &[u8], into: &mut Vec<u8>) {
        let length = self.longest.map_or(bytes.len(), |longest| longest.min(bytes.len()));
        let bytes = bytes.get(..length).unwrap_or_default();
        let missing = self.width.saturating_sub(length);
        let (before, after) = if self.left { (0, missing) } else { (missing, 0) };
        let filler = if self.zeros && !self.left { b'0' } else { b' ' };
        into.extend(std::iter::repeat_n(filler, before));
        into.extend_from_slice(bytes);
        into.extend(std::iter::repeat_n(b' ', after));
    }
}

pub(crate) fn payload_format(properties: Properties<'_>) -> Option<bool> {
    properties.iter().find_map(|property| match property {
        Property::PayloadFormatIndicator(utf8) => Some(utf8),
        _ => None,
    })
}

fn optional(value: Option<impl ToString>) -> Vec<u8> {
    value.map(|value| value.to_string().into_bytes()).unwrap_or_default()
}

fn joined(parts: impl Iterator<Item = String>) -> Vec<u8> {
    parts.collect::<Vec<_>>().join(" ").into_bytes()
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dunlin_proto::property::Property;
    use dunlin_proto::{QoS, TopicName};

    use super::*;

    fn message() -> Message {
        let topic = TopicName::new("a/b").unwrap();
        let mut message = Message::new(topic, b"xyz".to_vec()).with_qos(QoS::AtLeastOnce);
        message.properties.push(Property::ContentType("text"));
        message.properties.push(Property::UserProperty("k", "v"));
        message.properties.push(Property::UserProperty("k", "w"));
        message
    }

    fn printed(format: &str) -> String {
        let mut out = Vec::new();
        let now = CivilTime::new(Duration::new(1_000_000_000, 5));
        Format::parse(format).unwrap().write(&message(), now, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_of_a_message_stand_where_the_format_says() {
        assert_eq!(printed("%t %p %q %r %l %x %X 100%%"), "a/b xyz 1 0 3 78797a 78797A 100%");
        assert_eq!(printed("%C|%P|%R|%E|%S|%D|%F"), "text|k:v k:w|||||");
        assert_eq!(printed(r"\\\t@@"), "\\\t@");
    }

    #[test]
    fn fields_are_padded_and_cut() {
        assert_eq!(
            printed("[%10t][%-10t][%.1t][%05l][%-05l]"),
            "[       a/b][a/b       ][a][00003][3    ]"
        );
    }

    #[test]
    fn the_time_is_in_utc() {
        assert_eq!(printed("%I %U"), "2001-09-09T01:46:40+0000 1000000000.000000005");
        assert_eq!(printed("@Y-@m-@d @H:@M:@S @s"), "2001-09-09 01:46:40 1000000000");
    }

    #[test]
    fn unknown_sequences_are_refused() {
        for wrong in ["%", "%k", "%99999999999999999999t", "%20000t", "@", "@Q", "\\", "\\q"] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn empty_payloads_print_nothing_unless_verbose() {
        let empty = Message::new(TopicName::new("t").unwrap(), Vec::new());
        let mut out = Vec::new();
        assert!(!Layout::Payload.write(&empty, &mut out));
        assert!(Layout::Verbose.write(&empty, &mut out));
        assert_eq!(out, b"t (null)");
    }
}
