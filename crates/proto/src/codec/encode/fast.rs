//! What a broker sends most, without the detour over a whole packet.

use alloc::vec::Vec;

use super::{MAX_HEADER_LEN, body, publish_flags};
use crate::codec::EncodeError;
use crate::codec::writer::{self, Counter, Sink};
use crate::packet::Publish;
use crate::packet_type::PacketType;
use crate::qos::PacketId;
use crate::version::Version;

/// The four acknowledgements of a PUBLISH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the packets")]
pub enum AckKind {
    PubAck,
    PubRec,
    PubRel,
    PubComp,
}

impl AckKind {
    /// The packet type.
    #[inline]
    #[must_use]
    pub const fn packet_type(self) -> PacketType {
        match self {
            Self::PubAck => PacketType::PubAck,
            Self::PubRec => PacketType::PubRec,
            Self::PubRel => PacketType::PubRel,
            Self::PubComp => PacketType::PubComp,
        }
    }
}

/// Appends an acknowledgement that reports success: four bytes, the same in every version.
#[inline]
pub fn encode_ack(kind: AckKind, packet_id: PacketId, out: &mut Vec<u8>) {
    let [high, low] = packet_id.get().to_be_bytes();
    out.extend_from_slice(&[kind.packet_type().first_byte(), 2, high, low]);
}

/// Appends a PUBLISH up to its payload, which `payload_len` bytes are to follow; the payload of
/// `publish` itself is not looked at.
///
/// Returns where in `out` the two bytes (big-endian) of the packet identifier stand, so that the
/// same head can be sent with others; `None` at QoS 0.
///
/// # Errors
/// Those of [`encode`](super::encode). Nothing is appended then.
#[inline]
pub fn encode_publish_head(
    publish: &Publish<'_>,
    payload_len: usize,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<Option<usize>, EncodeError> {
    let mut head = Counter(0);
    body::publish_head(publish, version, &mut head)?;
    let remaining = writer::length(head.0.saturating_add(payload_len))?;
    out.reserve(head.0 + MAX_HEADER_LEN);
    out.u8(PacketType::Publish.first_byte() | publish_flags(publish.delivery, publish.retain));
    writer::put_integer(remaining, out);
    let start = out.len();
    body::publish_head(publish, version, out)?;
    let topic_len = publish.topic.map_or(0, |topic| topic.as_str().len());
    Ok(publish.delivery.packet_id().map(|_| start + 2 + topic_len))
}
