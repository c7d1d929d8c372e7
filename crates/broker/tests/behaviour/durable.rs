//! What is kept, what waits for that, and how sessions go on after a restart.

use std::time::Duration;

use dunlin_broker::journal::{
    HeldState, QueuedState, SessionState, StoredMessage, SubscriptionState, Target, WillState,
};
use dunlin_broker::{Action, Message, Settings, Storage, Time, WillDelay};
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World, packet_id};

/// A world whose disk takes its time, a publisher without a session, and a subscriber that is away.
fn slow(version: Version, publisher: Options<'_>) -> (World, Client) {
    let mut world = World::new();
    let away = world.connect(Options::new("away").version(version).persistent(1000));
    world.subscribe(away, "kept/#", QoS::ExactlyOnce);
    world.cut(away);
    let publisher = world.connect(publisher.version(version));
    world.records();
    world.disk = false;
    (world, publisher)
}

#[test]
fn a_puback_waits_until_the_message_is_durable_if_somebody_keeps_it() {
    for version in [Version::V3_1_1, Version::V5_0] {
        let (mut world, publisher) = slow(version, Options::new("p"));
        world.publish(publisher, "other", "x", QoS::AtLeastOnce, 1);
        assert_eq!(world.take(publisher).len(), 1, "nobody keeps it");
        assert!(world.records().is_empty());
        world.publish(publisher, "kept/1", "x", QoS::AtLeastOnce, 2);
        assert!(world.take(publisher).is_empty());
        assert_eq!(world.records().len(), 1);
        world.persist();
        assert_eq!(world.take(publisher), ["PubAck #2"]);
    }
}

#[test]
fn acknowledgements_that_wait_are_those_of_the_packets_that_came_and_in_their_order() {
    let (mut world, publisher) = slow(Version::V5_0, Options::new("p"));
    let ids = [65_533, 65_534, 65_535, 1, 2, 4, 3];
    for id in ids {
        world.publish(publisher, "kept/1", "x", QoS::AtLeastOnce, id);
    }
    assert!(world.take(publisher).is_empty());
    world.persist();
    assert_eq!(world.take(publisher), ids.map(|id| format!("PubAck #{id}")));
}

#[test]
fn an_acknowledgement_does_not_overtake_one_that_waits() {
    let (mut world, publisher) = slow(Version::V3_1_1, Options::new("p"));
    world.publish(publisher, "kept/1", "x", QoS::AtLeastOnce, 1);
    world.publish(publisher, "other", "x", QoS::AtLeastOnce, 2);
    assert!(world.take(publisher).is_empty());
    world.persist();
    assert_eq!(world.take(publisher), ["PubAck #1", "PubAck #2"]);
    world.publish(publisher, "other", "x", QoS::AtLeastOnce, 3);
    assert_eq!(world.take(publisher), ["PubAck #3"]);
}

#[test]
fn qos_0_and_sessions_that_end_with_their_connection_never_touch_the_disk() {
    let mut world = World::new();
    world.disk = false;
    let publisher = world.connect(Options::new("p"));
    let subscriber = world.connect(Options::new("s"));
    world.subscribe(subscriber, "#", QoS::ExactlyOnce);
    for (qos, id) in [(QoS::AtMostOnce, 0), (QoS::AtLeastOnce, 1), (QoS::ExactlyOnce, 2)] {
        world.publish(publisher, "t", "x", qos, id);
    }
    world.pubrel(publisher, 2);
    assert_eq!(world.take(publisher), ["PubAck #1", "PubRec #2", "PubComp #2"]);
    assert_eq!(world.take(subscriber), ["t x", "t x q1 #1", "t x q2 #2"]);
    assert_eq!(world.records(), [""; 0]);
}

#[test]
fn qos_0_of_one_client_does_not_wait_for_the_disk_of_another() {
    let (mut world, publisher) = slow(Version::V5_0, Options::new("p"));
    let watcher = world.connect(Options::new("w"));
    world.subscribe(watcher, "#", QoS::AtLeastOnce);
    world.publish(publisher, "kept/1", "waits", QoS::AtLeastOnce, 1);
    world.publish(publisher, "kept/1", "now", QoS::AtMostOnce, 0);
    assert_eq!(world.take(watcher), ["kept/1 waits q1 #1", "kept/1 now"]);
}

