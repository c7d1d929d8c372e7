//! Wills: when they are published, when not, and as what (3.1.2.5, 3.1.3.2).

use dunlin_broker::{Settings, WillDelay};
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World};

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5_0];

/// A world with somebody who takes all wills.
fn watched(shards: u16) -> (World, Client) {
    let mut world = World::with_shards(shards);
    let watcher = world.connect(Options::new("watcher"));
    world.subscribe(watcher, "will/#", QoS::ExactlyOnce);
    (world, watcher)
}

#[test]
fn a_will_is_published_when_the_connection_breaks() {
    for (version, shards) in VERSIONS.into_iter().flat_map(|version| [(version, 1), (version, 2)]) {
        let (mut world, watcher) = watched(shards);
        let options = Options::new("c").version(version).will("will/c", "gone");
        let client = world.connect(options);
        assert!(world.take(watcher).is_empty());
        world.cut(client);
        assert_eq!(world.take(watcher), ["will/c gone"], "{version}");
        world.wait_seconds(1000);
        assert!(world.take(watcher).is_empty(), "once");
    }
}

#[test]
fn a_normal_disconnection_takes_the_will_away() {
    for version in VERSIONS {
        let (mut world, watcher) = watched(1);
        let options = Options::new("c").version(version).persistent(10).will("will/c", "gone");
        let client = world.connect(options);
        world.disconnect(client, ReasonCode::NORMAL_DISCONNECTION);
        world.wait_seconds(1000);
        assert!(world.take(watcher).is_empty(), "{version}");
    }
}

#[test]
fn any_other_disconnection_leaves_it() {
    for reason in [
        ReasonCode::DisconnectWithWillMessage,
        ReasonCode::UnspecifiedError,
        ReasonCode::AdministrativeAction,
    ] {
        let (mut world, watcher) = watched(1);
        let client = world.connect(Options::new("c").will("will/c", "gone"));
        world.disconnect(client, reason);
        assert_eq!(world.take(watcher), ["will/c gone"], "{reason}");
    }
}

#[test]
fn a_violation_and_a_keep_alive_that_ran_out_publish_it() {
    for version in VERSIONS {
        let (mut world, watcher) = watched(1);
        let options = Options::new("c").version(version).will("will/c", "gone").keep_alive(10);
        let client = world.connect(options.clone());
        world.send_bytes(client, &[0x00, 0x00]);
        assert_eq!(world.take(watcher), ["will/c gone"], "{version}");
        world.connect(options);
        world.wait_seconds(14);
        assert!(world.take(watcher).is_empty());
        world.wait_seconds(2);
        assert_eq!(world.take(watcher), ["will/c gone"], "{version}");
    }
}

#[test]
fn the_will_keeps_its_qos_flag_and_properties() {
    let (mut world, watcher) = watched(2);
    let options = Options::new("c")
        .will("will/c", "gone")
        .will_qos(QoS::ExactlyOnce)
        .will_retain()
        .will_property(Property::UserProperty("a", "1"))
        .will_property(Property::ContentType("text"))
        .will_property(Property::UserProperty("a", "2"))
        .will_property(Property::MessageExpiryInterval(20))
        .will_property(Property::ResponseTopic("answers"))
        .will_property(Property::CorrelationData(b"7"))
        .will_property(Property::PayloadFormatIndicator(true));
    let client = world.connect(options);
    // The interval of the message counts from its publication.
    world.wait_seconds(100);
    world.cut(client);
    let words = |head: &str| {
        format!(
            "{head} UserProperty(\"a\", \"1\") ContentType(\"text\") \
             UserProperty(\"a\", \"2\") ResponseTopic(\"answers\") CorrelationData([55]) \
             PayloadFormatIndicator(true) MessageExpiryInterval(20)"
        )
    };
    assert_eq!(world.take(watcher), [words("will/c gone q2 #1")]);
    let later = world.connect(Options::new("later"));
    world.subscribe(later, "will/c", QoS::AtMostOnce);
    assert_eq!(world.take(later), [words("will/c gone retained")]);
}

#[test]
fn a_will_with_a_delay_waits_for_it() {
    for shards in [1, 2] {
        let (mut world, watcher) = watched(shards);
        let options = Options::new("c").persistent(100).will("will/c", "gone").will_delay(30);
        let client = world.connect(options);
        world.cut(client);
        world.wait_seconds(29);
        assert!(world.take(watcher).is_empty());
        world.wait_seconds(2);
        assert_eq!(world.take(watcher), ["will/c gone"]);
        world.wait_seconds(1000);
        assert!(world.take(watcher).is_empty());
    }
}

