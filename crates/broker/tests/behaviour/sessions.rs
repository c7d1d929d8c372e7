//! Sessions: when they begin, what they keep while the client is away, and when they end (3.1.2.4, 4.1).

use std::sync::Arc;

use dunlin_broker::{End, Entry, Event, Settings};
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

use crate::world::{Options, World, options};

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5_0];

/// Connects with the session there was and tells whether there was one.
fn resumes(world: &mut World, options: Options<'_>) -> bool {
    let (client, connack) = world.try_connect(options.clean(false));
    assert!(connack.starts_with("ConnAck Success"), "{connack}");
    world.cut(client);
    connack.contains("present")
}

#[test]
fn a_session_is_kept_only_when_the_client_asks_for_it() {
    for version in VERSIONS {
        let mut world = World::new();
        let kept = Options::new("kept").version(version).persistent(100);
        let lost = Options::new("lost").version(version);
        let (first, connack) = world.try_connect(kept.clone());
        assert!(!connack.contains("present"), "{connack}");
        world.cut(first);
        let second = world.connect(lost.clone());
        world.cut(second);
        // Return codes of 3.1 have no session present flag.
        assert_eq!(resumes(&mut world, kept), version != Version::V3_1, "{version}");
        assert!(!resumes(&mut world, lost), "{version}");
    }
}

#[test]
fn clean_start_throws_the_old_session_away_with_all_it_held() {
    for version in VERSIONS {
        let mut world = World::new();
        let options = Options::new("c").version(version).persistent(100);
        let client = world.connect(options.clone());
        world.subscribe(client, "t", QoS::AtLeastOnce);
        world.cut(client);
        let publisher = world.connect(Options::new("p"));
        world.publish(publisher, "t", "waits", QoS::AtLeastOnce, 1);
        let (client, connack) = world.try_connect(options.clean(true));
        assert!(!connack.contains("present"), "{connack}");
        world.publish(publisher, "t", "nobody", QoS::AtLeastOnce, 2);
        assert!(world.take(client).is_empty(), "{version}");
        assert_eq!(
            world.take(publisher),
            ["PubAck #1", "PubAck #2 NoMatchingSubscribers"],
            "{version}"
        );
    }
}

#[test]
fn a_session_ends_when_its_expiry_interval_has_passed() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let options = Options::new("c").persistent(60);
        for away in [59, 61] {
            let client = world.connect(options.clone());
            world.subscribe(client, "t", QoS::AtLeastOnce);
            world.cut(client);
            world.wait_seconds(away);
            assert_eq!(world.index.subscription_count(), usize::from(away < 60));
        }
        assert!(!resumes(&mut world, options));
        assert_eq!(world.sum(|stats| stats.sessions_expired), 1);
        let expired = world
            .events()
            .into_iter()
            .any(|event| matches!(event, Event::SessionExpired { client } if &*client == "c"));
        assert!(expired);
        world.wait_seconds(61);
        world.assert_empty();
    }
}

#[test]
fn the_expiry_interval_begins_anew_with_each_disconnection() {
    let mut world = World::new();
    let options = Options::new("c").persistent(60);
    for _ in 0..5 {
        let client = world.connect(options.clone());
        // Connected for longer than the interval: it does not run meanwhile.
        world.wait_seconds(100);
        world.cut(client);
        world.wait_seconds(40);
        assert!(resumes(&mut world, options.clone()));
    }
}

#[test]
fn disconnect_may_change_the_expiry_interval() {
    let mut world = World::new();
    let options = Options::new("c").persistent(10);
    let client = world.connect(options.clone());
    let longer = [Property::SessionExpiryInterval(1000)];
    world.disconnect_with(client, ReasonCode::Success, &longer);
    world.wait_seconds(500);
    assert!(resumes(&mut world, options.clone()));
    let client = world.connect(options.clone());
    let none = [Property::SessionExpiryInterval(0)];
    world.disconnect_with(client, ReasonCode::Success, &none);
    world.assert_empty();
}

#[test]
fn disconnect_may_not_make_a_session_of_zero_longer() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    let longer = [Property::SessionExpiryInterval(10)];
    world.disconnect_with(client, ReasonCode::Success, &longer);
    assert_eq!(world.take(client), ["Disconnect ProtocolError"]);
    assert!(!world.is_open(client));
    world.assert_empty();
}

#[test]
fn the_broker_may_lower_the_expiry_interval_and_says_so() {
    let settings = || Settings { maximum_session_expiry: 30, ..Settings::default() };
    let mut world = World::with(settings(), 1);
    let (client, connack) = world.try_connect(Options::new("c").persistent(100));
    assert!(connack.contains("SessionExpiryInterval(30)"), "{connack}");
    let (_, connack) = world.try_connect(Options::new("d").persistent(30));
    assert!(!connack.contains("SessionExpiryInterval"), "{connack}");
    world.cut(client);
    world.wait_seconds(31);
    assert!(!resumes(&mut world, Options::new("c")));
    // Before 5.0 nobody can be told, but nobody is kept for ever either.
    let old = Options::new("old").version(Version::V3_1_1).persistent(0);
    let client = world.connect(old.clone());
    world.cut(client);
    world.wait_seconds(31);
    assert!(!resumes(&mut world, old));
}

