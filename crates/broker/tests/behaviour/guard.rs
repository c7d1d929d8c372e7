//! Rules: who may publish, read, subscribe and leave a will, and what happens when they change.

use dunlin_broker::{Action, Cause, DeniedPublish, End, Event, Settings};
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World};

/// What was denied, as the log has it.
fn denials(world: &mut World) -> Vec<String> {
    let told = world.events().into_iter().filter_map(|event| match event {
        Event::Denied { client, action, topic, rule, .. } => {
            Some(format!("{client} {action} {topic} {}", rule.as_deref().unwrap_or("-")))
        }
        _ => None,
    });
    told.collect()
}

/// A client with a user name.
fn user<'a>(name: &'a str) -> Options<'a> {
    let mut options = Options::new(name);
    options.username = Some(name);
    options
}

/// A world in which somebody reads everything.
fn read(shards: u16) -> (World, Client) {
    let mut world = World::with_shards(shards);
    let reader = world.connect(user("reader"));
    world.subscribe(reader, "#", QoS::ExactlyOnce);
    (world, reader)
}

#[test]
fn a_denied_publish_is_told_in_5_0_and_goes_to_nobody() {
    let (mut world, reader) = read(1);
    world.rules.deny("writer", Action::Publish, "secret/#");
    let writer = world.connect(user("writer"));
    world.publish(writer, "secret/a", "0", QoS::AtMostOnce, 0);
    assert_eq!(world.next(writer), None);
    world.publish(writer, "secret/a", "1", QoS::AtLeastOnce, 1);
    assert_eq!(world.next(writer).as_deref(), Some("PubAck #1 NotAuthorized"));
    world.publish(writer, "secret/a", "2", QoS::ExactlyOnce, 2);
    assert_eq!(world.next(writer).as_deref(), Some("PubRec #2 NotAuthorized"));
    assert!(world.take(reader).is_empty());
    world.publish(writer, "open", "3", QoS::AtMostOnce, 0);
    assert_eq!(world.take(reader), ["open 3"]);
    assert_eq!(denials(&mut world), ["writer publish to secret/a rules:1"], "told once");
    assert_eq!(world.sum(|stats| stats.causes.of(Cause::AclDenied)), 3, "and counted always");
}

#[test]
fn before_5_0_a_denied_publish_is_acknowledged_and_dropped() {
    let (mut world, reader) = read(1);
    world.rules.deny("writer", Action::Publish, "secret");
    let writer = world.connect(user("writer").version(Version::V3_1_1));
    world.publish(writer, "secret", "1", QoS::AtLeastOnce, 1);
    world.publish(writer, "secret", "2", QoS::ExactlyOnce, 2);
    world.pubrel(writer, 2);
    assert_eq!(world.take(writer), ["PubAck #1", "PubRec #2", "PubComp #2"]);
    assert!(world.take(reader).is_empty());
}

#[test]
fn before_5_0_a_denied_publish_ends_the_connection_if_the_setting_says_so() {
    let settings = Settings { denied_publish: DeniedPublish::Disconnect, ..Settings::default() };
    let mut world = World::with(settings, 1);
    world.rules.deny("*", Action::Publish, "secret");
    let writer = world.connect(user("writer").version(Version::V3_1_1));
    world.publish(writer, "secret", "1", QoS::AtLeastOnce, 1);
    assert!(!world.is_open(writer));
    let ended = world
        .events()
        .into_iter()
        .any(|event| matches!(event, Event::Disconnected { end: End::Denied { .. }, .. }));
    assert!(ended);
    let writer = world.connect(user("writer"));
    world.publish(writer, "secret", "1", QoS::AtLeastOnce, 1);
    assert_eq!(world.take(writer), ["PubAck #1 NotAuthorized"], "5.0 can be told");
}

#[test]
fn a_denied_publish_is_not_retained() {
    let mut world = World::new();
    world.rules.deny("writer", Action::Publish, "state");
    let writer = world.connect(user("writer"));
    world.retain(writer, "state", "on");
    let reader = world.connect(user("reader"));
    world.subscribe(reader, "#", QoS::AtMostOnce);
    assert!(world.take(reader).is_empty());
}

#[test]
fn who_may_not_read_a_topic_is_left_out() {
    for shards in [1, 3] {
        let (mut world, reader) = read(shards);
        world.rules.deny("stranger", Action::Deliver, "inner/#");
        let stranger = world.connect(user("stranger"));
        world.subscribe(stranger, "#", QoS::ExactlyOnce);
        let writer = world.connect(user("writer"));
        world.publish(writer, "inner/a", "1", QoS::AtMostOnce, 0);
        world.publish(writer, "outer", "2", QoS::AtLeastOnce, 1);
        assert_eq!(world.take(reader), ["inner/a 1", "outer 2 q1 #1"]);
        assert_eq!(world.take(stranger), ["outer 2 q1 #1"]);
        assert_eq!(denials(&mut world), ["stranger read inner/a rules:1"]);
    }
}