#[test]
fn coming_back_within_the_delay_cancels_the_will() {
    let (mut world, watcher) = watched(1);
    let options = Options::new("c").persistent(100);
    let client = world.connect(options.clone().will("will/c", "gone").will_delay(30));
    world.cut(client);
    world.wait_seconds(29);
    let client = world.connect(options);
    world.wait_seconds(100);
    world.cut(client);
    world.wait_seconds(1000);
    assert!(world.take(watcher).is_empty());
}

#[test]
fn the_end_of_the_session_publishes_the_will_before_its_delay_is_over() {
    let (mut world, watcher) = watched(1);
    let will = |id| Options::new(id).will("will/c", "gone").will_delay(1000);
    // The session expires.
    let client = world.connect(will("c").persistent(10));
    world.cut(client);
    world.wait_seconds(9);
    assert!(world.take(watcher).is_empty());
    world.wait_seconds(2);
    assert_eq!(world.take(watcher), ["will/c gone"]);
    // The session ends with the connection.
    let client = world.connect(will("d"));
    world.cut(client);
    assert_eq!(world.take(watcher), ["will/c gone"]);
    // A clean start ends the session.
    let client = world.connect(will("e").persistent(100));
    world.cut(client);
    assert!(world.take(watcher).is_empty());
    world.connect(Options::new("e"));
    assert_eq!(world.take(watcher), ["will/c gone"]);
    // DISCONNECT ends the session.
    let client = world.connect(will("f").persistent(100));
    let none = [Property::SessionExpiryInterval(0)];
    world.disconnect_with(client, ReasonCode::DisconnectWithWillMessage, &none);
    assert_eq!(world.take(watcher), ["will/c gone"]);
}

/// A world in which delays of wills count as in Mosquitto.
fn patient(shards: u16) -> (World, Client) {
    let settings = Settings { will_delay: WillDelay::Mosquitto, ..Settings::default() };
    let mut world = World::with(settings, shards);
    let watcher = world.connect(Options::new("watcher"));
    world.subscribe(watcher, "will/#", QoS::ExactlyOnce);
    (world, watcher)
}

#[test]
fn a_delay_outlasts_a_session_that_ends_with_its_connection_if_it_is_to() {
    for shards in [1, 2] {
        let (mut world, watcher) = patient(shards);
        let client = world.connect(Options::new("c").will("will/c", "gone").will_delay(30));
        world.subscribe(client, "t", QoS::AtLeastOnce);
        world.cut(client);
        world.publish(watcher, "t", "nobody", QoS::AtLeastOnce, 1);
        assert_eq!(world.take(watcher), ["PubAck #1 NoMatchingSubscribers"]);
        world.wait_seconds(29);
        assert!(world.take(watcher).is_empty());
        world.wait_seconds(2);
        assert_eq!(world.take(watcher), ["will/c gone"]);
        assert_eq!(world.sum(|stats| stats.sessions), 1);
        assert_eq!(world.sum(|stats| stats.sessions_expired), 0, "there was none to expire");
        // An end of the session that was agreed on still counts.
        let options = Options::new("c").persistent(10).will("will/c", "gone").will_delay(30);
        let client = world.connect(options);
        world.cut(client);
        world.wait_seconds(11);
        assert_eq!(world.take(watcher), ["will/c gone"]);
        // And no delay is none.
        let client = world.connect(Options::new("c").will("will/c", "now"));
        world.cut(client);
        assert_eq!(world.take(watcher), ["will/c now"]);
    }
}

#[test]
fn coming_back_with_any_session_takes_a_delayed_will_back_if_it_is_to() {
    let (mut world, watcher) = patient(1);
    for expiry in [0, 100] {
        for clean in [true, false] {
            let options = Options::new("c").expiry(expiry).clean(clean);
            let client = world.connect(options.clone().will("will/c", "gone").will_delay(30));
            world.cut(client);
            world.wait_seconds(29);
            let (client, connack) = world.try_connect(options.clone());
            let present = connack.contains("present");
            assert_eq!(present, expiry > 0 && !clean, "{connack}");
            world.wait_seconds(100);
            assert!(world.take(watcher).is_empty());
            world.disconnect(client, ReasonCode::Success);
            world.wait_seconds(1000);
            // And so does a newer connection.
            world.connect(options.clone().will("will/c", "gone").will_delay(30));
            let client = world.connect(options);
            world.wait_seconds(100);
            assert!(world.take(watcher).is_empty());
            world.disconnect(client, ReasonCode::Success);
            world.wait_seconds(1000);
        }
    }
}

