//! CONNECT (3.1) and CONNACK (3.2).

use super::ack::reason;
use crate::codec::reader::Reader;
use crate::packet::{ConnAck, Connect, Will};
use crate::packet_type::PacketType;
use crate::property::Properties;
use crate::qos::QoS;
use crate::reason::ReasonCode;
use crate::topic::TopicName;
use crate::version::Version;
use crate::violation::{PropertyContext, Violation};

/// The version that a CONNECT names and whether a bridge sent it.
///
/// `frame` is the whole packet. This is how the form of a refusal is chosen when the rest of the
/// CONNECT turns out to be wrong.
///
/// # Errors
/// The packet ends too early, or its protocol name or level is not supported.
pub fn connect_version(frame: &[u8]) -> Result<(Version, bool), Violation> {
    let rest = frame.get(1..).unwrap_or_default();
    let (_, length_bytes) = crate::codec::remaining_length(rest)?.ok_or(Violation::Truncated)?;
    version(&mut Reader::new(rest.get(length_bytes as usize..).unwrap_or_default()))
}

pub(super) fn connect(mut body: Reader<'_>) -> Result<Connect<'_>, Violation> {
    let (version, bridge) = version(&mut body)?;
    let flags = body.u8()?;
    check_flags(flags, version)?;
    let keep_alive = body.u16()?;
    let properties = body.properties(PropertyContext::Packet(PacketType::Connect), version)?;
    // [MQTT-3.1.3-3], [MQTT-3.1.3-4]
    let client_id = body.text()?;
    let clean_start = flags & CLEAN_START != 0;
    // [MQTT-3.1.2-9]
    let will = if flags & WILL != 0 { Some(will(&mut body, flags, version)?) } else { None };
    // A flag without its field is not an error in MQTT 3.1: the length decides.
    let given = |flag: u8, body: &Reader<'_>| {
        flags & flag != 0 && !(version == Version::V3_1 && body.is_empty())
    };
    // [MQTT-3.1.2-16], [MQTT-3.1.2-17], [MQTT-3.1.3-12]
    let username = if given(USER_NAME, &body) { Some(body.text()?) } else { None };
    // [MQTT-3.1.2-18], [MQTT-3.1.2-19]
    let password = if given(PASSWORD, &body) { Some(body.binary()?) } else { None };
    body.finish()?;
    Ok(Connect {
        version,
        bridge,
        clean_start,
        keep_alive,
        client_id,
        will,
        username,
        password,
        properties,
    })
}

fn version(body: &mut Reader<'_>) -> Result<(Version, bool), Violation> {
    let name = body.binary()?;
    let level = body.u8()?;
    let supported = match (name, level) {
        (b"MQIsdp", 3) => (Version::V3_1, false),
        (b"MQIsdp", 0x83) => (Version::V3_1, true),
        (b"MQTT", 4) => (Version::V3_1_1, false),
        (b"MQTT", 0x84) => (Version::V3_1_1, true),
        (b"MQTT", 5) => (Version::V5_0, false),
        // [MQTT-3.1.2-2]
        (b"MQIsdp" | b"MQTT", _) => return Err(Violation::ProtocolLevelUnsupported { level }),
        // [MQTT-3.1.2-1]
        _ => return Err(Violation::ProtocolNameUnsupported),
    };
    Ok(supported)
}

fn check_flags(flags: u8, version: Version) -> Result<(), Violation> {
    // [MQTT-3.1.2-3]; MQTT 3.1 does not use the bit, and has no rule about it.
    if flags & RESERVED != 0 && version > Version::V3_1 {
        return Err(Violation::ConnectFlagReserved);
    }
    if flags & WILL == 0 && version > Version::V3_1 {
        // [MQTT-3.1.2-11]
        if flags & WILL_QOS != 0 {
            return Err(Violation::WillQoSWithoutWill);
        }
        // [MQTT-3.1.2-13]
        if flags & WILL_RETAIN != 0 {
            return Err(Violation::WillRetainWithoutWill);
        }
    }
    // 3.1.1 [MQTT-3.1.2-22]; 5.0 lifted it.
    if flags & PASSWORD != 0 && flags & USER_NAME == 0 && !version.is_v5() {
        return Err(Violation::PasswordWithoutUserName);
    }
    Ok(())
}

fn will<'a>(body: &mut Reader<'a>, flags: u8, version: Version) -> Result<Will<'a>, Violation> {
    // [MQTT-3.1.2-12]
    let qos = QoS::try_from((flags & WILL_QOS) >> 3).map_err(|_| Violation::WillQoSThree)?;
    let properties = body.properties(PropertyContext::Will, version)?;
    // [MQTT-3.1.3-11]
    let topic = TopicName::from_bytes(body.binary()?)?;
    let payload = body.binary()?;
    Ok(Will { qos, retain: flags & WILL_RETAIN != 0, topic, payload, properties })
}

pub(super) fn connack(mut body: Reader<'_>, version: Version) -> Result<ConnAck<'_>, Violation> {
    let flags = body.u8()?;
    let code = body.u8()?;
    // [MQTT-3.2.2-1]; MQTT 3.1 has no session present flag and no rule about the byte.
    if flags & !SESSION_PRESENT != 0 && version > Version::V3_1 {
        return Err(Violation::ConnAckFlagsReserved);
    }
    let session_present = version > Version::V3_1 && flags & SESSION_PRESENT != 0;
    // A server older than 5.0 refuses a 5.0 client in its own form: two bytes, return code 1.
    let old_refusal = code == 1 && body.is_empty();
    let reason = if version.is_v5() && !old_refusal {
        reason(code, PacketType::ConnAck)?
    } else {
        ReasonCode::from_connack_return_code(code)
            .ok_or(Violation::ReasonCodeInvalid { code, packet_type: PacketType::ConnAck })?
    };
    let properties = if old_refusal {
        Properties::EMPTY
    } else {
        body.properties(PropertyContext::Packet(PacketType::ConnAck), version)?
    };
    body.finish()?;
    // [MQTT-3.2.2-6]
    if session_present && reason.is_error() {
        return Err(Violation::SessionPresentInRefusal);
    }
    Ok(ConnAck { session_present, reason, properties })
}

const RESERVED: u8 = 0b0000_0001;
const CLEAN_START: u8 = 0b0000_0010;
const WILL: u8 = 0b0000_0100;
const WILL_QOS: u8 = 0b0001_1000;
const WILL_RETAIN: u8 = 0b0010_0000;
const PASSWORD: u8 = 0b0100_0000;
const USER_NAME: u8 = 0b1000_0000;
const SESSION_PRESENT: u8 = 0b0000_0001;
