use dunlin_testkit::request::{self, PUBACK, PUBCOMP, PUBREC, PUBREL, UNSUBSCRIBE, unsubscribe};
use dunlin_testkit::{Bytes, Version};

use crate::support::{BROKEN, client, nothing_before_marker, unique};

// shows 3.1.1: MQTT-3.10.4-2, MQTT-3.10.4-4
// shows 5.0: MQTT-3.10.4-2, MQTT-3.10.4-4, MQTT-3.11.3-2
#[test]
fn after_unsuback_no_new_messages_come() {
    for version in Version::ALL {
        let (topic, marker) = (unique("t"), unique("t"));
        let mut subscriber = client(version);
        subscriber.subscribe(&marker, 0);
        subscriber.subscribe(&topic, 1);
        let mut publisher = client(version);
        publisher.publish(&topic, "before", 1);
        assert_eq!(subscriber.receive().text(), "before");
        let answer = subscriber.unsubscribe(&topic);
        assert_eq!(answer.codes, if version.is_5() { vec![0] } else { vec![] });
        publisher.publish(&topic, "after", 1);
        nothing_before_marker(&mut subscriber, &mut publisher, &marker);
    }
}

// shows 3.1.1: MQTT-3.10.4-1, MQTT-3.10.4-5
// shows 5.0: MQTT-3.10.4-1, MQTT-3.10.4-5
#[test]
fn only_an_equal_filter_is_removed() {
    for version in Version::ALL {
        let base = unique("t");
        let held = format!("{base}/+");
        let mut subscriber = client(version);
        subscriber.subscribe(&held, 0);
        for other in [format!("{base}/a"), format!("{base}/#"), format!("{base}/+/"), "#".into()] {
            let answer = subscriber.unsubscribe(&other);
            assert_eq!(answer.codes, if version.is_5() { vec![0x11] } else { vec![] });
        }
        client(version).publish(&format!("{base}/a"), "p", 0);
        subscriber.receive();
    }
}

// shows 3.1.1: MQTT-3.10.4-6
// shows 5.0: MQTT-3.10.4-6, MQTT-3.11.3-1
#[test]
fn several_filters_share_one_unsuback_in_their_order() {
    for version in Version::ALL {
        let topics = [unique("t"), unique("t"), unique("t")];
        let mut subscriber = client(version);
        subscriber.subscribe(&topics[0], 0);
        subscriber.subscribe(&topics[2], 0);
        let filters: Vec<_> = topics.iter().map(String::as_str).collect();
        subscriber.send(&unsubscribe(version, 0x7fff, &filters));
        let answer = subscriber.expect_unsuback();
        assert_eq!(answer.packet_id, 0x7fff);
        assert_eq!(answer.codes, if version.is_5() { vec![0, 0x11, 0] } else { vec![] });
        for topic in &topics {
            client(version).publish(topic, "p", 0);
        }
        subscriber.expect_nothing_for(50);
    }
}

// shows 3.1.1: MQTT-3.10.4-3
// shows 5.0: MQTT-3.10.4-3
#[test]
fn a_delivery_that_began_is_completed_after_unsubscribe() {
    for version in Version::OASIS {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 2);
        let mut publisher = client(version);
        publisher.publish(&topic, "one", 1);
        publisher.publish(&topic, "two", 2);
        let one = subscriber.expect_publish();
        let two = subscriber.expect_publish();
        subscriber.unsubscribe(&topic);
        subscriber.send(&request::ack(PUBACK, one.packet_id));
        subscriber.send(&request::ack(PUBREC, two.packet_id));
        assert_eq!(subscriber.expect_ack(PUBREL, two.packet_id), 0);
        subscriber.send(&request::ack(PUBCOMP, two.packet_id));
        subscriber.ping();
    }
}

// shows 3.1.1: MQTT-3.10.1-1
// shows 5.0: MQTT-3.10.1-1
#[test]
fn unsubscribe_with_other_flags_ends_the_connection() {
    for version in Version::OASIS {
        for first in [0xa0, 0xa1, 0xa3, 0xa6, 0xaa] {
            let mut bytes = unsubscribe(version, 1, &["a"]);
            bytes[0] = first;
            let mut client = client(version);
            client.send(&bytes);
            client.expect_disconnect(BROKEN);
        }
    }
}

// shows 3.1.1: MQTT-3.10.3-2
// shows 5.0: MQTT-3.10.3-2
#[test]
fn unsubscribe_without_filter_ends_the_connection() {
    for version in Version::ALL {
        let mut client = client(version);
        client.send(&unsubscribe(version, 1, &[]));
        client.expect_disconnect(BROKEN);
    }
}

// shows 3.1.1: MQTT-3.10.3-1
// shows 5.0: MQTT-3.10.3-1
#[test]
fn filters_to_remove_that_are_not_utf_8_end_the_connection() {
    for version in Version::OASIS {
        for filter in [b"\xc0\x80".as_slice(), b"\xed\xa0\x80", b"a\0b"] {
            let body = Bytes::new().u16(1).raw(if version.is_5() { &[0] } else { &[] });
            let mut client = client(version);
            client.send(&body.binary(filter).frame(UNSUBSCRIBE));
            client.expect_disconnect(&[0x81, 0x82, 0x8f]);
        }
    }
}
