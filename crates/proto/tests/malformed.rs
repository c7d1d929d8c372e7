//! Each way a packet can be wrong in itself, as bytes, with the violation it is.
#![allow(clippy::too_many_lines, reason = "tables")]

use dunlin_proto::codec;
use dunlin_proto::property::PropertyId;
use dunlin_proto::violation::PropertyContext;
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
fn connect() {
    refused(&[
        ("empty", b"\x10\x00", ANY, Violation::Truncated),
        (
            "protocol name",
            b"\x10\x0D\x00\x04MQXX\x04\x02\x00\x0A\x00\x01c",
            ANY,
            Violation::ProtocolNameUnsupported,
        ),
        (
            "protocol name in lower case",
            b"\x10\x0D\x00\x04mqtt\x04\x02\x00\x0A\x00\x01c",
            ANY,
            Violation::ProtocolNameUnsupported,
        ),
        (
            "level 6",
            b"\x10\x0E\x00\x04MQTT\x06\x02\x00\x0A\x00\x00\x01c",
            ANY,
            Violation::ProtocolLevelUnsupported { level: 6 },
        ),
        (
            "level 3 by the later name",
            b"\x10\x0D\x00\x04MQTT\x03\x02\x00\x0A\x00\x01c",
            ANY,
            Violation::ProtocolLevelUnsupported { level: 3 },
        ),
        (
            "reserved flag",
            b"\x10\x0D\x00\x04MQTT\x04\x03\x00\x0A\x00\x01c",
            ANY,
            Violation::ConnectFlagReserved,
        ),
        (
            "will QoS without will",
            b"\x10\x0D\x00\x04MQTT\x04\x0A\x00\x0A\x00\x01c",
            ANY,
            Violation::WillQoSWithoutWill,
        ),
        (
            "will retain without will",
            b"\x10\x0D\x00\x04MQTT\x04\x22\x00\x0A\x00\x01c",
            ANY,
            Violation::WillRetainWithoutWill,
        ),
        (
            "will QoS 3",
            b"\x10\x12\x00\x04MQTT\x04\x1E\x00\x0A\x00\x01c\x00\x01w\x00\x00",
            ANY,
            Violation::WillQoSThree,
        ),
        (
            "will topic with wildcard",
            b"\x10\x12\x00\x04MQTT\x04\x06\x00\x0A\x00\x01c\x00\x01#\x00\x00",
            ANY,
            Violation::TopicNameWildcard,
        ),
        (
            "empty will topic",
            b"\x10\x11\x00\x04MQTT\x04\x06\x00\x0A\x00\x01c\x00\x00\x00\x00",
            ANY,
            Violation::TopicNameEmpty,
        ),
        (
            "will missing",
            b"\x10\x0D\x00\x04MQTT\x04\x06\x00\x0A\x00\x01c",
            ANY,
            Violation::Truncated,
        ),
        (
            "password without user name",
            b"\x10\x10\x00\x04MQTT\x04\x42\x00\x0A\x00\x01c\x00\x01p",
            ANY,
            Violation::PasswordWithoutUserName,
        ),
        (
            "client id not UTF-8",
            b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x0A\x00\x01\xFF",
            ANY,
            Violation::StringNotUtf8,
        ),
        (
            "client id with U+0000",
            b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x0A\x00\x01\0",
            ANY,
            Violation::StringContainsNul,
        ),
        (
            "user name missing",
            b"\x10\x0D\x00\x04MQTT\x04\x82\x00\x0A\x00\x01c",
            ANY,
            Violation::Truncated,
        ),
        (
            "password flag without password",
            b"\x10\x10\x00\x04MQTT\x04\xC2\x00\x0A\x00\x01c\x00\x01u",
            ANY,
            Violation::Truncated,
        ),
        (
            "bytes behind",
            b"\x10\x0E\x00\x04MQTT\x04\x02\x00\x0A\x00\x01c!",
            ANY,
            Violation::TrailingBytes,
        ),
        (
            "authentication data alone",
            b"\x10\x12\x00\x04MQTT\x05\x02\x00\x0A\x04\x16\x00\x01d\x00\x01c",
            ANY,
            Violation::AuthenticationDataAlone,
        ),
        (
            "receive maximum 0",
            b"\x10\x11\x00\x04MQTT\x05\x02\x00\x0A\x03\x21\x00\x00\x00\x01c",
            ANY,
            Violation::PropertyOutOfRange { property: PropertyId::ReceiveMaximum },
        ),
        (
            "maximum packet size 0",
            b"\x10\x13\x00\x04MQTT\x05\x02\x00\x0A\x05\x27\x00\x00\x00\x00\x00\x01c",
            ANY,
            Violation::PropertyOutOfRange { property: PropertyId::MaximumPacketSize },
        ),
        (
            "request problem information 2",
            b"\x10\x10\x00\x04MQTT\x05\x02\x00\x0A\x02\x17\x02\x00\x01c",
            ANY,
            Violation::PropertyOutOfRange { property: PropertyId::RequestProblemInformation },
        ),
        (
            "will delay outside the will",
            b"\x10\x13\x00\x04MQTT\x05\x02\x00\x0A\x05\x18\x00\x00\x00\x01\x00\x01c",
            ANY,
            Violation::PropertyNotAllowed {
                property: PropertyId::WillDelayInterval,
                packet: PropertyContext::Packet(PacketType::Connect),
            },
        ),
    ]);
    taken(&[
        ("bridge in 3.1", b"\x10\x0F\x00\x06MQIsdp\x83\x02\x00\x0A\x00\x01c", ANY),
        ("bridge in 3.1.1", b"\x10\x0D\x00\x04MQTT\x84\x02\x00\x0A\x00\x01c", ANY),
        ("user name left out in 3.1", b"\x10\x0F\x00\x06MQIsdp\x03\xC2\x00\x0A\x00\x01c", ANY),
        ("empty client id, clean session", b"\x10\x0C\x00\x04MQTT\x04\x02\x00\x0A\x00\x00", ANY),
        ("empty client id in 5.0", b"\x10\x0D\x00\x04MQTT\x05\x00\x00\x0A\x00\x00\x00", ANY),
        (
            "password alone in 5.0",
            b"\x10\x11\x00\x04MQTT\x05\x42\x00\x0A\x00\x00\x01c\x00\x01p",
            ANY,
        ),
    ]);
}

