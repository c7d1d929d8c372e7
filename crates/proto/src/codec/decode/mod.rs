//! One whole packet from its bytes.

mod ack;
mod connect;
mod publish;
mod session;
mod subscribe;

pub use connect::connect_version;
pub use publish::decode_publish;

use super::Framing;
use super::reader::Reader;
use crate::packet::Packet;
use crate::packet_type::PacketType;
use crate::version::Version;
use crate::violation::Violation;

/// Reads the one packet that `frame` is; [`frame`](super::frame) says where it ends.
///
/// A CONNECT is read by the version it names, whatever `version` is.
///
/// # Errors
/// Whatever is wrong with the packet in itself.
#[inline]
pub fn decode(frame: &[u8], version: Version) -> Result<Packet<'_>, Violation> {
    match super::frame(frame, super::MAX_PACKET_SIZE)? {
        Framing::Complete { len } if len == frame.len() => decode_framed(frame, version),
        Framing::Complete { .. } => Err(Violation::TrailingBytes),
        Framing::Incomplete { .. } => Err(Violation::Truncated),
    }
}

/// Reads a packet of which [`frame`](super::frame) said that it is whole.
#[inline]
pub(crate) fn decode_framed(frame: &[u8], version: Version) -> Result<Packet<'_>, Violation> {
    // The form that most acknowledgements have, in every version.
    if let &[first, 2, high, low] = frame
        && let Some(packet) = ack::shortest(first, u16::from_be_bytes([high, low]))
    {
        return Ok(packet);
    }
    let header_len = header_len(frame);
    if is_publish(frame) {
        return decode_publish(frame, header_len, version).map(Packet::Publish);
    }
    decode_rest(frame, header_len, version)
}

/// Whether a packet is a PUBLISH.
#[inline]
pub(crate) fn is_publish(frame: &[u8]) -> bool {
    matches!(frame.first(), Some(&first) if first >> 4 == PacketType::Publish as u8)
}

/// How many bytes the fixed header takes in a packet that is whole.
#[inline]
pub(crate) const fn header_len(frame: &[u8]) -> usize {
    match frame {
        [_, 0..0x80, ..] => 2,
        [_, _, 0..0x80, ..] => 3,
        [_, _, _, 0..0x80, ..] => 4,
        _ => 5,
    }
}

/// Everything but PUBLISH.
fn decode_rest(frame: &[u8], header_len: usize, version: Version) -> Result<Packet<'_>, Violation> {
    let (Some(&first), Some(body)) = (frame.first(), frame.get(header_len..)) else {
        return Err(Violation::Truncated);
    };
    let packet_type = PacketType::from_first_byte(first)?;
    // [MQTT-2.1.3-1], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]: only MQTT 3.1 knows DUP on
    // other packets than PUBLISH.
    if version > Version::V3_1 && first != packet_type.first_byte() {
        return Err(Violation::FlagsReserved { packet_type, flags: first & 0x0F });
    }
    let body = Reader::new(body);
    match packet_type {
        PacketType::Connect => connect::connect(body).map(Packet::Connect),
        PacketType::ConnAck => connect::connack(body, version).map(Packet::ConnAck),
        PacketType::PubAck => ack::ack(body, packet_type, version).map(Packet::PubAck),
        PacketType::PubRec => ack::ack(body, packet_type, version).map(Packet::PubRec),
        PacketType::PubRel => ack::ack(body, packet_type, version).map(Packet::PubRel),
        PacketType::PubComp => ack::ack(body, packet_type, version).map(Packet::PubComp),
        PacketType::Subscribe => subscribe::subscribe(body, version).map(Packet::Subscribe),
        PacketType::SubAck => subscribe::suback(body, version).map(Packet::SubAck),
        PacketType::Unsubscribe => subscribe::unsubscribe(body, version).map(Packet::Unsubscribe),
        PacketType::UnsubAck => subscribe::unsuback(body, version).map(Packet::UnsubAck),
        PacketType::PingReq => body.finish().map(|()| Packet::PingReq),
        PacketType::PingResp => body.finish().map(|()| Packet::PingResp),
        PacketType::Disconnect => session::disconnect(body, version).map(Packet::Disconnect),
        PacketType::Auth => session::auth(body, version).map(Packet::Auth),
        PacketType::Publish => Err(Violation::PacketTypeReserved),
    }
}
