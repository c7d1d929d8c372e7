//! The client engine, most of it against the server engine, on virtual time.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod faults;
mod pair;

use dunlin_proto::client::{Cause, ConnectOptions, Event, Failure, Message, State};
use dunlin_proto::packet::{RetainHandling, SubscribeOptions};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::{QoS, ReasonCode, Time, TopicFilter, TopicName, Version};
use pair::Pair;

fn options(version: Version) -> ConnectOptions {
    ConnectOptions { version, client_id: "c".into(), ..ConnectOptions::default() }
}

fn persistent(version: Version) -> ConnectOptions {
    ConnectOptions { clean_start: false, session_expiry_interval: 3_600, ..options(version) }
}

fn message(topic: &str, qos: QoS, payload: &str) -> Message {
    Message::new(TopicName::new(topic).unwrap(), payload.as_bytes().to_vec()).with_qos(qos)
}

fn subscribe_options(qos: QoS) -> SubscribeOptions {
    SubscribeOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Always,
    }
}

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[test]
fn messages_of_every_quality_arrive_in_both_directions() {
    for version in Version::ALL {
        let mut pair = Pair::new();
        pair.connected(&options(version));
        for qos in QOS {
            let token = pair.client.publish(message("up", qos, "x")).unwrap();
            pair.run();
            let done = Event::PublishDone { token, result: Ok(ReasonCode::Success) };
            assert_eq!(pair.events.pop(), Some(done), "{version} {qos:?}");
        }
        pair.server.queue.extend(QOS.map(|qos| (qos, b"y".to_vec())));
        pair.run();
        assert_eq!(pair.given(), QOS.map(|qos| (qos, b"y".to_vec())));
        assert_eq!(pair.server.received, QOS.map(|qos| ("up".to_owned(), (qos, b"x".to_vec()))));
        assert_eq!(pair.client.session().in_flight(), 0);
    }
}

#[test]
fn commands_wait_for_the_connection() {
    let mut pair = Pair::new();
    let filter = TopicFilter::new("a/#").unwrap();
    let subscribe = [(filter, subscribe_options(QoS::AtLeastOnce))];
    let first = pair.client.subscribe(&subscribe, PropertyBuf::new()).unwrap();
    let second = pair.client.publish(message("a", QoS::AtLeastOnce, "x")).unwrap();
    let third = pair.client.unsubscribe(&[filter], PropertyBuf::new()).unwrap();
    assert!(!pair.client_sends());
    pair.connected(&options(Version::V5_0));
    let connected = Event::Connected { session_present: false, properties: PropertyBuf::new() };
    assert_eq!(
        pair.events,
        [
            connected,
            Event::SubscribeDone { token: first, result: Ok(vec![ReasonCode::GrantedQoS1]) },
            Event::PublishDone { token: second, result: Ok(ReasonCode::Success) },
            Event::UnsubscribeDone { token: third, result: Ok(vec![ReasonCode::Success]) },
        ]
    );
}

#[test]
fn no_more_is_sent_than_the_server_takes_at_once() {
    let mut pair = Pair::new();
    pair.server.limits.receive_maximum = 2;
    pair.server.connack.push(Property::ReceiveMaximum(2));
    // The server engine would refuse a third.
    for number in 0..10 {
        let qos = QOS[1 + number % 2];
        pair.client.publish(message("up", qos, &number.to_string())).unwrap();
    }
    pair.connected(&options(Version::V5_0));
    let payloads: Vec<_> = pair.server.received.iter().map(|(_, (_, p))| p[0] - b'0').collect();
    assert_eq!(payloads, (0..10).collect::<Vec<_>>());
}

#[test]
fn what_the_server_does_not_take_is_not_sent() {
    let mut pair = Pair::new();
    pair.server.connack.push(Property::MaximumQoS(QoS::AtLeastOnce));
    pair.server.connack.push(Property::RetainAvailable(false));
    pair.server.connack.push(Property::MaximumPacketSize(30));
    pair.connected(&options(Version::V5_0));
    pair.events.clear();
    let long = "x".repeat(30);
    for (message, failure) in [
        (message("up", QoS::ExactlyOnce, "x"), Failure::QoSNotSupported),
        (message("up", QoS::AtMostOnce, "x").retained(), Failure::RetainNotSupported),
        (message("up", QoS::AtLeastOnce, &long), Failure::TooLarge),
    ] {
        let token = pair.client.publish(message).unwrap();
        pair.run();
        assert_eq!(pair.events.pop(), Some(Event::PublishDone { token, result: Err(failure) }));
    }
    assert!(pair.server.received.is_empty());
}

