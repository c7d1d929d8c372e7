//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (3.8 to 3.11).

use alloc::vec::Vec;

use super::ack::reason;
use crate::codec::reader::Reader;
use crate::packet::{RetainHandling, SubAck, Subscribe, SubscribeOptions, Unsubscribe};
use crate::packet_type::PacketType;
use crate::property::Properties;
use crate::qos::QoS;
use crate::reason::ReasonCode;
use crate::topic::{Subscription, TopicFilter};
use crate::version::Version;
use crate::violation::{PropertyContext, Violation};

pub(super) fn subscribe(
    mut body: Reader<'_>,
    version: Version,
) -> Result<Subscribe<'_>, Violation> {
    let packet_id = body.packet_id()?;
    let properties = body.properties(PropertyContext::Packet(PacketType::Subscribe), version)?;
    let mut filters = Vec::new();
    while !body.is_empty() {
        let filter = TopicFilter::from_bytes(body.binary()?)?;
        let options = options(body.u8()?, version)?;
        let group = Subscription::new(filter, version)?.group;
        // [MQTT-3.8.3-4]
        if options.no_local && group.is_some() {
            return Err(Violation::NoLocalOnShared);
        }
        filters.push((filter, options));
    }
    // [MQTT-3.8.3-2]
    if filters.is_empty() {
        return Err(Violation::SubscribeEmpty);
    }
    Ok(Subscribe { packet_id, properties, filters })
}

pub(super) fn unsubscribe(
    mut body: Reader<'_>,
    version: Version,
) -> Result<Unsubscribe<'_>, Violation> {
    let packet_id = body.packet_id()?;
    let properties = body.properties(PropertyContext::Packet(PacketType::Unsubscribe), version)?;
    let mut filters = Vec::new();
    while !body.is_empty() {
        filters.push(TopicFilter::from_bytes(body.binary()?)?);
    }
    // [MQTT-3.10.3-2]
    if filters.is_empty() {
        return Err(Violation::UnsubscribeEmpty);
    }
    Ok(Unsubscribe { packet_id, properties, filters })
}

pub(super) fn suback(mut body: Reader<'_>, version: Version) -> Result<SubAck<'_>, Violation> {
    let packet_id = body.packet_id()?;
    let properties = body.properties(PropertyContext::Packet(PacketType::SubAck), version)?;
    let code = |&code| match code {
        0..=2 | 0x80 => reason(code, PacketType::SubAck),
        _ if version.is_v5() => reason(code, PacketType::SubAck),
        _ => Err(Violation::ReasonCodeInvalid { code, packet_type: PacketType::SubAck }),
    };
    let reasons = body.rest().iter().map(code).collect::<Result<_, _>>()?;
    Ok(SubAck { packet_id, properties, reasons })
}

pub(super) fn unsuback(mut body: Reader<'_>, version: Version) -> Result<SubAck<'_>, Violation> {
    let packet_id = body.packet_id()?;
    if !version.is_v5() {
        body.finish()?;
        return Ok(SubAck { packet_id, properties: Properties::EMPTY, reasons: Vec::new() });
    }
    let properties = body.properties(PropertyContext::Packet(PacketType::UnsubAck), version)?;
    let code = |&code| reason(code, PacketType::UnsubAck);
    let reasons = body.rest().iter().map(code).collect::<Result<Vec<ReasonCode>, _>>()?;
    Ok(SubAck { packet_id, properties, reasons })
}

/// The options byte: before 5.0 a QoS and nothing else.
fn options(byte: u8, version: Version) -> Result<SubscribeOptions, Violation> {
    let reserved = match version {
        // MQTT 3.1 has no rule about the other bits.
        Version::V3_1 => 0,
        Version::V3_1_1 => !QOS,
        Version::V5_0 => RESERVED,
    };
    // [MQTT-3.8.3-5]
    if byte & reserved != 0 {
        return Err(Violation::SubscriptionOptionsReserved);
    }
    let qos = QoS::try_from(byte & QOS).map_err(|_| Violation::SubscriptionQoSThree)?;
    let options = SubscribeOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Always,
    };
    if !version.is_v5() {
        return Ok(options);
    }
    Ok(SubscribeOptions {
        no_local: byte & NO_LOCAL != 0,
        retain_as_published: byte & RETAIN_AS_PUBLISHED != 0,
        retain_handling: match byte >> 4 & 0b11 {
            0 => RetainHandling::Always,
            1 => RetainHandling::IfNew,
            2 => RetainHandling::Never,
            _ => return Err(Violation::RetainHandlingThree),
        },
        ..options
    })
}

const QOS: u8 = 0b0000_0011;
const NO_LOCAL: u8 = 0b0000_0100;
const RETAIN_AS_PUBLISHED: u8 = 0b0000_1000;
const RESERVED: u8 = 0b1100_0000;
