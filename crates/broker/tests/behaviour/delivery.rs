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

#[test]
fn no_local_holds_for_the_session_and_not_for_others() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let mut wish = options(QoS::AtLeastOnce);
        wish.no_local = true;
        let session = Options::new("c").persistent(100);
        let client = world.connect(session.clone());
        let other = world.connect(Options::new("other"));
        world.subscribe_with(client, "t", wish, &[]);
        world.subscribe_with(other, "t", wish, &[]);
        world.take(client);
        world.take(other);
        world.publish(client, "t", "mine", QoS::ExactlyOnce, 1);
        world.cut(client);
        // Published by the same session, on its next connection.
        let client = world.connect(session);
        world.pubrel(client, 1);
        world.publish(other, "t", "theirs", QoS::AtLeastOnce, 2);
        assert_eq!(world.take(client), ["PubComp #1", "t theirs q1 #1"]);
        assert_eq!(world.take(other), ["t mine q1 #1", "PubAck #2"]);
    }
}

#[test]
fn subscribing_again_replaces_the_options_and_delivers_one_copy() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p"));
        let client = world.connect(Options::new("c"));
        let identifier = |number| [Property::SubscriptionIdentifier(number)];
        world.subscribe_with(client, "t", options(QoS::AtLeastOnce), &identifier(1));
        world.publish(publisher, "t", "x", QoS::AtLeastOnce, 1);
        world.subscribe_with(client, "t", options(QoS::AtMostOnce), &identifier(2));
        world.publish(publisher, "t", "x", QoS::AtLeastOnce, 1);
        world.subscribe_with(client, "t", options(QoS::ExactlyOnce), &[]);
        world.publish(publisher, "t", "x", QoS::AtLeastOnce, 1);
        assert_eq!(
            world.take(client),
            [
                "SubAck #77 [GrantedQoS1]",
                "t x q1 #1 SubscriptionIdentifier(1)",
                "SubAck #77 [Success]",
                "t x SubscriptionIdentifier(2)",
                "SubAck #77 [GrantedQoS2]",
                "t x q1 #2",
            ]
        );
        assert_eq!(world.index.subscription_count(), 1);
    }
}

#[test]
fn the_dup_flag_of_the_publisher_is_not_passed_on() {
    for (shards, qos) in [(1, QoS::AtLeastOnce), (2, QoS::AtLeastOnce), (1, QoS::ExactlyOnce)] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p"));
        let client = world.connect(Options::new("c"));
        world.subscribe(client, "t", qos);
        world.publish_dup(publisher, "t", "x", qos, 1);
        world.pubrel(publisher, 1);
        let expected = if qos == QoS::AtLeastOnce { "t x q1 #1" } else { "t x q2 #1" };
        assert_eq!(world.take(client), [expected]);
    }
}

#[test]
fn the_lower_qos_of_publisher_and_subscriber_is_used() {
    use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
    for version in [Version::V3_1, Version::V3_1_1, Version::V5_0] {
        for (granted, published, expected) in [
            (AtMostOnce, ExactlyOnce, "t x"),
            (AtLeastOnce, ExactlyOnce, "t x q1 #1"),
            (ExactlyOnce, ExactlyOnce, "t x q2 #1"),
            (ExactlyOnce, AtLeastOnce, "t x q1 #1"),
            (ExactlyOnce, AtMostOnce, "t x"),
        ] {
            let mut world = World::with_shards(2);
            let publisher = world.connect(Options::new("p"));
            let client = world.connect(Options::new("c").version(version));
            world.subscribe(client, "t", granted);
            world.publish(publisher, "t", "x", published, 9);
            world.pubrel(publisher, 9);
            assert_eq!(world.take(client), [expected], "{granted:?} {published:?}");
        }
    }
}

#[test]
fn unsubscribing_tells_whether_there_was_a_subscription() {
    for (version, known, unknown) in [
        (Version::V3_1_1, "UnsubAck #78 []", "UnsubAck #78 []"),
        (Version::V5_0, "UnsubAck #78 [Success]", "UnsubAck #78 [NoSubscriptionExisted]"),
    ] {
        let mut world = World::with_shards(2);
        let publisher = world.connect(Options::new("p"));
        let client = world.connect(Options::new("c").version(version));
        world.subscribe(client, "a/+", QoS::AtLeastOnce);
        assert_eq!(world.unsubscribe(client, "a/b"), unknown);
        world.publish(publisher, "a/b", "x", QoS::AtMostOnce, 0);
        assert_eq!(world.take(client), ["a/b x"]);
        assert_eq!(world.unsubscribe(client, "a/+"), known);
        assert_eq!(world.unsubscribe(client, "a/+"), unknown);
        world.publish(publisher, "a/b", "x", QoS::AtMostOnce, 0);
        assert!(world.take(client).is_empty());
    }
}

#[test]
fn what_was_queued_before_unsubscribing_still_comes() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p"));
    let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(1)));
    world.subscribe(client, "t", QoS::AtLeastOnce);
    world.publish(publisher, "t", "1", QoS::AtLeastOnce, 1);
    world.publish(publisher, "t", "2", QoS::AtLeastOnce, 2);
    assert_eq!(world.take(client), ["t 1 q1 #1"]);
    world.unsubscribe(client, "t");
    world.puback(client, 1);
    assert_eq!(world.take(client), ["t 2 q1 #2"]);
}

