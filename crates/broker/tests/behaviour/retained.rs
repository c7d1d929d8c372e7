//! Retained messages: kept, replaced, cleared, and sent to new subscriptions page by page (3.3.1.3, 3.8.3.1).

use std::collections::BTreeMap;

use dunlin_broker::{Event, Reached, Settings};
use dunlin_proto::packet::{RetainHandling, SubscribeOptions};
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World, options};

fn wish(qos: QoS, retain_handling: RetainHandling) -> SubscribeOptions {
    let mut wish = options(qos);
    wish.retain_handling = retain_handling;
    wish
}

/// A world with a publisher and so many retained messages at `r/00000` and on.
fn stocked(shards: u16, count: usize, qos: QoS) -> (World, Client) {
    let mut world = World::with_shards(shards);
    let publisher = world.connect(Options::new("publisher").version(Version::V3_1_1));
    for number in 0..count {
        let topic = format!("r/{number:05}");
        world.retain_with(publisher, &topic, "old", qos, 1, &[]);
        world.pubrel(publisher, 1);
    }
    world.take(publisher);
    (world, publisher)
}

/// The last payload that came for each topic, acknowledging as it comes.
fn drain(world: &mut World, client: Client, last: &mut BTreeMap<String, String>) -> usize {
    let mut count = 0;
    while let Some(packet) = world.next(client) {
        let mut words = packet.split(' ');
        let (topic, payload) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        last.insert(topic.to_owned(), payload.to_owned());
        count += 1;
        if let Some(id) = packet.split(" #").nth(1).and_then(|rest| rest.split(' ').next())
            && !packet.starts_with("SubAck")
        {
            world.puback(client, id.parse().expect("a packet identifier"));
        }
    }
    count
}

#[test]
fn a_new_subscription_gets_the_retained_message_whichever_the_shard() {
    for (version, shards) in [(Version::V3_1, 1), (Version::V3_1_1, 2), (Version::V5_0, 2)] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p"));
        world.retain(publisher, "t", "first");
        world.retain(publisher, "t", "second");
        world.retain(publisher, "other", "x");
        let client = world.connect(Options::new("c").version(version));
        world.subscribe(client, "t", QoS::AtLeastOnce);
        assert_eq!(world.take(client), ["t second retained"]);
        // To those who are subscribed already it comes as any other message.
        world.retain(publisher, "t", "third");
        assert_eq!(world.take(client), ["t third"]);
    }
}

#[test]
fn an_empty_payload_clears_the_topic() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.retain(client, "t", "x");
    world.subscribe(client, "t", QoS::AtMostOnce);
    world.take(client);
    world.retain(client, "t", "");
    assert_eq!(world.take(client), ["t "]);
    world.subscribe(client, "t", QoS::AtMostOnce);
    assert!(world.take(client).is_empty());
    assert_eq!(world.commons.retained.borrow().count(), 0);
}

#[test]
fn a_retained_message_has_the_lower_qos_of_the_two() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.retain_with(client, "a", "one", QoS::AtLeastOnce, 1, &[]);
    world.retain_with(client, "b", "two", QoS::ExactlyOnce, 2, &[]);
    assert!(world.commons.retained.borrow().count() == 1, "QoS 2 is not released yet");
    world.pubrel(client, 2);
    world.take(client);
    world.subscribe(client, "+", QoS::ExactlyOnce);
    assert_eq!(world.take(client), ["a one q1 #1 retained", "b two q2 #2 retained"]);
    world.subscribe(client, "+", QoS::AtLeastOnce);
    assert_eq!(world.take(client), ["a one q1 #3 retained", "b two q1 #4 retained"]);
    world.subscribe(client, "+", QoS::AtMostOnce);
    assert_eq!(world.take(client), ["a one retained", "b two retained"]);
}

#[test]
fn retain_handling_chooses_when_they_are_sent() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p"));
        let client = world.connect(Options::new("c"));
        world.retain(publisher, "t", "x");
        let mut got = |handling| {
            world.subscribe_with(client, "t", wish(QoS::AtMostOnce, handling), &[]);
            world.take(client).len() - 1
        };
        assert_eq!(got(RetainHandling::Never), 0);
        assert_eq!(got(RetainHandling::IfNew), 0, "it exists");
        assert_eq!(got(RetainHandling::Always), 1);
        assert_eq!(got(RetainHandling::Always), 1, "once more");
        world.unsubscribe(client, "t");
        let mut got = |handling| {
            world.subscribe_with(client, "t", wish(QoS::AtMostOnce, handling), &[]);
            world.take(client).len() - 1
        };
        assert_eq!(got(RetainHandling::IfNew), 1, "it is new");
        assert_eq!(got(RetainHandling::IfNew), 0);
    }
}

