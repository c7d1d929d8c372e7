//! What happens when the broker stops (4.13, 3.14).

use dunlin_broker::{End, Event};
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Options, World};

#[test]
fn everybody_is_told_and_let_go() {
    for shards in [1, 3] {
        let mut world = World::with_shards(shards);
        let new = world.connect(Options::new("new"));
        let old = world.connect(Options::new("old").version(Version::V3_1_1));
        let silent = world.open();
        world.shutdown();
        assert_eq!(world.take(new), ["Disconnect ServerShuttingDown"]);
        assert!(world.take(old).is_empty());
        for client in [new, old, silent] {
            assert!(!world.is_open(client));
        }
        world.assert_empty();
        let ends = world
            .events()
            .into_iter()
            .filter(|event| matches!(event, Event::Disconnected { end: End::ShuttingDown, .. }));
        assert_eq!(ends.count(), 2);
    }
}

#[test]
fn wills_are_published_while_their_receivers_are_still_there() {
    let mut world = World::new();
    let watcher = world.connect(Options::new("watcher"));
    world.subscribe(watcher, "will/#", QoS::AtLeastOnce);
    world.connect(Options::new("a").will("will/a", "gone"));
    world.connect(Options::new("b").will("will/b", "gone").will_retain());
    let away = Options::new("c").persistent(100).will("will/c", "gone").will_delay(50);
    let away = world.connect(away);
    world.cut(away);
    world.shutdown();
    let mut packets = world.take(watcher);
    let goodbye = packets.pop();
    assert_eq!(goodbye.as_deref(), Some("Disconnect ServerShuttingDown"));
    packets.sort();
    assert_eq!(packets, ["will/a gone", "will/b gone", "will/c gone"]);
    assert_eq!(world.commons.retained.borrow().count(), 1);
    world.wait_seconds(1000);
    world.assert_empty();
}

#[test]
fn wills_of_one_shard_wait_for_sessions_of_another() {
    let mut world = World::with_shards(2);
    let options = Options::new("watcher").persistent(100);
    let watcher = world.connect(options);
    world.subscribe(watcher, "will/#", QoS::AtLeastOnce);
    let client = world.connect(Options::new("a").will("will/a", "gone").will_qos(QoS::AtLeastOnce));
    assert_ne!(world.shard(watcher), world.shard(client));
    world.shutdown();
    assert_eq!(world.sum(|stats| stats.queued_messages), 1);
}

#[test]
fn whoever_comes_while_it_stops_is_sent_elsewhere() {
    for (version, expected) in
        [(Version::V3_1_1, vec![0x20, 2, 0, 3]), (Version::V5_0, vec![0x20, 3, 0, 0x88, 0])]
    {
        let mut world = World::new();
        world.shutdown();
        let client = world.open();
        world.send_connect(client, &Options::new("late").version(version));
        assert_eq!(world.take_frames(client), [expected]);
        assert!(!world.is_open(client));
    }
}

#[test]
fn sessions_that_outlive_their_connection_are_still_there() {
    let mut world = World::new();
    let client = world.connect(Options::new("c").persistent(100));
    world.subscribe(client, "t", QoS::AtLeastOnce);
    world.shutdown();
    assert_eq!(world.sum(|stats| stats.sessions), 1);
    assert_eq!(world.index.subscription_count(), 1);
}

#[test]
fn a_reader_that_stopped_does_not_keep_the_others() {
    let mut world = World::new();
    let stopped = world.connect(Options::new("stopped"));
    let reading = world.connect(Options::new("reading"));
    world.set_reading(stopped, false);
    world.shutdown();
    assert!(world.is_open(stopped), "its output is not written yet");
    assert!(!world.is_open(reading));
    world.cut(stopped);
    world.assert_empty();
}
