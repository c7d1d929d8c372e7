//! SUBSCRIBE, UNSUBSCRIBE and their answers.

use dunlin_proto::property::PropertyId;
use dunlin_proto::{PacketType, Violation};

use crate::{V3, V5, V31, V311, refused, taken};

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
