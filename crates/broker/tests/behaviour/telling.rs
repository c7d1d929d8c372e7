//! Events: each has a cause with a name, is told once and not for every message, and is always counted.

use dunlin_broker::{Cause, Entry, Event, Limit, Settings};
use dunlin_proto::packet::{Packet, Subscribe};
use dunlin_proto::property::Properties;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::TopicFilter;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World, options, packet_id};

fn causes(world: &mut World) -> Vec<&'static str> {
    world.events().iter().map(|event| event.cause().as_str()).collect()
}

fn caused(world: &World, cause: Cause) -> u64 {
    world.sum(|stats| stats.causes.of(cause))
}

#[test]
fn coming_and_going_is_told_with_its_cause() {
    let mut world = World::forgetful(Settings::default(), 1);
    let client = world.connect(Options::new("c").keep_alive(10));
    assert_eq!(causes(&mut world), ["connected"]);
    world.wait_seconds(16);
    assert_eq!(causes(&mut world), ["keep-alive"]);
    let again = world.connect(Options::new("c").will("w", "1"));
    world.connect(Options::new("c"));
    assert_eq!(causes(&mut world), ["connected", "taken-over", "connected", "will-published"]);
    world.cut(client);
    world.cut(again);
    let last = world.connect(Options::new("d").expiry(5));
    world.disconnect(last, ReasonCode::Success);
    world.wait_seconds(6);
    assert_eq!(causes(&mut world), ["connected", "disconnected", "session-expired"]);
    let rude = world.connect(Options::new("e"));
    world.send_bytes(rude, &[0x00, 0x00]);
    assert_eq!(causes(&mut world), ["connected", "protocol-error"]);
    assert_eq!(caused(&world, Cause::Connected), 5);
    assert_eq!(caused(&world, Cause::TakenOver), 1);
}

#[test]
fn two_clients_with_one_identifier_are_told_apart_from_one_that_comes_back() {
    let mut world = World::forgetful(Settings::default(), 1);
    let mut told = Vec::new();
    for _ in 0..30 {
        world.connect(Options::new("twin"));
        world.wait_seconds(2);
        told.extend(world.events().into_iter().filter(|event| event.cause() == Cause::Fight));
    }
    let [Event::Fight { client, times: 5, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(&**client, "twin");
    let text = told[0].to_string();
    assert!(text.contains("5 times in 8 s; each client needs its own"), "{text}");
}

#[test]
fn drops_are_told_once_a_minute_with_how_many() {
    let settings = Settings { maximum_queued_messages: 1, ..Settings::default() };
    let mut world = World::forgetful(settings, 1);
    let client = world.connect(Options::new("c").persistent(1000));
    world.subscribe(client, "t", QoS::AtLeastOnce);
    world.cut(client);
    let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
    world.events();
    let mut counts = Vec::new();
    for second in 1..=150 {
        world.publish(publisher, "t", "x", QoS::AtLeastOnce, second);
        world.wait_seconds(1);
        counts.extend(world.events().iter().filter_map(|event| match event {
            Event::Dropping { count, .. } => Some(*count),
            _ => None,
        }));
    }
    assert_eq!(counts, [1, 60, 60]);
    assert_eq!(caused(&world, Cause::QueueFull), 149);
    assert_eq!(world.sum(|stats| stats.publish_dropped), 149);
}

#[test]
fn what_expires_in_a_queue_is_told_as_such() {
    let mut world = World::forgetful(Settings::default(), 1);
    let stays = Options::new("c").persistent(1000);
    let client = world.connect(stays.clone());
    world.subscribe(client, "t", QoS::AtLeastOnce);
    world.cut(client);
    let publisher = world.connect(Options::new("p"));
    let soon = [dunlin_proto::property::Property::MessageExpiryInterval(3)];
    world.publish_with(publisher, "t", "x", QoS::AtLeastOnce, 1, &soon);
    world.wait_seconds(4);
    world.events();
    world.connect(stays);
    assert_eq!(causes(&mut world), ["connected", "message-expired"]);
    assert_eq!(caused(&world, Cause::MessageExpired), 1);
}

#[test]
fn what_is_granted_less_of_is_told() {
    let settings = Settings {
        maximum_keep_alive: 60,
        maximum_session_expiry: 100,
        maximum_subscriptions: 1,
        ..Settings::default()
    };
    let mut world = World::forgetful(settings, 1);
    let entry = Entry { maximum_qos: QoS::AtLeastOnce, ..Entry::default() }.into();
    let client = world.connect_by(&entry, &Options::new("c").keep_alive(90).expiry(500));
    assert_eq!(causes(&mut world), ["connected", "keep-alive-lowered", "session-expiry-lowered"]);
    world.subscribe(client, "t", QoS::ExactlyOnce);
    let events = world.events();
    let [Event::Downgraded { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        events[0].to_string(),
        "client \"c\": its subscription to \"t\" asked for QoS 2 and is granted QoS 1 (setting \
         listener.maximum_qos, in mosquitto.conf max_qos)"
    );
    assert_eq!(events[0].topic().map(|topic| &**topic), Some("t"));
    refused_subscription(&mut world, client);
}

fn refused_subscription(world: &mut World, client: Client) {
    world.send(
        client,
        &Packet::Subscribe(Subscribe {
            packet_id: packet_id(9),
            properties: Properties::EMPTY,
            filters: vec![(TopicFilter::new("u").expect("a filter"), options(QoS::AtMostOnce))],
        }),
    );
    let events = world.events();
    let [event @ Event::SubscriptionRefused { reached, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((reached.limit, reached.value, reached.allowed), (Limit::Subscriptions, 1, 1));
    assert_eq!(event.cause(), Cause::TooManySubscriptions);
    assert_eq!(event.client().map(|client| &**client), Some("c"));
}

#[test]
fn publishing_to_what_is_the_brokers_own_is_told() {
    let mut world = World::forgetful(Settings::default(), 1);
    let client = world.connect(Options::new("c"));
    world.events();
    for id in 1..=5 {
        world.publish(client, "$SYS/broker/version", "mine", QoS::AtLeastOnce, id);
    }
    assert_eq!(world.take(client).len(), 5);
    assert_eq!(causes(&mut world), ["reserved-topic"]);
    assert_eq!(caused(&world, Cause::ReservedTopic), 5);
}
