use std::thread::sleep;
use std::time::{Duration, Instant};

use dunlin_testkit::property::{self, Properties, Value};
use dunlin_testkit::{Bytes, Connect, Publish, Version, frame, request};

use crate::support::{BROKEN, client, connect, unique};

// shows 3.1.1: MQTT-3.3.2-1, MQTT-3.3.2-3, MQTT-3.3.4-1, MQTT-2.3.1-5, MQTT-4.3.1-1
// shows 5.0: MQTT-3.3.2-1, MQTT-3.3.2-3, MQTT-3.3.4-1, MQTT-2.2.1-2, MQTT-4.3.1-1, MQTT-3.4.2-1
// shows 5.0: MQTT-3.5.2-1
#[test]
fn every_version_publishes_to_every_version_at_every_qos() {
    for from in Version::ALL {
        for to in Version::ALL {
            let topic = unique("t");
            let mut publisher = client(from);
            let mut subscriber = client(to);
            subscriber.subscribe(&topic, 2);
            for qos in 0..=2 {
                publisher.publish(&topic, "payload", qos);
                let came = subscriber.receive();
                let sent = Publish::new(&topic, "payload").qos(qos, came.packet_id);
                assert_eq!(came, sent);
            }
        }
    }
}

// shows 3.1.1: MQTT-3.3.1-2
// shows 5.0: MQTT-3.3.1-2
#[test]
fn dup_at_qos_0_ends_the_connection() {
    for version in Version::OASIS {
        let mut client = client(version);
        client.send(&Publish::new(&unique("t"), "p").dup().bytes(version));
        client.expect_disconnect(BROKEN);
    }
}

// shows 3.1.1: MQTT-3.3.1-4
// shows 5.0: MQTT-3.3.1-4
#[test]
fn qos_3_ends_the_connection() {
    for version in Version::ALL {
        let mut client = client(version);
        client.send(&Publish::new(&unique("t"), "p").qos(3, 1).bytes(version));
        client.expect_disconnect(BROKEN);
    }
}

// shows 3.1.1: MQTT-3.3.2-2, MQTT-4.7.1-1, MQTT-4.7.3-1, MQTT-4.7.3-2
// shows 5.0: MQTT-3.3.2-2, MQTT-4.7.0-1, MQTT-4.7.3-1, MQTT-4.7.3-2
#[test]
fn topic_names_that_are_none_end_the_connection() {
    let bad: [&[u8]; 8] = [b"#", b"+", b"a/+/b", b"a/#", b"a#", b"", b"a\0b", b"\xff/a"];
    for version in Version::ALL {
        for topic in bad {
            let body = Bytes::new().binary(topic).u16(1);
            let body = if version.is_5() { body.u8(0) } else { body };
            let mut client = client(version);
            client.send(&body.raw(b"payload").frame(0x32));
            client.expect_disconnect(&[0x81, 0x82, 0x90]);
        }
    }
}

// shows 3.1.1: MQTT-2.3.1-1
// shows 5.0: MQTT-2.2.1-3
#[test]
fn packet_identifier_0_ends_the_connection() {
    for version in Version::ALL {
        let topic = unique("t");
        for bytes in [
            Publish::new(&topic, "p").qos(1, 0).bytes(version),
            Publish::new(&topic, "p").qos(2, 0).bytes(version),
            request::subscribe(version, 0, &[(&topic, 0)]),
            request::unsubscribe(version, 0, &[&topic]),
        ] {
            let mut client = client(version);
            client.send(&bytes);
            client.expect_disconnect(BROKEN);
        }
    }
}

// shows 3.1.1: MQTT-3.3.1-3
// shows 5.0: MQTT-3.3.1-3
#[test]
fn dup_is_not_handed_on() {
    for version in Version::OASIS {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 2);
        for qos in [1, 2] {
            client(version).deliver(Publish::new(&topic, "again").qos(qos, 0).dup());
            assert!(!subscriber.receive().dup);
        }
    }
}

// shows 3.1.1: MQTT-1.5.3-3
// shows 5.0: MQTT-1.5.4-3
#[test]
fn a_byte_order_mark_is_a_character_like_any_other() {
    for version in Version::OASIS {
        let topic = format!("\u{feff}{}\u{feff}", unique("t"));
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 0);
        client(version).publish(&topic, "p", 0);
        assert_eq!(subscriber.receive().topic, topic);
    }
}

