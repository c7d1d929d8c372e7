//! The exact bytes of what is sent.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use dunlin_proto::codec::{self, AckKind, EncodeError};
use dunlin_proto::packet::{Ack, ConnAck, Delivery, Disconnect, Packet, Publish, SubAck};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::{PacketId, PacketType, QoS, ReasonCode, TopicName, Version};

fn bytes(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    codec::encode(packet, version, &mut out).unwrap();
    out
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn puback(reason: ReasonCode, properties: Properties<'_>) -> Packet<'_> {
    Packet::PubAck(Ack { packet_id: id(258), reason, properties })
}

#[test]
fn acknowledgements_take_the_shortest_form() {
    let mut explained = PropertyBuf::new();
    explained.push(Property::ReasonString("x"));
    let none = Properties::EMPTY;
    let explained = explained.as_properties();
    for (packet, version, expected) in [
        (puback(ReasonCode::Success, none), Version::V5_0, &b"\x40\x02\x01\x02"[..]),
        (puback(ReasonCode::NoMatchingSubscribers, none), Version::V5_0, b"\x40\x03\x01\x02\x10"),
        (
            puback(ReasonCode::Success, explained),
            Version::V5_0,
            b"\x40\x08\x01\x02\x00\x04\x1F\x00\x01x",
        ),
        (puback(ReasonCode::QuotaExceeded, explained), Version::V3_1_1, b"\x40\x02\x01\x02"),
    ] {
        assert_eq!(bytes(&packet, version), expected, "{packet:?}");
    }
}

#[test]
fn a_normal_disconnect_is_two_bytes() {
    let normal = Packet::Disconnect(Disconnect {
        reason: ReasonCode::NORMAL_DISCONNECTION,
        properties: Properties::EMPTY,
    });
    let taken_over = Packet::Disconnect(Disconnect {
        reason: ReasonCode::SessionTakenOver,
        properties: Properties::EMPTY,
    });
    for version in Version::ALL {
        assert_eq!(bytes(&normal, version), b"\xE0\x00");
    }
    assert_eq!(bytes(&taken_over, Version::V5_0), b"\xE0\x01\x8E");
}

#[test]
fn what_a_version_cannot_say_is_said_as_nearly_as_it_can() {
    let connack = Packet::ConnAck(ConnAck {
        session_present: true,
        reason: ReasonCode::Success,
        properties: Properties::EMPTY,
    });
    assert_eq!(bytes(&connack, Version::V3_1), b"\x20\x02\x00\x00");
    assert_eq!(bytes(&connack, Version::V3_1_1), b"\x20\x02\x01\x00");
    assert_eq!(bytes(&connack, Version::V5_0), b"\x20\x03\x01\x00\x00");
    let refusal = Packet::ConnAck(ConnAck {
        session_present: false,
        reason: ReasonCode::QuotaExceeded,
        properties: Properties::EMPTY,
    });
    assert_eq!(bytes(&refusal, Version::V3_1_1), b"\x20\x02\x00\x03");
    let suback = Packet::SubAck(SubAck {
        packet_id: id(1),
        properties: Properties::EMPTY,
        reasons: vec![ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized],
    });
    assert_eq!(bytes(&suback, Version::V3_1_1), b"\x90\x04\x00\x01\x01\x80");
    assert_eq!(bytes(&suback, Version::V5_0), b"\x90\x05\x00\x01\x00\x01\x87");
}

#[test]
fn the_packet_identifier_of_a_head_can_be_patched() {
    let publish = Publish {
        delivery: Delivery::AtLeastOnce { packet_id: id(1), dup: false },
        retain: true,
        topic: Some(TopicName::new("a/b").unwrap()),
        properties: Properties::EMPTY,
        payload: b"",
    };
    let mut out = b"before".to_vec();
    let at = codec::encode_publish_head(&publish, 200, Version::V5_0, &mut out).unwrap().unwrap();
    assert_eq!(out, b"before\x33\xD0\x01\x00\x03a/b\x00\x01\x00");
    out[at..at + 2].copy_from_slice(&0x1234_u16.to_be_bytes());
    assert_eq!(out, b"before\x33\xD0\x01\x00\x03a/b\x12\x34\x00");
    let quick = Publish { delivery: Delivery::AtMostOnce, ..publish };
    assert_eq!(codec::encode_publish_head(&quick, 0, Version::V5_0, &mut out), Ok(None));
}

type Make = fn(Ack<'static>) -> Packet<'static>;

#[test]
fn quick_acknowledgements_are_those_of_the_encoder() {
    let make: [(AckKind, Make); 4] = [
        (AckKind::PubAck, Packet::PubAck),
        (AckKind::PubRec, Packet::PubRec),
        (AckKind::PubRel, Packet::PubRel),
        (AckKind::PubComp, Packet::PubComp),
    ];
    for (kind, packet) in make {
        let ack =
            Ack { packet_id: id(770), reason: ReasonCode::Success, properties: Properties::EMPTY };
        let mut quick = Vec::new();
        codec::encode_ack(kind, id(770), &mut quick);
        assert_eq!(quick, bytes(&packet(ack), Version::V5_0));
    }
}

#[test]
fn what_cannot_be_sent_leaves_the_buffer_alone() {
    let long = "a".repeat(70_000);
    let publish = Packet::Publish(Publish {
        delivery: Delivery::AtMostOnce,
        retain: false,
        topic: None,
        properties: Properties::EMPTY,
        payload: b"",
    });
    let mut out = Vec::new();
    assert_eq!(codec::encode(&publish, Version::V5_0, &mut out), Err(EncodeError::TopicMissing));
    let auth = Packet::Auth(dunlin_proto::packet::Auth {
        reason: ReasonCode::Success,
        properties: Properties::EMPTY,
    });
    assert_eq!(
        codec::encode(&auth, Version::V3_1_1, &mut out),
        Err(EncodeError::NotInVersion { packet_type: PacketType::Auth })
    );
    let connect = Packet::Connect(dunlin_proto::packet::Connect {
        version: Version::V3_1_1,
        bridge: false,
        clean_start: true,
        keep_alive: 0,
        client_id: &long,
        will: None,
        username: None,
        password: None,
        properties: Properties::EMPTY,
    });
    assert_eq!(
        codec::encode(&connect, Version::V5_0, &mut out),
        Err(EncodeError::FieldTooLong { len: 70_000 })
    );
    assert!(out.is_empty());
}

#[test]
fn a_property_that_cannot_be_sent_is_not_taken() {
    let mut properties = PropertyBuf::new();
    let long = "a".repeat(70_000);
    properties.push(Property::MaximumQoS(QoS::AtLeastOnce));
    let before = properties.clone();
    for property in [
        Property::ReasonString(&long),
        Property::ReasonString("a\0"),
        Property::ReceiveMaximum(0),
        Property::TopicAlias(0),
        Property::SubscriptionIdentifier(0),
        Property::SubscriptionIdentifier(268_435_456),
        Property::MaximumQoS(QoS::ExactlyOnce),
        Property::ResponseTopic("a/#"),
    ] {
        assert_eq!(
            properties.try_push(property),
            Err(EncodeError::InvalidProperty { property: property.id() })
        );
        assert_eq!(properties, before);
    }
}
