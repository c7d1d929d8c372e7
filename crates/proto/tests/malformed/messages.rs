//! PUBLISH and what acknowledges it.

use dunlin_proto::property::PropertyId;
use dunlin_proto::violation::PropertyContext;
use dunlin_proto::{PacketType, Violation};

use crate::{ANY, LATER, V3, V5, V31, refused, taken};

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
