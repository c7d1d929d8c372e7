//! What stands behind the fixed header, one function for each packet.

use crate::codec::EncodeError;
use crate::codec::writer::Sink;
use crate::packet::{
    Ack, ConnAck, Connect, Packet, Publish, RetainHandling, SubAck, Subscribe, SubscribeOptions,
    Unsubscribe,
};
use crate::packet_type::PacketType;
use crate::property::Properties;
use crate::reason::ReasonCode;
use crate::version::Version;

type Written = Result<(), EncodeError>;

pub(super) fn write(packet: &Packet<'_>, version: Version, out: &mut impl Sink) -> Written {
    match packet {
        Packet::Connect(packet) => connect(packet, out),
        Packet::ConnAck(packet) => connack(packet, version, out),
        Packet::Publish(packet) => {
            publish_head(packet, version, out)?;
            out.put(packet.payload);
            Ok(())
        }
        Packet::PubAck(packet)
        | Packet::PubRec(packet)
        | Packet::PubRel(packet)
        | Packet::PubComp(packet) => ack(packet, version, out),
        Packet::Subscribe(packet) => subscribe(packet, version, out),
        Packet::SubAck(packet) => suback(packet, version, out),
        Packet::Unsubscribe(packet) => unsubscribe(packet, version, out),
        Packet::UnsubAck(packet) => unsuback(packet, version, out),
        Packet::PingReq | Packet::PingResp => Ok(()),
        Packet::Disconnect(packet) => {
            reason_and_properties(packet.reason, packet.properties, version, out)
        }
        Packet::Auth(packet) if version.is_v5() => {
            reason_and_properties(packet.reason, packet.properties, version, out)
        }
        Packet::Auth(_) => Err(EncodeError::NotInVersion { packet_type: PacketType::Auth }),
    }
}

fn connect(packet: &Connect<'_>, out: &mut impl Sink) -> Written {
    let version = packet.version;
    // 3.1.1 [MQTT-3.1.2-22]
    if packet.password.is_some() && packet.username.is_none() && !version.is_v5() {
        return Err(EncodeError::PasswordWithoutUserName);
    }
    out.binary(version.protocol_name().as_bytes())?;
    let bridge = packet.bridge && !version.is_v5();
    out.u8(version.level() | u8::from(bridge) << 7);
    out.u8(connect_flags(packet));
    out.u16(packet.keep_alive);
    properties(packet.properties, version, out)?;
    // [MQTT-3.1.3-1]
    out.binary(packet.client_id.as_bytes())?;
    if let Some(will) = &packet.will {
        properties(will.properties, version, out)?;
        out.binary(will.topic.as_str().as_bytes())?;
        out.binary(will.payload)?;
    }
    if let Some(username) = packet.username {
        out.binary(username.as_bytes())?;
    }
    if let Some(password) = packet.password {
        out.binary(password)?;
    }
    Ok(())
}

fn connect_flags(packet: &Connect<'_>) -> u8 {
    let will = packet
        .will
        .as_ref()
        .map_or(0, |will| 0b0000_0100 | will.qos.as_u8() << 3 | u8::from(will.retain) << 5);
    will | u8::from(packet.clean_start) << 1
        | u8::from(packet.password.is_some()) << 6
        | u8::from(packet.username.is_some()) << 7
}

fn connack(packet: &ConnAck<'_>, version: Version, out: &mut impl Sink) -> Written {
    // [MQTT-3.2.2-6]; MQTT 3.1 has no such flag.
    let session_present = packet.session_present && !packet.reason.is_error();
    out.u8(u8::from(session_present && version > Version::V3_1));
    out.u8(if version.is_v5() {
        packet.reason.as_u8()
    } else {
        packet.reason.connack_return_code()
    });
    properties(packet.properties, version, out)
}

/// A PUBLISH up to its payload.
#[inline]
pub(super) fn publish_head(packet: &Publish<'_>, version: Version, out: &mut impl Sink) -> Written {
    match packet.topic {
        Some(topic) => out.binary(topic.as_str().as_bytes())?,
        None if version.is_v5() && packet.properties.topic_alias().is_some() => out.u16(0),
        None => return Err(EncodeError::TopicMissing),
    }
    if let Some(packet_id) = packet.delivery.packet_id() {
        out.u16(packet_id.get());
    }
    properties(packet.properties, version, out)
}

fn ack(packet: &Ack<'_>, version: Version, out: &mut impl Sink) -> Written {
    out.u16(packet.packet_id.get());
    reason_and_properties(packet.reason, packet.properties, version, out)
}

fn subscribe(packet: &Subscribe<'_>, version: Version, out: &mut impl Sink) -> Written {
    // [MQTT-3.8.3-2]
    if packet.filters.is_empty() {
        return Err(EncodeError::FiltersMissing);
    }
    out.u16(packet.packet_id.get());
    properties(packet.properties, version, out)?;
    for (filter, options) in &packet.filters {
        out.binary(filter.as_str().as_bytes())?;
        out.u8(subscribe_options(*options, version));
    }
    Ok(())
}

fn subscribe_options(options: SubscribeOptions, version: Version) -> u8 {
    if !version.is_v5() {
        return options.qos.as_u8();
    }
    let retain_handling = match options.retain_handling {
        RetainHandling::Always => 0,
        RetainHandling::IfNew => 1,
        RetainHandling::Never => 2,
    };
    options.qos.as_u8()
        | u8::from(options.no_local) << 2
        | u8::from(options.retain_as_published) << 3
        | retain_handling << 4
}

fn suback(packet: &SubAck<'_>, version: Version, out: &mut impl Sink) -> Written {
    out.u16(packet.packet_id.get());
    properties(packet.properties, version, out)?;
    for &reason in &packet.reasons {
        // 3.1.1 [MQTT-3.9.3-2]: before 5.0 there is one code for every failure.
        let code = if reason.is_error() && !version.is_v5() {
            ReasonCode::UnspecifiedError
        } else {
            reason
        };
        out.u8(code.as_u8());
    }
    Ok(())
}

fn unsubscribe(packet: &Unsubscribe<'_>, version: Version, out: &mut impl Sink) -> Written {
    // [MQTT-3.10.3-2]
    if packet.filters.is_empty() {
        return Err(EncodeError::FiltersMissing);
    }
    out.u16(packet.packet_id.get());
    properties(packet.properties, version, out)?;
    packet.filters.iter().try_for_each(|filter| out.binary(filter.as_str().as_bytes()))
}

fn unsuback(packet: &SubAck<'_>, version: Version, out: &mut impl Sink) -> Written {
    out.u16(packet.packet_id.get());
    properties(packet.properties, version, out)?;
    if version.is_v5() {
        packet.reasons.iter().for_each(|reason| out.u8(reason.as_u8()));
    }
    Ok(())
}

/// The tail of the packets that leave out a reason code of 0 where no properties follow, and the
/// property length where there are none.
fn reason_and_properties(
    reason: ReasonCode,
    properties: Properties<'_>,
    version: Version,
    out: &mut impl Sink,
) -> Written {
    if !version.is_v5() || reason == ReasonCode::Success && properties.is_empty() {
        return Ok(());
    }
    out.u8(reason.as_u8());
    if properties.is_empty() { Ok(()) } else { out.properties(properties) }
}

/// A property block with its length; before 5.0 there is none.
#[inline]
fn properties(properties: Properties<'_>, version: Version, out: &mut impl Sink) -> Written {
    if version.is_v5() { out.properties(properties) } else { Ok(()) }
}
