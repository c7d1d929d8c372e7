use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::request::{SUBSCRIBE, subscribe, subscribe_with};
use dunlin_testkit::{Bytes, Event, Packet, Publish, Version};

use crate::support::{BROKEN, client, nothing_before_marker, unique};

// shows 3.1.1: MQTT-2.3.1-7, MQTT-3.8.4-1, MQTT-3.8.4-2, MQTT-3.8.4-4, MQTT-3.8.4-5, MQTT-3.9.3-1
// shows 3.1.1: MQTT-3.9.3-2
// shows 5.0: MQTT-2.2.1-6, MQTT-3.8.4-1, MQTT-3.8.4-2, MQTT-3.8.4-5, MQTT-3.8.4-6, MQTT-3.8.4-7
// shows 5.0: MQTT-3.9.3-1, MQTT-3.9.3-2
#[test]
fn suback_grants_every_filter_in_order() {
    for version in Version::ALL {
        let topics = [unique("t"), unique("t"), unique("t"), unique("t")];
        let mut client = client(version);
        let filters: Vec<_> =
            topics.iter().zip([2, 0, 1, 2]).map(|(topic, qos)| (topic.as_str(), qos)).collect();
        client.send(&subscribe(version, 0xfffe, &filters));
        let answer = client.expect_suback();
        assert_eq!((answer.packet_id, answer.codes), (0xfffe, vec![2, 0, 1, 2]));
        for topic in &topics {
            client.send(&Publish::new(topic, "p").bytes(version));
            assert_eq!(client.receive().topic, *topic);
        }
    }
}

// shows 3.1.1: MQTT-3.8.4-6
// shows 5.0: MQTT-3.8.4-8
#[test]
fn messages_arrive_at_the_lower_qos_of_both() {
    for version in Version::ALL {
        for granted in 0..=2 {
            let topic = unique("t");
            let mut subscriber = client(version);
            subscriber.subscribe(&topic, granted);
            for published in 0..=2 {
                client(version).publish(&topic, "p", published);
                assert_eq!(subscriber.receive().qos, granted.min(published));
            }
        }
    }
}

// shows 3.1.1: MQTT-3.8.1-1
// shows 5.0: MQTT-3.8.1-1
#[test]
fn subscribe_with_other_flags_ends_the_connection() {
    for version in Version::OASIS {
        for first in [0x80, 0x81, 0x83, 0x86, 0x8a] {
            let mut client = client(version);
            let mut bytes = subscribe(version, 1, &[(&unique("t"), 0)]);
            bytes[0] = first;
            client.send(&bytes);
            client.expect_disconnect(BROKEN);
        }
    }
}

// shows 3.1.1: MQTT-3.8.3-3
// shows 5.0: MQTT-3.8.3-2
#[test]
fn subscribe_without_filter_ends_the_connection() {
    for version in Version::ALL {
        let mut client = client(version);
        client.send(&subscribe(version, 1, &[]));
        client.expect_disconnect(BROKEN);
    }
}

// shows 3.1.1: MQTT-3.8.3-4
// shows 5.0: MQTT-3.8.3-5
#[test]
fn reserved_bits_beside_a_filter_end_the_connection() {
    for version in Version::OASIS {
        let bad: &[u8] = if version.is_5() { &[3, 0x30, 0x40, 0x80] } else { &[3, 4, 0x10, 0x80] };
        for options in bad {
            let mut client = client(version);
            client.send(&subscribe(version, 1, &[(&unique("t"), *options)]));
            client.expect_disconnect(BROKEN);
        }
    }
}

// shows 3.1.1: MQTT-3.8.3-1
// shows 5.0: MQTT-3.8.3-1
#[test]
fn filters_that_are_not_utf_8_end_the_connection() {
    for version in Version::OASIS {
        for filter in [b"\xc0\x80".as_slice(), b"\xed\xa0\x80", b"a\0b", b"\xff"] {
            let body = Bytes::new().u16(1).raw(if version.is_5() { &[0] } else { &[] });
            let mut client = client(version);
            client.send(&body.binary(filter).u8(0).frame(SUBSCRIBE));
            client.expect_disconnect(&[0x81, 0x82, 0x8f]);
        }
    }
}

// shows 3.1.1: MQTT-4.7.1-2, MQTT-4.7.1-3
// shows 5.0: MQTT-4.7.1-1, MQTT-4.7.1-2
#[test]
fn misplaced_wildcards_are_refused() {
    for version in Version::OASIS {
        for filter in ["a#", "#/a", "a/#/b", "a/b#", "##", "a+", "+a", "a/+b/c", "++", ""] {
            let mut client = client(version);
            client.send(&subscribe(version, 1, &[(filter, 0)]));
            match client.next(std::time::Duration::from_secs(10)) {
                Event::Closed => assert!(!version.is_5()),
                Event::Packet(Packet::SubAck(answer)) => assert!(answer.codes[0] >= 0x80),
                Event::Packet(Packet::Disconnect(packet)) => {
                    assert!([0x81, 0x82, 0x8f].contains(&packet.reason));
                    client.expect_close();
                }
                other => panic!("{filter:?} led to {other:?}"),
            }
        }
    }
}

