use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::request::{self, PUBACK, PUBCOMP, PUBREC, PUBREL};
use dunlin_testkit::{Connect, Packet, Publish, Version};

use crate::support::{client, connect, nothing_before_marker, unique};

// shows 3.1.1: MQTT-2.3.1-6, MQTT-4.3.2-2
// shows 5.0: MQTT-2.2.1-5, MQTT-4.3.2-4, MQTT-4.3.2-5
#[test]
fn an_identifier_is_new_again_after_puback() {
    for version in Version::OASIS {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 1);
        let mut publisher = client(version);
        let first = Publish::new(&topic, "first").qos(1, 0x1234);
        let second = Publish { dup: true, payload: b"second".to_vec(), ..first.clone() };
        for publish in [&first, &second] {
            publisher.send(&publish.bytes(version));
            assert_eq!(publisher.expect_ack(PUBACK, 0x1234), 0);
            assert_eq!(subscriber.receive().payload, publish.payload);
        }
    }
}

// shows 3.1.1: MQTT-4.3.3-2
// shows 5.0: MQTT-4.3.3-8, MQTT-4.3.3-10, MQTT-4.3.3-11, MQTT-4.3.3-12, MQTT-3.7.2-1
#[test]
fn a_qos_2_message_is_handed_on_once_and_after_pubrel() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 0);
        let mut publisher = client(version);
        let publish = Publish::new(&topic, "once").qos(2, 9);
        publisher.send(&publish.bytes(version));
        assert_eq!(publisher.expect_ack(PUBREC, 9), 0);
        for _ in 0..3 {
            publisher.send(&publish.clone().dup().bytes(version));
            assert_eq!(publisher.expect_ack(PUBREC, 9), 0);
        }
        subscriber.expect_nothing_for(50);
        publisher.send(&request::ack(PUBREL, 9));
        assert_eq!(publisher.expect_ack(PUBCOMP, 9), 0);
        assert_eq!(subscriber.receive().text(), "once");
        nothing_before_marker(&mut subscriber, &mut client(version), &topic);
        publisher.send(&Publish::new(&topic, "new").qos(2, 9).bytes(version));
        publisher.expect_ack(PUBREC, 9);
        publisher.send(&request::ack(PUBREL, 9));
        publisher.expect_ack(PUBCOMP, 9);
        assert_eq!(subscriber.receive().text(), "new");
    }
}

#[test]
fn acknowledgements_nobody_waits_for_are_tolerated() {
    for version in Version::ALL {
        let mut client = client(version);
        client.send(&request::ack(PUBACK, 1));
        client.send(&request::ack(PUBCOMP, 3));
        client.ping();
        client.send(&request::ack(PUBREL, 4));
        // Success, as Mosquitto says: it may be a PUBREL repeated after its PUBCOMP was lost.
        assert_eq!(client.expect_ack(PUBCOMP, 4), 0);
        // PUBREC of an unknown packet may be met by a PUBREL that says so, or by silence.
        client.send(&request::ack(PUBREC, 2));
        client.send(&request::PINGREQ);
        match client.expect() {
            Packet::PingResp => {}
            Packet::PubRel(ack) if ack.packet_id == 2 => {
                assert_eq!(client.expect(), Packet::PingResp);
            }
            other => panic!("{other:?}"),
        }
    }
}

// shows 3.1.1: MQTT-4.3.3-1
// shows 5.0: MQTT-4.3.3-2, MQTT-4.3.3-4, MQTT-3.6.2-1, MQTT-4.3.2-2
#[test]
fn the_broker_sends_each_qos_in_its_steps() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 2);
        let mut publisher = client(version);
        publisher.publish(&topic, "one", 1);
        let one = subscriber.expect_publish();
        assert_eq!((one.qos, one.dup), (1, false));
        subscriber.send(&request::ack(PUBACK, one.packet_id));
        publisher.publish(&topic, "two", 2);
        let two = subscriber.expect_publish();
        assert_eq!((two.qos, two.dup), (2, false));
        subscriber.send(&request::ack(PUBREC, two.packet_id));
        assert_eq!(subscriber.expect_ack(PUBREL, two.packet_id), 0);
        subscriber.send(&request::ack(PUBCOMP, two.packet_id));
        subscriber.ping();
    }
}

// shows 3.1.1: MQTT-2.3.1-4, MQTT-4.3.2-1
// shows 5.0: MQTT-2.2.1-4, MQTT-4.3.2-1, MQTT-4.3.3-1
#[test]
fn messages_in_flight_have_identifiers_of_their_own() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 2);
        let mut publisher = client(version);
        let mut seen = BTreeSet::new();
        for number in 0..16 {
            publisher.publish(&topic, "p", 1 + number % 2);
            let publish = subscriber.expect_publish();
            assert!(seen.insert(publish.packet_id), "{} twice", publish.packet_id);
        }
        // An acknowledged identifier is free, the others stay taken.
        let freed = *seen.first().expect("16 messages came");
        subscriber.send(&request::ack(PUBACK, freed));
        seen.remove(&freed);
        publisher.publish(&topic, "p", 1);
        assert!(!seen.contains(&subscriber.expect_publish().packet_id));
    }
}

// shows 5.0: MQTT-4.4.0-2
#[test]
fn a_refused_message_is_done_with() {
    let (topic, id) = (unique("t"), unique("c"));
    let (mut subscriber, _) = connect(&Connect::persistent(Version::V5, &id));
    subscriber.subscribe(&topic, 2);
    let mut publisher = client(Version::V5);
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        publisher.publish(&topic, "unwanted", qos);
        let publish = subscriber.expect_publish();
        subscriber.send(&request::ack_with(first, publish.packet_id, 0x83));
    }
    subscriber.ping();
    subscriber.drop_connection();
    let (mut subscriber, answer) = connect(&Connect::persistent(Version::V5, &id));
    assert!(answer.session_present);
    nothing_before_marker(&mut subscriber, &mut publisher, &topic);
}

// shows 5.0: MQTT-4.3.3-7, MQTT-4.3.3-13
#[test]
fn a_qos_2_exchange_that_began_outlives_the_message_expiry() {
    let (topic, id) = (unique("t"), unique("c"));
    let (mut subscriber, _) = connect(&Connect::persistent(Version::V5, &id));
    subscriber.subscribe(&topic, 2);
    let mut publisher = client(Version::V5);
    let expiring = Properties::new().four(property::MESSAGE_EXPIRY_INTERVAL, 4);
    publisher.deliver(Publish::new(&topic, "begun").qos(2, 0).properties(expiring.clone()));
    let first = subscriber.expect_publish();
    subscriber.drop_connection();
    publisher.send(&Publish::new(&topic, "late").qos(2, 9).properties(expiring).bytes(Version::V5));
    assert_eq!(publisher.expect_ack(PUBREC, 9), 0);
    sleep(Duration::from_millis(5100));
    publisher.send(&request::ack(PUBREL, 9));
    publisher.expect_ack(PUBCOMP, 9);
    let (mut subscriber, _) = connect(&Connect::persistent(Version::V5, &id));
    let again = subscriber.receive();
    assert_eq!((again.text(), again.packet_id), ("begun".to_owned(), first.packet_id));
}

#[test]
fn a_subscriber_to_its_own_message_gets_it_before_the_puback() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut client = client(version);
        client.subscribe(&topic, 0);
        client.send(&Publish::new(&topic, "mine").qos(1, 7).bytes(version));
        assert_eq!(client.expect_publish().text(), "mine");
        assert_eq!(client.expect_ack(PUBACK, 7), 0);
    }
}
