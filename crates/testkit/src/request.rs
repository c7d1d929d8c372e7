//! The packets of a client that are too small for a type of their own.

use crate::property::Properties;
use crate::version::Version;
use crate::wire::{Bytes, frame};

/// First byte of PUBACK.
pub const PUBACK: u8 = 0x40;
/// First byte of PUBREC.
pub const PUBREC: u8 = 0x50;
/// First byte of PUBREL.
pub const PUBREL: u8 = 0x62;
/// First byte of PUBCOMP.
pub const PUBCOMP: u8 = 0x70;
/// First byte of SUBSCRIBE.
pub const SUBSCRIBE: u8 = 0x82;
/// First byte of UNSUBSCRIBE.
pub const UNSUBSCRIBE: u8 = 0xa2;
/// PINGREQ, all of it.
pub const PINGREQ: [u8; 2] = [0xc0, 0];

/// SUBSCRIBE: filters, each with its QoS or option byte.
#[must_use]
pub fn subscribe(version: Version, packet_id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    subscribe_with(version, packet_id, &Properties::new(), filters)
}

/// SUBSCRIBE with properties.
#[must_use]
pub fn subscribe_with(
    version: Version,
    packet_id: u16,
    properties: &Properties,
    filters: &[(&str, u8)],
) -> Vec<u8> {
    let mut body = request_header(version, packet_id, properties);
    for (filter, options) in filters {
        body = body.text(filter).u8(*options);
    }
    body.frame(SUBSCRIBE)
}

/// UNSUBSCRIBE.
#[must_use]
pub fn unsubscribe(version: Version, packet_id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = request_header(version, packet_id, &Properties::new());
    for filter in filters {
        body = body.text(filter);
    }
    body.frame(UNSUBSCRIBE)
}

fn request_header(version: Version, packet_id: u16, properties: &Properties) -> Bytes {
    let body = Bytes::new().u16(packet_id);
    if version.is_5() { body.raw(&properties.encode()) } else { body }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP in the short form that all versions share.
#[must_use]
pub fn ack(first: u8, packet_id: u16) -> Vec<u8> {
    Bytes::new().u16(packet_id).frame(first)
}

/// The same with a reason code (5.0).
#[must_use]
pub fn ack_with(first: u8, packet_id: u16, reason: u8) -> Vec<u8> {
    Bytes::new().u16(packet_id).u8(reason).frame(first)
}

/// DISCONNECT in the short form that all versions share.
#[must_use]
pub fn disconnect() -> Vec<u8> {
    frame(0xe0, &[])
}

/// DISCONNECT with reason code and properties (5.0).
#[must_use]
pub fn disconnect_with(reason: u8, properties: &Properties) -> Vec<u8> {
    Bytes::new().u8(reason).raw(&properties.encode()).frame(0xe0)
}

/// AUTH (5.0).
#[must_use]
pub fn auth(reason: u8, properties: &Properties) -> Vec<u8> {
    Bytes::new().u8(reason).raw(&properties.encode()).frame(0xf0)
}