#[test]
fn retain_as_published_keeps_the_flag_of_live_messages() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p"));
        let kept = world.connect(Options::new("kept"));
        let cleared = world.connect(Options::new("cleared"));
        let mut as_published = options(QoS::AtLeastOnce);
        as_published.retain_as_published = true;
        world.subscribe_with(kept, "t", as_published, &[]);
        world.subscribe(cleared, "t", QoS::AtLeastOnce);
        world.take(kept);
        world.retain(publisher, "t", "0");
        world.retain_with(publisher, "t", "1", QoS::AtLeastOnce, 1, &[]);
        world.publish(publisher, "t", "plain", QoS::AtMostOnce, 0);
        assert_eq!(world.take(kept), ["t 0 retained", "t 1 q1 #1 retained", "t plain"]);
        assert_eq!(world.take(cleared), ["t 0", "t 1 q1 #1", "t plain"]);
    }
}

#[test]
fn the_subscription_identifier_is_on_retained_messages_too() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.retain(client, "t", "x");
    let identifier = [Property::SubscriptionIdentifier(200)];
    world.subscribe_with(client, "#", options(QoS::AtMostOnce), &identifier);
    let packets = world.take(client);
    assert_eq!(packets[1..], ["t x retained SubscriptionIdentifier(200)"]);
}

#[test]
fn a_wildcard_at_the_front_does_not_find_topics_with_a_dollar() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.retain(client, "$mine/a", "hidden");
    world.retain(client, "a/a", "seen");
    world.subscribe(client, "#", QoS::AtMostOnce);
    world.subscribe_with(client, "+/a", options(QoS::AtMostOnce), &[]);
    assert_eq!(world.take(client).len(), 3);
    world.subscribe(client, "$mine/#", QoS::AtMostOnce);
    assert_eq!(world.take(client), ["$mine/a hidden retained"]);
}

#[test]
fn ten_thousand_are_sent_in_order_as_the_reader_takes_them() {
    for shards in [1, 2] {
        let (mut world, _) = stocked(shards, 10_000, QoS::AtMostOnce);
        let client = world.connect(Options::new("c"));
        world.set_reading(client, false);
        world.subscribe_with(client, "#", options(QoS::AtMostOnce), &[]);
        world.set_reading(client, true);
        let packets = world.take(client);
        assert!(packets[0].starts_with("SubAck"));
        let expected: Vec<String> =
            (0..10_000).map(|number| format!("r/{number:05} old retained")).collect();
        assert!(packets[1..] == expected[..], "{} packets", packets.len());
    }
}

#[test]
fn a_stopped_reader_has_only_a_budget_of_them_waiting() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p"));
    let payload = "x".repeat(10_000);
    for number in 0..1000 {
        world.retain(publisher, &format!("r/{number}"), &payload);
    }
    let client = world.connect(Options::new("c"));
    world.set_reading(client, false);
    world.subscribe_with(client, "#", options(QoS::AtMostOnce), &[]);
    let sent = world.sum(|stats| stats.publish_sent);
    assert!((50..250).contains(&sent), "{sent} of 1000 messages of 10 kB written");
    world.set_reading(client, true);
    assert_eq!(world.take(client).len(), 1001);
    assert_eq!(world.sum(|stats| stats.publish_dropped), 0);
}

#[test]
fn a_window_of_two_is_enough_for_ten_thousand_and_none_of_them_waits_in_the_queue() {
    let (mut world, _) = stocked(2, 10_000, QoS::AtLeastOnce);
    let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(2)));
    world.subscribe(client, "#", QoS::AtLeastOnce);
    assert_eq!(world.outstanding(client).len(), 2);
    assert!(world.sum(|stats| stats.queued_messages) <= 2);
    let mut last = BTreeMap::new();
    assert_eq!(drain(&mut world, client, &mut last), 10_000);
    assert_eq!(last.len(), 10_000);
    assert_eq!(world.sum(|stats| stats.queued_messages), 0);
    assert_eq!(world.sum(|stats| stats.publish_dropped), 0);
}

#[test]
fn live_messages_meanwhile_are_neither_lost_nor_replaced_by_older_ones() {
    for (shards, qos) in [1, 2].into_iter().flat_map(|shards| {
        [(shards, QoS::AtMostOnce), (shards, QoS::AtLeastOnce), (shards, QoS::ExactlyOnce)]
    }) {
        let (mut world, publisher) = stocked(shards, 2000, QoS::AtLeastOnce);
        let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(2)));
        world.set_reading(client, false);
        world.subscribe_with(client, "#", options(QoS::AtLeastOnce), &[]);
        let mut last = BTreeMap::new();
        for round in 0..100 {
            // Some are sent already, some are being read just now, some are still to come.
            for number in [round, round + 1, round + 30, round + 70, 1999 - round] {
                let topic = format!("r/{number:05}");
                world.retain_with(publisher, &topic, &format!("new{round}"), qos, 1, &[]);
                world.pubrel(publisher, 1);
            }
            world.publish(publisher, "live", &round.to_string(), qos, 2);
            world.pubrel(publisher, 2);
            if round % 3 == 0 {
                world.set_reading(client, true);
                drain_some(&mut world, client, &mut last);
                world.set_reading(client, false);
            }
        }
        world.set_reading(client, true);
        drain(&mut world, client, &mut last);
        let retained = world.connect(Options::new("later"));
        world.subscribe(retained, "r/#", QoS::AtMostOnce);
        let mut expected = BTreeMap::new();
        drain(&mut world, retained, &mut expected);
        expected.insert("live".to_owned(), "99".to_owned());
        expected.insert("SubAck".to_owned(), "#77".to_owned());
        assert!(last == expected, "{qos:?} over {shards} shards");
        assert_eq!(world.sum(|stats| stats.publish_dropped), 0);
    }
}