#[test]
fn a_publisher_is_not_told_that_its_subscribers_may_not_read() {
    let (mut world, _) = read(1);
    world.rules.deny("reader", Action::Deliver, "inner");
    let writer = world.connect(user("writer"));
    world.publish(writer, "inner", "1", QoS::AtLeastOnce, 1);
    assert_eq!(world.take(writer), ["PubAck #1"]);
}

#[test]
fn a_change_of_the_rules_holds_from_the_next_message_on() {
    for shards in [1, 2] {
        let (mut world, reader) = read(shards);
        let writer = world.connect(user("writer"));
        world.rules.allow_all();
        let send = |world: &mut World, payload: &str| {
            world.publish(writer, "t", payload, QoS::AtMostOnce, 0);
            world.take(reader)
        };
        assert_eq!(send(&mut world, "1"), ["t 1"]);
        world.rules.deny("reader", Action::Deliver, "t");
        assert!(send(&mut world, "2").is_empty());
        world.rules.allow_all();
        assert_eq!(send(&mut world, "3"), ["t 3"]);
        world.rules.deny("writer", Action::Publish, "t");
        assert!(send(&mut world, "4").is_empty());
        world.rules.remove();
        assert_eq!(send(&mut world, "5"), ["t 5"]);
    }
}

#[test]
fn rules_are_asked_once_and_not_for_each_message() {
    let (mut world, reader) = read(1);
    world.rules.allow_all();
    let writer = world.connect(user("writer"));
    for _ in 0..100 {
        world.publish(writer, "a", "x", QoS::AtMostOnce, 0);
        world.publish(writer, "b", "x", QoS::AtMostOnce, 0);
    }
    assert_eq!(world.take(reader).len(), 200);
    assert_eq!(world.rules.asked(), 4, "to publish and to read, for two topics");
    // Who is there already is not asked about again because somebody else came.
    let other = world.connect(user("other"));
    world.subscribe(other, "a", QoS::AtMostOnce);
    world.rules.asked();
    world.publish(writer, "a", "x", QoS::AtMostOnce, 0);
    assert_eq!(world.rules.asked(), 1);
    assert_eq!((world.take(reader).len(), world.take(other).len()), (1, 1));
}

#[test]
fn whoever_publishes_to_many_topics_is_judged_once_for_each() {
    let mut world = World::new();
    world.rules.allow_all();
    let names: Vec<String> = (0..10).map(|number| format!("writer{number}")).collect();
    let writers: Vec<Client> = names.iter().map(|name| world.connect(user(name))).collect();
    let publish_all = |world: &mut World, writer: Client| {
        for number in 0..2_000 {
            world.publish(writer, &format!("meters/{number}"), "x", QoS::AtMostOnce, 0);
        }
        world.rules.asked()
    };
    for writer in &writers {
        assert_eq!(publish_all(&mut world, *writer), 2_000);
    }
    for writer in &writers[..8] {
        assert_eq!(publish_all(&mut world, *writer), 0);
    }
    // Of the topics that so many others publish to, fewer are remembered.
    for writer in &writers[8..] {
        assert!(publish_all(&mut world, *writer) > 1_000);
    }
    // Unless one of them is gone, the first or another.
    for (gone, next) in [(0, 8), (5, 9)] {
        world.cut(writers[gone]);
        assert!(publish_all(&mut world, writers[next]) > 1_000);
        assert_eq!(publish_all(&mut world, writers[next]), 0);
    }
    world.rules.deny("writer8", Action::Publish, "meters/7");
    for writer in &writers[7..] {
        assert_eq!(publish_all(&mut world, *writer), 2_000, "other rules");
    }
    assert_eq!(world.sum(|stats| stats.causes.of(Cause::AclDenied)), 1);
}

#[test]
fn a_permit_ends_with_its_connection() {
    let (mut world, reader) = read(1);
    world.rules.deny("guest", Action::Publish, "t");
    let owner = world.connect(user("owner"));
    world.publish(owner, "t", "1", QoS::AtMostOnce, 0);
    assert_eq!(world.take(reader), ["t 1"]);
    world.cut(owner);
    // In the same slot, and with the same client identifier.
    let mut options = user("owner");
    options.username = Some("guest");
    let guest = world.connect(options);
    world.publish(guest, "t", "2", QoS::AtMostOnce, 0);
    assert!(world.take(reader).is_empty());
}

