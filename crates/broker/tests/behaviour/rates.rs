//! Publish rates: who publishes faster than it may is read more slowly, and nothing is lost.

use std::time::Duration;

use dunlin_broker::{Cause, Event, Limit, Rate, Settings};
use dunlin_proto::packet::Packet;
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World};

fn limited(rate: Rate) -> Settings {
    Settings { publish_rate: Some(rate), ..Settings::default() }
}

fn pair(settings: Settings, version: Version) -> (World, Client, Client) {
    let mut world = World::forgetful(settings, 1);
    let publisher = world.connect(Options::new("p").version(version).keep_alive(5));
    let subscriber = world.connect(Options::new("s").version(version));
    world.subscribe(subscriber, "t", QoS::AtLeastOnce);
    (world, publisher, subscriber)
}

fn flood(world: &mut World, publisher: Client, count: u16, qos: QoS) {
    let payloads: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    world.publish_all(publisher, "t", &payloads, qos, 1);
}

#[test]
fn a_burst_passes_and_the_rest_comes_evenly() {
    for version in [Version::V3_1_1, Version::V5_0] {
        let (mut world, publisher, subscriber) =
            pair(limited(Rate { per_second: 10, burst: 20 }), version);
        flood(&mut world, publisher, 100, QoS::AtMostOnce);
        assert_eq!(world.take(subscriber).len(), 20);
        world.wait_seconds(1);
        let second = world.take(subscriber).len();
        assert!((9..=11).contains(&second), "{second} in a second");
        world.wait_seconds(3);
        let more = world.take(subscriber).len();
        assert!((29..=31).contains(&more), "{more} in three seconds");
        world.wait_seconds(10);
        assert_eq!(20 + second + more + world.take(subscriber).len(), 100, "nothing is lost");
    }
}

#[test]
fn whoever_is_held_back_is_not_taken_for_dead() {
    let (mut world, publisher, subscriber) =
        pair(limited(Rate { per_second: 1, burst: 1 }), Version::V5_0);
    flood(&mut world, publisher, 30, QoS::AtMostOnce);
    world.send(publisher, &Packet::PingReq);
    // Six times its keep alive: its PINGREQ is not read for half of it.
    world.wait_seconds(29);
    assert!(world.is_open(publisher));
    assert!(world.take(subscriber).len() >= 28);
    world.wait_seconds(5);
    assert_eq!(world.take(publisher), ["PingResp"]);
    world.wait_seconds(20);
    assert!(!world.is_open(publisher), "and is, once it is silent itself");
}

#[test]
fn bytes_have_a_rate_of_their_own() {
    let settings = Settings {
        publish_bytes_rate: Some(Rate { per_second: 1000, burst: 1000 }),
        ..Settings::default()
    };
    let (mut world, publisher, subscriber) = pair(settings, Version::V5_0);
    let payloads = vec!["x".repeat(94); 50];
    world.publish_all(publisher, "t", &payloads, QoS::AtMostOnce, 1);
    // 100 bytes each with header, topic and the empty properties.
    assert_eq!(world.take(subscriber).len(), 10);
    world.wait_seconds(2);
    let more = world.take(subscriber).len();
    assert!((19..=21).contains(&more), "{more} in two seconds");
}

#[test]
fn others_are_read_meanwhile_and_acknowledgements_are_complete_in_the_end() {
    let (mut world, publisher, subscriber) =
        pair(limited(Rate { per_second: 10, burst: 5 }), Version::V3_1_1);
    flood(&mut world, publisher, 15, QoS::AtLeastOnce);
    let other = world.connect(Options::new("other"));
    world.publish(other, "t", "mine", QoS::AtMostOnce, 0);
    let taken = world.take(subscriber);
    assert_eq!(taken.len(), 6);
    assert_eq!(taken.last().map(String::as_str), Some("t mine"));
    world.wait_seconds(2);
    assert_eq!(world.take(publisher).len(), 15);
}

#[test]
fn an_episode_is_told_once_and_counted() {
    let (mut world, publisher, _) = pair(limited(Rate { per_second: 10, burst: 5 }), Version::V5_0);
    world.events();
    flood(&mut world, publisher, 100, QoS::AtMostOnce);
    world.wait_seconds(9);
    let told: Vec<Event> =
        world.events().into_iter().filter(|event| matches!(event, Event::Slowed { .. })).collect();
    let [Event::Slowed { client, reached, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(&**client, "p");
    assert_eq!((reached.limit, reached.allowed), (Limit::PublishRate, 10));
    assert_eq!(
        told[0].to_string(),
        "client \"p\" is read more slowly: 10 messages in a second from this client, 10 allowed \
         (setting limits.publish_rate)"
    );
    assert!(world.sum(|stats| stats.causes.of(Cause::PublishRate)) > 10);
}

#[test]
fn a_connection_that_ends_while_it_is_held_back_leaves_nothing() {
    let (mut world, publisher, _) = pair(limited(Rate { per_second: 1, burst: 1 }), Version::V5_0);
    flood(&mut world, publisher, 10, QoS::AtMostOnce);
    world.cut(publisher);
    world.wait_seconds(30);
    let again = world.connect(Options::new("p"));
    assert!(world.is_open(again));
}

#[test]
fn rates_can_be_lifted_while_somebody_waits() {
    let (mut world, publisher, subscriber) =
        pair(limited(Rate { per_second: 1, burst: 1 }), Version::V5_0);
    flood(&mut world, publisher, 500, QoS::AtMostOnce);
    world.reconfigure(&Settings::default());
    world.wait(Duration::from_millis(1));
    assert_eq!(world.take(subscriber).len(), 500);
}