#[test]
fn connack() {
    let code = |code| Violation::ReasonCodeInvalid { code, packet_type: PacketType::ConnAck };
    refused(&[
        ("flags", b"\x20\x02\x02\x00", V311, Violation::ConnAckFlagsReserved),
        (
            "session present in refusal",
            b"\x20\x02\x01\x05",
            V311,
            Violation::SessionPresentInRefusal,
        ),
        ("return code 6", b"\x20\x02\x00\x06", V3, code(6)),
        ("code of another packet", b"\x20\x03\x00\x92\x00", V5, code(0x92)),
        ("no property length", b"\x20\x02\x00\x00", V5, Violation::Truncated),
        (
            "maximum QoS 2",
            b"\x20\x05\x00\x00\x02\x24\x02",
            V5,
            Violation::PropertyOutOfRange { property: PropertyId::MaximumQoS },
        ),
    ]);
    taken(&[
        ("reserved byte", b"\x20\x02\x07\x00", V31),
        ("refusal by an older server", b"\x20\x02\x00\x01", V5),
    ]);
}

#[test]
fn publish() {
    let twice = |property| Violation::PropertyDuplicated { property };
    refused(&[
        ("QoS 3", b"\x36\x05\x00\x01a\x00\x01", ANY, Violation::QoSThree),
        ("DUP at QoS 0", b"\x38\x04\x00\x01a\x00", LATER, Violation::DupAtQoSZero),
        ("no topic", b"\x30\x00", ANY, Violation::Truncated),
        ("empty topic", b"\x30\x03\x00\x00\x00", ANY, Violation::TopicNameEmpty),
        ("topic longer than the packet", b"\x30\x03\x00\x02a", ANY, Violation::Truncated),
        ("wildcard +", b"\x30\x06\x00\x03a/+\x00", ANY, Violation::TopicNameWildcard),
        ("wildcard #", b"\x30\x04\x00\x01#\x00", ANY, Violation::TopicNameWildcard),
        ("topic not UTF-8", b"\x30\x04\x00\x01\xC0\x00", ANY, Violation::StringNotUtf8),
        (
            "topic with surrogate",
            b"\x30\x06\x00\x03\xED\xA0\x80\x00",
            ANY,
            Violation::StringNotUtf8,
        ),
        ("topic with U+0000", b"\x30\x05\x00\x02a\0\x00", ANY, Violation::StringContainsNul),
        ("packet identifier 0", b"\x32\x06\x00\x01a\x00\x00\x00", ANY, Violation::PacketIdZero),
        ("no packet identifier", b"\x32\x03\x00\x01a", ANY, Violation::Truncated),
        ("no property length", b"\x30\x03\x00\x01a", V5, Violation::Truncated),
        ("properties longer than the packet", b"\x30\x04\x00\x01a\x01", V5, Violation::Truncated),
        ("topic alias 0", b"\x30\x07\x00\x01a\x03\x23\x00\x00", V5, Violation::TopicAliasZero),
        (
            "topic alias twice",
            b"\x30\x0A\x00\x01a\x06\x23\x00\x01\x23\x00\x01",
            V5,
            twice(PropertyId::TopicAlias),
        ),
        (
            "content type twice",
            b"\x30\x0A\x00\x01a\x06\x03\x00\x00\x03\x00\x00",
            V5,
            twice(PropertyId::ContentType),
        ),
        (
            "payload format 2",
            b"\x30\x06\x00\x01a\x02\x01\x02",
            V5,
            Violation::PropertyOutOfRange { property: PropertyId::PayloadFormatIndicator },
        ),
        (
            "subscription identifier 0",
            b"\x30\x06\x00\x01a\x02\x0B\x00",
            V5,
            Violation::PropertyOutOfRange { property: PropertyId::SubscriptionIdentifier },
        ),
        (
            "integer too long",
            b"\x30\x0A\x00\x01a\x06\x0B\x80\x80\x80\x80\x01",
            V5,
            Violation::IntegerMalformed,
        ),
        (
            "integer not in shortest form",
            b"\x30\x07\x00\x01a\x03\x0B\x81\x00",
            V5,
            Violation::IntegerMalformed,
        ),
        (
            "response topic with wildcard",
            b"\x30\x08\x00\x01a\x04\x08\x00\x01+",
            V5,
            Violation::ResponseTopicWildcard,
        ),
        (
            "user property not UTF-8",
            b"\x30\x0A\x00\x01a\x06\x26\x00\x00\x00\x01\xFF",
            V5,
            Violation::StringNotUtf8,
        ),
        (
            "unknown property",
            b"\x30\x06\x00\x01a\x02\x7F\x00",
            V5,
            Violation::PropertyUnknown { id: 0x7F },
        ),
        (
            "property of CONNECT",
            b"\x30\x07\x00\x01a\x03\x21\x00\x01",
            V5,
            Violation::PropertyNotAllowed {
                property: PropertyId::ReceiveMaximum,
                packet: PropertyContext::Packet(PacketType::Publish),
            },
        ),
        ("property cut short", b"\x30\x06\x00\x01a\x02\x23\x00", V5, Violation::Truncated),
    ]);
    taken(&[
        ("DUP at QoS 0", b"\x38\x04\x00\x01a\x00", V31),
        ("topic alias alone", b"\x30\x06\x00\x00\x03\x23\x00\x01", V5),
        ("two subscription identifiers", b"\x30\x08\x00\x01a\x04\x0B\x01\x0B\x02", V5),
        (
            "the same user property twice",
            b"\x30\x0E\x00\x01a\x0A\x26\x00\x00\x00\x00\x26\x00\x00\x00\x00",
            V5,
        ),
        ("length not in shortest form", b"\x30\x83\x00\x00\x01a", V3),
    ]);
}

