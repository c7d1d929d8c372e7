//! Each way a packet can be wrong in itself, as bytes, with the violation it is.
#![allow(clippy::too_many_lines, reason = "tables")]

mod connections;
mod messages;
mod subscriptions;

use dunlin_proto::codec;
use dunlin_proto::{PacketType, ReasonCode, Version, Violation};

const V31: &[Version] = &[Version::V3_1];
const V311: &[Version] = &[Version::V3_1_1];
const V3: &[Version] = &[Version::V3_1, Version::V3_1_1];
const V5: &[Version] = &[Version::V5_0];
const LATER: &[Version] = &[Version::V3_1_1, Version::V5_0];
const ANY: &[Version] = &Version::ALL;

type Case = (&'static str, &'static [u8], &'static [Version], Violation);

#[track_caller]
fn refused(cases: &[Case]) {
    for (name, bytes, versions, violation) in cases {
        for &version in *versions {
            assert_eq!(codec::decode(bytes, version), Err(*violation), "{name} in {version}");
        }
    }
}

#[track_caller]
fn taken(cases: &[(&str, &[u8], &[Version])]) {
    for (name, bytes, versions) in cases {
        for &version in *versions {
            let result = codec::decode(bytes, version);
            assert!(result.is_ok(), "{name} in {version}: {result:?}");
        }
    }
}

fn flags(packet_type: PacketType, flags: u8) -> Violation {
    Violation::FlagsReserved { packet_type, flags }
}

#[test]
fn fixed_headers() {
    refused(&[
        ("type 0", b"\x00\x00", ANY, Violation::PacketTypeReserved),
        ("CONNECT flags", b"\x11\x00", ANY, flags(PacketType::Connect, 1)),
        ("CONNACK flags", b"\x28\x02\x00\x00", ANY, flags(PacketType::ConnAck, 8)),
        ("PUBACK flags", b"\x42\x02\x00\x01", ANY, flags(PacketType::PubAck, 2)),
        ("PUBREL without flags", b"\x60\x02\x00\x01", ANY, flags(PacketType::PubRel, 0)),
        ("PUBREL with DUP", b"\x6A\x02\x00\x01", LATER, flags(PacketType::PubRel, 10)),
        ("SUBSCRIBE without flags", b"\x80\x00", ANY, flags(PacketType::Subscribe, 0)),
        ("UNSUBSCRIBE with DUP", b"\xAA\x00", LATER, flags(PacketType::Unsubscribe, 10)),
        ("PINGREQ flags", b"\xC1\x00", ANY, flags(PacketType::PingReq, 1)),
        ("DISCONNECT flags", b"\xE2\x00", ANY, flags(PacketType::Disconnect, 2)),
        (
            "five bytes of length",
            b"\xC0\x80\x80\x80\x80\x00",
            ANY,
            Violation::RemainingLengthMalformed,
        ),
        ("PINGREQ with a body", b"\xC0\x01\x00", ANY, Violation::TrailingBytes),
        ("PINGRESP with a body", b"\xD0\x01\x00", ANY, Violation::TrailingBytes),
        ("more than the frame", b"\xC0\x00\x00", ANY, Violation::TrailingBytes),
        ("less than the frame", b"\x40\x02\x00", ANY, Violation::Truncated),
    ]);
    taken(&[("PUBREL with DUP", b"\x6A\x02\x00\x01", V31)]);
}

#[test]
fn every_violation_has_a_code_that_can_be_told() {
    let told = [
        Violation::PacketTypeReserved,
        Violation::TopicNameWildcard,
        Violation::ReceiveMaximumExceeded { maximum: 3 },
        Violation::TopicAliasZero,
        Violation::PacketTooLarge { size: 3, maximum: 2 },
        Violation::RetainNotAvailable,
        Violation::KeepAliveTimeout,
        Violation::NoLocalOnShared,
    ];
    let codes = [0x81, 0x90, 0x93, 0x94, 0x95, 0x9A, 0x8D, 0x82];
    for (violation, code) in told.into_iter().zip(codes) {
        let reason = violation.reason_code();
        assert_eq!(reason.as_u8(), code);
        assert!(reason.allowed_in(PacketType::Disconnect));
        assert!(!violation.clause().is_empty() && !violation.to_string().is_empty());
    }
    assert_eq!(
        Violation::PacketTooLarge { size: 3, maximum: 2 }.to_string(),
        "a packet of 3 bytes where 2 is the maximum"
    );
    assert_eq!(
        Violation::ProtocolLevelUnsupported { level: 9 }.reason_code(),
        ReasonCode::UnsupportedProtocolVersion
    );
}
