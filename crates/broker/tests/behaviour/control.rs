//! Commands to the broker itself, and connections that an operator ends.

use dunlin_broker::{Action, Control, End, Refusal};
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World};

const COMMANDS: &str = "$CONTROL/thing/v1";
const ANSWERS: &str = "$CONTROL/thing/v1/response";

fn user<'a>(name: &'a str) -> Options<'a> {
    let mut options = Options::new(name);
    options.username = Some(name);
    options
}

/// A world in which one user may give commands.
fn ruled(shards: u16) -> (World, Client) {
    let mut world = World::with_shards(shards);
    world.rules.deny("guest", Action::Publish, "$CONTROL/#");
    let admin = world.connect(user("admin"));
    (world, admin)
}

fn only_command(world: &mut World) -> Control {
    let controls = world.controls();
    let [control] = &controls[..] else { panic!("one command: {controls:?}") };
    control.clone()
}

#[test]
fn commands_are_taken_from_those_who_may_give_them() {
    let (mut world, admin) = ruled(2);
    world.publish(admin, COMMANDS, "do", QoS::AtLeastOnce, 1);
    assert_eq!(world.take(admin), ["PubAck #1"]);
    let control = only_command(&mut world);
    assert_eq!((&*control.topic, &*control.payload), (COMMANDS, &b"do"[..]));
    assert_eq!(control.who.username.as_deref(), Some("admin"));
    let guest = world.connect(user("guest"));
    world.publish(guest, COMMANDS, "do", QoS::AtLeastOnce, 1);
    assert_eq!(world.take(guest), ["PubAck #1 NotAuthorized"]);
    assert!(world.controls().is_empty());
}

#[test]
fn without_rules_nobody_may_give_commands() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.publish(client, COMMANDS, "do", QoS::AtLeastOnce, 1);
    assert_eq!(world.take(client), ["PubAck #1 NotAuthorized"]);
    assert!(world.controls().is_empty());
}

#[test]
fn commands_go_to_no_subscriber() {
    let (mut world, admin) = ruled(1);
    let listener = world.connect(user("listener"));
    world.subscribe(listener, "$CONTROL/#", QoS::AtLeastOnce);
    world.publish(admin, COMMANDS, "secret", QoS::ExactlyOnce, 1);
    world.pubrel(admin, 1);
    assert_eq!(world.take(admin), ["PubRec #1", "PubComp #1"]);
    assert!(world.take(listener).is_empty());
}

#[test]
fn an_answer_goes_to_the_client_alone_if_it_is_subscribed() {
    let (mut world, admin) = ruled(1);
    let listener = world.connect(user("listener"));
    world.subscribe(listener, "$CONTROL/#", QoS::AtLeastOnce);
    world.publish(admin, COMMANDS, "one", QoS::AtMostOnce, 0);
    let control = only_command(&mut world);
    world.answer_control(&control, ANSWERS, "unheard");
    assert!(world.take(admin).is_empty());
    world.subscribe(admin, ANSWERS, QoS::AtLeastOnce);
    world.answer_control(&control, ANSWERS, "done");
    assert_eq!(world.take(admin), [format!("{ANSWERS} done")]);
    assert!(world.take(listener).is_empty());
}

#[test]
fn an_operator_ends_connections_with_a_reason() {
    for (end, told) in [
        (End::Administrative, "Disconnect AdministrativeAction"),
        (End::TokenExpired, "Disconnect NotAuthorized"),
        (End::Refused(Refusal::Banned { seconds: None, by: None }), "Disconnect NotAuthorized"),
    ] {
        let mut world = World::new();
        let client = world.connect(Options::new("c").will("will", "gone"));
        let watcher = world.connect(Options::new("w"));
        world.subscribe(watcher, "will", QoS::AtMostOnce);
        world.expel(client, end);
        assert_eq!(world.take(client), [told]);
        assert!(!world.is_open(client));
        assert_eq!(world.take(watcher), ["will gone"], "as the will of any that is cut off");
    }
}

#[test]
fn connections_that_new_rules_do_not_allow_are_ended() {
    let mut world = World::with_shards(2);
    let clients: Vec<Client> = ["anna", "bert", "carl", "bert2"]
        .into_iter()
        .map(|name| world.connect(user(name).version(Version::V3_1_1)))
        .collect();
    world.expel_where(&|present| {
        let named = present.who.username.as_deref().is_some_and(|name| name.starts_with("bert"));
        named.then_some(End::Refused(Refusal::NotAuthorized { by: Some("users:7".into()) }))
    });
    let open: Vec<bool> = clients.iter().map(|client| world.is_open(*client)).collect();
    assert_eq!(open, [true, false, true, false]);
}
