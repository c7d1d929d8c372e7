use std::time::Duration;

use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::{Bytes, Connect, Event, Packet, Publish, Version, Will};

use crate::support::{
    broken_connect, client, connect, nothing_before_marker, open, refused, unique,
};

// shows 3.1.1: MQTT-3.1.4-4, MQTT-3.2.0-1, MQTT-3.2.2-1, MQTT-3.1.3-3, MQTT-7.1.1-1
// shows 5.0: MQTT-3.1.4-5, MQTT-3.2.0-1, MQTT-3.2.2-1, MQTT-3.2.2-2, MQTT-3.2.2-8, MQTT-3.1.3-3
// shows 5.0: MQTT-4.2.0-1, MQTT-2.2.2-1
#[test]
fn a_connect_is_answered_by_connack() {
    for version in Version::ALL {
        let (mut client, answer) = connect(&Connect::new(version, &unique("c")));
        assert!(!answer.session_present);
        client.ping();
    }
}

// shows 3.1.1: MQTT-3.1.3-5
// shows 5.0: MQTT-3.1.3-5
#[test]
fn identifiers_of_letters_and_digits_up_to_23_bytes_are_accepted() {
    for version in Version::ALL {
        for id in ["0", "abcdefghijklmnopqrstuvw", "XYZABCDEFGHIJKLMNOPQRST", "0123456789"] {
            connect(&Connect::new(version, id)).0.disconnect();
        }
    }
}

// shows 3.1.1: MQTT-3.1.0-1
// shows 5.0: MQTT-3.1.0-1, MQTT-3.14.0-1
#[test]
fn anything_but_connect_first_closes_without_a_byte() {
    for version in Version::OASIS {
        let publish = Publish::new("t", "p").bytes(version);
        let first: [&[u8]; 6] =
            [&publish, &[0xc0, 0], &[0xe0, 0], &[0x20, 2, 0, 0], &[0x00, 0], &[0xf0, 0]];
        for bytes in first {
            let mut client = open(version);
            client.send(bytes);
            client.expect_close();
        }
    }
}

// shows 3.1.1: MQTT-3.1.0-2, MQTT-4.8.0-1
// shows 5.0: MQTT-3.1.0-2, MQTT-3.2.0-2
#[test]
fn a_second_connect_ends_the_connection() {
    for version in Version::ALL {
        let packet = Connect::new(version, &unique("c"));
        let (mut client, _) = connect(&packet);
        client.send(&packet.bytes());
        client.expect_disconnect(&[0x82]);
    }
}

// shows 3.1.1: MQTT-3.1.2-1, MQTT-3.2.2-6
// shows 5.0: MQTT-3.1.2-1
#[test]
fn an_unknown_protocol_name_is_not_served() {
    for (name, level) in [("MQTX", 4), ("mqtt", 4), ("", 4), ("MQIsdp", 4), ("MQTT", 3)] {
        let bytes = Bytes::new().text(name).u8(level).u8(2).u16(60).text("c").frame(0x10);
        not_served(Version::V311, &bytes, 1);
    }
    for name in ["MQTX", "MQTT ", "HTTP"] {
        let bytes = Bytes::new().text(name).u8(5).u8(2).u16(60).u8(0).text("c").frame(0x10);
        not_served(Version::V5, &bytes, 0x84);
    }
}

/// The server may say that it is one, by a refusal of the version; it must close.
fn not_served(version: Version, bytes: &[u8], code: u8) {
    let mut client = open(version);
    client.send(bytes);
    match client.next(Duration::from_secs(60)) {
        Event::Closed => {}
        Event::Packet(Packet::ConnAck(answer)) => {
            assert_eq!(answer.code, code);
            client.expect_close();
        }
        other => panic!("{bytes:02x?} led to {other:?}"),
    }
}

// shows 3.1.1: MQTT-3.1.2-2, MQTT-3.2.2-4, MQTT-3.2.2-5
// shows 5.0: MQTT-3.1.2-2, MQTT-3.2.2-6, MQTT-3.2.2-7
#[test]
fn an_unknown_protocol_level_is_refused_with_its_code() {
    for level in [0, 1, 2] {
        let bytes = Bytes::new().text("MQTT").u8(level).u8(2).u16(60).text("c").frame(0x10);
        assert_eq!(refused(Version::V311, &bytes), 1, "level {level}");
    }
    for level in [6, 7, 100] {
        let body = Bytes::new().text("MQTT").u8(level).u8(2).u16(60).u8(0).text("c");
        assert_eq!(refused(Version::V5, &body.frame(0x10)), 0x84, "level {level}");
    }
}

// shows 3.1.1: MQTT-3.1.2-3, MQTT-3.1.4-1
// shows 5.0: MQTT-3.1.2-3, MQTT-3.1.4-1
#[test]
fn the_reserved_connect_flag_ends_the_connection() {
    for version in Version::OASIS {
        let packet = Connect::new(version, &unique("c"));
        broken_connect(version, &packet.bytes_with_flags(packet.flags() | 1));
    }
}

