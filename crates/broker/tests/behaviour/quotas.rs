//! Limits of payloads, properties, bytes in flight, users, memory and retained messages.

use dunlin_broker::{Cause, Event, Limit, Reached, RetainedExpiry, Settings};
use dunlin_proto::packet::Packet;
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World, options};

fn user_properties(count: usize) -> Vec<Property<'static>> {
    vec![Property::UserProperty("k", "v"); count]
}

fn caused(world: &World, cause: Cause) -> u64 {
    world.sum(|stats| stats.causes.of(cause))
}

#[test]
fn a_payload_above_the_limit_is_acknowledged_and_goes_nowhere() {
    let settings = Settings { maximum_payload: 4, ..Settings::default() };
    for version in [Version::V3_1_1, Version::V5_0] {
        let mut world = World::with(settings.clone(), 1);
        let subscriber = world.connect(Options::new("s"));
        world.subscribe(subscriber, "#", QoS::ExactlyOnce);
        let publisher = world.connect(Options::new("p").version(version));
        for (qos, id) in [(QoS::AtMostOnce, 0), (QoS::AtLeastOnce, 1), (QoS::ExactlyOnce, 2)] {
            world.publish(publisher, "t", "four", qos, id);
            world.publish(publisher, "t", "five!", qos, id + 10);
        }
        let frames = world.take_frames(publisher);
        let last = |frame: &Vec<u8>| frame[frame.len() - 1];
        let refused: Vec<u8> = frames.iter().filter(|frame| frame[3] > 10).map(last).collect();
        // As Mosquitto: 0x95 where the version has reasons.
        let expected = if version.is_v5() { [0x95, 0x95] } else { [11, 12] };
        assert_eq!(refused, expected, "{version}");
        assert_eq!(world.take(subscriber), ["t four", "t four q1 #1"]);
        assert!(world.is_open(publisher));
        assert_eq!(caused(&world, Cause::PayloadTooLarge), 3);
        let events = world.events();
        let told = events.iter().find(|event| event.cause() == Cause::PayloadTooLarge);
        assert_eq!(
            told.map(ToString::to_string).as_deref(),
            Some(
                "1 messages from client \"p\" not taken, the latest on \"t\": 5 bytes of payload, 4 \
                 allowed (setting limits.maximum_payload_size, in mosquitto.conf message_size_limit)"
            )
        );
    }
}

