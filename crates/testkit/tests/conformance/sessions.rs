use std::thread::sleep;
use std::time::Duration;

use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::request::{self, PUBACK, PUBCOMP, PUBREC, PUBREL};
use dunlin_testkit::{Connect, Publish, Version};

use crate::support::{client, connect, nothing_before_marker, unique};

// shows 3.1.1: MQTT-3.1.2-4, MQTT-3.1.2-5, MQTT-3.2.2-2, MQTT-3.2.2-3, MQTT-4.1.0-1, MQTT-4.5.0-1
// shows 5.0: MQTT-3.1.2-5, MQTT-3.1.2-6, MQTT-3.1.2-23, MQTT-3.2.2-3, MQTT-4.5.0-1
#[test]
fn a_kept_session_is_resumed_with_subscriptions_and_messages() {
    for version in Version::ALL {
        let (topic, packet) = (unique("t"), Connect::persistent(version, &unique("c")));
        let (mut subscriber, answer) = connect(&packet);
        assert!(!answer.session_present);
        subscriber.subscribe(&topic, 2);
        subscriber.disconnect();
        let mut publisher = client(version);
        for qos in 0..=2 {
            publisher.publish(&topic, &format!("stored {qos}"), qos);
        }
        let (mut subscriber, answer) = connect(&packet);
        assert_eq!(answer.session_present, version != Version::V31);
        for qos in 1..=2 {
            assert_eq!(subscriber.receive().text(), format!("stored {qos}"));
        }
        publisher.publish(&topic, "live", 0);
        assert_eq!(subscriber.receive().text(), "live");
    }
}

// shows 3.1.1: MQTT-3.1.2-6, MQTT-3.1.4-3
// shows 5.0: MQTT-3.1.2-4, MQTT-3.1.4-4
#[test]
fn a_clean_start_throws_the_session_away() {
    for version in Version::ALL {
        let (topic, id) = (unique("t"), unique("c"));
        let (mut subscriber, _) = connect(&Connect::persistent(version, &id));
        subscriber.subscribe(&topic, 1);
        subscriber.disconnect();
        let mut publisher = client(version);
        publisher.publish(&topic, "stored", 1);
        let (mut subscriber, answer) = connect(&Connect::new(version, &id));
        assert!(!answer.session_present);
        publisher.publish(&topic, "live", 1);
        subscriber.expect_nothing_for(50);
        subscriber.ping();
        subscriber.disconnect();
        // The clean session left nothing behind either.
        let (_, answer) = connect(&Connect::persistent(version, &id));
        assert!(!answer.session_present);
    }
}

// shows 3.1.1: MQTT-4.1.0-2
// shows 5.0: MQTT-4.1.0-1
#[test]
fn a_session_lasts_as_long_as_its_connection() {
    for version in Version::ALL {
        let topic = unique("t");
        let packet = Connect::new(version, &unique("c"));
        let (mut subscriber, _) = connect(&packet);
        subscriber.subscribe(&topic, 1);
        sleep(Duration::from_millis(1200));
        client(version).publish(&topic, "p", 1);
        assert_eq!(subscriber.receive().text(), "p");
    }
}

// shows 5.0: MQTT-4.1.0-2
#[test]
fn a_session_ends_when_its_expiry_has_passed() {
    let with_expiry = |id: &str, seconds| {
        let packet = Connect { clean_start: false, ..Connect::new(Version::V5, id) };
        packet.properties(Properties::new().four(property::SESSION_EXPIRY_INTERVAL, seconds))
    };
    let (short, long, never) = (unique("c"), unique("c"), unique("c"));
    for (id, seconds) in [(&short, 1), (&long, 100), (&never, u32::MAX)] {
        connect(&with_expiry(id, seconds)).0.disconnect();
    }
    sleep(Duration::from_millis(2200));
    for (id, present) in [(&short, false), (&long, true), (&never, true)] {
        assert_eq!(connect(&with_expiry(id, 0)).1.session_present, present, "{id}");
    }
}

#[test]
fn disconnect_changes_the_expiry_of_the_session() {
    let id = unique("c");
    let (mut client, _) = connect(&Connect::persistent(Version::V5, &id));
    let now = Properties::new().four(property::SESSION_EXPIRY_INTERVAL, 0);
    client.send(&request::disconnect_with(0, &now));
    client.expect_close();
    assert!(!connect(&Connect::persistent(Version::V5, &id)).1.session_present);
}