// shows 3.1.1: MQTT-3.1.2-11, MQTT-3.1.2-13, MQTT-3.1.2-14, MQTT-3.1.2-15
// shows 5.0: MQTT-3.1.2-11, MQTT-3.1.2-12, MQTT-3.1.2-13
#[test]
fn will_flags_that_contradict_each_other_end_the_connection() {
    for version in Version::OASIS {
        let plain = Connect::new(version, &unique("c"));
        for extra in [0x08, 0x10, 0x20] {
            broken_connect(version, &plain.bytes_with_flags(plain.flags() | extra));
        }
        let with_will = plain.will(Will::new("t", "gone"));
        broken_connect(version, &with_will.bytes_with_flags(with_will.flags() | 0x18));
        broken_connect(version, &with_will.bytes_with_flags(0x02));
    }
}

// shows 3.1.1: MQTT-3.1.2-9, MQTT-3.1.2-18, MQTT-3.1.2-19, MQTT-3.1.2-20, MQTT-3.1.2-21, MQTT-3.1.3-1
// shows 5.0: MQTT-3.1.2-9, MQTT-3.1.2-16, MQTT-3.1.2-17, MQTT-3.1.2-18, MQTT-3.1.2-19, MQTT-3.1.3-1
#[test]
fn the_payload_holds_what_the_connect_flags_say() {
    for version in Version::OASIS {
        let plain = Connect::new(version, &unique("c"));
        let full = plain.clone().will(Will::new("t", "gone")).username("user").password(b"pass");
        connect(&full).0.disconnect();
        for flags in [0x02, 0x82, 0xc2, 0x06, 0x86] {
            broken_connect(version, &full.bytes_with_flags(flags));
        }
        for flags in [0x82, 0xc2, 0x06] {
            broken_connect(version, &plain.bytes_with_flags(flags));
        }
    }
}

// shows 3.1.1: MQTT-3.1.2-22
#[test]
fn a_password_without_user_name_is_for_5_alone() {
    let packet = Connect::new(Version::V311, &unique("c")).password(b"secret");
    broken_connect(Version::V311, &packet.bytes());
    connect(&Connect::new(Version::V5, &unique("c")).password(b"secret")).0.disconnect();
}

// shows 3.1.1: MQTT-1.5.3-1, MQTT-1.5.3-2, MQTT-3.1.3-4, MQTT-3.1.3-10, MQTT-3.1.3-11
// shows 5.0: MQTT-1.5.4-1, MQTT-1.5.4-2, MQTT-3.1.3-4, MQTT-3.1.3-11, MQTT-3.1.3-12
#[test]
fn strings_of_connect_that_are_not_utf_8_end_the_connection() {
    let bad: [&[u8]; 6] =
        [b"\xc0\x80", b"\xed\xa0\x80", b"\xff", b"a\xe2\x82", b"\xf4\x90\x80\x80", b"a\0b"];
    for version in Version::OASIS {
        let header = |flags| Connect::new(version, "").header_with_flags(flags);
        let will_properties: &[u8] = if version.is_5() { &[0] } else { &[] };
        for text in bad {
            broken_connect(version, &header(0x02).binary(text).frame(0x10));
            broken_connect(version, &header(0x82).text("c").binary(text).frame(0x10));
            let will = header(0x06).text("c").raw(will_properties).binary(text).text("p");
            broken_connect(version, &will.frame(0x10));
        }
    }
}

// shows 3.1.1: MQTT-3.1.3-6
// shows 5.0: MQTT-3.1.3-6, MQTT-3.1.3-7, MQTT-3.2.2-16
#[test]
fn an_empty_client_identifier_is_replaced_by_a_unique_one() {
    for version in Version::OASIS {
        let (mut first, answer) = connect(&Connect::new(version, ""));
        let (mut second, other) = connect(&Connect::new(version, ""));
        // Neither took the place of the other.
        first.ping();
        second.ping();
        if version.is_5() {
            let assigned = answer.properties.string(property::ASSIGNED_CLIENT_IDENTIFIER);
            let assigned = assigned.expect("CONNACK tells the assigned identifier");
            let second_id = other.properties.string(property::ASSIGNED_CLIENT_IDENTIFIER);
            assert!(!assigned.is_empty() && second_id != Some(assigned));
            // It is the client's name like any other.
            let (_newcomer, _) = connect(&Connect::new(version, assigned));
            first.expect_disconnect(&[0x8e]);
        }
    }
}

// shows 3.1.1: MQTT-3.1.3-7, MQTT-3.1.3-8, MQTT-3.1.3-9
#[test]
fn an_empty_client_identifier_with_a_kept_session_is_refused() {
    let packet = Connect { clean_start: false, ..Connect::new(Version::V311, "") };
    assert_eq!(refused(Version::V311, &packet.bytes()), 2);
    // In 3.1 it is refused with a clean session too.
    assert_eq!(refused(Version::V31, &Connect::new(Version::V31, "").bytes()), 2);
}