#[test]
fn members_of_a_group_who_may_not_read_are_passed_over() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        world.rules.deny("stranger", Action::Deliver, "work/#");
        let member = world.connect(user("member"));
        let stranger = world.connect(user("stranger"));
        for client in [member, stranger] {
            world.subscribe(client, "$share/g/work/#", QoS::AtMostOnce);
        }
        let writer = world.connect(user("writer"));
        for payload in ["1", "2", "3"] {
            world.publish(writer, "work/a", payload, QoS::AtMostOnce, 0);
        }
        assert_eq!(world.take(member), ["work/a 1", "work/a 2", "work/a 3"]);
        assert!(world.take(stranger).is_empty());
    }
}

#[test]
fn denied_filters_are_refused_one_by_one() {
    for (version, refused) in [
        (Version::V3_1_1, ReasonCode::UnspecifiedError),
        (Version::V5_0, ReasonCode::NotAuthorized),
    ] {
        let mut world = World::new();
        world.rules.deny("*", Action::Subscribe, "secret/#");
        world.rules.deny("*", Action::Unsubscribe, "keep");
        let client = world.connect(user("c").version(version));
        world.subscribe_all(client, &["open", "secret/#", "keep"]);
        let suback = world.take(client).concat();
        assert!(suback.contains(&format!("[Success, {refused:?}, Success]")), "{suback}");
        world.unsubscribe_unchecked(client, "keep");
        if version.is_v5() {
            assert!(world.take(client).concat().contains("NotAuthorized"));
        }
        world.take(client);
        world.publish(client, "keep", "still", QoS::AtMostOnce, 0);
        world.publish(client, "secret/a", "never", QoS::AtMostOnce, 0);
        assert_eq!(world.take(client), ["keep still"]);
    }
}

#[test]
fn a_shared_subscription_is_judged_by_its_filter() {
    let mut world = World::new();
    world.rules.deny("*", Action::Subscribe, "secret");
    let client = world.connect(user("c"));
    world.subscribe_all(client, &["$share/g/secret"]);
    assert!(world.take(client).concat().contains("NotAuthorized"));
}

#[test]
fn a_denied_will_is_told_at_connect_and_not_published() {
    let (mut world, reader) = read(1);
    world.rules.deny("c", Action::Will, "will/#");
    let client = world.connect(user("c").will("will/c", "gone"));
    assert_eq!(denials(&mut world), ["c leave a will for will/c rules:1"]);
    world.cut(client);
    assert!(world.take(reader).is_empty());
}

#[test]
fn a_denied_will_refuses_the_connection_if_the_setting_says_so() {
    let settings = Settings { refuse_denied_will: true, ..Settings::default() };
    let mut world = World::with(settings, 2);
    world.rules.deny("c", Action::Will, "will/#");
    for (version, answer) in
        [(Version::V3_1_1, "ConnAck NotAuthorized"), (Version::V5_0, "ConnAck NotAuthorized")]
    {
        let options = user("c").version(version).will("will/c", "gone");
        let (client, connack) = world.try_connect(options);
        assert_eq!(connack, answer);
        assert!(!world.is_open(client));
    }
    world.connect(user("d").will("will/c", "gone"));
}

#[test]
fn a_will_is_judged_when_it_is_published() {
    let (mut world, reader) = read(1);
    world.rules.allow_all();
    let client = world.connect(user("c").will("will/c", "gone"));
    world.rules.deny("c", Action::Will, "will/#");
    world.cut(client);
    assert!(world.take(reader).is_empty());
}

#[test]
fn retained_messages_are_sent_to_those_who_may_read_them() {
    let mut world = World::new();
    world.rules.deny("reader", Action::Deliver, "b");
    let writer = world.connect(user("writer"));
    for topic in ["a", "b", "c"] {
        world.retain(writer, topic, "x");
    }
    let reader = world.connect(user("reader"));
    world.subscribe(reader, "#", QoS::AtMostOnce);
    assert_eq!(world.take(reader), ["a x retained", "c x retained"]);
}

#[test]
fn one_readable_message_among_many_others_is_found_in_turns() {
    let mut world = World::new();
    world.rules.deny("reader", Action::Deliver, "closed/#");
    let writer = world.connect(user("writer"));
    for number in 0..3000 {
        world.retain(writer, &format!("closed/{number}"), "x");
    }
    world.retain(writer, "open", "x");
    let reader = world.connect(user("reader"));
    world.subscribe(reader, "#", QoS::AtMostOnce);
    for _ in 0..3 {
        world.wait_seconds(0);
    }
    assert_eq!(world.take(reader), ["open x retained"]);
}

