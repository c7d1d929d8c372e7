//! Limits of the broker: queues, subscriptions, topic levels (3.8, 4.7).

use dunlin_broker::{Drop, Event, QueueFull, Settings};
use dunlin_proto::packet::{Packet, Subscribe};
use dunlin_proto::property::Properties;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::TopicFilter;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World, options, packet_id};

/// A subscriber that went away, and a publisher.
fn away(settings: Settings, shards: u16) -> (World, Client, Options<'static>) {
    away_in(World::with(settings, shards))
}

fn away_in(mut world: World) -> (World, Client, Options<'static>) {
    let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
    let options = Options::new("c").persistent(1000);
    let client = world.connect(options.clone());
    world.subscribe(client, "#", QoS::ExactlyOnce);
    world.cut(client);
    world.events();
    (world, publisher, options)
}

fn publish(world: &mut World, publisher: Client, payloads: &[&str]) {
    for (payload, id) in payloads.iter().zip(1..) {
        world.publish(publisher, "t", payload, QoS::AtLeastOnce, id);
    }
}

fn drops(world: &mut World) -> Vec<Drop> {
    let events = world.events().into_iter();
    events
        .filter_map(|event| match event {
            Event::Dropping { cause, client, .. } if &*client == "c" => Some(cause),
            _ => None,
        })
        .collect()
}

/// What waited for the client, payloads only; then the session ends and leaves nothing.
fn waiting(mut world: World, options: Options<'_>) -> Vec<String> {
    let client = world.connect(options);
    let packets = world.take(client);
    let payloads = packets.iter().filter_map(|packet| packet.split(' ').nth(1));
    let payloads = payloads.map(str::to_owned).collect();
    world.disconnect(client, ReasonCode::Success);
    world.wait_seconds(2000);
    assert_eq!(world.sum(|stats| stats.queued_messages), 0);
    assert_eq!(world.sum(|stats| stats.queued_bytes), 0);
    payloads
}

#[test]
fn a_full_queue_drops_the_newest_or_the_oldest_as_it_is_set() {
    for (queue_full, expected) in
        [(QueueFull::DropNewest, ["1", "2", "3"]), (QueueFull::DropOldest, ["3", "4", "5"])]
    {
        for shards in [1, 2] {
            let settings =
                Settings { maximum_queued_messages: 3, queue_full, ..Settings::default() };
            let (mut world, publisher, options) = away(settings, shards);
            publish(&mut world, publisher, &["1", "2", "3", "4", "5"]);
            let full = Drop::QueueFull { messages: 3, limit: 3 };
            assert_eq!(drops(&mut world), [full], "told once");
            assert_eq!(world.sum(|stats| stats.dropped_queue_full), 2);
            assert_eq!(world.sum(|stats| stats.publish_dropped), 2);
            assert_eq!(waiting(world, options), expected);
        }
    }
}

#[test]
fn a_queue_is_limited_in_bytes_as_well() {
    let settings = Settings { maximum_queued_bytes: 12, ..Settings::default() };
    let (mut world, publisher, options) = away(settings.clone(), 1);
    // With their topic of one byte: 5, 5, then 5 too many, 2 fit.
    publish(&mut world, publisher, &["aaaa", "bbbb", "cccc", "d"]);
    let full = Drop::QueueBytes { bytes: 10, limit: 12 };
    assert_eq!(drops(&mut world), [full]);
    assert_eq!(waiting(world, options), ["aaaa", "bbbb", "d"]);
    // As many of the oldest go as are in the way, but none for one that can never fit.
    let settings = Settings { queue_full: QueueFull::DropOldest, ..settings };
    let (mut world, publisher, options) = away(settings, 1);
    publish(&mut world, publisher, &["a", "b", "c", "d", "e", "nine bytes", "far too many bytes"]);
    assert_eq!(waiting(world, options), ["nine"]);
}

#[test]
fn a_queue_of_no_messages_takes_none() {
    for queue_full in [QueueFull::DropNewest, QueueFull::DropOldest] {
        let settings = Settings { maximum_queued_messages: 0, queue_full, ..Settings::default() };
        let (mut world, publisher, options) = away(settings, 1);
        publish(&mut world, publisher, &["1", "2"]);
        assert!(waiting(world, options).is_empty());
    }
}

#[test]
fn all_queues_of_a_shard_have_a_limit_together() {
    let settings = Settings { maximum_shard_queue_bytes: 25, ..Settings::default() };
    let (mut world, publisher, options) = away_in(World::forgetful(settings, 1));
    let other = world.connect(Options::new("other").persistent(1000));
    world.subscribe(other, "#", QoS::AtLeastOnce);
    world.cut(other);
    publish(&mut world, publisher, &["1234", "1234", "1234"]);
    assert_eq!(world.sum(|stats| stats.queued_bytes), 25);
    assert_eq!(world.sum(|stats| stats.dropped_queue_full), 1);
    let client = world.connect(options);
    let taken = world.take(client).len();
    let other = world.connect(Options::new("other").persistent(1000));
    assert_eq!(taken + world.take(other).len(), 5);
    assert_eq!(world.sum(|stats| stats.queued_bytes), 0);
}