// shows 3.1.1: MQTT-3.1.4-5
// shows 5.0: MQTT-3.1.4-6
#[test]
fn what_follows_a_refused_connect_is_not_processed() {
    for version in Version::OASIS {
        let topic = unique("t");
        let mut watcher = client(version);
        watcher.subscribe(&topic, 0);
        let mut packet = Connect { clean_start: false, ..Connect::new(version, "") };
        if version.is_5() {
            packet.properties = Properties::new().text(property::AUTHENTICATION_METHOD, "none");
        }
        let mut bytes = packet.bytes();
        bytes.extend(Publish::new(&topic, "smuggled").bytes(version));
        let mut refused = open(version);
        refused.send(&bytes);
        assert_ne!(refused.expect_connack().code, 0);
        nothing_before_marker(&mut watcher, &mut client(version), &topic);
    }
}

// shows 3.1.1: MQTT-3.1.4-2, MQTT-3.1.3-2
// shows 5.0: MQTT-3.1.4-3, MQTT-3.1.3-2, MQTT-4.13.2-1
#[test]
fn a_newcomer_with_the_same_identifier_takes_over() {
    for old in Version::ALL {
        for new in Version::ALL {
            let id = unique("c");
            let (mut first, _) = connect(&Connect::new(old, &id));
            let (mut second, _) = connect(&Connect::new(new, &id));
            first.expect_disconnect(&[0x8e]);
            second.ping();
        }
    }
}

// shows 5.0: MQTT-3.1.2-28, MQTT-4.12.0-6
#[test]
fn connack_tells_the_limits_and_nothing_more() {
    for connect_properties in [
        Properties::new(),
        Properties::new().byte(property::REQUEST_RESPONSE_INFORMATION, 0),
        Properties::new().byte(property::REQUEST_PROBLEM_INFORMATION, 1),
    ] {
        let packet = Connect::new(Version::V5, &unique("c")).properties(connect_properties);
        let (_, answer) = connect(&packet);
        let limits = Properties::new()
            .two(property::TOPIC_ALIAS_MAXIMUM, 10)
            .four(property::MAXIMUM_PACKET_SIZE, 2_000_000)
            .two(property::RECEIVE_MAXIMUM, 20);
        assert_eq!(answer.properties, limits);
    }
}

// shows 5.0: MQTT-3.1.4-1, MQTT-4.13.1-1
#[test]
fn properties_that_connect_may_not_carry_end_the_connection() {
    let none = Properties::new;
    for properties in [
        none().two(property::RECEIVE_MAXIMUM, 0),
        none().four(property::MAXIMUM_PACKET_SIZE, 0),
        none().byte(property::REQUEST_PROBLEM_INFORMATION, 2),
        none().byte(property::REQUEST_RESPONSE_INFORMATION, 2),
        none()
            .four(property::SESSION_EXPIRY_INTERVAL, 1)
            .four(property::SESSION_EXPIRY_INTERVAL, 1),
        none().two(property::TOPIC_ALIAS, 1),
        none().byte(0x7f, 1),
        none().binary(property::AUTHENTICATION_DATA, b"data without a method"),
    ] {
        let packet = Connect::new(Version::V5, &unique("c")).properties(properties);
        broken_connect(Version::V5, &packet.bytes());
    }
}

/// A CONNECT that asks for explanations and takes packets up to this size.
fn curious(maximum_packet_size: u32) -> Connect {
    let properties = Properties::new()
        .byte(property::REQUEST_PROBLEM_INFORMATION, 1)
        .four(property::MAXIMUM_PACKET_SIZE, maximum_packet_size);
    Connect::new(Version::V5, &unique("c")).properties(properties)
}

// shows 5.0: MQTT-3.2.2-19
#[test]
fn a_refusal_explains_itself_where_the_explanation_fits() {
    for (maximum, explained) in [(1000, true), (16, false)] {
        let mut packet = curious(maximum);
        packet.properties = packet.properties.text(property::AUTHENTICATION_METHOD, "none");
        let mut refused = open(Version::V5);
        refused.send(&packet.bytes());
        let answer = refused.expect_connack();
        assert_eq!(answer.code, 0x8c);
        assert_eq!(answer.properties.get(property::REASON_STRING).is_some(), explained);
        assert!(refused.largest_packet() <= maximum as usize);
    }
}

// shows 5.0: MQTT-3.14.2-3
#[test]
fn a_disconnect_explains_itself_where_the_explanation_fits() {
    for (maximum, explained) in [(1000, true), (20, false)] {
        let packet = curious(maximum);
        let (mut client, _) = connect(&packet);
        client.send(&packet.bytes());
        let Packet::Disconnect(answer) = client.expect() else { panic!("DISCONNECT was due") };
        assert_eq!(answer.reason, 0x82);
        assert_eq!(answer.properties.get(property::REASON_STRING).is_some(), explained);
        client.expect_close();
        assert!(client.largest_packet() <= maximum as usize);
    }
}