/// Takes and acknowledges a few packets only.
fn drain_some(world: &mut World, client: Client, last: &mut BTreeMap<String, String>) {
    for _ in 0..5 {
        let Some(packet) = world.next(client) else { return };
        let mut words = packet.split(' ');
        let (topic, payload) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        last.insert(topic.to_owned(), payload.to_owned());
        if let Some(id) = packet.split(" #").nth(1).and_then(|rest| rest.split(' ').next())
            && !packet.starts_with("SubAck")
        {
            world.puback(client, id.parse().expect("a packet identifier"));
        }
    }
}

#[test]
fn retained_messages_do_not_count_against_the_queue() {
    let settings = Settings { maximum_queued_messages: 3, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(1)));
    for number in 0..100 {
        world.retain_with(client, &format!("r/{number}"), "x", QoS::AtLeastOnce, 1, &[]);
    }
    world.take(client);
    world.subscribe(client, "#", QoS::AtLeastOnce);
    assert_eq!(drain(&mut world, client, &mut BTreeMap::new()), 100);
}

#[test]
fn unsubscribing_stops_what_is_still_to_come() {
    let (mut world, _) = stocked(1, 1000, QoS::AtLeastOnce);
    let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(2)));
    world.subscribe(client, "#", QoS::AtLeastOnce);
    assert_eq!(world.take(client).len(), 2);
    world.unsubscribe(client, "#");
    world.puback(client, 1);
    world.puback(client, 2);
    assert!(world.take(client).is_empty());
    assert_eq!(world.sum(|stats| stats.queued_messages), 0);
}

#[test]
fn subscribing_again_meanwhile_begins_anew_with_the_new_options() {
    let (mut world, _) = stocked(1, 100, QoS::AtLeastOnce);
    let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(1)));
    for identifier in 1..=50 {
        let identifier = [Property::SubscriptionIdentifier(identifier)];
        world.subscribe_with(client, "#", options(QoS::AtLeastOnce), &identifier);
    }
    let mut last = BTreeMap::new();
    let count = drain(&mut world, client, &mut last);
    // The SUBACKs, what the first had sent already, and everything once.
    assert_eq!(count, 50 + 1 + 100);
}

#[test]
fn what_was_still_to_come_when_the_connection_broke_comes_on_the_next_one() {
    let (mut world, _) = stocked(2, 300, QoS::AtLeastOnce);
    let options = Options::new("c").persistent(100).property(Property::ReceiveMaximum(2));
    let client = world.connect(options.clone());
    world.subscribe(client, "#", QoS::AtLeastOnce);
    world.take(client);
    world.cut(client);
    let client = world.connect(options);
    assert_eq!(drain(&mut world, client, &mut BTreeMap::new()), 300);
}

#[test]
fn several_filters_in_one_subscribe_each_send_theirs() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    for topic in ["a", "b/1", "b/2"] {
        world.retain(client, topic, "x");
    }
    world.subscribe_all(client, &["b/#", "a", "b/1"]);
    assert_eq!(
        world.take(client)[1..],
        ["b/1 x retained", "b/2 x retained", "a x retained", "b/1 x retained"]
    );
}

#[test]
fn no_more_topics_are_retained_than_allowed_but_those_there_are_may_change() {
    let settings = Settings { maximum_retained: 2, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let client = world.connect(Options::new("c"));
    world.events();
    world.subscribe(client, "live/#", QoS::AtMostOnce);
    for topic in ["live/a", "live/b", "live/c", "live/d"] {
        world.retain(client, topic, "1");
    }
    assert_eq!(world.take(client).len(), 4, "delivered all the same");
    world.retain(client, "live/a", "2");
    world.retain(client, "live/b", "");
    world.retain(client, "live/e", "1");
    world.take(client);
    world.subscribe(client, "#", QoS::AtMostOnce);
    assert_eq!(world.take(client), ["live/a 2 retained", "live/e 1 retained"]);
    assert_eq!(world.sum(|stats| stats.retained_refused), 2);
    let told = world.events();
    assert!(
        matches!(&told[..], [Event::RetainedFull { reached: Reached { allowed: 2, .. }, .. }]),
        "{told:?}"
    );
}
