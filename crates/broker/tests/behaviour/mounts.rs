//! Mount points: what a listener puts before the topics of its clients, which they never see.

use std::sync::Arc;

use dunlin_broker::{Entry, Settings};
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Options, World, options};

fn mounted(mount_point: &str) -> Arc<Entry> {
    Arc::new(Entry { mount_point: Some(mount_point.into()), ..Entry::default() })
}

#[test]
fn clients_of_one_mount_point_are_among_themselves_and_all_others_see_whole_topics() {
    for (version, shards) in [(Version::V3_1_1, 1), (Version::V5_0, 1), (Version::V5_0, 3)] {
        let mut world = World::with_shards(shards);
        let entry = mounted("site/7/");
        let one = world.connect_by(&entry, &Options::new("one").version(version));
        let two = world.connect_by(&entry, &Options::new("two").version(version));
        let outside = world.connect(Options::new("outside").version(version));
        let elsewhere = world.connect_by(&mounted("site/8/"), &Options::new("elsewhere"));
        for client in [two, outside, elsewhere] {
            world.subscribe(client, "#", QoS::AtLeastOnce);
        }
        // The second goes as part of a burst where topics are compared; the third looks like a whole one.
        world.publish(one, "a", "1", QoS::AtMostOnce, 0);
        world.publish(one, "a", "2", QoS::AtLeastOnce, 2);
        world.publish(one, "site/7/a", "3", QoS::AtMostOnce, 0);
        assert_eq!(world.take(two), ["a 1", "a 2 q1 #1", "site/7/a 3"], "{version}");
        let whole = ["site/7/a 1", "site/7/a 2 q1 #1", "site/7/site/7/a 3"];
        assert_eq!(world.take(outside), whole, "{version}");
        assert!(world.take(elsewhere).is_empty());
        world.publish(outside, "site/7/b", "4", QoS::AtMostOnce, 0);
        assert_eq!(world.take(two), ["b 4"]);
    }
}

#[test]
fn large_messages_and_many_receivers_get_each_their_own_topic() {
    let mut world = World::new();
    let entry = mounted("m/");
    let payload = "x".repeat(5000);
    let clients: Vec<_> = (0..6)
        .map(|number| {
            let id = number.to_string();
            let options = Options::new(&id);
            let client = match number % 2 {
                0 => world.connect_by(&entry, &options),
                _ => world.connect(options),
            };
            world.subscribe(client, "#", QoS::AtMostOnce);
            client
        })
        .collect();
    world.publish(clients[0], "t", &payload, QoS::AtMostOnce, 0);
    for (number, client) in clients.into_iter().enumerate() {
        let topic = if number % 2 == 0 { "t" } else { "m/t" };
        let taken = world.take(client);
        assert_eq!(taken, [format!("{topic} {payload}")]);
    }
}

#[test]
fn retained_messages_wills_and_shared_subscriptions_are_mounted_too() {
    let mut world = World::new();
    let entry = mounted("m/");
    let dying = world.connect_by(&entry, &Options::new("dying").will("gone", "bye").will_retain());
    world.retain(dying, "kept", "r");
    let inside = world.connect_by(&entry, &Options::new("inside"));
    world.subscribe(inside, "kept", QoS::AtMostOnce);
    assert_eq!(world.take(inside), ["kept r retained"]);
    world.subscribe(inside, "$share/g/work/#", QoS::AtMostOnce);
    let outside = world.connect(Options::new("outside"));
    world.publish(outside, "m/work/1", "w", QoS::AtMostOnce, 0);
    assert_eq!(world.take(inside), ["work/1 w"]);
    world.cut(dying);
    world.subscribe(outside, "#", QoS::AtMostOnce);
    assert_eq!(world.take(outside), ["m/gone bye retained", "m/kept r retained"]);
    assert_eq!(world.unsubscribe(inside, "$share/g/work/#"), "UnsubAck #78 [Success]");
    world.publish(outside, "m/work/1", "w", QoS::AtMostOnce, 0);
    assert!(world.take(inside).is_empty());
}

#[test]
fn aliases_stand_for_topics_without_mount_point() {
    let mut world = World::new();
    let entry = mounted("m/");
    let taker = Options::new("taker").property(Property::TopicAliasMaximum(5));
    let inside = world.connect_by(&entry, &taker);
    world.subscribe(inside, "t", QoS::AtMostOnce);
    let alias = [Property::TopicAlias(1)];
    world.publish_with(inside, "t", "1", QoS::AtMostOnce, 0, &alias);
    world.publish_with(inside, "", "2", QoS::AtMostOnce, 0, &alias);
    assert_eq!(world.take(inside), ["t 1 TopicAlias(1)", "- 2 TopicAlias(1)"]);
}

#[test]
fn what_is_the_brokers_own_is_out_of_reach() {
    let mut world = World::new();
    let inside = world.connect_by(&mounted("m/"), &Options::new("inside"));
    world.publish_system("$SYS/broker/version", "1");
    world.subscribe(inside, "$SYS/#", QoS::AtMostOnce);
    assert!(world.take(inside).is_empty());
    // As with Mosquitto, it is a topic like any other there.
    world.publish(inside, "$SYS/mine", "1", QoS::AtMostOnce, 0);
    assert_eq!(world.take(inside), ["$SYS/mine 1"]);
}

#[test]
fn topics_and_filters_that_become_too_long_are_refused_and_the_client_stays() {
    let mut world = World::forgetful(Settings::default(), 1);
    let inside = world.connect_by(&mounted("mount/"), &Options::new("inside"));
    let long = "x".repeat(65_533);
    world.publish(inside, &long, "1", QoS::AtLeastOnce, 1);
    assert_eq!(world.take(inside), ["PubAck #1 TopicNameInvalid"]);
    world.subscribe_with(inside, &long, options(QoS::AtMostOnce), &[]);
    assert_eq!(world.take(inside), ["SubAck #77 [TopicFilterInvalid]"]);
    assert_eq!(world.unsubscribe(inside, &long), "UnsubAck #78 [NoSubscriptionExisted]");
    assert!(world.is_open(inside));
}

#[test]
fn a_session_that_comes_by_another_listener_is_told_what_it_can_be_told() {
    let mut world = World::new();
    let options = Options::new("c").persistent(1000);
    let client = world.connect(options.clone());
    world.subscribe(client, "#", QoS::AtLeastOnce);
    world.cut(client);
    let publisher = world.connect(Options::new("p"));
    world.publish(publisher, "m/in", "1", QoS::AtLeastOnce, 1);
    world.publish(publisher, "out", "2", QoS::AtLeastOnce, 2);
    let client = world.connect_by(&mounted("m/"), &options);
    assert_eq!(world.take(client), ["in 1 q1 #1"]);
    assert_eq!(world.sum(|stats| stats.queued_messages), 1, "the other one counts as delivered");
}