// shows 5.0: MQTT-3.3.2-4, MQTT-3.3.2-15, MQTT-3.3.2-16, MQTT-3.3.2-17, MQTT-3.3.2-18
// shows 5.0: MQTT-3.3.2-20
#[test]
fn properties_of_a_message_are_handed_on_unaltered() {
    let topic = unique("t");
    let mut subscriber = client(Version::V5);
    subscriber.subscribe(&topic, 2);
    let properties = Properties::new()
        .byte(property::PAYLOAD_FORMAT_INDICATOR, 1)
        .text(property::CONTENT_TYPE, "text/plain; charset=utf-8")
        .text(property::RESPONSE_TOPIC, "answers/here")
        .binary(property::CORRELATION_DATA, &[0, 255, 1, 254])
        .user("b", "2")
        .user("a", "1")
        .user("b", "1")
        .user("", "");
    for qos in 0..=2 {
        client(Version::V5)
            .deliver(Publish::new(&topic, "p").qos(qos, 0).properties(properties.clone()));
        let came = subscriber.receive().properties;
        for identifier in [
            property::PAYLOAD_FORMAT_INDICATOR,
            property::CONTENT_TYPE,
            property::RESPONSE_TOPIC,
            property::CORRELATION_DATA,
        ] {
            assert_eq!(came.get(identifier), properties.get(identifier));
        }
        assert_eq!(came.user_properties(), properties.user_properties());
        assert_eq!(came.0.len(), properties.0.len());
    }
}

// shows 5.0: MQTT-3.3.2-13, MQTT-3.3.2-14, MQTT-3.3.2-19, MQTT-1.5.7-1, MQTT-3.3.4-6
#[test]
fn properties_that_publish_may_not_carry_end_the_connection() {
    let none = Bytes::new;
    let bad = b"\xc0\x80";
    for properties in [
        none().u8(property::SUBSCRIPTION_IDENTIFIER).variable(1),
        none().u8(property::RESPONSE_TOPIC).text("a/#"),
        none().u8(property::RESPONSE_TOPIC).binary(bad),
        none().u8(property::CONTENT_TYPE).binary(bad),
        none().u8(property::USER_PROPERTY).text("name").binary(bad),
        none().u8(property::USER_PROPERTY).binary(bad).text("value"),
        none().u8(property::MESSAGE_EXPIRY_INTERVAL).u32(1).u8(2).u32(1),
        none().u8(property::PAYLOAD_FORMAT_INDICATOR).u8(2),
        none().u8(property::RECEIVE_MAXIMUM).u16(1),
        none().u8(0x70).u8(1),
    ] {
        let properties = properties.into_vec();
        let length = u32::try_from(properties.len()).expect("short");
        let body = Bytes::new().text(&unique("t")).variable(length).raw(&properties).raw(b"p");
        let mut client = client(Version::V5);
        client.send(&body.frame(0x30));
        client.expect_disconnect(&[0x81, 0x82, 0x90]);
    }
}

// shows 5.0: MQTT-3.3.2-5, MQTT-3.3.2-6
#[test]
fn messages_expire_while_they_wait_and_tell_the_time_left() {
    let (topic, id) = (unique("t"), unique("c"));
    let (mut subscriber, _) = connect(&Connect::persistent(Version::V5, &id));
    subscriber.subscribe(&topic, 1);
    subscriber.disconnect();
    let mut publisher = client(Version::V5);
    let start = Instant::now();
    for (payload, expiry) in [("short", Some(1)), ("long", Some(100)), ("for ever", None)] {
        let properties = expiry.map_or_else(Properties::new, |seconds| {
            Properties::new().four(property::MESSAGE_EXPIRY_INTERVAL, seconds)
        });
        publisher.deliver(Publish::new(&topic, payload).qos(1, 0).properties(properties));
    }
    sleep(Duration::from_millis(2200));
    let (mut subscriber, _) = connect(&Connect::persistent(Version::V5, &id));
    let long = subscriber.receive();
    assert_eq!(long.text(), "long");
    let left = long.properties.number(property::MESSAGE_EXPIRY_INTERVAL);
    assert!(
        left.is_some_and(|left| left <= 98 && left >= 99 - whole_seconds(start)),
        "{left:?} s left"
    );
    let for_ever = subscriber.receive();
    assert_eq!(for_ever.text(), "for ever");
    assert_eq!(for_ever.properties.get(property::MESSAGE_EXPIRY_INTERVAL), None);
}