// shows 3.1.1: MQTT-3.8.4-3
// shows 5.0: MQTT-3.8.4-3, MQTT-3.8.4-4
#[test]
fn subscribing_again_replaces_the_subscription() {
    for version in Version::ALL {
        let (base, mut publisher) = (unique("t"), client(version));
        let (topic, filter) = (format!("{base}/a"), format!("{base}/+"));
        publisher.deliver(Publish::new(&topic, "kept").qos(1, 0).retained());
        let mut subscriber = client(version);
        for qos in [2, 0, 1] {
            subscriber.subscribe(&filter, qos);
            let kept = subscriber.receive();
            assert_eq!((kept.text().as_str(), kept.retain, kept.qos), ("kept", true, qos.min(1)));
            publisher.publish(&topic, "live", 2);
            let live = subscriber.receive();
            assert_eq!((live.text().as_str(), live.qos), ("live", qos));
            nothing_before_marker(&mut subscriber, &mut publisher, &topic);
        }
    }
}

// shows 3.1.1: MQTT-3.3.5-1
// shows 5.0: MQTT-3.3.4-2
#[test]
fn overlapping_subscriptions_reach_the_highest_qos() {
    for version in Version::ALL {
        let base = unique("t");
        let mut subscriber = client(version);
        for (filter, qos) in [(format!("{base}/#"), 0), (format!("{base}/+"), 2)] {
            subscriber.subscribe(&filter, qos);
        }
        let mut publisher = client(version);
        publisher.publish(&format!("{base}/a"), "p", 2);
        publisher.publish(&base, "end", 0);
        let copies = std::iter::from_fn(|| {
            let copy = subscriber.receive();
            (copy.text() != "end").then_some(copy.qos)
        });
        assert_eq!(copies.max(), Some(2));
    }
}

// shows 5.0: MQTT-3.3.4-3, MQTT-3.3.4-5
#[test]
fn each_copy_carries_the_identifier_of_its_subscription() {
    let base = unique("t");
    let mut subscriber = client(Version::V5);
    for (packet_id, filter, identifier) in
        [(1, format!("{base}/#"), 1), (2, format!("{base}/+"), 268_435_455), (3, base.clone(), 0)]
    {
        let properties = if identifier > 0 {
            Properties::new().variable(property::SUBSCRIPTION_IDENTIFIER, identifier)
        } else {
            Properties::new()
        };
        subscriber.send(&subscribe_with(Version::V5, packet_id, &properties, &[(&filter, 1)]));
        assert_eq!(subscriber.expect_suback().codes, [1]);
    }
    let identifiers = |subscriber: &mut dunlin_testkit::RawClient, copies: usize| {
        let mut found: Vec<_> = (0..copies)
            .map(|_| subscriber.receive().properties.number(property::SUBSCRIPTION_IDENTIFIER))
            .collect();
        found.sort_unstable();
        found
    };
    let mut publisher = client(Version::V5);
    publisher.publish(&format!("{base}/a"), "p", 1);
    assert_eq!(identifiers(&mut subscriber, 2), [Some(1), Some(268_435_455)]);
    publisher.publish(&base, "p", 1);
    assert_eq!(identifiers(&mut subscriber, 2), [None, Some(1)]);
}

#[test]
fn subscription_identifier_0_ends_the_connection() {
    let mut client = client(Version::V5);
    let zero = Properties::new().variable(property::SUBSCRIPTION_IDENTIFIER, 0);
    client.send(&subscribe_with(Version::V5, 1, &zero, &[(&unique("t"), 0)]));
    client.expect_disconnect(BROKEN);
}

// shows 5.0: MQTT-3.8.3-3
#[test]
fn no_local_keeps_own_messages_away() {
    let topic = unique("t");
    let mut own = client(Version::V5);
    own.subscribe(&topic, 1 | 0x04);
    own.send(&Publish::new(&topic, "own").qos(1, 9).bytes(Version::V5));
    assert!(matches!(own.expect(), Packet::PubAck(_)));
    nothing_before_marker(&mut own, &mut client(Version::V5), &topic);
}

// shows 5.0: MQTT-3.8.3-4
#[test]
fn no_local_on_a_shared_subscription_ends_the_connection() {
    let mut client = client(Version::V5);
    let filter = format!("$share/group/{}", unique("t"));
    client.send(&subscribe(Version::V5, 1, &[(&filter, 0x04)]));
    client.expect_disconnect(&[0x82]);
}

#[test]
fn an_unfinished_filter_ends_the_connection() {
    for version in Version::ALL {
        let mut bytes = subscribe(version, 1, &[("abc", 0)]);
        bytes.pop();
        bytes[1] -= 1;
        let mut client = client(version);
        client.send(&bytes);
        client.expect_disconnect(BROKEN);
    }
}