#[test]
fn a_session_that_never_expires_waits_for_years() {
    for version in [Version::V3_1_1, Version::V5_0] {
        let mut world = World::new();
        let options = Options::new("c").version(version).persistent(u32::MAX);
        let client = world.connect(options.clone());
        world.subscribe(client, "t", QoS::AtLeastOnce);
        world.cut(client);
        world.wait_seconds(10 * 365 * 24 * 3600);
        assert!(resumes(&mut world, options));
    }
}

#[test]
fn messages_for_a_client_that_is_away_wait_in_order_and_qos_0_does_not() {
    for (version, shards) in VERSIONS.into_iter().flat_map(|version| [(version, 1), (version, 2)]) {
        let mut world = World::with_shards(shards);
        let options = Options::new("c").version(version).persistent(100);
        let client = world.connect(options.clone());
        world.subscribe(client, "a/+", QoS::ExactlyOnce);
        world.cut(client);
        let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
        world.publish(publisher, "a/1", "zero", QoS::AtMostOnce, 0);
        world.publish(publisher, "a/1", "one", QoS::AtLeastOnce, 1);
        world.publish(publisher, "a/2", "two", QoS::ExactlyOnce, 2);
        world.pubrel(publisher, 2);
        world.publish(publisher, "a/1", "three", QoS::AtLeastOnce, 3);
        let client = world.connect(options);
        assert_eq!(world.take(client), ["a/1 one q1 #1", "a/2 two q2 #2", "a/1 three q1 #3"]);
    }
}

#[test]
fn what_was_not_acknowledged_is_sent_again_with_dup_before_anything_new() {
    for (version, shards) in VERSIONS.into_iter().flat_map(|version| [(version, 1), (version, 2)]) {
        let mut world = World::with_shards(shards);
        let options = Options::new("c").version(version).persistent(100);
        let client = world.connect(options.clone());
        world.subscribe(client, "t", QoS::ExactlyOnce);
        let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
        for id in 1..=4 {
            let qos = if id % 2 == 1 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
            world.publish(publisher, "t", &id.to_string(), qos, id);
            world.pubrel(publisher, id);
        }
        assert_eq!(world.take(client), ["t 1 q1 #1", "t 2 q2 #2", "t 3 q1 #3", "t 4 q2 #4"]);
        world.pubrec(client, 2);
        world.puback(client, 3);
        world.cut(client);
        world.publish(publisher, "t", "5", QoS::AtLeastOnce, 5);
        let client = world.connect(options.clone());
        let expected = ["t 1 q1 #1 dup", "PubRel #2", "t 4 q2 #4 dup", "t 5 q1 #5"];
        assert_eq!(world.take(client), expected, "{version}");
        world.puback(client, 1);
        world.pubcomp(client, 2);
        world.pubrec(client, 4);
        assert_eq!(world.take(client), ["PubRel #4"]);
        world.pubcomp(client, 4);
        world.puback(client, 5);
        world.cut(client);
        let client = world.connect(options);
        assert!(world.take(client).is_empty());
        assert_eq!(world.sum(|stats| stats.queued_messages), 0);
    }
}

#[test]
fn sending_again_keeps_to_a_smaller_receive_maximum() {
    let mut world = World::new();
    let options = Options::new("c").persistent(100);
    let client = world.connect(options.clone());
    world.subscribe(client, "t", QoS::ExactlyOnce);
    let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
    for id in 1..=3 {
        world.publish(publisher, "t", &id.to_string(), QoS::ExactlyOnce, id);
        world.pubrel(publisher, id);
    }
    world.take(client);
    world.pubrec(client, 1);
    world.take(client);
    world.cut(client);
    world.publish(publisher, "t", "4", QoS::AtLeastOnce, 4);
    let client = world.connect(options.property(Property::ReceiveMaximum(1)));
    assert_eq!(world.take(client), ["PubRel #1"]);
    world.pubcomp(client, 1);
    assert_eq!(world.take(client), ["t 2 q2 #2 dup"]);
    world.pubrec(client, 2);
    assert_eq!(world.take(client), ["PubRel #2"]);
    world.pubcomp(client, 2);
    assert_eq!(world.take(client), ["t 3 q2 #3 dup"]);
    world.pubrec_with(client, 3, ReasonCode::UnspecifiedError);
    assert_eq!(world.take(client), ["t 4 q1 #4"]);
}

#[test]
fn subscriptions_outlive_the_connection_with_their_options() {
    let mut world = World::new();
    let client_options = Options::new("c").persistent(100);
    let client = world.connect(client_options.clone());
    let mut wish = options(QoS::AtLeastOnce);
    wish.retain_as_published = true;
    wish.no_local = true;
    world.subscribe_with(client, "t", wish, &[Property::SubscriptionIdentifier(9)]);
    world.cut(client);
    let client = world.connect(client_options);
    let publisher = world.connect(Options::new("p"));
    world.retain(publisher, "t", "x");
    world.publish(client, "t", "own", QoS::AtMostOnce, 0);
    assert_eq!(world.take(client), ["t x retained SubscriptionIdentifier(9)"]);
}

