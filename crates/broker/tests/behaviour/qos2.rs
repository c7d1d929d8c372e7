//! QoS 2: exactly once, from the publisher and to the subscriber (4.3.3).

use dunlin_broker::{RefusalCodes, Settings};
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World};

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5_0];

fn watched(version: Version) -> (World, Client, Client) {
    watched_in(World::with_shards(2), version)
}

fn watched_in(mut world: World, version: Version) -> (World, Client, Client) {
    let publisher = world.connect(Options::new("p").version(version).persistent(100));
    let watcher = world.connect(Options::new("watcher"));
    world.subscribe(watcher, "#", QoS::AtMostOnce);
    (world, publisher, watcher)
}

#[test]
fn a_message_goes_on_its_way_once_when_it_is_released() {
    for version in VERSIONS {
        let (mut world, publisher, watcher) = watched(version);
        world.publish(publisher, "t", "x", QoS::ExactlyOnce, 5);
        world.publish_dup(publisher, "t", "x", QoS::ExactlyOnce, 5);
        world.publish_dup(publisher, "t", "x", QoS::ExactlyOnce, 5);
        assert_eq!(world.take(publisher), ["PubRec #5"; 3], "{version}");
        assert!(world.take(watcher).is_empty());
        world.pubrel(publisher, 5);
        world.pubrel(publisher, 5);
        assert_eq!(world.take(publisher), ["PubComp #5"; 2]);
        assert_eq!(world.take(watcher), ["t x"]);
    }
}

#[test]
fn with_the_refusals_of_mosquitto_a_message_may_be_repeated_once_on_a_connection() {
    for version in VERSIONS {
        let settings = Settings { refusal_codes: RefusalCodes::Mosquitto, ..Settings::default() };
        let (mut world, publisher, watcher) = watched_in(World::with(settings, 2), version);
        // One repetition for each message is a client that is careful.
        for payload in ["1", "2"] {
            world.publish(publisher, "t", payload, QoS::ExactlyOnce, 5);
            world.publish_dup(publisher, "t", payload, QoS::ExactlyOnce, 5);
            world.pubrel(publisher, 5);
        }
        world.take(publisher);
        assert_eq!(world.take(watcher), ["t 1", "t 2"]);
        let options = Options::new("p").version(version).persistent(100);
        let mut client = publisher;
        world.publish(client, "t", "3", QoS::ExactlyOnce, 6);
        for _ in 0..3 {
            // And so is one repetition on each connection.
            client = world.connect(options.clone());
            world.publish_dup(client, "t", "3", QoS::ExactlyOnce, 6);
            assert_eq!(world.take(client), ["PubRec #6"], "{version}");
        }
        world.publish_dup(client, "t", "3", QoS::ExactlyOnce, 6);
        let told: &[&str] = if version.is_v5() { &["Disconnect ProtocolError"] } else { &[] };
        assert_eq!(world.take(client), told, "{version}");
        assert!(!world.is_open(client));
        // It lost nothing by that.
        let client = world.connect(options);
        world.pubrel(client, 6);
        assert_eq!(world.take(client), ["PubComp #6"]);
        assert_eq!(world.take(watcher), ["t 3"]);
    }
}

#[test]
fn pubrec_does_not_foretell_that_nobody_will_get_the_message() {
    let mut world = World::with_shards(2);
    let publisher = world.connect(Options::new("p"));
    world.publish(publisher, "t", "x", QoS::ExactlyOnce, 5);
    assert_eq!(world.take_frames(publisher), [[0x50, 2, 0, 5]], "the shortest form");
    let subscriber = world.connect(Options::new("late"));
    world.subscribe(subscriber, "t", QoS::AtMostOnce);
    world.pubrel(publisher, 5);
    assert_eq!(world.take(subscriber), ["t x"]);
}

#[test]
fn the_exchange_goes_on_after_a_reconnection() {
    for version in VERSIONS {
        let (mut world, publisher, watcher) = watched(version);
        world.publish(publisher, "t", "x", QoS::ExactlyOnce, 5);
        world.cut(publisher);
        let options = Options::new("p").version(version).persistent(100);
        let publisher = world.connect(options.clone());
        world.publish_dup(publisher, "t", "x", QoS::ExactlyOnce, 5);
        assert_eq!(world.take(publisher), ["PubRec #5"]);
        world.pubrel(publisher, 5);
        world.cut(publisher);
        let publisher = world.connect(options);
        world.pubrel(publisher, 5);
        assert_eq!(world.take(publisher), ["PubComp #5"]);
        assert_eq!(world.take(watcher), ["t x"], "{version}");
    }
}

#[test]
fn a_message_that_was_never_released_goes_with_its_session() {
    let (mut world, publisher, watcher) = watched(Version::V5_0);
    world.publish(publisher, "t", "x", QoS::ExactlyOnce, 5);
    world.cut(publisher);
    let publisher = world.connect(Options::new("p"));
    world.pubrel(publisher, 5);
    assert_eq!(world.take(publisher), ["PubComp #5"]);
    assert!(world.take(watcher).is_empty());
}

