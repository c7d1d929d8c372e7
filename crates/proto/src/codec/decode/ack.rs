//! PUBACK, PUBREC, PUBREL and PUBCOMP (3.4 to 3.7), and reason codes wherever they stand.

use crate::codec::reader::Reader;
use crate::packet::{Ack, Packet};
use crate::packet_type::PacketType;
use crate::property::Properties;
use crate::qos::PacketId;
use crate::reason::ReasonCode;
use crate::version::Version;
use crate::violation::{PropertyContext, Violation};

/// An acknowledgement that consists of its packet identifier.
#[inline]
pub(super) fn shortest(first: u8, packet_id: u16) -> Option<Packet<'static>> {
    let ack = Ack {
        packet_id: PacketId::new(packet_id)?,
        reason: ReasonCode::Success,
        properties: Properties::EMPTY,
    };
    match first {
        PUBACK => Some(Packet::PubAck(ack)),
        PUBREC => Some(Packet::PubRec(ack)),
        PUBREL => Some(Packet::PubRel(ack)),
        PUBCOMP => Some(Packet::PubComp(ack)),
        _ => None,
    }
}

pub(super) fn ack(
    mut body: Reader<'_>,
    packet_type: PacketType,
    version: Version,
) -> Result<Ack<'_>, Violation> {
    let packet_id = body.packet_id()?;
    let (reason, properties) = reason_and_properties(body, packet_type, version)?;
    Ok(Ack { packet_id, reason, properties })
}

/// The tail of the packets that may leave out a reason code of 0, and then the properties too.
pub(super) fn reason_and_properties(
    mut body: Reader<'_>,
    packet_type: PacketType,
    version: Version,
) -> Result<(ReasonCode, Properties<'_>), Violation> {
    if !version.is_v5() || body.is_empty() {
        body.finish()?;
        return Ok((ReasonCode::Success, Properties::EMPTY));
    }
    let reason = reason(body.u8()?, packet_type)?;
    if body.is_empty() {
        return Ok((reason, Properties::EMPTY));
    }
    let properties = body.properties(PropertyContext::Packet(packet_type), version)?;
    body.finish()?;
    Ok((reason, properties))
}

/// A reason code that this packet may have: [MQTT-3.2.2-8], [MQTT-3.4.2-1], [MQTT-3.5.2-1],
/// [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.9.3-2], [MQTT-3.11.3-2], [MQTT-3.14.2-1],
/// [MQTT-3.15.2-1].
pub(super) fn reason(code: u8, packet_type: PacketType) -> Result<ReasonCode, Violation> {
    ReasonCode::try_from(code)
        .ok()
        .filter(|reason| reason.allowed_in(packet_type))
        .ok_or(Violation::ReasonCodeInvalid { code, packet_type })
}

const PUBACK: u8 = PacketType::PubAck.first_byte();
const PUBREC: u8 = PacketType::PubRec.first_byte();
const PUBREL: u8 = PacketType::PubRel.first_byte();
const PUBCOMP: u8 = PacketType::PubComp.first_byte();
