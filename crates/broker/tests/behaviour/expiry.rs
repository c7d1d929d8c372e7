//! Message expiry: not delivered when its time is over, and with what is left of it before (3.3.2.3.3).

use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World};

const EXPIRY: [Property<'static>; 1] = [Property::MessageExpiryInterval(10)];

/// A publisher, and a subscriber that went away.
fn away(shards: u16) -> (World, Client, Options<'static>) {
    let mut world = World::with_shards(shards);
    let publisher = world.connect(Options::new("p"));
    let options = Options::new("c").persistent(1000);
    let client = world.connect(options.clone());
    world.subscribe(client, "#", QoS::AtLeastOnce);
    world.cut(client);
    (world, publisher, options)
}

#[test]
fn a_live_message_carries_its_whole_interval() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p"));
        let client = world.connect(Options::new("c"));
        let old = world.connect(Options::new("old").version(Version::V3_1_1));
        world.subscribe(client, "t", QoS::AtLeastOnce);
        world.subscribe(old, "t", QoS::AtLeastOnce);
        world.publish_with(publisher, "t", "x", QoS::AtMostOnce, 0, &EXPIRY);
        assert_eq!(world.take(client), ["t x MessageExpiryInterval(10)"]);
        assert_eq!(world.take(old), ["t x"]);
    }
}

#[test]
fn the_time_in_the_queue_is_taken_off() {
    for shards in [1, 2] {
        let (mut world, publisher, options) = away(shards);
        world.publish_with(publisher, "t", "x", QoS::AtLeastOnce, 1, &EXPIRY);
        world.wait_seconds(7);
        let client = world.connect(options);
        assert_eq!(world.take(client), ["t x q1 #1 MessageExpiryInterval(3)"]);
    }
}

#[test]
fn what_expired_in_the_queue_is_not_delivered_and_leaves_the_counters_right() {
    for shards in [1, 2] {
        let (mut world, publisher, options) = away(shards);
        world.publish_with(publisher, "t", "gone", QoS::AtLeastOnce, 1, &EXPIRY);
        world.publish(publisher, "t", "stays", QoS::AtLeastOnce, 2);
        world.wait_seconds(10);
        let client = world.connect(options);
        // The identifier is the one that it would have had behind the other.
        assert_eq!(world.take(client), ["t stays q1 #2"]);
        assert_eq!(world.sum(|stats| stats.dropped_expired), 1);
        world.puback(client, 2);
        assert_eq!(world.sum(|stats| stats.queued_messages), 0);
        assert_eq!(world.sum(|stats| stats.queued_bytes), 0);
    }
}

#[test]
fn it_expires_while_it_waits_for_a_place_in_the_window_too() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p"));
    let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(1)));
    world.subscribe(client, "t", QoS::AtLeastOnce);
    world.publish(publisher, "t", "first", QoS::AtLeastOnce, 1);
    world.publish_with(publisher, "t", "gone", QoS::AtLeastOnce, 2, &EXPIRY);
    world.publish(publisher, "t", "last", QoS::AtLeastOnce, 3);
    world.take(client);
    world.wait_seconds(11);
    world.puback(client, 1);
    assert_eq!(world.take(client), ["t last q1 #3"]);
}

#[test]
fn a_retained_message_expires_for_those_who_come_later() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p"));
        let client = world.connect(Options::new("c"));
        world.retain_with(publisher, "a", "x", QoS::AtMostOnce, 0, &EXPIRY);
        world.retain_with(publisher, "b", "x", QoS::AtLeastOnce, 1, &EXPIRY);
        world.wait_seconds(4);
        world.subscribe(client, "a", QoS::AtLeastOnce);
        world.subscribe_all(client, &["+"]);
        assert_eq!(
            world.take(client),
            [
                "a x retained MessageExpiryInterval(6)",
                "SubAck #77 [Success]",
                "a x retained MessageExpiryInterval(6)",
                "b x retained MessageExpiryInterval(6)",
            ]
        );
        world.wait_seconds(6);
        world.subscribe(client, "a", QoS::AtLeastOnce);
        world.subscribe(client, "+", QoS::AtLeastOnce);
        assert!(world.take(client).is_empty());
    }
}

#[test]
fn a_newer_message_without_expiry_takes_the_place_of_one_with() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.retain_with(client, "t", "short", QoS::AtMostOnce, 0, &EXPIRY);
    world.retain(client, "t", "lasting");
    world.wait_seconds(100);
    world.subscribe(client, "t", QoS::AtMostOnce);
    assert_eq!(world.take(client), ["t lasting retained"]);
}

#[test]
fn an_interval_of_zero_reaches_those_who_are_there() {
    let (mut world, publisher, options) = away(1);
    let watcher = world.connect(Options::new("watcher"));
    world.subscribe(watcher, "t", QoS::AtMostOnce);
    let zero = [Property::MessageExpiryInterval(0)];
    world.retain_with(publisher, "t", "now", QoS::AtLeastOnce, 1, &zero);
    assert_eq!(world.take(watcher), ["t now MessageExpiryInterval(0)"]);
    let client = world.connect(options);
    world.subscribe(client, "t", QoS::AtLeastOnce);
    assert!(world.take(client).is_empty());
}

#[test]
fn a_full_queue_makes_room_by_dropping_what_has_expired() {
    let settings = dunlin_broker::Settings {
        maximum_queued_messages: 2,
        ..dunlin_broker::Settings::default()
    };
    let mut world = World::with(settings, 1);
    let publisher = world.connect(Options::new("p"));
    let options = Options::new("c").persistent(1000);
    let client = world.connect(options.clone());
    world.subscribe(client, "t", QoS::AtLeastOnce);
    world.cut(client);
    world.publish_with(publisher, "t", "gone", QoS::AtLeastOnce, 1, &EXPIRY);
    world.publish(publisher, "t", "1", QoS::AtLeastOnce, 2);
    world.wait_seconds(11);
    world.publish(publisher, "t", "2", QoS::AtLeastOnce, 3);
    let client = world.connect(options);
    assert_eq!(world.take(client), ["t 1 q1 #1", "t 2 q1 #2"]);
    assert_eq!(world.sum(|stats| stats.dropped_expired), 1);
    assert_eq!(world.sum(|stats| stats.dropped_queue_full), 0);
    world.disconnect_with(
        client,
        dunlin_proto::ReasonCode::Success,
        &[Property::SessionExpiryInterval(0)],
    );
    world.cut(publisher);
    world.assert_empty();
}