#[test]
fn a_message_that_does_not_wait_keeps_its_expiry() {
    let topic = unique("t");
    let mut subscriber = client(Version::V5);
    subscriber.subscribe(&topic, 0);
    let properties = Properties::new().four(property::MESSAGE_EXPIRY_INTERVAL, 70);
    let start = Instant::now();
    client(Version::V5).deliver(Publish::new(&topic, "p").properties(properties));
    let came = subscriber.receive().properties;
    let left = came.number(property::MESSAGE_EXPIRY_INTERVAL);
    assert!(
        left.is_some_and(|left| left <= 70 && left >= 69 - whole_seconds(start)),
        "{left:?} s left"
    );
}

/// Since then, without the one that has begun.
fn whole_seconds(start: Instant) -> u32 {
    u32::try_from((Instant::now() - start).as_secs()).expect("tests do not take years")
}

// shows 3.1.1: MQTT-4.6.0-5, MQTT-4.6.0-6
// shows 5.0: MQTT-4.6.0-5, MQTT-4.6.0-6
#[test]
fn messages_of_a_publisher_arrive_in_order() {
    for version in Version::OASIS {
        for qos in 0..=2 {
            let topic = unique("t");
            let mut subscriber = client(version);
            subscriber.subscribe(&topic, qos);
            let mut publisher = client(version);
            for number in 0..50 {
                publisher.publish(&topic, &number.to_string(), qos);
            }
            for number in 0..50 {
                assert_eq!(subscriber.receive().text(), number.to_string());
            }
        }
    }
}

// shows 5.0: MQTT-3.2.2-15
#[test]
fn a_packet_above_the_maximum_size_ends_the_connection() {
    let mut client = client(Version::V5);
    client.send(&frame(0x30, &vec![0; 2_100_000]));
    // The rest of the packet may still be on its way when the broker closes, and a reset then
    // overtakes the DISCONNECT.
    match client.next(Duration::from_secs(10)) {
        dunlin_testkit::Event::Closed => {}
        dunlin_testkit::Event::Packet(dunlin_testkit::Packet::Disconnect(packet)) => {
            assert_eq!(packet.reason, 0x95);
            client.expect_close();
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_of_almost_two_megabytes_arrives_whole() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 1);
        let payload: String = (0..199_000).map(|number| format!("{number:<10}")).collect();
        client(version).publish(&topic, &payload, 1);
        assert!(subscriber.receive().text() == payload, "the payload changed on its way");
    }
}

#[test]
fn an_acknowledgement_tells_that_nobody_subscribes() {
    let mut publisher = client(Version::V5);
    let topic = unique("t");
    // At QoS 2 nobody knows before PUBREL, which sends the message on.
    for (qos, first, reason) in [(1, request::PUBACK, 0x10), (2, request::PUBREC, 0)] {
        let packet_id = publisher.packet_id();
        publisher.send(&Publish::new(&topic, "p").qos(qos, packet_id).bytes(Version::V5));
        assert_eq!(publisher.expect_ack(first, packet_id), reason);
    }
}

// shows 5.0: MQTT-3.1.2-29
#[test]
fn without_problem_information_acknowledgements_explain_nothing() {
    let asked = Properties::new().byte(property::REQUEST_PROBLEM_INFORMATION, 0);
    let packet = Connect::new(Version::V5, &unique("c")).properties(asked);
    let mut client = connect(&packet).0;
    client.send(&Publish::new(&unique("t"), "p").qos(1, 1).bytes(Version::V5));
    client.send(&request::ack(request::PUBREL, 77));
    client.send(&request::unsubscribe(Version::V5, 2, &["never/held"]));
    for _ in 0..3 {
        let packet = format!("{:?}", client.expect());
        assert!(packet.contains(&format!("{:?}", Vec::<(u8, Value)>::new())), "{packet}");
    }
}
