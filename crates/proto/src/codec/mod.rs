//! Packets to bytes and back, for every version.
//!
//! [`frame`] finds where a packet ends in a stream, [`decode()`] reads one whole packet, and
//! [`encode()`] appends one. Both sides' packets are read alike: who may send what, and when, is
//! for the engines to judge.

mod decode;
mod encode;
pub(crate) mod reader;
pub(crate) mod writer;

use core::fmt;

pub use decode::{connect_version, decode, decode_publish};
pub(crate) use decode::{decode_framed, header_len, is_publish};
pub use encode::{AckKind, encode, encode_ack, encode_publish_head, encoded_len};

use crate::packet_type::PacketType;
use crate::property::PropertyId;
use crate::violation::Violation;

/// The largest remaining length that four bytes can say.
pub const MAX_REMAINING_LENGTH: u32 = 268_435_455;

/// The largest packet there can be: that with its five bytes of fixed header.
pub const MAX_PACKET_SIZE: u32 = MAX_REMAINING_LENGTH + 5;

/// Where the packet at the front of a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It is not all there.
    Incomplete {
        /// How long the packet is if that is known already, else more than is there.
        need: usize,
    },
    /// It is all there.
    Complete {
        /// How long it is.
        len: usize,
    },
}

/// Finds the end of the packet that `input` begins with.
///
/// # Errors
/// The packet can be refused before it is all there: its type or flags are reserved, its length
/// malformed or above `maximum_packet_size`.
#[inline]
pub fn frame(input: &[u8], maximum_packet_size: u32) -> Result<Framing, Violation> {
    let Some((&first, rest)) = input.split_first() else {
        return Ok(Framing::Incomplete { need: MIN_PACKET_SIZE });
    };
    // [MQTT-2.1.3-1]
    PacketType::from_first_byte(first)?;
    let Some((remaining, bytes)) = remaining_length(rest)? else {
        return Ok(Framing::Incomplete { need: input.len().saturating_add(1) });
    };
    let size = remaining.saturating_add(1).saturating_add(bytes);
    // [MQTT-3.1.2-24], [MQTT-3.2.2-15]
    if size > maximum_packet_size {
        return Err(Violation::PacketTooLarge { size, maximum: maximum_packet_size });
    }
    let len = size as usize;
    Ok(if len <= input.len() {
        Framing::Complete { len }
    } else {
        Framing::Incomplete { need: len }
    })
}

/// The remaining length and how many bytes say it; `None` if they are not all there.
///
/// The form need not be the shortest: before 5.0 nothing asks for that, and the version is not
/// known here.
#[inline]
fn remaining_length(bytes: &[u8]) -> Result<Option<(u32, u32)>, Violation> {
    match bytes.first() {
        Some(&byte) if byte < 0x80 => Ok(Some((u32::from(byte), 1))),
        _ => long_remaining_length(bytes),
    }
}

fn long_remaining_length(bytes: &[u8]) -> Result<Option<(u32, u32)>, Violation> {
    let mut value = 0_u32;
    for (index, &byte) in (0_u32..4).zip(bytes) {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Violation::RemainingLengthMalformed) }
}

/// The shortest packet: PINGREQ and its like.
const MIN_PACKET_SIZE: usize = 2;

/// Why a packet cannot be put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A text or data field is longer than 65 535 bytes.
    FieldTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The packet is longer than a remaining length can say.
    PacketTooLong,
    /// The version has no such packet.
    NotInVersion {
        /// What it lacks.
        packet_type: PacketType,
    },
    /// A PUBLISH with neither a topic nor, in 5.0, a topic alias.
    TopicMissing,
    /// A SUBSCRIBE or UNSUBSCRIBE without filters.
    FiltersMissing,
    /// Before 5.0 a password needs a user name.
    PasswordWithoutUserName,
    /// A property that cannot be sent with its value.
    InvalidProperty {
        /// Which.
        property: PropertyId,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldTooLong { len } => {
                write!(f, "a field of {len} bytes, where 65535 is the most")
            }
            Self::PacketTooLong => {
                write!(f, "a packet longer than {MAX_PACKET_SIZE} bytes")
            }
            Self::NotInVersion { packet_type } => {
                write!(f, "this protocol version has no {packet_type}")
            }
            Self::TopicMissing => f.write_str("PUBLISH without topic name and topic alias"),
            Self::FiltersMissing => f.write_str("no topic filter"),
            Self::PasswordWithoutUserName => f.write_str("a password without a user name"),
            Self::InvalidProperty { property } => {
                write!(f, "{property} cannot be sent with that value")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_told_by_its_first_bytes() {
        assert_eq!(frame(b"", 100), Ok(Framing::Incomplete { need: 2 }));
        assert_eq!(frame(b"\xC0", 100), Ok(Framing::Incomplete { need: 2 }));
        assert_eq!(frame(b"\xC0\x00", 100), Ok(Framing::Complete { len: 2 }));
        assert_eq!(frame(b"\xC0\x00\xC0", 100), Ok(Framing::Complete { len: 2 }));
        assert_eq!(frame(b"\x30\x05\x00", 100), Ok(Framing::Incomplete { need: 7 }));
        assert_eq!(frame(b"\x30\x80", 100), Ok(Framing::Incomplete { need: 3 }));
        assert_eq!(frame(b"\x30\x80\x01", 1000), Ok(Framing::Incomplete { need: 131 }));
    }

    #[test]
    fn a_bad_frame_is_refused_before_it_is_all_there() {
        assert_eq!(frame(b"\x00", 100), Err(Violation::PacketTypeReserved));
        assert_eq!(frame(b"\x36", 100), Err(Violation::QoSThree));
        assert_eq!(
            frame(b"\xC1", 100),
            Err(Violation::FlagsReserved { packet_type: PacketType::PingReq, flags: 1 })
        );
        assert_eq!(
            frame(b"\x80", 100),
            Err(Violation::FlagsReserved { packet_type: PacketType::Subscribe, flags: 0 })
        );
        assert_eq!(
            frame(b"\x30\x63", 100),
            Err(Violation::PacketTooLarge { size: 101, maximum: 100 })
        );
        assert_eq!(frame(b"\x30\x62", 100), Ok(Framing::Incomplete { need: 100 }));
        assert_eq!(frame(b"\x30\xFF\xFF\xFF\xFF", 100), Err(Violation::RemainingLengthMalformed));
        assert_eq!(
            frame(b"\x30\xFF\xFF\xFF\x7F", MAX_PACKET_SIZE),
            Ok(Framing::Incomplete { need: MAX_PACKET_SIZE as usize })
        );
    }
}