#[test]
fn an_identifier_may_be_used_again_once_its_exchange_is_complete() {
    for version in VERSIONS {
        let (mut world, publisher, watcher) = watched(version);
        for payload in ["a", "a", "b"] {
            world.publish(publisher, "t", payload, QoS::ExactlyOnce, 5);
            world.pubrel(publisher, 5);
        }
        assert_eq!(world.take(watcher), ["t a", "t a", "t b"]);
    }
}

#[test]
fn another_message_under_an_unfinished_identifier_takes_the_place_of_the_first() {
    let (mut world, publisher, watcher) = watched(Version::V3_1_1);
    world.publish(publisher, "t", "given up", QoS::ExactlyOnce, 5);
    world.publish(publisher, "t", "meant", QoS::ExactlyOnce, 5);
    world.pubrel(publisher, 5);
    assert_eq!(world.take(watcher), ["t meant"]);
}

#[test]
fn qos_1_and_qos_2_exchanges_do_not_mix_up_their_identifiers() {
    let (mut world, publisher, watcher) = watched(Version::V5_0);
    world.publish(publisher, "t", "two", QoS::ExactlyOnce, 5);
    world.publish(publisher, "t", "one", QoS::AtLeastOnce, 5);
    world.pubrel(publisher, 5);
    assert_eq!(world.take(publisher), ["PubRec #5", "PubAck #5", "PubComp #5"]);
    assert_eq!(world.take(watcher), ["t one", "t two"]);
}

#[test]
fn a_message_that_expires_before_its_release_is_not_delivered() {
    let (mut world, publisher, watcher) = watched(Version::V5_0);
    let expiry = [dunlin_proto::property::Property::MessageExpiryInterval(5)];
    world.publish_with(publisher, "t", "x", QoS::ExactlyOnce, 5, &expiry);
    world.wait_seconds(6);
    world.pubrel(publisher, 5);
    assert_eq!(world.take(publisher), ["PubRec #5", "PubComp #5"]);
    assert!(world.take(watcher).is_empty());
}

#[test]
fn the_four_packets_to_a_subscriber_come_in_their_order() {
    for version in VERSIONS {
        let mut world = World::with_shards(2);
        let publisher = world.connect(Options::new("p"));
        let client = world.connect(Options::new("c").version(version));
        world.subscribe(client, "t", QoS::ExactlyOnce);
        world.publish(publisher, "t", "x", QoS::ExactlyOnce, 1);
        world.pubrel(publisher, 1);
        assert_eq!(world.take(client), ["t x q2 #1"]);
        world.puback(client, 1);
        world.pubcomp(client, 1);
        assert_eq!(world.sum(|stats| stats.queued_messages), 1, "neither ends it");
        world.pubrec(client, 1);
        world.pubrec(client, 1);
        assert_eq!(world.take(client), ["PubRel #1"; 2], "{version}");
        world.pubcomp(client, 1);
        world.pubcomp(client, 1);
        assert!(world.take(client).is_empty());
        assert_eq!(world.sum(|stats| stats.queued_messages), 0);
        assert!(world.is_open(client));
    }
}

#[test]
fn a_pubrec_that_reports_failure_ends_the_exchange() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p"));
    let options = Options::new("c").persistent(100);
    let client = world.connect(options.clone());
    world.subscribe(client, "t", QoS::ExactlyOnce);
    world.publish(publisher, "t", "x", QoS::ExactlyOnce, 1);
    world.pubrel(publisher, 1);
    world.take(client);
    world.pubrec_with(client, 1, ReasonCode::QuotaExceeded);
    assert!(world.take(client).is_empty(), "no PUBREL");
    world.cut(client);
    let client = world.connect(options);
    assert!(world.take(client).is_empty(), "not sent again");
    assert_eq!(world.sum(|stats| stats.queued_messages), 0);
}

#[test]
fn unknown_identifiers_are_tolerated() {
    for version in VERSIONS {
        let mut world = World::new();
        let client = world.connect(Options::new("c").version(version));
        world.puback(client, 9);
        world.pubcomp(client, 9);
        assert!(world.take(client).is_empty());
        world.pubrec(client, 9);
        world.pubrel(client, 9);
        assert_eq!(world.take(client), ["PubRel #9", "PubComp #9"]);
        assert!(world.is_open(client), "{version}");
    }
}

#[test]
fn a_repeated_message_counts_once_against_the_receive_maximum() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    for _ in 0..30 {
        world.publish(client, "t", "x", QoS::ExactlyOnce, 1);
        world.publish(client, "t", "x", QoS::ExactlyOnce, 1);
        world.pubrel(client, 1);
    }
    assert!(world.is_open(client));
    assert_eq!(world.take(client).len(), 90);
}
