use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::request::{self, PUBACK, PUBCOMP, PUBREC, PUBREL};
use dunlin_testkit::{Connect, Publish, Version};

use crate::support::{client, connect, nothing_before_marker, unique};

fn limited(properties: Properties) -> dunlin_testkit::RawClient {
    connect(&Connect::new(Version::V5, &unique("c")).properties(properties)).0
}

// shows 5.0: MQTT-3.3.4-9, MQTT-3.3.4-10, MQTT-4.9.0-1, MQTT-4.9.0-2, MQTT-4.9.0-3
#[test]
fn the_broker_keeps_to_the_receive_maximum_of_the_client() {
    let topic = unique("t");
    let mut subscriber = limited(Properties::new().two(property::RECEIVE_MAXIMUM, 2));
    subscriber.subscribe(&topic, 2);
    let mut publisher = client(Version::V5);
    for number in 0..5 {
        publisher.publish(&topic, &number.to_string(), 1 + number % 2);
    }
    let one = subscriber.expect_publish();
    let two = subscriber.expect_publish();
    subscriber.expect_nothing_for(100);
    // Everything else goes on at a quota of zero, QoS 0 among it.
    subscriber.ping();
    subscriber.subscribe(&unique("t"), 0);
    publisher.publish(&topic, "unlimited", 0);
    assert_eq!(subscriber.expect_publish().text(), "unlimited");
    // PUBREC alone frees nothing, PUBCOMP and PUBACK do.
    subscriber.send(&request::ack(PUBREC, two.packet_id));
    subscriber.expect_ack(PUBREL, two.packet_id);
    subscriber.expect_nothing_for(50);
    subscriber.send(&request::ack(PUBCOMP, two.packet_id));
    assert_eq!(subscriber.expect_publish().text(), "2");
    subscriber.expect_nothing_for(50);
    subscriber.send(&request::ack(PUBACK, one.packet_id));
    let four = subscriber.expect_publish();
    assert_eq!(four.text(), "3");
    // A PUBREC that refuses frees at once.
    subscriber.send(&request::ack_with(PUBREC, four.packet_id, 0x80));
    assert_eq!(subscriber.expect_publish().text(), "4");
}

#[test]
fn before_5_the_broker_limits_what_is_in_flight_by_itself() {
    for version in [Version::V31, Version::V311] {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 1);
        let mut publisher = client(version);
        for number in 0..60 {
            publisher.publish(&topic, &number.to_string(), 1);
        }
        for number in 0..60 {
            assert_eq!(subscriber.receive().text(), number.to_string());
        }
    }
}

// shows 5.0: MQTT-3.3.4-7
#[test]
fn more_than_the_receive_maximum_of_the_broker_ends_the_connection() {
    let topic = unique("t");
    let mut publisher = client(Version::V5);
    for packet_id in 1..=20 {
        publisher.send(&Publish::new(&topic, "p").qos(2, packet_id).bytes(Version::V5));
        publisher.expect_ack(PUBREC, packet_id);
    }
    publisher.send(&Publish::new(&topic, "p").qos(2, 21).bytes(Version::V5));
    publisher.expect_disconnect(&[0x93]);
}

#[test]
fn a_full_receive_maximum_can_be_sent_again_when_a_session_is_resumed() {
    let topic = unique("t");
    let packet = Connect::persistent(Version::V5, &unique("c"));
    let (mut publisher, _) = connect(&packet);
    for packet_id in 1..=20 {
        publisher.send(&Publish::new(&topic, "p").qos(2, packet_id).bytes(Version::V5));
        publisher.expect_ack(PUBREC, packet_id);
    }
    publisher.drop_connection();
    let (mut publisher, answer) = connect(&packet);
    assert!(answer.session_present);
    for packet_id in 1..=20 {
        publisher.send(&Publish::new(&topic, "p").qos(2, packet_id).dup().bytes(Version::V5));
        publisher.expect_ack(PUBREC, packet_id);
    }
    for packet_id in 1..=20 {
        publisher.send(&request::ack(PUBREL, packet_id));
        publisher.expect_ack(PUBCOMP, packet_id);
    }
    publisher.publish(&topic, "room again", 2);
}

// shows 5.0: MQTT-3.1.2-24, MQTT-3.1.2-25
#[test]
fn messages_too_large_for_the_client_count_as_delivered() {
    let topic = unique("t");
    let mut subscriber = limited(
        Properties::new()
            .four(property::MAXIMUM_PACKET_SIZE, 100)
            .two(property::RECEIVE_MAXIMUM, 1),
    );
    subscriber.subscribe(&topic, 1);
    let mut publisher = client(Version::V5);
    for number in 0..10 {
        publisher.publish(&topic, &"x".repeat(200), number % 2);
    }
    publisher.publish(&topic, "small", 1);
    assert_eq!(subscriber.receive().text(), "small");
    nothing_before_marker(&mut subscriber, &mut publisher, &topic);
    assert!(subscriber.largest_packet() <= 100);
}

#[test]
fn a_message_of_exactly_the_maximum_packet_size_is_delivered() {
    let topic = unique("t");
    let mut subscriber = limited(Properties::new().four(property::MAXIMUM_PACKET_SIZE, 120));
    subscriber.subscribe(&topic, 0);
    let mut publisher = client(Version::V5);
    // First byte, remaining length, topic with its length, property length.
    let room = 120 - 1 - 1 - 2 - topic.len() - 1;
    publisher.publish(&topic, &"x".repeat(room + 1), 0);
    publisher.publish(&topic, &"x".repeat(room), 0);
    assert_eq!(subscriber.receive().payload.len(), room);
    assert_eq!(subscriber.largest_packet(), 120);
}

#[test]
fn a_backlog_is_delivered_as_acknowledgements_make_room() {
    let (topic, id) = (unique("t"), unique("c"));
    let packet = || {
        let packet = Connect::persistent(Version::V5, &id);
        let properties = packet.properties.clone().two(property::RECEIVE_MAXIMUM, 3);
        packet.properties(properties)
    };
    let (mut subscriber, _) = connect(&packet());
    subscriber.subscribe(&topic, 1);
    subscriber.disconnect();
    let mut publisher = client(Version::V5);
    for number in 0..50 {
        publisher.publish(&topic, &number.to_string(), 1);
    }
    let (mut subscriber, _) = connect(&packet());
    for number in 0..50 {
        assert_eq!(subscriber.receive().text(), number.to_string());
    }
}
