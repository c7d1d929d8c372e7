//! What settings change about deliveries: QoS 0 that waits, QoS that is raised, one copy instead of several.

use dunlin_broker::{Overlapping, QueueFull, Settings};
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World, options};

/// A world with this setting, and a session that is away.
fn away(settings: Settings, shards: u16) -> World {
    let mut world = World::with(settings, shards);
    let subscriber = world.connect(Options::new("away").persistent(1000));
    world.subscribe(subscriber, "t/+", QoS::AtLeastOnce);
    world.cut(subscriber);
    world
}

fn back(world: &mut World) -> Vec<String> {
    let subscriber = world.connect(Options::new("away").persistent(1000));
    world.take(subscriber)
}

fn waiting() -> Settings {
    Settings { queue_qos0: true, ..Settings::default() }
}

#[test]
fn qos_0_waits_for_a_session_that_is_away_only_if_it_is_to() {
    for shards in [1, 3] {
        for (settings, expected) in [
            (Settings::default(), vec!["t/b 2 q1 #1"]),
            (waiting(), vec!["t/a 1", "t/b 2 q1 #1", "t/a 3"]),
        ] {
            let mut world = away(settings, shards);
            let publisher = world.connect(Options::new("p"));
            world.publish(publisher, "t/a", "1", QoS::AtMostOnce, 0);
            world.publish(publisher, "t/b", "2", QoS::AtLeastOnce, 1);
            world.publish(publisher, "t/a", "3", QoS::AtMostOnce, 0);
            assert_eq!(back(&mut world), expected);
            assert_eq!(world.sum(|stats| stats.queued_bytes), 0);
            assert_eq!(world.sum(|stats| stats.queued_messages), 1, "the one that is in flight");
        }
    }
}

#[test]
fn qos_0_that_waited_is_not_overtaken_by_what_comes_live() {
    let mut world = World::with(Settings { maximum_inflight: 1, ..waiting() }, 1);
    let subscriber = world.connect(Options::new("away").persistent(1000));
    world.subscribe(subscriber, "t/+", QoS::AtLeastOnce);
    world.cut(subscriber);
    let publisher = world.connect(Options::new("p"));
    world.publish(publisher, "t/b", "1", QoS::AtLeastOnce, 1);
    world.publish(publisher, "t/b", "2", QoS::AtLeastOnce, 2);
    world.publish(publisher, "t/a", "3", QoS::AtMostOnce, 0);
    let subscriber = world.connect(Options::new("away").persistent(1000));
    world.publish(publisher, "t/a", "4", QoS::AtMostOnce, 0);
    assert_eq!(world.take(subscriber), ["t/b 1 q1 #1", "t/a 3", "t/a 4"]);
    world.puback(subscriber, 1);
    assert_eq!(world.take(subscriber), ["t/b 2 q1 #2"]);
}

#[test]
fn qos_0_that_waits_is_sent_in_its_order_though_nothing_more_is_to_wait() {
    let mut world = away(Settings { maximum_inflight: 1, ..waiting() }, 1);
    let publisher = world.connect(Options::new("p"));
    world.publish(publisher, "t/b", "1", QoS::AtLeastOnce, 1);
    world.publish(publisher, "t/b", "2", QoS::AtLeastOnce, 2);
    world.publish(publisher, "t/a", "3", QoS::AtMostOnce, 0);
    world.reconfigure(&Settings { maximum_inflight: 1, ..Settings::default() });
    let subscriber = world.connect(Options::new("away").persistent(1000));
    world.publish(publisher, "t/a", "4", QoS::AtMostOnce, 0);
    assert_eq!(world.take(subscriber), ["t/b 1 q1 #1", "t/a 3", "t/a 4"]);
}