#[test]
fn acknowledgements() {
    let code = |code, packet_type| Violation::ReasonCodeInvalid { code, packet_type };
    refused(&[
        ("PUBACK identifier 0", b"\x40\x02\x00\x00", ANY, Violation::PacketIdZero),
        ("PUBACK cut short", b"\x40\x01\x00", ANY, Violation::Truncated),
        ("PUBACK reason before 5.0", b"\x40\x03\x00\x01\x00", V3, Violation::TrailingBytes),
        ("PUBACK reason", b"\x40\x03\x00\x01\x92", V5, code(0x92, PacketType::PubAck)),
        ("PUBREC reason", b"\x50\x03\x00\x01\x01", V5, code(1, PacketType::PubRec)),
        ("PUBREL reason", b"\x62\x03\x00\x01\x80", V5, code(0x80, PacketType::PubRel)),
        ("PUBCOMP reason", b"\x70\x03\x00\x01\x03", V5, code(3, PacketType::PubComp)),
        ("PUBACK properties behind", b"\x40\x05\x00\x01\x00\x00\x00", V5, Violation::TrailingBytes),
        (
            "PUBACK reason string twice",
            b"\x40\x0A\x00\x01\x00\x06\x1F\x00\x00\x1F\x00\x00",
            V5,
            Violation::PropertyDuplicated { property: PropertyId::ReasonString },
        ),
    ]);
    taken(&[
        ("PUBACK in full", b"\x40\x04\x00\x01\x00\x00", V5),
        ("PUBACK with reason", b"\x40\x03\x00\x01\x10", V5),
        ("PUBCOMP not found", b"\x70\x03\x00\x01\x92", V5),
    ]);
}

