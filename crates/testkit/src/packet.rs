//! The packets a server sends, parsed as strictly as the standard allows.

use crate::property::{self as p, Properties};
use crate::publish::Publish;
use crate::version::Version;
use crate::wire::{Malformed, Reader};

/// A packet from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// CONNACK.
    ConnAck(ConnAck),
    /// PUBLISH.
    Publish(Publish),
    /// PUBACK.
    PubAck(Ack),
    /// PUBREC.
    PubRec(Ack),
    /// PUBREL.
    PubRel(Ack),
    /// PUBCOMP.
    PubComp(Ack),
    /// SUBACK.
    SubAck(Codes),
    /// UNSUBACK, without codes before 5.0.
    UnsubAck(Codes),
    /// PINGRESP.
    PingResp,
    /// DISCONNECT (5.0).
    Disconnect(Disconnect),
    /// AUTH (5.0).
    Auth(Disconnect),
}

/// CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    /// Session Present.
    pub session_present: bool,
    /// Return or reason code.
    pub code: u8,
    /// Properties; empty before 5.0.
    pub properties: Properties,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Packet identifier.
    pub packet_id: u16,
    /// 0 before 5.0.
    pub reason: u8,
    /// Properties; empty before 5.0.
    pub properties: Properties,
}

/// SUBACK or UNSUBACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes {
    /// Packet identifier.
    pub packet_id: u16,
    /// One for each filter.
    pub codes: Vec<u8>,
    /// Properties; empty before 5.0.
    pub properties: Properties,
}

/// DISCONNECT or AUTH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// Reason code.
    pub reason: u8,
    /// Properties.
    pub properties: Properties,
}

impl Packet {
    /// Parses what follows the remaining length of a packet.
    pub(crate) fn parse(first: u8, body: &[u8], version: Version) -> Result<Self, Malformed> {
        let mut reader = Reader(body);
        let (kind, flags) = (first >> 4, first & 0x0f);
        if kind == 3 {
            return Ok(Self::Publish(Publish::parse(flags, reader, version)?));
        }
        if flags != if kind == 6 { 2 } else { 0 } {
            return Err(format!("first byte 0x{first:02x} has flags it must not have"));
        }
        let packet = match kind {
            2 => Self::ConnAck(conn_ack(&mut reader, version)?),
            4 => Self::PubAck(ack(&mut reader, version, PUBACK_CODES)?),
            5 => Self::PubRec(ack(&mut reader, version, PUBACK_CODES)?),
            6 => Self::PubRel(ack(&mut reader, version, &[0, 0x92])?),
            7 => Self::PubComp(ack(&mut reader, version, &[0, 0x92])?),
            9 => Self::SubAck(codes(&mut reader, version, suback_codes(version))?),
            11 => Self::UnsubAck(codes(&mut reader, version, UNSUBACK_CODES)?),
            13 => Self::PingResp,
            14 if version.is_5() => Self::Disconnect(disconnect(&mut reader, DISCONNECT_CODES)?),
            15 if version.is_5() => Self::Auth(disconnect(&mut reader, &[0, 0x18, 0x19])?),
            _ => return Err(format!("0x{first:02x} is nothing a server sends")),
        };
        if reader.is_empty() { Ok(packet) } else { Err(format!("bytes left over in {packet:?}")) }
    }
}