#[test]
fn qos_0_that_waits_counts_for_the_limits_of_the_queue_and_expires() {
    let limited =
        Settings { maximum_queued_messages: 2, queue_full: QueueFull::DropOldest, ..waiting() };
    let mut world = away(limited, 1);
    let publisher = world.connect(Options::new("p"));
    for payload in ["1", "2", "3"] {
        world.publish(publisher, "t/a", payload, QoS::AtMostOnce, 0);
    }
    assert_eq!(world.sum(|stats| stats.dropped_queue_full), 1);
    assert_eq!(back(&mut world), ["t/a 2", "t/a 3"]);

    let mut world = away(waiting(), 1);
    let publisher = world.connect(Options::new("p"));
    let soon = [Property::MessageExpiryInterval(5)];
    world.publish_with(publisher, "t/a", "gone", QoS::AtMostOnce, 0, &soon);
    world.publish(publisher, "t/a", "stays", QoS::AtMostOnce, 0);
    world.wait_seconds(6);
    assert_eq!(back(&mut world), ["t/a stays"]);

    let mut world = away(Settings { maximum_shard_queue_bytes: 6, ..waiting() }, 1);
    let publisher = world.connect(Options::new("p"));
    world.publish(publisher, "t/a", "123", QoS::AtMostOnce, 0);
    world.publish(publisher, "t/a", "4", QoS::AtMostOnce, 0);
    assert_eq!(back(&mut world), ["t/a 123"]);
}

#[test]
fn qos_0_that_waits_is_not_written_to_the_disk() {
    let mut world = away(waiting(), 1);
    let publisher = world.connect(Options::new("p"));
    world.records();
    world.publish(publisher, "t/a", "1", QoS::AtMostOnce, 0);
    assert!(world.records().is_empty());
    assert_eq!(back(&mut world), ["t/a 1"]);
    let done = world.records().into_iter().filter(|record| !record.starts_with("Session"));
    assert_eq!(done.count(), 0);
}

/// A copy at QoS 0 of a message that the same session has stored at QoS 1.
#[test]
fn what_becomes_of_a_copy_at_qos_0_says_nothing_of_the_one_that_is_stored() {
    for maximum_queue_memory in [usize::MAX, 0] {
        let queue_full = QueueFull::DropOldest;
        let limited = Settings { maximum_queued_messages: 2, queue_full, ..waiting() };
        let mut world = World::with(Settings { maximum_queue_memory, ..limited }, 1);
        let subscriber = world.connect(Options::new("away").persistent(1000));
        world.subscribe(subscriber, "t/+", QoS::AtLeastOnce);
        world.subscribe(subscriber, "#", QoS::AtMostOnce);
        world.cut(subscriber);
        let publisher = world.connect(Options::new("p"));
        let done = |world: &mut World| {
            world.records().iter().filter(|record| record.starts_with("Done")).count()
        };
        world.publish(publisher, "t/a", "1", QoS::AtLeastOnce, 1);
        assert_eq!(done(&mut world), 0);
        world.publish(publisher, "t/a", "2", QoS::AtLeastOnce, 2);
        assert_eq!(done(&mut world), 1, "both copies of the first gave way, one was stored");
        let subscriber = world.connect(Options::new("away").persistent(1000));
        let mut got = world.take(subscriber);
        got.sort();
        assert_eq!(got, ["t/a 2", "t/a 2 q1 #1"]);
        assert_eq!(done(&mut world), 0, "it is not acknowledged");
        world.puback(subscriber, 1);
        assert_eq!(done(&mut world), 1);
    }
}

/// Everybody who is subscribed at 0, 1 and 2 gets a message of QoS 0.
fn reached(world: &mut World, send: impl Fn(&mut World, Client)) -> Vec<String> {
    let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
    let subscribers: Vec<Client> =
        [("zero", QoS::AtMostOnce), ("one", QoS::AtLeastOnce), ("two", QoS::ExactlyOnce)]
            .map(|(id, qos)| {
                let client = world.connect(Options::new(id).persistent(100));
                world.subscribe(client, "t", qos);
                client
            })
            .into();
    send(world, publisher);
    subscribers.into_iter().flat_map(|client| world.take(client)).collect()
}

