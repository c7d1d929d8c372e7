//! Packets to bytes.

mod body;
mod fast;

use alloc::vec::Vec;

pub use fast::{AckKind, encode_ack, encode_publish_head};

use super::EncodeError;
use super::writer::{self, Counter};
use crate::packet::{Delivery, Packet};
use crate::version::Version;

/// Appends a packet in its shortest form.
///
/// A CONNECT is written for the version it names, whatever `version` is. What the version has no
/// place for is left out.
///
/// # Errors
/// A field or the packet is too long, or the version has no such packet. Nothing is appended then.
pub fn encode(packet: &Packet<'_>, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Packet::Publish(publish) = packet {
        encode_publish_head(publish, publish.payload.len(), version, out)?;
        out.extend_from_slice(publish.payload);
        return Ok(());
    }
    let remaining = remaining_length(packet, version)?;
    out.reserve(remaining as usize + MAX_HEADER_LEN);
    out.push(packet.packet_type().first_byte());
    writer::put_integer(remaining, out);
    body::write(packet, version, out)
}

/// How many bytes [`encode`] would append.
///
/// # Errors
/// Those of [`encode`].
pub fn encoded_len(packet: &Packet<'_>, version: Version) -> Result<usize, EncodeError> {
    let remaining = remaining_length(packet, version)?;
    Ok(1 + writer::integer_len(remaining) + remaining as usize)
}

fn remaining_length(packet: &Packet<'_>, version: Version) -> Result<u32, EncodeError> {
    let mut counter = Counter(0);
    body::write(packet, version, &mut counter)?;
    writer::length(counter.0)
}

/// The flags of a PUBLISH; the type has none by itself.
#[inline]
const fn publish_flags(delivery: Delivery, retain: bool) -> u8 {
    let dup = match delivery {
        // [MQTT-3.3.1-2]
        Delivery::AtMostOnce => false,
        Delivery::AtLeastOnce { dup, .. } | Delivery::ExactlyOnce { dup, .. } => dup,
    };
    (dup as u8) << 3 | delivery.qos().as_u8() << 1 | retain as u8
}

/// First byte and remaining length at their longest.
const MAX_HEADER_LEN: usize = 5;
