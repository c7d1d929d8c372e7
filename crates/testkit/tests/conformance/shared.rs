use dunlin_testkit::request::{self, PUBACK, PUBCOMP, PUBREC, PUBREL, subscribe};
use dunlin_testkit::{Connect, Event, Packet, RawClient, Version};

use crate::support::{client, connect, nothing_before_marker, unique};

fn members(version: Version, filter: &str, qos: u8) -> [RawClient; 3] {
    std::array::from_fn(|_| {
        let mut member = client(version);
        member.subscribe(filter, qos);
        member
    })
}

#[test]
fn members_take_turns_in_the_order_they_subscribed() {
    for version in Version::OASIS {
        let topic = unique("t");
        let mut members = members(version, &format!("$share/{}/{topic}", unique("g")), 1);
        let mut publisher = client(version);
        for round in 0..4 {
            for member in &mut members {
                let payload = format!("{round}");
                publisher.publish(&topic, &payload, 1);
                assert_eq!(member.receive().text(), payload);
            }
        }
    }
}

#[test]
fn each_group_and_each_ordinary_subscriber_gets_a_message_once() {
    let topic = unique("t");
    let mut one = members(Version::V5, &format!("$share/{}/{topic}", unique("g")), 0);
    let mut two = members(Version::V5, &format!("$share/{}/{topic}", unique("g")), 0);
    let mut plain = client(Version::V5);
    plain.subscribe(&topic, 0);
    client(Version::V5).publish(&topic, "p", 0);
    plain.receive();
    one[0].receive();
    two[0].receive();
    for member in one.iter_mut().chain(&mut two) {
        member.expect_nothing_for(20);
    }
}

// shows 5.0: MQTT-4.8.2-1, MQTT-4.8.2-2
#[test]
fn malformed_share_names_are_refused() {
    for filter in ["$share/", "$share/g", "$share//t", "$share/g+/t", "$share/#/t", "$share/g/"] {
        let mut client = client(Version::V5);
        client.send(&subscribe(Version::V5, 1, &[(filter, 0)]));
        match client.expect() {
            Packet::SubAck(answer) => assert!(answer.codes[0] >= 0x80, "{filter}"),
            Packet::Disconnect(packet) => {
                assert!([0x81, 0x82, 0x8f].contains(&packet.reason), "{filter}");
            }
            other => panic!("{filter} led to {other:?}"),
        }
    }
}

// shows 5.0: MQTT-4.8.2-3
#[test]
fn each_member_is_served_at_its_own_qos() {
    let topic = unique("t");
    let filter = format!("$share/{}/{topic}", unique("g"));
    let mut members = [client(Version::V5), client(Version::V5), client(Version::V5)];
    for (member, qos) in members.iter_mut().zip(0..) {
        member.subscribe(&filter, qos);
    }
    let mut publisher = client(Version::V5);
    for (member, qos) in members.iter_mut().zip(0..) {
        publisher.publish(&topic, "p", 2);
        assert_eq!(member.receive().qos, qos);
    }
}

// shows 5.0: MQTT-4.8.2-4
#[test]
fn a_qos_2_delivery_that_began_waits_for_its_member() {
    let topic = unique("t");
    let filter = format!("$share/{}/{topic}", unique("g"));
    let packet = Connect::persistent(Version::V5, &unique("c"));
    let (mut first, _) = connect(&packet);
    first.subscribe(&filter, 2);
    let mut second = client(Version::V5);
    second.subscribe(&filter, 2);
    client(Version::V5).publish(&topic, "mine", 2);
    let publish = first.expect_publish();
    first.send(&request::ack(PUBREC, publish.packet_id));
    first.expect_ack(PUBREL, publish.packet_id);
    first.drop_connection();
    second.expect_nothing_for(100);
    let (mut first, _) = connect(&packet);
    first.expect_ack(PUBREL, publish.packet_id);
    first.send(&request::ack(PUBCOMP, publish.packet_id));
    first.ping();
}

// shows 5.0: MQTT-4.8.2-5
#[test]
fn a_qos_2_message_ends_with_the_session_of_its_member() {
    let topic = unique("t");
    let filter = format!("$share/{}/{topic}", unique("g"));
    let mut first = client(Version::V5);
    first.subscribe(&filter, 2);
    let mut second = client(Version::V5);
    second.subscribe(&filter, 2);
    let mut publisher = client(Version::V5);
    publisher.publish(&topic, "lost", 2);
    first.expect_publish();
    first.drop_connection();
    second.expect_nothing_for(100);
    nothing_before_marker(&mut second, &mut publisher, &topic);
}

// shows 5.0: MQTT-4.8.2-6
#[test]
fn a_message_one_member_refuses_goes_to_nobody_else() {
    let topic = unique("t");
    let mut members = members(Version::V5, &format!("$share/{}/{topic}", unique("g")), 2);
    let mut publisher = client(Version::V5);
    for (member, (qos, first)) in members.iter_mut().zip([(1, PUBACK), (2, PUBREC)]) {
        publisher.publish(&topic, "unwanted", qos);
        let publish = member.expect_publish();
        member.send(&request::ack_with(first, publish.packet_id, 0x80));
        member.ping();
    }
    for member in &mut members {
        member.expect_nothing_for(30);
    }
}

#[test]
fn a_member_that_left_is_passed_over() {
    for version in Version::OASIS {
        let topic = unique("t");
        let filter = format!("$share/{}/{topic}", unique("g"));
        let [first, mut second, mut third] = members(version, &filter, 1);
        first.disconnect();
        second.unsubscribe(&filter);
        let mut publisher = client(version);
        for number in 0..4 {
            publisher.publish(&topic, &number.to_string(), 1);
            assert_eq!(third.receive().text(), number.to_string());
        }
        assert_eq!(second.next(std::time::Duration::from_millis(20)), Event::Nothing);
    }
}

#[test]
fn shared_subscriptions_are_sent_no_retained_messages() {
    let topic = unique("t");
    let mut publisher = client(Version::V5);
    publisher.deliver(dunlin_testkit::Publish::new(&topic, "kept").qos(1, 0).retained());
    let mut member = client(Version::V5);
    member.subscribe(&format!("$share/{}/{topic}", unique("g")), 1);
    nothing_before_marker(&mut member, &mut publisher, &topic);
}
