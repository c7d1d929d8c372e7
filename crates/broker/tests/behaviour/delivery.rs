//! How messages travel from publishers to subscribers.

use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Options, World, options};

#[test]
fn a_message_reaches_its_subscribers_and_nobody_else() {
    for shards in [1, 2, 3] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("publisher"));
        let plus = world.connect(Options::new("plus").version(Version::V3_1_1));
        let hash = world.connect(Options::new("hash").version(Version::V3_1));
        let other = world.connect(Options::new("other"));
        world.subscribe(plus, "site/+/temp", QoS::AtMostOnce);
        world.subscribe(hash, "site/#", QoS::AtMostOnce);
        world.subscribe(other, "elsewhere/#", QoS::AtMostOnce);
        world.publish(publisher, "site/1/temp", "21", QoS::AtMostOnce, 0);
        assert_eq!(world.take(plus), ["site/1/temp 21"]);
        assert_eq!(world.take(hash), ["site/1/temp 21"]);
        assert!(world.take(other).is_empty());
        assert!(world.take(publisher).is_empty());
    }
}

#[test]
fn a_publisher_gets_its_own_message_before_the_acknowledgement() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.subscribe(client, "t", QoS::ExactlyOnce);
    world.publish(client, "t", "one", QoS::AtLeastOnce, 9);
    assert_eq!(world.take(client), ["t one q1 #1", "PubAck #9"]);
    world.publish(client, "t", "two", QoS::ExactlyOnce, 10);
    assert_eq!(world.take(client), ["PubRec #10"]);
    world.pubrel(client, 10);
    assert_eq!(world.take(client), ["t two q2 #2", "PubComp #10"]);
}

#[test]
fn five_zero_publishers_are_told_when_nobody_is_subscribed() {
    let mut world = World::new();
    let new = world.connect(Options::new("new"));
    let old = world.connect(Options::new("old").version(Version::V3_1_1));
    world.publish(new, "t", "x", QoS::AtLeastOnce, 1);
    world.publish(old, "t", "x", QoS::AtLeastOnce, 1);
    assert_eq!(world.take(new), ["PubAck #1 NoMatchingSubscribers"]);
    assert_eq!(world.take(old), ["PubAck #1"]);
}

#[test]
fn the_receive_maximum_of_a_subscriber_is_kept_and_the_rest_waits() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
    let subscriber = world.connect(Options::new("s").property(Property::ReceiveMaximum(2)));
    world.subscribe(subscriber, "t", QoS::AtLeastOnce);
    for number in 1..=4 {
        world.publish(publisher, "t", &number.to_string(), QoS::AtLeastOnce, number);
    }
    assert_eq!(world.take(subscriber), ["t 1 q1 #1", "t 2 q1 #2"]);
    world.puback(subscriber, 1);
    assert_eq!(world.take(subscriber), ["t 3 q1 #3"]);
    world.puback(subscriber, 3);
    world.puback(subscriber, 2);
    assert_eq!(world.take(subscriber), ["t 4 q1 #4"]);
}

#[test]
fn overlapping_subscriptions_deliver_a_copy_each_with_its_own_identifier() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    let qos = QoS::AtMostOnce;
    world.subscribe_with(client, "a/#", options(qos), &[Property::SubscriptionIdentifier(5)]);
    world.subscribe_with(client, "a/b", options(qos), &[Property::SubscriptionIdentifier(6)]);
    world.take(client);
    world.publish(client, "a/b", "x", QoS::AtMostOnce, 0);
    let mut copies = world.take(client);
    copies.sort();
    assert_eq!(copies, ["a/b x SubscriptionIdentifier(5)", "a/b x SubscriptionIdentifier(6)"]);
}

#[test]
fn no_local_keeps_a_clients_own_messages_away_from_it() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    let mut wish = options(QoS::AtMostOnce);
    wish.no_local = true;
    world.subscribe_with(client, "t", wish, &[]);
    world.take(client);
    world.publish(client, "t", "x", QoS::AtMostOnce, 0);
    assert!(world.take(client).is_empty());
}