#[test]
fn topics_with_a_dollar_are_matched_only_by_filters_that_begin_so() {
    let mut world = World::with_shards(2);
    let publisher = world.connect(Options::new("p"));
    let client = world.connect(Options::new("c"));
    for filter in ["#", "+/a", "$x/#", "$x/+", "+/#"] {
        world.subscribe(client, filter, QoS::AtMostOnce);
    }
    world.publish(publisher, "$x/a", "1", QoS::AtMostOnce, 0);
    assert_eq!(world.take(client), ["$x/a 1"; 2]);
}

#[test]
fn the_brokers_own_topics_are_not_for_clients_to_publish_to() {
    for topic in ["$SYS/broker/uptime", "$SYS", "$CONTROL/x", "$share/a"] {
        let mut world = World::new();
        let new = world.connect(Options::new("new"));
        let old = world.connect(Options::new("old").version(Version::V3_1_1));
        let watcher = world.connect(Options::new("watcher"));
        world.subscribe_all(watcher, &["$SYS/#", "$CONTROL/#"]);
        world.take(watcher);
        for client in [new, old] {
            world.publish(client, topic, "x", QoS::AtMostOnce, 0);
            world.publish(client, topic, "x", QoS::AtLeastOnce, 1);
            world.publish(client, topic, "x", QoS::ExactlyOnce, 2);
            world.pubrel(client, 2);
            world.retain(client, topic, "x");
        }
        assert_eq!(
            world.take(new),
            ["PubAck #1 NotAuthorized", "PubRec #2 NotAuthorized", "PubComp #2"],
            "{topic}"
        );
        assert_eq!(world.take(old), ["PubAck #1", "PubRec #2", "PubComp #2"]);
        assert!(world.take(watcher).is_empty());
        assert_eq!(world.commons.retained.borrow().count(), 0);
    }
}

#[test]
fn what_the_broker_says_itself_is_retained_and_reaches_subscribers() {
    let mut world = World::with_shards(2);
    let client = world.connect(Options::new("c"));
    let other = world.connect(Options::new("other"));
    world.subscribe(client, "$SYS/#", QoS::AtMostOnce);
    world.publish_system("$SYS/broker/version", "dunlin");
    assert_eq!(world.take(client), ["$SYS/broker/version dunlin"]);
    world.subscribe(other, "$SYS/broker/version", QoS::AtMostOnce);
    assert_eq!(world.take(other), ["$SYS/broker/version dunlin retained"]);
}

#[test]
fn properties_travel_unchanged_and_in_their_order() {
    for (shards, qos) in [(1, QoS::AtMostOnce), (2, QoS::AtLeastOnce), (2, QoS::ExactlyOnce)] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p"));
        let new = world.connect(Options::new("new"));
        let old = world.connect(Options::new("old").version(Version::V3_1_1));
        for client in [new, old] {
            world.subscribe(client, "t", qos);
        }
        let properties = [
            Property::UserProperty("b", "1"),
            Property::TopicAlias(3),
            Property::ContentType("text/plain"),
            Property::UserProperty("a", "2"),
            Property::CorrelationData(b"\x00\xFF"),
            Property::UserProperty("b", "1"),
            Property::ResponseTopic("r"),
            Property::PayloadFormatIndicator(true),
        ];
        world.publish_with(publisher, "t", "x", qos, 1, &properties);
        world.pubrel(publisher, 1);
        let words = world.take(new).concat();
        let (_, words) = words.split_once(" UserProperty").expect("properties");
        assert_eq!(
            words,
            "(\"b\", \"1\") ContentType(\"text/plain\") UserProperty(\"a\", \"2\") \
             CorrelationData([0, 255]) UserProperty(\"b\", \"1\") ResponseTopic(\"r\") \
             PayloadFormatIndicator(true)"
        );
        assert!(!world.take(old).concat().contains("Property"));
    }
}

#[test]
fn messages_of_one_publisher_keep_their_order_in_each_qos_and_across_shards() {
    for shards in [1, 2, 3] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
        let clients: Vec<usize> = (0..3)
            .map(|number| {
                let id = number.to_string();
                let client = world.connect(Options::new(&id).property(Property::ReceiveMaximum(7)));
                world.subscribe(client, "#", QoS::AtLeastOnce);
                client
            })
            .collect();
        for id in 1..=50 {
            world.publish_unsettled(publisher, "t", &id.to_string(), id);
        }
        world.settle();
        for client in clients {
            let mut payloads = Vec::new();
            while let Some(packet) = world.next(client) {
                let words: Vec<&str> = packet.split(' ').collect();
                payloads.push(words[1].parse::<u16>().unwrap_or(0));
                world.puback(client, words[3].trim_start_matches('#').parse().unwrap_or(0));
            }
            assert_eq!(payloads, (1..=50).collect::<Vec<_>>());
        }
    }
}