#[test]
fn what_waits_is_judged_again_when_rules_have_changed() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        world.rules.allow_all();
        let reader = world.connect(user("reader").persistent(1000));
        world.subscribe(reader, "#", QoS::AtLeastOnce);
        world.cut(reader);
        let writer = world.connect(user("writer"));
        for (id, topic) in [(1, "a"), (2, "b"), (3, "a")] {
            world.publish(writer, topic, "x", QoS::AtLeastOnce, id);
        }
        world.rules.deny("reader", Action::Deliver, "a");
        let reader = world.connect(user("reader").persistent(1000));
        // What is left out has its place among the identifiers.
        assert_eq!(world.take(reader), ["b x q1 #2"]);
        world.publish(writer, "b", "y", QoS::AtLeastOnce, 4);
        assert_eq!(world.take(reader), ["b y q1 #4"]);
        for id in [2, 4] {
            world.puback(reader, id);
        }
        assert_eq!(world.sum(|stats| stats.queued_messages), 0);
    }
}

#[test]
fn what_waits_and_is_allowed_again_before_its_turn_is_sent() {
    let mut world = World::new();
    world.rules.allow_all();
    let options = user("reader").property(Property::ReceiveMaximum(1));
    let reader = world.connect(options);
    world.subscribe(reader, "#", QoS::AtLeastOnce);
    let writer = world.connect(user("writer"));
    for (id, topic) in [(1, "a"), (2, "b"), (3, "a"), (4, "b")] {
        world.publish(writer, topic, "x", QoS::AtLeastOnce, id);
    }
    assert_eq!(world.take(reader), ["a x q1 #1"]);
    world.rules.deny("reader", Action::Deliver, "b");
    world.puback(reader, 1);
    assert_eq!(world.take(reader), ["a x q1 #3"]);
    world.rules.allow_all();
    world.puback(reader, 3);
    assert_eq!(world.take(reader), ["b x q1 #4"]);
    world.puback(reader, 4);
    assert_eq!(world.sum(|stats| stats.queued_messages), 0);
}

#[test]
fn what_was_in_flight_is_judged_before_it_is_sent_again() {
    let mut world = World::new();
    world.rules.allow_all();
    let reader = world.connect(user("reader").persistent(1000));
    world.subscribe(reader, "#", QoS::AtLeastOnce);
    world.publish(reader, "a", "x", QoS::AtMostOnce, 0);
    let writer = world.connect(user("writer"));
    world.publish(writer, "a", "x", QoS::AtLeastOnce, 1);
    world.publish(writer, "b", "x", QoS::AtLeastOnce, 2);
    world.cut(reader);
    world.rules.deny("reader", Action::Deliver, "a");
    let reader = world.connect(user("reader").persistent(1000));
    assert_eq!(world.take(reader), ["b x q1 #2 dup"]);
}

#[test]
fn the_packet_identifier_of_a_qos_2_message_that_may_not_be_sent_again_is_released() {
    let mut world = World::new();
    world.rules.allow_all();
    let reader = world.connect(user("reader").persistent(1000));
    world.subscribe(reader, "#", QoS::ExactlyOnce);
    let writer = world.connect(user("writer"));
    world.publish(writer, "a", "x", QoS::ExactlyOnce, 1);
    world.pubrel(writer, 1);
    assert_eq!(world.take(reader), ["a x q2 #1"]);
    world.cut(reader);
    world.rules.deny("reader", Action::Deliver, "a");
    let reader = world.connect(user("reader").persistent(1000));
    assert_eq!(world.take(reader), ["PubRel #1"], "its PUBREC may have been lost");
    world.pubcomp(reader, 1);
    assert_eq!(world.sum(|stats| stats.queued_messages), 0);
}

#[test]
fn whoever_comes_in_with_a_session_is_judged_by_the_own_name() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        world.rules.deny("guest", Action::Deliver, "t");
        let owner = world.connect(user("owner").persistent(1000));
        world.subscribe(owner, "t", QoS::AtMostOnce);
        let writer = world.connect(user("writer"));
        world.publish(writer, "t", "1", QoS::AtMostOnce, 0);
        assert_eq!(world.take(owner), ["t 1"]);
        world.cut(owner);
        // The same client identifier, another user.
        let mut options = user("owner").persistent(1000);
        options.username = Some("guest");
        let guest = world.connect(options);
        world.publish(writer, "t", "2", QoS::AtMostOnce, 0);
        assert!(world.take(guest).is_empty());
    }
}