#[test]
fn subscribe_and_unsubscribe() {
    refused(&[
        ("no filter", b"\x82\x02\x00\x01", V3, Violation::SubscribeEmpty),
        ("no filter", b"\x82\x03\x00\x01\x00", V5, Violation::SubscribeEmpty),
        ("identifier 0", b"\x82\x06\x00\x00\x00\x01a\x00", V3, Violation::PacketIdZero),
        ("no options", b"\x82\x05\x00\x01\x00\x01a", V3, Violation::Truncated),
        ("empty filter", b"\x82\x05\x00\x01\x00\x00\x00", V3, Violation::TopicFilterEmpty),
        (
            "misplaced #",
            b"\x82\x08\x00\x01\x00\x03#/a\x00",
            V3,
            Violation::MultiLevelWildcardMisplaced,
        ),
        (
            "misplaced +",
            b"\x82\x07\x00\x01\x00\x02a+\x00",
            V3,
            Violation::SingleLevelWildcardMisplaced,
        ),
        ("QoS 3", b"\x82\x06\x00\x01\x00\x01a\x03", V3, Violation::SubscriptionQoSThree),
        ("QoS 3", b"\x82\x07\x00\x01\x00\x00\x01a\x03", V5, Violation::SubscriptionQoSThree),
        (
            "reserved options",
            b"\x82\x06\x00\x01\x00\x01a\x04",
            V311,
            Violation::SubscriptionOptionsReserved,
        ),
        (
            "reserved options",
            b"\x82\x07\x00\x01\x00\x00\x01a\x40",
            V5,
            Violation::SubscriptionOptionsReserved,
        ),
        (
            "retain handling 3",
            b"\x82\x07\x00\x01\x00\x00\x01a\x30",
            V5,
            Violation::RetainHandlingThree,
        ),
        (
            "no local, shared",
            b"\x82\x10\x00\x01\x00\x00\x0A$share/g/a\x04",
            V5,
            Violation::NoLocalOnShared,
        ),
        (
            "share name empty",
            b"\x82\x0F\x00\x01\x00\x00\x09$share//a\x00",
            V5,
            Violation::ShareNameEmpty,
        ),
        (
            "share name with wildcard",
            b"\x82\x10\x00\x01\x00\x00\x0A$share/+/a\x00",
            V5,
            Violation::ShareNameWildcard,
        ),
        (
            "share without filter",
            b"\x82\x0E\x00\x01\x00\x00\x08$share/g\x00",
            V5,
            Violation::ShareFilterMissing,
        ),
        (
            "subscription identifier 0",
            b"\x82\x09\x00\x01\x02\x0B\x00\x00\x01a\x00",
            V5,
            Violation::PropertyOutOfRange { property: PropertyId::SubscriptionIdentifier },
        ),
        (
            "subscription identifier twice",
            b"\x82\x0B\x00\x01\x04\x0B\x01\x0B\x02\x00\x01a\x00",
            V5,
            Violation::PropertyDuplicated { property: PropertyId::SubscriptionIdentifier },
        ),
        ("UNSUBSCRIBE nothing", b"\xA2\x02\x00\x01", V3, Violation::UnsubscribeEmpty),
        ("UNSUBSCRIBE nothing", b"\xA2\x03\x00\x01\x00", V5, Violation::UnsubscribeEmpty),
        ("UNSUBSCRIBE not UTF-8", b"\xA2\x05\x00\x01\x00\x01\xFF", V3, Violation::StringNotUtf8),
        (
            "SUBACK code",
            b"\x90\x03\x00\x01\x03",
            V3,
            Violation::ReasonCodeInvalid { code: 3, packet_type: PacketType::SubAck },
        ),
        ("UNSUBACK with codes", b"\xB0\x03\x00\x01\x00", V3, Violation::TrailingBytes),
        (
            "UNSUBACK code",
            b"\xB0\x04\x00\x01\x00\x01",
            V5,
            Violation::ReasonCodeInvalid { code: 1, packet_type: PacketType::UnsubAck },
        ),
    ]);
    taken(&[
        ("odd share before 5.0", b"\x82\x0E\x00\x01\x00\x09$share//a\x00", V3),
        ("reserved options", b"\x82\x06\x00\x01\x00\x01a\x04", V31),
    ]);
}