// shows 3.1.1: MQTT-3.3.1-1, MQTT-4.4.0-1, MQTT-4.6.0-1
// shows 5.0: MQTT-3.3.1-1, MQTT-4.4.0-1, MQTT-4.3.2-3, MQTT-4.3.3-3
#[test]
fn unacknowledged_messages_come_again_in_order_when_a_session_is_resumed() {
    for version in Version::ALL {
        let (topic, packet) = (unique("t"), Connect::persistent(version, &unique("c")));
        let (mut subscriber, _) = connect(&packet);
        subscriber.subscribe(&topic, 2);
        let mut publisher = client(version);
        let mut first = Vec::new();
        for number in 0..6 {
            publisher.publish(&topic, &number.to_string(), 1 + number % 2);
            first.push(subscriber.expect_publish());
        }
        // Never while the connection lasts.
        subscriber.expect_nothing_for(300);
        subscriber.drop_connection();
        let (mut subscriber, _) = connect(&packet);
        for publish in first {
            let again = subscriber.expect_publish();
            assert_eq!(again, Publish { dup: true, ..publish });
        }
    }
}

// shows 5.0: MQTT-4.3.3-5, MQTT-4.3.3-6
#[test]
fn an_unanswered_pubrel_comes_again_and_its_publish_does_not() {
    for version in Version::ALL {
        let (topic, packet) = (unique("t"), Connect::persistent(version, &unique("c")));
        let (mut subscriber, _) = connect(&packet);
        subscriber.subscribe(&topic, 2);
        client(version).publish(&topic, "p", 2);
        let publish = subscriber.expect_publish();
        subscriber.send(&request::ack(PUBREC, publish.packet_id));
        subscriber.expect_ack(PUBREL, publish.packet_id);
        subscriber.drop_connection();
        let (mut subscriber, _) = connect(&packet);
        subscriber.expect_ack(PUBREL, publish.packet_id);
        subscriber.send(&request::ack(PUBCOMP, publish.packet_id));
        subscriber.ping();
        subscriber.drop_connection();
        connect(&packet).0.ping();
    }
}

#[test]
fn a_qos_2_message_sent_again_in_a_resumed_session_is_handed_on_once() {
    for version in Version::ALL {
        let (topic, packet) = (unique("t"), Connect::persistent(version, &unique("c")));
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 0);
        let (mut publisher, _) = connect(&packet);
        let publish = Publish::new(&topic, "once").qos(2, 5);
        publisher.send(&publish.bytes(version));
        publisher.expect_ack(PUBREC, 5);
        publisher.drop_connection();
        let (mut publisher, _) = connect(&packet);
        publisher.send(&publish.dup().bytes(version));
        assert_eq!(publisher.expect_ack(PUBREC, 5), 0);
        publisher.send(&request::ack(PUBREL, 5));
        assert_eq!(publisher.expect_ack(PUBCOMP, 5), 0);
        assert_eq!(subscriber.receive().text(), "once");
        nothing_before_marker(&mut subscriber, &mut publisher, &topic);
    }
}

#[test]
fn acknowledged_messages_do_not_come_again() {
    for version in Version::ALL {
        let (topic, packet) = (unique("t"), Connect::persistent(version, &unique("c")));
        let (mut subscriber, _) = connect(&packet);
        subscriber.subscribe(&topic, 1);
        let mut publisher = client(version);
        for number in 0..3 {
            publisher.publish(&topic, &number.to_string(), 1);
        }
        let came: Vec<_> = (0..3).map(|_| subscriber.expect_publish()).collect();
        subscriber.send(&request::ack(PUBACK, came[1].packet_id));
        subscriber.ping();
        subscriber.drop_connection();
        let (mut subscriber, _) = connect(&packet);
        assert_eq!(subscriber.receive().text(), "0");
        assert_eq!(subscriber.receive().text(), "2");
        nothing_before_marker(&mut subscriber, &mut publisher, &topic);
    }
}

#[test]
fn a_session_goes_on_across_a_takeover() {
    for version in Version::ALL {
        let (topic, packet) = (unique("t"), Connect::persistent(version, &unique("c")));
        let (mut old, _) = connect(&packet);
        old.subscribe(&topic, 1);
        client(version).publish(&topic, "unacknowledged", 1);
        old.expect_publish();
        let (mut new, answer) = connect(&packet);
        assert_eq!(answer.session_present, version != Version::V31);
        let again = new.receive();
        assert!(again.dup);
        assert_eq!(again.text(), "unacknowledged");
    }
}