#[test]
fn a_reader_with_a_full_window_has_the_same_queue() {
    let settings =
        Settings { maximum_queued_messages: 2, maximum_inflight: 1, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
    let client = world.connect(Options::new("c"));
    world.subscribe(client, "t", QoS::AtLeastOnce);
    publish(&mut world, publisher, &["1", "2", "3", "4"]);
    for id in 1..=3 {
        world.puback(client, id);
    }
    assert_eq!(world.take(client), ["t 1 q1 #1", "t 2 q1 #2", "t 3 q1 #3"]);
    world.wait_seconds(1);
    world.publish(publisher, "t", "5", QoS::AtLeastOnce, 5);
    assert_eq!(world.take(client), ["t 5 q1 #4"]);
}

fn subscribe_many(world: &mut World, client: Client, filters: &[&str]) -> String {
    let filters = filters
        .iter()
        .map(|filter| (TopicFilter::new(filter).expect("valid filter"), options(QoS::AtMostOnce)));
    let subscribe = Subscribe {
        packet_id: packet_id(5),
        properties: Properties::EMPTY,
        filters: filters.collect(),
    };
    world.send(client, &Packet::Subscribe(subscribe));
    world.next(client).unwrap_or_default()
}

#[test]
fn subscriptions_of_one_session_are_limited_and_those_it_has_may_be_replaced() {
    for (version, refused) in
        [(Version::V3_1_1, "UnspecifiedError"), (Version::V5_0, "QuotaExceeded")]
    {
        let settings = Settings { maximum_subscriptions: 2, ..Settings::default() };
        let mut world = World::with(settings, 2);
        let client = world.connect(Options::new("c").version(version));
        let answer = subscribe_many(&mut world, client, &["a", "b", "c", "a"]);
        assert_eq!(answer, format!("SubAck #5 [Success, Success, {refused}, Success]"));
        world.unsubscribe(client, "a");
        assert_eq!(subscribe_many(&mut world, client, &["c"]), "SubAck #5 [Success]");
        assert_eq!(world.index.subscription_count(), 2);
    }
}

#[test]
fn topics_and_filters_of_too_many_levels_end_the_connection() {
    let settings = || Settings { maximum_topic_levels: 5, ..Settings::default() };
    for (version, told) in
        [(Version::V3_1_1, vec![]), (Version::V5_0, vec!["Disconnect MalformedPacket"])]
    {
        let mut world = World::with(settings(), 1);
        let options_ = Options::new("c").version(version);
        let client = world.connect(options_.clone());
        world.subscribe(client, "1/2/3/4/5", QoS::AtMostOnce);
        world.publish(client, "1/2/3/4/5", "x", QoS::AtMostOnce, 0);
        assert_eq!(world.take(client), ["1/2/3/4/5 x"]);
        world.publish(client, "1/2/3/4/5/6", "x", QoS::AtMostOnce, 0);
        assert_eq!(world.take(client), told);
        assert!(!world.is_open(client));
        let client = world.connect(options_.clone());
        world.subscribe_with(client, "1/2/3/4/5/#", options(QoS::AtMostOnce), &[]);
        assert_eq!(world.take(client), told);
        assert!(!world.is_open(client));
        world.assert_empty();
    }
}

#[test]
fn a_will_of_too_many_levels_is_not_let_in() {
    let settings = Settings { maximum_topic_levels: 5, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let (client, connack) = world.try_connect(Options::new("c").will("1/2/3/4/5/6", "x"));
    assert!(!connack.contains("Success"), "{connack}");
    assert!(!world.is_open(client));
}

#[test]
fn a_packet_above_the_limit_ends_the_connection_before_it_is_all_there() {
    let settings = Settings { maximum_packet_size: 100, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let (client, connack) = world.try_connect(Options::new("c"));
    assert!(connack.contains("MaximumPacketSize(100)"), "{connack}");
    world.send_bytes(client, &[0x30, 98]);
    assert!(world.is_open(client));
    let client = world.connect(Options::new("d"));
    world.send_bytes(client, &[0x30, 99]);
    assert_eq!(world.take(client), ["Disconnect PacketTooLarge"]);
    assert!(!world.is_open(client));
}

#[test]
fn what_a_client_never_releases_is_limited_in_bytes() {
    for (version, refused) in
        [(Version::V3_1_1, vec![]), (Version::V5_0, vec!["PubRec #3 QuotaExceeded"])]
    {
        let settings = Settings { maximum_held_bytes: 10, ..Settings::default() };
        let mut world = World::with(settings, 2);
        let watcher = world.connect(Options::new("watcher"));
        world.subscribe(watcher, "t", QoS::AtMostOnce);
        let client = world.connect(Options::new("c").version(version));
        for (payload, id) in ["1234", "1234"].into_iter().zip(1..) {
            world.publish(client, "t", payload, QoS::ExactlyOnce, id);
        }
        assert_eq!(world.take(client), ["PubRec #1", "PubRec #2"]);
        world.publish(client, "t", "too much", QoS::ExactlyOnce, 3);
        assert_eq!(world.take(client), refused);
        world.publish_dup(client, "t", "1234", QoS::ExactlyOnce, 1);
        assert_eq!(world.take(client), ["PubRec #1"], "it is held already");
        world.pubrel(client, 1);
        world.publish(client, "t", "1234", QoS::ExactlyOnce, 3);
        world.publish(client, "t", "abcd", QoS::ExactlyOnce, 3);
        assert_eq!(world.take(client), ["PubComp #1", "PubRec #3", "PubRec #3"]);
        world.pubrel(client, 2);
        world.pubrel(client, 3);
        assert_eq!(world.take(watcher), ["t 1234", "t 1234", "t abcd"]);
    }
}