#[test]
fn disconnect_and_auth() {
    refused(&[
        ("DISCONNECT with a body", b"\xE0\x01\x00", V3, Violation::TrailingBytes),
        (
            "DISCONNECT code",
            b"\xE0\x01\x01",
            V5,
            Violation::ReasonCodeInvalid { code: 1, packet_type: PacketType::Disconnect },
        ),
        (
            "DISCONNECT property",
            b"\xE0\x04\x00\x02\x01\x01",
            V5,
            Violation::PropertyNotAllowed {
                property: PropertyId::PayloadFormatIndicator,
                packet: PropertyContext::Packet(PacketType::Disconnect),
            },
        ),
        ("AUTH", b"\xF0\x00", V3, Violation::AuthBeforeV5),
        (
            "AUTH code",
            b"\xF0\x02\x80\x00",
            V5,
            Violation::ReasonCodeInvalid { code: 0x80, packet_type: PacketType::Auth },
        ),
        ("AUTH without method", b"\xF0\x02\x18\x00", V5, Violation::AuthenticationMethodMissing),
    ]);
    taken(&[
        ("DISCONNECT in short", b"\xE0\x00", ANY),
        ("DISCONNECT with reason alone", b"\xE0\x01\x04", V5),
        ("AUTH in short", b"\xF0\x00", V5),
    ]);
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