const CONNACK_CODES: &[u8] = &[
    0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
];
const PUBACK_CODES: &[u8] = &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const UNSUBACK_CODES: &[u8] = &[0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
const DISCONNECT_CODES: &[u8] = &[
    0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];

const fn suback_codes(version: Version) -> &'static [u8] {
    match version {
        Version::V31 => &[0, 1, 2],
        Version::V311 => &[0, 1, 2, 0x80],
        Version::V5 => &[0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
    }
}

fn listed(code: u8, allowed: &[u8]) -> Result<u8, Malformed> {
    if allowed.contains(&code) { Ok(code) } else { Err(format!("code 0x{code:02x} is not listed")) }
}

fn conn_ack(reader: &mut Reader<'_>, version: Version) -> Result<ConnAck, Malformed> {
    let flags = reader.u8()?;
    let code = reader.u8()?;
    if flags > 1 || (flags == 1 && code != 0) {
        return Err(format!("CONNACK flags 0x{flags:02x} with code 0x{code:02x}"));
    }
    // A refusal of the version is written in the form of 3.1.1, whatever the CONNECT said.
    let properties = if version.is_5() && !reader.is_empty() {
        listed(code, CONNACK_CODES)?;
        Properties::parse(reader)?.only(&[
            p::SESSION_EXPIRY_INTERVAL,
            p::ASSIGNED_CLIENT_IDENTIFIER,
            p::SERVER_KEEP_ALIVE,
            p::AUTHENTICATION_METHOD,
            p::AUTHENTICATION_DATA,
            p::RESPONSE_INFORMATION,
            p::SERVER_REFERENCE,
            p::REASON_STRING,
            p::RECEIVE_MAXIMUM,
            p::TOPIC_ALIAS_MAXIMUM,
            p::MAXIMUM_QOS,
            p::RETAIN_AVAILABLE,
            p::USER_PROPERTY,
            p::MAXIMUM_PACKET_SIZE,
            p::WILDCARD_SUBSCRIPTION_AVAILABLE,
            p::SUBSCRIPTION_IDENTIFIERS_AVAILABLE,
            p::SHARED_SUBSCRIPTION_AVAILABLE,
        ])?
    } else {
        listed(code, &[0, 1, 2, 3, 4, 5])?;
        Properties::new()
    };
    Ok(ConnAck { session_present: flags == 1, code, properties })
}

fn ack(reader: &mut Reader<'_>, version: Version, allowed: &[u8]) -> Result<Ack, Malformed> {
    let packet_id = reader.u16()?;
    if packet_id == 0 {
        return Err("acknowledgement of packet identifier 0".into());
    }
    let with_reason = version.is_5() && !reader.is_empty();
    let reason = if with_reason { listed(reader.u8()?, allowed)? } else { 0 };
    let properties = optional_properties(reader, version, &[p::REASON_STRING, p::USER_PROPERTY])?;
    Ok(Ack { packet_id, reason, properties })
}

fn codes(reader: &mut Reader<'_>, version: Version, allowed: &[u8]) -> Result<Codes, Malformed> {
    let packet_id = reader.u16()?;
    let properties = if version.is_5() {
        Properties::parse(reader)?.only(&[p::REASON_STRING, p::USER_PROPERTY])?
    } else {
        Properties::new()
    };
    let codes = reader.rest().to_vec();
    if !version.is_5() && allowed == UNSUBACK_CODES && !codes.is_empty() {
        return Err("UNSUBACK with codes before 5.0".into());
    }
    for code in &codes {
        listed(*code, allowed)?;
    }
    Ok(Codes { packet_id, codes, properties })
}

fn disconnect(reader: &mut Reader<'_>, codes: &[u8]) -> Result<Disconnect, Malformed> {
    let reason = if reader.is_empty() { 0 } else { listed(reader.u8()?, codes)? };
    // Session Expiry Interval is missing on purpose: a server must not send it.
    let allowed = [
        p::REASON_STRING,
        p::USER_PROPERTY,
        p::SERVER_REFERENCE,
        p::AUTHENTICATION_METHOD,
        p::AUTHENTICATION_DATA,
    ];
    let properties = optional_properties(reader, Version::V5, &allowed)?;
    Ok(Disconnect { reason, properties })
}

fn optional_properties(
    reader: &mut Reader<'_>,
    version: Version,
    allowed: &[u8],
) -> Result<Properties, Malformed> {
    if !version.is_5() || reader.is_empty() {
        return Ok(Properties::new());
    }
    Properties::parse(reader)?.only(allowed)
}