#[test]
fn each_step_of_qos_2_waits_for_the_one_before_to_be_durable() {
    for version in [Version::V3_1_1, Version::V5_0] {
        let (mut world, _) = slow(version, Options::new("q"));
        world.disk = true;
        let publisher = world.connect(Options::new("p").version(version).persistent(100));
        let subscriber = world.connect(Options::new("away").version(version).persistent(1000));
        world.disk = false;

        world.publish(publisher, "kept/1", "x", QoS::ExactlyOnce, 9);
        assert!(world.take(publisher).is_empty());
        world.persist();
        assert_eq!(world.take(publisher), ["PubRec #9"]);
        world.pubrel(publisher, 9);
        assert!(world.take(publisher).is_empty());
        assert!(world.take(subscriber).is_empty(), "its packet identifier is not durable");
        world.persist();
        assert_eq!(world.take(publisher), ["PubComp #9"]);
        assert_eq!(world.take(subscriber), ["kept/1 x q2 #1"]);
        world.pubrec(subscriber, 1);
        assert!(world.take(subscriber).is_empty());
        world.persist();
        assert_eq!(world.take(subscriber), ["PubRel #1"]);
        world.pubcomp(subscriber, 1);
        assert_eq!(world.sum(|stats| stats.queued_messages), 0);
    }
}

#[test]
fn nothing_precedes_the_connack_that_waits() {
    let mut world = World::new();
    world.disk = false;
    let (client, answer) = world.try_connect(Options::new("c").persistent(100));
    assert_eq!(answer, "");
    world.publish(client, "t", "x", QoS::AtLeastOnce, 1);
    assert!(world.take(client).is_empty());
    world.persist();
    let packets = world.take(client);
    assert!(packets[0].starts_with("ConnAck Success"), "{packets:?}");
    assert_eq!(packets.len(), 2);
    let clean = world.connect(Options::new("clean"));
    assert!(world.is_open(clean), "it keeps nothing, so it does not wait");
}

#[test]
fn a_clean_start_is_not_told_before_the_end_of_the_old_session_is_durable() {
    let mut world = World::new();
    let client = world.connect(Options::new("c").persistent(100));
    world.cut(client);
    world.disk = false;
    world.records();
    let (client, answer) = world.try_connect(Options::new("c"));
    assert_eq!(answer, "");
    assert_eq!(world.records(), ["Ended { number: 1 }"]);
    world.persist();
    assert_eq!(world.take(client).len(), 1);
}

#[test]
fn suback_and_unsuback_wait_and_retained_messages_come_after() {
    let mut world = World::new();
    let client = world.connect(Options::new("c").persistent(100));
    let publisher = world.connect(Options::new("p"));
    world.retain(publisher, "t", "old");
    world.disk = false;
    world.subscribe_all(client, &["t"]);
    assert!(world.take(client).is_empty());
    world.persist();
    let packets = world.take(client);
    assert!(packets[0].starts_with("SubAck"), "{packets:?}");
    assert_eq!(packets.len(), 2, "{packets:?}");
    world.unsubscribe_unchecked(client, "t");
    assert!(world.take(client).is_empty());
    world.persist();
    assert_eq!(world.take(client).len(), 1);
}

#[test]
fn the_last_words_of_a_connection_come_after_its_connack() {
    let mut world = World::new();
    world.disk = false;
    let (client, _) = world.try_connect(Options::new("c").persistent(100));
    world.send_bytes(client, &[0xF0, 0x00]);
    assert!(world.take(client).is_empty());
    world.persist();
    let packets = world.take(client);
    assert!(packets[0].starts_with("ConnAck"), "{packets:?}");
    assert!(packets[1].starts_with("Disconnect"), "{packets:?}");
    assert!(!world.is_open(client));
}