#[test]
fn a_message_goes_out_with_the_qos_of_the_subscription_if_it_is_to_be_raised() {
    for shards in [1, 2] {
        for (upgrade_qos, expected) in
            [(false, ["t x", "t x", "t x"]), (true, ["t x", "t x q1 #1", "t x q2 #1"])]
        {
            let settings = Settings { upgrade_qos, ..Settings::default() };
            let mut world = World::with(settings, shards);
            let got = reached(&mut world, |world, publisher| {
                world.publish(publisher, "t", "x", QoS::AtMostOnce, 0);
            });
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn a_raised_message_of_a_burst_is_sent_as_often_as_it_was_published() {
    let mut world = World::with(Settings { upgrade_qos: true, ..Settings::default() }, 1);
    let payloads: Vec<String> = (0..5).map(|number| number.to_string()).collect();
    let got = reached(&mut world, |world, publisher| {
        world.publish_all(publisher, "t", &payloads, QoS::AtMostOnce, 1);
    });
    assert_eq!(got.len(), 15);
    assert_eq!(got[5..8], ["t 0 q1 #1", "t 1 q1 #2", "t 2 q1 #3"]);
}

#[test]
fn retained_messages_and_wills_are_raised_too() {
    let mut world = World::with(Settings::default(), 1);
    let publisher = world.connect(Options::new("p"));
    world.retain(publisher, "t", "before");
    world.reconfigure(&Settings { upgrade_qos: true, ..Settings::default() });
    world.retain(publisher, "u", "after");
    let client = world.connect(Options::new("c"));
    world.subscribe(client, "+", QoS::AtLeastOnce);
    assert_eq!(world.take(client), ["t before q1 #1 retained", "u after q1 #2 retained"]);
    let doomed = world.connect(Options::new("d").will("w", "gone"));
    world.cut(doomed);
    assert_eq!(world.take(client), ["w gone q1 #3"]);
}

fn once() -> Settings {
    Settings { overlapping: Overlapping::Once, ..Settings::default() }
}

#[test]
fn overlapping_subscriptions_give_one_copy_with_the_highest_qos_if_they_are_to() {
    for shards in [1, 3] {
        let mut world = World::with(once(), shards);
        let client = world.connect(Options::new("c").version(Version::V3_1_1));
        world.subscribe(client, "a/#", QoS::AtMostOnce);
        world.subscribe(client, "a/b", QoS::ExactlyOnce);
        world.subscribe(client, "+/b", QoS::AtLeastOnce);
        let other = world.connect(Options::new("o"));
        world.subscribe(other, "a/b", QoS::AtMostOnce);
        let publisher = world.connect(Options::new("p"));
        world.publish(publisher, "a/b", "x", QoS::ExactlyOnce, 1);
        world.pubrel(publisher, 1);
        assert_eq!(world.take(client), ["a/b x q2 #1"]);
        assert_eq!(world.take(other), ["a/b x"]);
    }
}

#[test]
fn one_copy_is_enough_from_a_reload_on_and_several_come_again_after_another() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.subscribe(client, "a/#", QoS::AtMostOnce);
    world.subscribe(client, "a/b", QoS::AtMostOnce);
    for (settings, copies) in [(Settings::default(), 2), (once(), 1), (Settings::default(), 2)] {
        world.reconfigure(&settings);
        world.publish(client, "a/b", "x", QoS::AtMostOnce, 0);
        assert_eq!(world.take(client).len(), copies);
    }
}

#[test]
fn different_subscription_identifiers_still_come_with_a_copy_each() {
    let mut world = World::with(once(), 1);
    let client = world.connect(Options::new("c"));
    for (filter, identifier) in [("a/#", 5), ("a/b", 6), ("+/b", 5)] {
        let identifier = [Property::SubscriptionIdentifier(identifier)];
        world.subscribe_with(client, filter, options(QoS::AtMostOnce), &identifier);
    }
    world.subscribe(client, "#", QoS::AtLeastOnce);
    world.take(client);
    world.publish(client, "a/b", "x", QoS::AtLeastOnce, 1);
    let mut copies = world.take(client);
    copies.sort();
    assert_eq!(
        copies,
        ["PubAck #1", "a/b x SubscriptionIdentifier(6)", "a/b x q1 #1 SubscriptionIdentifier(5)"]
    );
}

#[test]
fn a_clients_own_message_comes_back_to_it_if_one_of_its_subscriptions_wants_it() {
    let mut world = World::with(once(), 1);
    let client = world.connect(Options::new("c"));
    let mut foreign = options(QoS::AtMostOnce);
    foreign.no_local = true;
    world.subscribe_with(client, "a/#", foreign, &[]);
    world.take(client);
    world.publish(client, "a/b", "mine", QoS::AtMostOnce, 0);
    assert!(world.take(client).is_empty());
    world.subscribe(client, "a/b", QoS::AtMostOnce);
    world.publish(client, "a/b", "mine", QoS::AtMostOnce, 0);
    assert_eq!(world.take(client), ["a/b mine"]);
}
