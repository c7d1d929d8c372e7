//! Retained messages of those who may not write to their topics any more.

use dunlin_broker::{Action, Settings};
use dunlin_proto::qos::QoS;

use crate::world::{Options, World};

/// A client with a user name.
fn user<'a>(name: &'a str) -> Options<'a> {
    let mut options = Options::new(name);
    options.username = Some(name);
    options
}

/// What somebody new is sent who subscribes to everything.
fn retained(world: &mut World) -> Vec<String> {
    let reader = world.connect(user("reader"));
    world.subscribe(reader, "#", QoS::AtMostOnce);
    world.take(reader)
}

/// A world in which two writers have left a message each, one of them as a will.
fn written(settings: Settings, shards: u16) -> World {
    let mut world = World::with(settings, shards);
    world.rules.allow_all();
    let good = world.connect(user("good"));
    world.retain(good, "good/state", "on");
    let bad = world.connect(user("bad").will("bad/will", "gone").will_retain());
    world.retain(bad, "bad/state", "on");
    world.cut(bad);
    world
}

#[test]
fn what_a_client_wrote_who_may_not_any_more_is_not_sent() {
    for shards in [1, 2] {
        let mut world = written(Settings::default(), shards);
        let all = ["bad/state on retained", "bad/will gone retained", "good/state on retained"];
        assert_eq!(retained(&mut world), all);
        world.rules.deny("bad", Action::Retained, "bad/#");
        world.events();
        assert_eq!(retained(&mut world), ["good/state on retained"]);
        let told: Vec<String> = world.events().iter().map(ToString::to_string).collect();
        let told: Vec<&String> = told.iter().filter(|text| text.contains("bad/")).collect();
        assert_eq!(
            told,
            [
                "client \"bad\" may not keep a retained message on \"bad/state\": rules:1",
                "client \"bad\" may not keep a retained message on \"bad/will\": rules:1"
            ]
        );
        world.rules.allow_all();
        assert_eq!(retained(&mut world), all, "it was not deleted");
    }
}

#[test]
fn it_is_sent_whoever_wrote_it_if_the_setting_says_so() {
    let mut world = written(Settings { check_retain_source: false, ..Settings::default() }, 1);
    world.rules.deny("bad", Action::Retained, "#");
    assert_eq!(retained(&mut world).len(), 3);
}

#[test]
fn what_was_written_before_there_were_rules_is_judged_by_them() {
    let mut world = World::new();
    let bad = world.connect(user("bad"));
    world.retain(bad, "state", "on");
    world.rules.deny("bad", Action::Retained, "#");
    assert!(retained(&mut world).is_empty());
}

#[test]
fn the_last_publisher_of_a_topic_is_the_one_that_counts() {
    let mut world = written(Settings::default(), 1);
    let good = world.connect(user("good"));
    world.retain_with(good, "bad/state", "off", QoS::ExactlyOnce, 1, &[]);
    world.pubrel(good, 1);
    world.rules.deny("bad", Action::Retained, "#");
    let left = ["bad/state off retained", "good/state on retained"];
    assert_eq!(retained(&mut world), left);
    world.publish_system("$SYS/x", "1");
    let reader = world.connect(user("other"));
    world.rules.deny("*", Action::Retained, "#");
    world.subscribe(reader, "$SYS/#", QoS::AtMostOnce);
    assert_eq!(world.take(reader), ["$SYS/x 1 retained"], "the broker itself is not judged");
}

#[test]
fn the_publisher_is_written_down_with_a_retained_message_and_with_no_other() {
    let mut world = World::new();
    world.rules.allow_all();
    let away = world.connect(user("away").persistent(100));
    world.subscribe(away, "#", QoS::AtLeastOnce);
    world.cut(away);
    world.records();
    let writer = world.connect(user("writer"));
    world.publish(writer, "plain", "1", QoS::AtLeastOnce, 1);
    world.retain_with(writer, "kept", "2", QoS::AtLeastOnce, 2, &[]);
    world.publish_system("of/the/broker", "3");
    let mut said = world.records().into_iter().filter(|record| record.starts_with("Message"));
    let mut next = || said.next().unwrap_or_default();
    let writer = "publisher: Some(Publisher { client_id: \"writer\", username: Some(\"writer\"), listener: 0 })";
    assert!(next().contains("publisher: None"), "not retained");
    assert!(next().contains(writer));
    let own = next();
    assert!(own.contains("of/the/broker") && own.contains("publisher: None"), "{own}");
}