fn stored(topic: &'static str) -> StoredMessage<'static> {
    StoredMessage {
        topic,
        payload: b"x",
        properties: &[],
        expires: Time::MAX,
        qos: QoS::ExactlyOnce,
        retain: false,
    }
}

fn session(now: Time) -> SessionState {
    SessionState {
        number: 7,
        client_id: "c".to_owned(),
        username: None,
        listener: 0,
        expiry: 100,
        ends_at: Some(Time::from_micros(now.as_micros() + 50_000_000)),
        will: None,
        subscriptions: vec![SubscriptionState {
            filter: "t/#".to_owned(),
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            identifier: 3,
        }],
        queue: Vec::new(),
        releases: Vec::new(),
        held: Vec::new(),
    }
}

fn queued(id: u64, qos: QoS, sent: Option<u16>) -> QueuedState {
    let sent = sent.map(packet_id);
    let target = Target { number: 7, qos, retain: false, shared: false, identifier: 0, sent };
    let message = sent.and_then(|_| Message::restored(id, &stored("t/sent"))).map(Into::into);
    QueuedState { id, target, bytes: 4, expires: Time::MAX, message }
}

#[test]
fn a_session_goes_on_after_a_restart_with_its_packet_identifiers() {
    let mut world = World::new();
    // The store knows these.
    let writer = world.connect(Options::new("writer").persistent(100));
    world.subscribe(writer, "t/#", QoS::AtLeastOnce);
    world.cut(writer);
    let publisher = world.connect(Options::new("p"));
    world.publish(publisher, "t/1", "on disk", QoS::AtLeastOnce, 1);
    let id = 1;

    let message = Message::restored(90, &stored("t/held")).unwrap().into();
    let held = vec![HeldState { packet_id: packet_id(44), message }];
    let queue = vec![
        queued(88, QoS::ExactlyOnce, Some(65_535)),
        queued(89, QoS::AtLeastOnce, Some(1)),
        queued(id, QoS::AtLeastOnce, None),
    ];
    let releases = vec![packet_id(65_534)];
    world.restore(SessionState { queue, releases, held, ..session(world.now) });

    let (client, answer) = world.try_connect(Options::new("c").persistent(100));
    assert!(answer.starts_with("ConnAck Success present"), "{answer}");
    assert_eq!(
        world.take(client),
        ["PubRel #65534", "t/sent x q2 #65535 dup", "t/sent x q1 #1 dup", "t/1 on disk q1 #2"]
    );
    // Its own QoS 2 message is still held, and goes to its subscription.
    world.pubrel(client, 44);
    let packets = world.take(client);
    assert_eq!(packets, ["t/held x q2 #3 SubscriptionIdentifier(3)", "PubComp #44"]);
}

#[test]
fn a_session_is_judged_by_its_user_after_a_restart() {
    let mut world = World::new();
    world.rules.deny("user", Action::Deliver, "t/denied");
    let username = Some("user".to_owned());
    world.restore(SessionState { username, ..session(world.now) });
    let publisher = world.connect(Options::new("p"));
    world.publish(publisher, "t/denied", "1", QoS::AtLeastOnce, 1);
    world.publish(publisher, "t/allowed", "2", QoS::AtLeastOnce, 2);
    let mut options = Options::new("c").persistent(100);
    options.username = Some("user");
    let client = world.connect(options);
    assert_eq!(world.take(client), ["t/allowed 2 q1 #1 SubscriptionIdentifier(3)"]);
    // And so are others by what is written.
    let sessions = world.records();
    let named = |record: &String| record.contains("username: Some(\"user\")");
    assert!(sessions.iter().any(named), "{sessions:?}");
}

/// A will whose delay has not begun.
fn delayed_will() -> WillState {
    let message = Message::restored(0, &stored("will")).expect("a message");
    WillState { message, expiry: None, delay: 30, due: None }
}

#[test]
fn remaining_times_go_on_after_a_restart() {
    let mut world = World::new();
    let will = delayed_will();
    let state = SessionState { will: Some(will), ..session(world.now) };
    let watcher = world.connect(Options::new("w"));
    world.subscribe(watcher, "will", QoS::AtMostOnce);
    // It had a connection when the broker ended: its delay begins now.
    world.restore(SessionState { ends_at: None, ..state });
    let records = world.records();
    assert!(records.len() == 1 && records[0].starts_with("Parted { number: 7"), "{records:?}");
    world.wait_seconds(29);
    assert!(world.take(watcher).is_empty());
    world.wait_seconds(2);
    assert_eq!(world.take(watcher), ["will x"]);
    world.wait_seconds(68);
    assert_eq!(world.sum(|stats| stats.sessions), 2);
    world.wait_seconds(2);
    assert_eq!(world.sum(|stats| stats.sessions), 1);
    // One that was away ends when it would have.
    world.restore(session(world.now));
    world.wait_seconds(49);
    assert_eq!(world.sum(|stats| stats.sessions), 2);
    world.wait_seconds(2);
    assert_eq!(world.sum(|stats| stats.sessions), 1);
}

#[test]
fn a_will_of_a_client_without_a_session_is_published_after_a_restart() {
    let mut world = World::new();
    let will = delayed_will();
    let watcher = world.connect(Options::new("w"));
    world.subscribe(watcher, "will", QoS::AtMostOnce);
    let state = SessionState { will: Some(will), expiry: 0, ends_at: None, ..session(world.now) };
    world.restore(SessionState { subscriptions: Vec::new(), ..state });
    world.wait_seconds(1);
    assert_eq!(world.take(watcher), ["will x"]);
    assert_eq!(world.sum(|stats| stats.sessions), 1);
    assert_eq!(world.records(), ["Ended { number: 7 }"]);
}

/// As in Mosquitto, where a delay may outlast the session.
#[test]
fn a_will_that_waits_without_a_session_waits_on_after_a_restart() {
    for back in [false, true] {
        let settings = Settings { will_delay: WillDelay::Mosquitto, ..Settings::default() };
        let mut world = World::with(settings, 1);
        let watcher = world.connect(Options::new("w"));
        world.subscribe(watcher, "will", QoS::AtMostOnce);
        let due = Some(world.now.saturating_add(Duration::from_secs(20)));
        let state = SessionState {
            will: Some(WillState { due, ..delayed_will() }),
            expiry: 0,
            ends_at: due,
            subscriptions: Vec::new(),
            ..session(world.now)
        };
        let client_id = state.client_id.clone();
        world.restore(state);
        world.wait_seconds(19);
        if back {
            let (_, connack) = world.try_connect(Options::new(&client_id).clean(false));
            assert!(connack.starts_with("ConnAck Success") && !connack.contains("present"));
        }
        assert!(world.take(watcher).is_empty());
        world.wait_seconds(2);
        let told: &[&str] = if back { &[] } else { &["will x"] };
        assert_eq!(world.take(watcher), told);
        assert_eq!(world.records().last().map(String::as_str), Some("Ended { number: 7 }"));
    }
}

#[test]
fn a_full_disk_stops_what_would_have_to_be_kept_and_nothing_else() {
    let (mut world, modern) = slow(Version::V5_0, Options::new("p"));
    world.disk = true;
    let old = world.connect(Options::new("old").version(Version::V3_1_1));
    let watcher = world.connect(Options::new("w"));
    world.subscribe(watcher, "#", QoS::AtMostOnce);
    world.set_storage(Storage::Full);
    world.publish(modern, "kept/1", "x", QoS::AtLeastOnce, 1);
    assert_eq!(world.take(modern), ["PubAck #1 QuotaExceeded"]);
    world.publish(modern, "kept/1", "y", QoS::AtMostOnce, 0);
    world.publish(modern, "other", "z", QoS::AtLeastOnce, 2);
    assert_eq!(world.take(modern), ["PubAck #2"]);
    world.publish(old, "kept/1", "waits", QoS::AtLeastOnce, 1);
    world.publish(old, "kept/1", "behind", QoS::AtMostOnce, 0);
    assert!(world.take(old).is_empty());
    assert_eq!(world.take(watcher), ["kept/1 y", "other z"]);
    world.set_storage(Storage::Ready);
    assert_eq!(world.take(old), ["PubAck #1"]);
    assert_eq!(world.take(watcher), ["kept/1 waits", "kept/1 behind"]);
}

#[test]
fn a_client_that_waits_for_the_disk_is_not_silent() {
    let (mut world, _) = slow(Version::V3_1_1, Options::new("p"));
    world.disk = true;
    let mut options = Options::new("old").version(Version::V3_1_1);
    options.keep_alive = 10;
    let old = world.connect(options);
    world.set_storage(Storage::Full);
    world.publish(old, "kept/1", "waits", QoS::AtLeastOnce, 1);
    world.wait_seconds(100);
    assert!(world.is_open(old));
    world.set_storage(Storage::Ready);
    assert_eq!(world.take(old), ["PubAck #1"]);
    world.wait_seconds(100);
    assert!(!world.is_open(old), "now it is");
}

#[test]
fn beyond_the_memory_of_a_shard_messages_wait_on_disk_in_their_order() {
    let settings =
        Settings { maximum_queue_memory: 40, maximum_inflight: 2, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let options = Options::new("c").persistent(1000);
    let client = world.connect(options.clone());
    world.subscribe(client, "t", QoS::AtLeastOnce);
    world.cut(client);
    let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
    for id in 1..=200 {
        world.publish(publisher, "t", &format!("{id:04}"), QoS::AtLeastOnce, id);
    }
    assert_eq!(world.sum(|stats| stats.queued_messages), 200);
    assert_eq!(world.sum(|stats| stats.queued_bytes), 40);
    assert_eq!(world.waiting_for("c"), 200);
    let client = world.connect(options);
    let mut expected = 1;
    while expected <= 200 {
        for packet in world.take(client) {
            let id = expected;
            assert_eq!(packet, format!("t {id:04} q1 #{id}"));
            world.puback(client, id);
            expected += 1;
        }
    }
    assert_eq!(world.sum(|stats| stats.queued_messages), 0);
    assert_eq!(world.sum(|stats| stats.queued_bytes), 0);
}