#[test]
fn a_listener_has_a_beginning_of_its_own_for_identifiers_that_it_gives() {
    let mut world = World::new();
    let entry = Entry { assigned_id_prefix: Some("boat-".into()), ..Entry::default() };
    world.connect_by(&Arc::new(entry), &Options::new(""));
    world.connect(Options::new(""));
    let given: Vec<String> = world.commons.homes.borrow().keys().map(ToString::to_string).collect();
    let count = |start: &str| given.iter().filter(|id| id.starts_with(start)).count();
    assert_eq!((count("boat-"), count("auto-")), (1, 1), "{given:?}");
}

#[test]
fn an_empty_client_identifier_is_replaced_by_one_that_nobody_else_has() {
    let settings = Settings { assigned_id_prefix: "auto-".into(), ..Settings::default() };
    let mut world = World::with(settings, 2);
    let assigned: Vec<String> = (0..4)
        .map(|_| {
            let (_, connack) = world.try_connect(Options::new(""));
            let (_, rest) = connack.split_once("AssignedClientIdentifier(\"").expect(&connack);
            rest.split('"').next().expect("quoted").to_owned()
        })
        .collect();
    assert!(assigned.iter().all(|id| id.starts_with("auto-") && id.len() == 41), "{assigned:?}");
    assert!(assigned.iter().all(|id| assigned.iter().filter(|other| *other == id).count() == 1));
    assert_eq!(world.commons.homes.borrow().len(), 4);
    // The assigned one is a client identifier like any other.
    let mut again = Options::new(&assigned[0]);
    again.clean = false;
    let (_, connack) = world.try_connect(again);
    assert!(connack.starts_with("ConnAck Success"), "{connack}");
    // 3.1.1 clients get one without being told.
    let (_, connack) = world.try_connect(Options::new("").version(Version::V3_1_1));
    assert_eq!(connack, "ConnAck Success");
}

#[test]
fn a_session_is_at_home_in_one_shard_wherever_its_client_connects() {
    let mut world = World::with_shards(3);
    let shards: Vec<usize> = (0..6)
        .map(|number| {
            let client = world.connect(Options::new(&number.to_string()).persistent(100));
            world.subscribe(client, "t", QoS::AtLeastOnce);
            world.cut(client);
            world.shard(client)
        })
        .collect();
    assert_eq!(shards, [0, 1, 2, 0, 1, 2]);
    let publisher = world.connect(Options::new("p"));
    world.publish(publisher, "t", "x", QoS::AtLeastOnce, 1);
    for (number, shard) in shards.into_iter().enumerate() {
        let client = world.connect(Options::new(&number.to_string()).persistent(100));
        assert_eq!(world.shard(client), shard);
        assert_eq!(world.take(client), ["t x q1 #1"]);
    }
    // What the shards that moved connections away remember of them is nothing.
    assert_eq!(world.sum(|stats| stats.connections_opened), 13);
}

#[test]
fn mail_to_a_session_that_has_gone_is_dropped() {
    let mut world = World::with_shards(2);
    let publisher = world.connect(Options::new("p"));
    let gone = world.connect(Options::new("gone"));
    world.subscribe(gone, "t", QoS::AtLeastOnce);
    assert_ne!(world.shard(publisher), world.shard(gone));
    world.publish_unsettled(publisher, "t", "late", 1);
    world.cut_unsettled(gone);
    world.settle();
    world.connect(Options::new("other"));
    let heir = world.connect(Options::new("heir"));
    assert_ne!(world.shard(publisher), world.shard(heir));
    assert!(world.take(heir).is_empty());
    assert_eq!(world.take(publisher), ["PubAck #1"]);
    assert_eq!(world.sum(|stats| stats.queued_messages), 0);
}

#[test]
fn events_tell_who_came_and_went_and_why() {
    let mut world = World::new();
    let client = world.connect(Options::new("c").keep_alive(10));
    world.disconnect(client, ReasonCode::DisconnectWithWillMessage);
    let events: Vec<String> = world.events().iter().map(ToString::to_string).collect();
    assert_eq!(
        events,
        [
            "client \"c\" connected from 127.0.0.1:40000 with MQTT 5.0, keep alive 10 s, clean start, new session",
            "client \"c\" from 127.0.0.1:40000 disconnected: it disconnected with 0x04 (disconnect with will message)",
        ]
    );
    let mut options = Options::new("c");
    options.username = Some("anna");
    let client = world.connect(options);
    let came = world.events().pop().unwrap().to_string();
    assert!(came.ends_with("new session, user \"anna\""), "{came}");
    world.cut(client);
    let gone = world.events().pop();
    assert!(matches!(gone, Some(Event::Disconnected { end: End::PeerClosed, .. })), "{gone:?}");
}