#[test]
fn a_will_above_the_limit_of_payloads_is_refused() {
    let settings = Settings { maximum_payload: 4, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let (_, answer) = world.try_connect(Options::new("c").will("t", "five!"));
    assert_eq!(answer, "ConnAck PacketTooLarge");
    let old = Options::new("c").version(Version::V3_1_1).will("t", "five!");
    assert_eq!(world.try_connect(old).1, "ConnAck NotAuthorized");
    world.connect(Options::new("c").will("t", "four"));
}

#[test]
fn user_properties_have_a_limit_in_every_packet() {
    let settings = Settings { maximum_user_properties: 3, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let mut greedy = Options::new("greedy");
    greedy.properties = user_properties(4);
    assert_eq!(world.try_connect(greedy).1, "ConnAck QuotaExceeded");
    let client = world.connect(Options::new("c"));
    world.subscribe_with(client, "a", options(QoS::AtMostOnce), &user_properties(4));
    assert_eq!(world.take(client), ["SubAck #77 [QuotaExceeded]"]);
    world.subscribe_with(client, "t", options(QoS::AtMostOnce), &user_properties(3));
    assert_eq!(world.take(client), ["SubAck #77 [Success]"]);
    world.publish_with(client, "t", "1", QoS::AtLeastOnce, 1, &user_properties(4));
    assert_eq!(world.take(client), ["PubAck #1 QuotaExceeded"]);
    world.publish_with(client, "t", "2", QoS::AtMostOnce, 0, &user_properties(3));
    assert_eq!(world.take(client).len(), 1);
    assert_eq!(caused(&world, Cause::UserProperties), 2);
}

#[test]
fn bytes_in_flight_have_a_limit_but_one_message_always_goes() {
    let settings = Settings { maximum_inflight_bytes: 10, ..Settings::default() };
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut world = World::forgetful(settings.clone(), 1);
        let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
        let subscriber = world.connect(Options::new("s"));
        world.subscribe(subscriber, "t", qos);
        let large = "x".repeat(100);
        for (payload, id) in [&*large, "12345", "12345", "12345"].into_iter().zip(1..) {
            world.publish(publisher, "t", payload, QoS::AtLeastOnce, id);
        }
        let mut taken = Vec::new();
        let mut steps = Vec::new();
        for _ in 0..6 {
            taken.extend(world.take(subscriber));
            steps.push(world.outstanding(subscriber).len());
            for id in world.outstanding(subscriber) {
                world.puback(subscriber, id);
            }
        }
        assert_eq!(steps, [1, 2, 1, 0, 0, 0], "two of five bytes are the limit of ten");
        assert_eq!(taken.len(), 4);
        assert_eq!(world.sum(|stats| stats.queued_messages), 0);
        if qos == QoS::AtLeastOnce {
            return;
        }
    }
}

#[test]
fn a_user_has_so_many_connections_on_all_shards() {
    let settings = Settings { maximum_user_connections: 2, ..Settings::default() };
    let mut world = World::with(settings, 3);
    let user = |id: &'static str, name: &'static str| {
        let mut options = Options::new(id);
        options.username = Some(name);
        options
    };
    let first = world.connect(user("a", "anna"));
    world.connect(user("b", "anna"));
    world.connect(user("c", "bert"));
    world.connect(Options::new("nobody"));
    world.events();
    assert_eq!(world.try_connect(user("d", "anna")).1, "ConnAck QuotaExceeded");
    let events = world.events();
    let [Event::Refused { end, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        end.to_string(),
        "2 connections of this user, 2 allowed (setting limits.connections_per_user)"
    );
    assert_eq!(events[0].rule(), Some("limits.connections_per_user"));
    // Whoever comes back finds its own old connection.
    world.connect(user("a", "anna"));
    assert!(!world.is_open(first));
    assert_eq!(world.try_connect(user("d", "anna")).1, "ConnAck QuotaExceeded");
    let last = world.connect(user("e", "bert"));
    world.cut(last);
    world.connect(user("f", "bert"));
}

fn memory_full() -> Option<Reached> {
    Some(Reached { limit: Limit::Memory, value: 1001, allowed: 1000 })
}

#[test]
fn without_memory_messages_that_would_wait_are_refused_or_not_read() {
    let mut world = World::forgetful(Settings::default(), 1);
    let subscriber = world.connect(Options::new("s"));
    world.subscribe(subscriber, "t", QoS::AtLeastOnce);
    let new = world.connect(Options::new("new"));
    let old = world.connect(Options::new("old").version(Version::V3_1_1));
    world.set_memory(memory_full());
    world.publish(new, "t", "1", QoS::AtLeastOnce, 1);
    assert_eq!(world.take(new), ["PubAck #1 QuotaExceeded"]);
    world.publish(new, "t", "2", QoS::AtMostOnce, 0);
    world.publish(new, "nobody", "3", QoS::AtLeastOnce, 3);
    assert_eq!(world.take(new), ["PubAck #3 NoMatchingSubscribers"]);
    world.publish(old, "t", "4", QoS::AtLeastOnce, 4);
    world.send(old, &Packet::PingReq);
    assert!(world.take(old).is_empty(), "it is not read");
    world.retain(new, "kept", "5");
    assert_eq!(world.sum(|stats| stats.retained_refused), 1);
    assert_eq!(world.take(subscriber), ["t 2"]);
    world.set_memory(None);
    assert_eq!(world.take(old), ["PubAck #4", "PingResp"]);
    assert_eq!(world.take(subscriber), ["t 4 q1 #1"]);
    assert_eq!(caused(&world, Cause::MemoryFull), 1);
}

#[test]
fn retained_messages_have_a_limit_in_bytes() {
    let settings = Settings { maximum_retained_bytes: 20, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let client = world.connect(Options::new("c"));
    world.retain(client, "a", "123456789");
    world.retain(client, "b", "123456789");
    world.retain(client, "c", "1");
    world.retain(client, "a", "12345678x");
    world.retain(client, "a", "123456789+");
    let told: Vec<Event> = world
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::RetainedFull { .. }))
        .collect();
    assert_eq!(told.len(), 2, "once for each time it is full: {told:?}");
    assert_eq!(told[0].rule(), Some("retained.maximum_bytes"));
    assert_eq!(told[0].client().map(|client| &**client), Some("c"));
    world.subscribe(client, "#", QoS::AtMostOnce);
    assert_eq!(world.take(client), ["a 12345678x retained", "b 123456789 retained"]);
    assert_eq!(caused(&world, Cause::RetainedFull), 2);
}

/// What a new subscriber is sent, payloads only.
fn kept(world: &mut World, client: Client) -> Vec<String> {
    world.subscribe(client, "#", QoS::AtMostOnce);
    let taken = world.take(client);
    taken.iter().filter_map(|packet| packet.split(' ').nth(1)).map(str::to_owned).collect()
}

#[test]
fn retained_messages_end_by_the_first_rule_for_their_topic() {
    let rule = |filter: &str, seconds| RetainedExpiry {
        filter: filter.into(),
        after: std::time::Duration::from_secs(seconds),
    };
    let settings = Settings {
        retained_expiry: vec![rule("short/#", 10), rule("#", 100)],
        ..Settings::default()
    };
    let mut world = World::with(settings, 1);
    let client = world.connect(Options::new("c"));
    world.subscribe(client, "short/live", QoS::AtMostOnce);
    world.retain(client, "short/live", "now");
    assert_eq!(world.take(client), ["short/live now"], "live it has no expiry");
    world.retain(client, "short/a", "1");
    world.retain(client, "long", "2");
    let own = [Property::MessageExpiryInterval(5)];
    world.retain_with(client, "own", "3", QoS::AtMostOnce, 0, &own);
    assert_eq!(kept(&mut world, client), ["2", "3", "1", "now"]);
    world.wait_seconds(6);
    assert_eq!(kept(&mut world, client), ["2", "1", "now"]);
    world.wait_seconds(5);
    assert_eq!(kept(&mut world, client), ["2"]);
    world.wait_seconds(100);
    assert!(kept(&mut world, client).is_empty());
}

#[test]
fn a_retained_message_with_an_age_is_recorded_once_as_it_is_retained() {
    let settings = Settings {
        retained_expiry: vec![RetainedExpiry {
            filter: "#".into(),
            after: std::time::Duration::from_secs(10),
        }],
        ..Settings::default()
    };
    let mut world = World::with(settings, 1);
    let client = world.connect(Options::new("c"));
    world.records();
    world.retain_with(client, "t", "1", QoS::AtLeastOnce, 1, &[]);
    assert_eq!(world.take(client), ["PubAck #1 NoMatchingSubscribers"]);
    let records = world.records();
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(records[0].contains("1010"), "it expires in second 1010: {records:?}");
}
