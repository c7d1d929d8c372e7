//! CONNECT, CONNACK, DISCONNECT and AUTH.

use dunlin_proto::property::PropertyId;
use dunlin_proto::violation::PropertyContext;
use dunlin_proto::{PacketType, Violation};

use crate::{ANY, V3, V5, V31, V311, refused, taken};

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
