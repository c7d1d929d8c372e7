//! Takeover by the same client identifier, keep alive and the time for CONNECT (3.1.2.10, 3.1.4).

use std::time::Duration;

use dunlin_broker::{End, Event, Settings};
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

use crate::world::{Options, World, options};

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5_0];

#[test]
fn a_newer_connection_takes_over_and_the_older_one_is_told() {
    for (version, shards) in VERSIONS.into_iter().flat_map(|version| [(version, 1), (version, 3)]) {
        let mut world = World::with_shards(shards);
        let options = Options::new("c").version(version);
        world.connect(Options::new("somebody else"));
        let first = world.connect(options.clone());
        let second = world.connect(options);
        assert!(!world.is_open(first));
        assert!(world.is_open(second));
        let told = if version.is_v5() { vec!["Disconnect SessionTakenOver"] } else { vec![] };
        assert_eq!(world.take(first), told, "{version}");
        assert_eq!(world.shard(first), world.shard(second));
        assert_eq!(world.sum(|stats| stats.takeovers), 1);
        assert_eq!(world.sum(|stats| stats.clients_connected), 2);
        let ends: Vec<bool> = world
            .events()
            .iter()
            .filter_map(|event| match event {
                Event::Disconnected { end, .. } => Some(*end == End::TakenOver),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [true]);
    }
}

#[test]
fn the_session_goes_on_across_a_takeover_and_what_was_in_flight_is_sent_again() {
    for version in VERSIONS {
        let mut world = World::with_shards(2);
        let publisher = world.connect(Options::new("p"));
        let options = Options::new("c").version(version).persistent(100);
        let first = world.connect(options.clone());
        world.subscribe(first, "t", QoS::AtLeastOnce);
        world.publish(publisher, "t", "1", QoS::AtLeastOnce, 1);
        let second = world.connect(options);
        world.publish(publisher, "t", "2", QoS::AtLeastOnce, 2);
        assert_eq!(world.take(second), ["t 1 q1 #1 dup", "t 2 q1 #2"], "{version}");
        // The end of the old socket does nothing to the new one.
        world.cut(first);
        assert!(world.is_open(second));
    }
}

#[test]
fn an_older_connection_that_ended_is_not_taken_over_again() {
    let mut world = World::new();
    for _ in 0..10 {
        let client = world.connect(Options::new("c").persistent(100));
        world.disconnect(client, ReasonCode::Success);
    }
    assert_eq!(world.sum(|stats| stats.takeovers), 0);
    assert_eq!(world.sum(|stats| stats.sessions), 1);
}

#[test]
fn input_of_a_connection_that_was_taken_over_is_ignored() {
    let mut world = World::new();
    let first = world.connect(Options::new("c"));
    world.set_reading(first, false);
    let second = world.connect(Options::new("c"));
    world.subscribe(second, "t", QoS::AtMostOnce);
    world.publish(first, "t", "late", QoS::AtMostOnce, 0);
    world.subscribe_with(first, "other", options(QoS::AtMostOnce), &[]);
    assert!(world.take(second).is_empty());
    assert_eq!(world.index.subscription_count(), 1);
}

#[test]
fn a_client_that_is_silent_for_one_and_a_half_times_its_keep_alive_is_let_go() {
    for version in VERSIONS {
        let mut world = World::new();
        let client = world.connect(Options::new("c").version(version).keep_alive(10));
        world.wait(Duration::from_millis(14_900));
        assert!(world.is_open(client), "{version}");
        world.send_bytes(client, &[0xC0, 0x00]);
        assert_eq!(world.take(client), ["PingResp"]);
        world.wait(Duration::from_millis(14_900));
        assert!(world.is_open(client));
        world.wait(Duration::from_millis(400));
        assert!(!world.is_open(client));
        let told = if version.is_v5() { vec!["Disconnect KeepAliveTimeout"] } else { vec![] };
        assert_eq!(world.take(client), told);
        let event = world.events().pop();
        let silent = matches!(
            event,
            Some(Event::Disconnected { end: End::KeepAlive { keep_alive: 10 }, .. })
        );
        assert!(silent, "{event:?}");
    }
}

#[test]
fn every_packet_counts_as_a_sign_of_life_and_half_of_one_does_not() {
    let mut world = World::new();
    let client = world.connect(Options::new("c").keep_alive(10));
    for id in 1..=20 {
        world.wait_seconds(12);
        match id % 3 {
            0 => world.publish(client, "t", "x", QoS::AtMostOnce, 0),
            1 => world.publish(client, "t", "x", QoS::AtLeastOnce, id),
            _ => world.pubrel(client, id),
        }
        assert!(world.is_open(client));
    }
    world.wait_seconds(12);
    world.send_bytes(client, &[0x30, 0x05]);
    world.wait_seconds(4);
    assert!(!world.is_open(client));
}

#[test]
fn nobody_is_given_up_for_silence_while_nobody_is_read() {
    for version in VERSIONS {
        let mut world = World::new();
        let client = world.connect(Options::new("c").version(version).keep_alive(10));
        let silent = world.open();
        world.brokers[0].set_deaf(true);
        world.wait_seconds(100);
        assert!(world.is_open(client) && world.is_open(silent), "{version}");
        // Then what they have sent meanwhile is read, and silence counts again.
        world.brokers[0].set_deaf(false);
        world.send_bytes(client, &[0xC0, 0x00]);
        assert_eq!(world.take(client), ["PingResp"]);
        world.wait_seconds(26);
        assert!(!world.is_open(client) && !world.is_open(silent), "{version}");
    }
}

#[test]
fn a_keep_alive_of_zero_is_none() {
    let mut world = World::new();
    let client = world.connect(Options::new("c").keep_alive(0));
    world.wait_seconds(10_000_000);
    assert!(world.is_open(client));
}

#[test]
fn the_keep_alive_that_the_broker_set_is_the_one_that_counts() {
    let settings = Settings { maximum_keep_alive: 10, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let client = world.connect(Options::new("c").keep_alive(1000));
    world.wait_seconds(16);
    assert!(!world.is_open(client));
}

#[test]
fn connect_has_to_come_within_its_time() {
    let settings = Settings { connect_timeout: Duration::from_secs(5), ..Settings::default() };
    let mut world = World::with(settings, 1);
    let (silent, half) = (world.open(), world.open());
    let in_time = world.open();
    world.send_bytes(half, &[0x10, 0x20, 0x00]);
    world.wait(Duration::from_millis(4_900));
    assert!(world.is_open(silent) && world.is_open(half));
    world.send_connect(in_time, &Options::new("c"));
    world.wait(Duration::from_millis(400));
    assert!(!world.is_open(silent) && !world.is_open(half));
    assert!(world.take_frames(silent).is_empty());
    assert!(world.is_open(in_time));
    let ends = world.events().into_iter().filter(|event| {
        matches!(event, Event::Refused { client: None, end: End::ConnectTimeout, .. })
    });
    assert_eq!(ends.count(), 2);
}

#[test]
fn slots_used_again_do_not_inherit_deadlines() {
    let mut world = World::new();
    for _ in 0..5 {
        let short = world.connect(Options::new("short").keep_alive(1));
        world.cut(short);
        let open = world.open();
        world.cut(open);
        let long = world.connect(Options::new("long"));
        world.wait_seconds(60);
        assert!(world.is_open(long));
        world.cut(long);
    }
    world.assert_empty();
    assert_eq!(world.brokers[0].next_deadline(), None);
}

#[test]
fn a_takeover_with_clean_start_ends_the_old_session_and_its_subscriptions() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p"));
        let first = world.connect(Options::new("c").persistent(100));
        world.subscribe(first, "t", QoS::AtLeastOnce);
        let (second, connack) =
            world.try_connect(Options::new("c").property(Property::SessionExpiryInterval(50)));
        assert!(!connack.contains("present"), "{connack}");
        world.publish(publisher, "t", "x", QoS::AtLeastOnce, 1);
        assert!(world.take(second).is_empty());
        assert_eq!(world.index.subscription_count(), 0);
        assert_eq!(world.sum(|stats| stats.sessions), 2);
    }
}