#[test]
fn a_will_that_outlasts_its_session_is_kept_until_it_is_published() {
    let (mut world, watcher) = patient(1);
    let client = world.connect(Options::new("c").will("will/c", "gone").will_delay(30));
    world.records();
    world.cut(client);
    let records = world.records().concat();
    assert!(records.contains("expiry: 0, will: Some("), "{records}");
    assert!(records.contains("will_due: Some("), "{records}");
    world.wait_seconds(31);
    assert_eq!(world.take(watcher), ["will/c gone"]);
    assert!(world.records().concat().contains("Ended"));
    let client = world.connect(Options::new("d").will("will/d", "stopped").will_delay(30));
    world.cut(client);
    world.shutdown();
    assert!(world.take(watcher).contains(&"will/d stopped".to_owned()));
}

#[test]
fn a_takeover_publishes_the_will_at_once_unless_a_delay_holds_it() {
    for (shards, version) in [(1, Version::V3_1_1), (2, Version::V3_1_1), (1, Version::V5_0)] {
        let (mut world, watcher) = watched(shards);
        let options = Options::new("c").version(version).persistent(100);
        world.connect(options.clone().will("will/c", "first"));
        world.connect(options.clone().will("will/c", "second"));
        assert_eq!(world.take(watcher), ["will/c first"], "{version}");
        if version.is_v5() {
            world.connect(options.clone().will("will/c", "third").will_delay(5));
            assert_eq!(world.take(watcher), ["will/c second"]);
            world.connect(options.clone());
            world.wait_seconds(100);
            assert!(world.take(watcher).is_empty());
        }
    }
}

#[test]
fn a_new_connection_brings_a_new_will_or_none() {
    let (mut world, watcher) = watched(1);
    let options = Options::new("c").persistent(100);
    let client = world.connect(options.clone().will("will/c", "old"));
    world.disconnect(client, ReasonCode::Success);
    let client = world.connect(options.clone());
    world.cut(client);
    world.wait_seconds(10);
    let client = world.connect(options.will("will/c", "new"));
    world.cut(client);
    assert_eq!(world.take(watcher), ["will/c new"]);
}

#[test]
fn the_delay_is_lowered_to_what_the_broker_allows() {
    let settings = Settings { maximum_will_delay: 5, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let watcher = world.connect(Options::new("watcher"));
    world.subscribe(watcher, "will/#", QoS::AtMostOnce);
    let options = Options::new("c").persistent(100).will("will/c", "gone").will_delay(50);
    let client = world.connect(options);
    world.cut(client);
    world.wait_seconds(6);
    assert_eq!(world.take(watcher), ["will/c gone"]);
}

#[test]
fn an_empty_retained_will_clears_the_topic() {
    let (mut world, watcher) = watched(1);
    world.retain(watcher, "will/c", "here");
    world.take(watcher);
    let client = world.connect(Options::new("c").will("will/c", "").will_retain());
    world.cut(client);
    assert_eq!(world.take(watcher), ["will/c "]);
    let later = world.connect(Options::new("later"));
    world.subscribe(later, "#", QoS::AtMostOnce);
    assert!(world.take(later).is_empty());
}

#[test]
fn a_client_that_takes_its_own_session_over_gets_its_will_once_and_after_what_it_missed() {
    let mut world = World::new();
    let options =
        Options::new("c").persistent(100).will("will/c", "gone").will_qos(QoS::AtLeastOnce);
    let first = world.connect(options.clone());
    world.subscribe(first, "#", QoS::AtLeastOnce);
    world.publish(first, "t", "missed", QoS::AtLeastOnce, 1);
    world.take(first);
    let second = world.connect(options);
    assert_eq!(world.take(second), ["t missed q1 #1 dup", "will/c gone q1 #2"]);
}

#[test]
fn wills_that_fall_due_together_are_all_published() {
    let (mut world, watcher) = watched(2);
    for number in 0..20 {
        let topic = format!("will/{number}");
        let id = number.to_string();
        let options = Options::new(&id).persistent(100).will(&topic, "gone").will_delay(10);
        let client = world.connect(options);
        world.cut(client);
    }
    world.wait_seconds(11);
    let mut wills = world.take(watcher);
    wills.sort();
    let mut expected: Vec<String> = (0..20).map(|number| format!("will/{number} gone")).collect();
    expected.sort();
    assert_eq!(wills, expected);
    world.disconnect(watcher, ReasonCode::Success);
    world.wait_seconds(101);
    world.assert_empty();
}
