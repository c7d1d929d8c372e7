//! Topic aliases, in both directions (3.3.2.3.4).

use dunlin_broker::Settings;
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;

use crate::world::{Client, Options, World};

fn watched() -> (World, Client, Client) {
    let mut world = World::with_shards(2);
    let publisher = world.connect(Options::new("p"));
    let watcher = world.connect(Options::new("watcher"));
    world.subscribe(watcher, "#", QoS::AtMostOnce);
    (world, publisher, watcher)
}

fn publish(world: &mut World, client: Client, topic: &str, payload: &str, alias: u16) {
    let alias = [Property::TopicAlias(alias)];
    world.publish_with(client, topic, payload, QoS::AtMostOnce, 0, &alias);
}

#[test]
fn an_alias_of_the_client_stands_for_the_topic_it_was_last_given() {
    let (mut world, publisher, watcher) = watched();
    publish(&mut world, publisher, "a", "1", 3);
    publish(&mut world, publisher, "", "2", 3);
    publish(&mut world, publisher, "b", "3", 10);
    publish(&mut world, publisher, "", "4", 3);
    publish(&mut world, publisher, "b", "5", 3);
    publish(&mut world, publisher, "", "6", 3);
    // The alias itself stays on this connection.
    assert_eq!(world.take(watcher), ["a 1", "a 2", "b 3", "a 4", "b 5", "b 6"]);
}

#[test]
fn an_alias_works_with_every_qos_and_on_messages_that_are_kept() {
    let (mut world, publisher, watcher) = watched();
    publish(&mut world, publisher, "t", "0", 1);
    let alias = [Property::TopicAlias(1)];
    world.publish_with(publisher, "", "1", QoS::AtLeastOnce, 1, &alias);
    world.publish_with(publisher, "", "2", QoS::ExactlyOnce, 2, &alias);
    publish(&mut world, publisher, "other", "3", 1);
    world.pubrel(publisher, 2);
    world.retain_with(publisher, "", "4", QoS::AtMostOnce, 0, &alias);
    assert_eq!(world.take(watcher), ["t 0", "t 1", "other 3", "t 2", "other 4"]);
    world.subscribe(watcher, "other", QoS::AtMostOnce);
    assert_eq!(world.take(watcher), ["other 4 retained"]);
}

#[test]
fn aliases_are_gone_with_their_connection() {
    let mut world = World::new();
    let options = Options::new("p").persistent(100);
    let client = world.connect(options.clone());
    publish(&mut world, client, "t", "x", 1);
    world.cut(client);
    let client = world.connect(options);
    publish(&mut world, client, "", "x", 1);
    assert_eq!(world.take(client), ["Disconnect ProtocolError"]);
}

#[test]
fn aliases_out_of_range_end_the_connection() {
    let settings = Settings { topic_alias_maximum: 2, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let (client, connack) = world.try_connect(Options::new("c"));
    assert!(connack.contains("TopicAliasMaximum(2)"), "{connack}");
    publish(&mut world, client, "t", "x", 2);
    publish(&mut world, client, "t", "x", 3);
    assert_eq!(world.take(client), ["Disconnect TopicAliasInvalid"]);
    let client = world.connect(Options::new("c"));
    world.send_bytes(client, &[0x30, 7, 0, 1, b't', 3, 0x23, 0, 0]);
    assert_eq!(world.take(client), ["Disconnect TopicAliasInvalid"]);
    let client = world.connect(Options::new("c"));
    publish(&mut world, client, "", "x", 1);
    assert_eq!(world.take(client), ["Disconnect ProtocolError"]);
}

#[test]
fn with_a_maximum_of_zero_there_are_no_aliases() {
    let settings = Settings { topic_alias_maximum: 0, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let (client, connack) = world.try_connect(Options::new("c"));
    assert!(!connack.contains("TopicAliasMaximum"), "{connack}");
    publish(&mut world, client, "t", "x", 1);
    assert_eq!(world.take(client), ["Disconnect TopicAliasInvalid"]);
}

#[test]
fn a_client_that_takes_aliases_is_sent_each_topic_once() {
    let (mut world, publisher, _) = watched();
    let client = world.connect(Options::new("c").property(Property::TopicAliasMaximum(2)));
    world.subscribe(client, "+", QoS::AtLeastOnce);
    for (topic, id) in ["a", "b", "c", "a", "b", "c"].into_iter().zip(1..) {
        world.publish(publisher, topic, "x", QoS::AtLeastOnce, id);
    }
    assert_eq!(
        world.take(client),
        [
            "a x q1 #1 TopicAlias(1)",
            "b x q1 #2 TopicAlias(2)",
            "c x q1 #3",
            "- x q1 #4 TopicAlias(1)",
            "- x q1 #5 TopicAlias(2)",
            "c x q1 #6",
        ]
    );
}

#[test]
fn the_broker_uses_no_more_aliases_than_it_is_set_to() {
    for (ours, theirs, used) in [(1, 5, 1), (0, 5, 0), (5, 1, 1), (5, 0, 0)] {
        let settings = Settings { topic_alias_maximum_out: ours, ..Settings::default() };
        let mut world = World::with(settings, 1);
        let client = world.connect(Options::new("c").property(Property::TopicAliasMaximum(theirs)));
        world.subscribe(client, "+", QoS::AtMostOnce);
        for topic in ["a", "b", "c", "a", "b", "c"] {
            world.publish(client, topic, "x", QoS::AtMostOnce, 0);
        }
        let packets = world.take(client);
        let aliases = packets.iter().filter(|packet| packet.contains("TopicAlias")).count();
        assert_eq!(aliases, used * 2, "{packets:?}");
    }
}

#[test]
fn an_alias_that_was_never_sent_is_never_used() {
    // Regression: the message that set the alias was too large for the client, and dropped.
    let (mut world, publisher, _) = watched();
    let options = Options::new("c")
        .property(Property::TopicAliasMaximum(5))
        .property(Property::MaximumPacketSize(10_000));
    let client = world.connect(options);
    world.subscribe(client, "#", QoS::AtLeastOnce);
    let long = "n".repeat(9_990);
    let property = [Property::UserProperty(&long, "")];
    world.publish_with(publisher, "t", "large", QoS::AtMostOnce, 0, &property);
    world.publish_with(publisher, "t", "large", QoS::AtLeastOnce, 1, &property);
    world.publish(publisher, "t", "small", QoS::AtMostOnce, 0);
    world.publish(publisher, "t", "again", QoS::AtMostOnce, 0);
    assert_eq!(world.take(client), ["t small TopicAlias(1)", "- again TopicAlias(1)"]);
}

#[test]
fn what_is_sent_again_has_the_aliases_of_the_new_connection() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p"));
    let options = Options::new("c").persistent(100).property(Property::TopicAliasMaximum(5));
    let client = world.connect(options.clone());
    world.subscribe(client, "#", QoS::AtLeastOnce);
    world.publish(publisher, "a", "1", QoS::AtLeastOnce, 1);
    world.publish(publisher, "a", "2", QoS::AtLeastOnce, 2);
    world.take(client);
    world.cut(client);
    let client = world.connect(options);
    assert_eq!(world.take(client), ["a 1 q1 #1 dup TopicAlias(1)", "- 2 q1 #2 dup TopicAlias(1)"]);
}