#[test]
fn topic_aliases_are_set_as_far_as_the_server_takes_them() {
    let mut pair = Pair::new();
    pair.server.connack.push(Property::TopicAliasMaximum(2));
    pair.connected(&ConnectOptions { topic_aliases: true, ..options(Version::V5_0) });
    let topics = ["a/long/topic", "another", "a/third", "a/long/topic", "another", "a/third"];
    let mut lengths = Vec::new();
    for topic in topics {
        pair.client.publish(message(topic, QoS::AtMostOnce, "")).unwrap();
        pair.client_sends();
        lengths.push(pair.up.len());
        pair.run();
    }
    let received: Vec<_> = pair.server.received.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(received, topics);
    assert_eq!(lengths, [20, 15, 12, 8, 8, 12]);
}

#[test]
fn an_assigned_client_identifier_stays_with_the_session() {
    let mut pair = Pair::new();
    pair.server.connack.push(Property::AssignedClientIdentifier("given"));
    let options = ConnectOptions { client_id: String::new(), ..persistent(Version::V5_0) };
    pair.connected(&options);
    assert_eq!(pair.client.session().assigned_client_id(), Some("given"));
    pair.connect(&options);
    pair.client_sends();
    assert!(pair.up.windows(5).any(|bytes| bytes == b"given"));
}

#[test]
fn an_idle_client_keeps_the_connection_alive() {
    let mut pair = Pair::new();
    pair.server.connack.push(Property::ServerKeepAlive(10));
    pair.connected(&options(Version::V5_0));
    pair.server.connection.accept(Some(10));
    while pair.now < Time::from_secs(600) {
        pair.now = pair.client.poll_timeout().unwrap();
        assert_eq!(pair.server.connection.timeout(pair.now), None);
        pair.client.handle_timeout(pair.now);
        pair.run();
    }
    assert_eq!(pair.client.state(), State::Open);
    // The server falls silent.
    pair.now = pair.client.poll_timeout().unwrap();
    pair.client.handle_timeout(pair.now);
    pair.client_sends();
    pair.now = pair.client.poll_timeout().unwrap();
    pair.client.handle_timeout(pair.now);
    pair.client_sends();
    assert_eq!(pair.events.last(), Some(&Event::Disconnected(Cause::PingTimeout)));
    assert_eq!(pair.client.poll_timeout(), None);
}

#[test]
fn a_server_that_does_not_answer_connect_is_given_up() {
    let mut pair = Pair::new();
    pair.connect(&options(Version::V3_1_1));
    pair.client_sends();
    assert_eq!(pair.client.poll_timeout(), Some(Time::from_secs(10)));
    pair.client.handle_timeout(Time::from_secs(10));
    pair.client_sends();
    assert_eq!(pair.events, [Event::Disconnected(Cause::ConnectTimeout)]);
}

#[test]
fn disconnecting_sends_what_was_due_and_then_disconnect() {
    let mut pair = Pair::new();
    pair.connected(&options(Version::V3_1_1));
    pair.client.disconnect(ReasonCode::NORMAL_DISCONNECTION, Properties::EMPTY).unwrap();
    pair.run();
    assert_eq!(pair.events.last(), Some(&Event::Disconnected(Cause::Requested)));
    assert_eq!(pair.server.connection.state(), dunlin_proto::server::State::Closed);
    pair.client.publish(message("up", QoS::AtMostOnce, "x")).unwrap();
    assert!(!pair.client_sends());
}

#[test]
fn a_full_queue_takes_no_more() {
    let session = dunlin_proto::client::Session::with_queue_limit(1);
    let mut client = dunlin_proto::client::Connection::new(session);
    client.publish(message("up", QoS::AtMostOnce, "x")).unwrap();
    assert_eq!(
        client.publish(message("up", QoS::AtMostOnce, "x")),
        Err(dunlin_proto::client::CommandError::QueueFull)
    );
}

#[test]
fn an_application_that_does_not_look_stops_the_input() {
    let mut pair = Pair::new();
    pair.connected(&options(Version::V3_1_1));
    let publish = b"\x30\x03\x00\x01a";
    let input = publish.repeat(3_000);
    let taken = pair.client.handle_input(pair.now, &input).unwrap();
    assert_eq!(taken, 1_024 * publish.len());
    while pair.client.poll_event().is_some() {}
    assert_eq!(pair.client.handle_input(pair.now, &input[taken..]), Ok(taken));
}
