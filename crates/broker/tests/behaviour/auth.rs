//! Enhanced authentication: AUTH before CONNACK and after it (4.12).

use std::sync::Arc;
use std::time::Duration;

use dunlin_broker::{Action, Admitted, End, Event, Question, Refusal, Settings, Verdict};
use dunlin_proto::packet::{Auth, Packet};
use dunlin_proto::property::{Property, PropertyBuf};
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;

use crate::world::{Client, Options, World, buffer};

const METHOD: Property<'static> = Property::AuthenticationMethod("RIDDLE");

fn asking(shards: u16) -> World {
    World::with(Settings { authenticate: true, ..Settings::default() }, shards)
}

fn riddler<'a>(id: &'a str, data: &'a [u8]) -> Options<'a> {
    Options::new(id).property(METHOD).property(Property::AuthenticationData(data))
}

fn properties(data: &[u8]) -> PropertyBuf {
    buffer(&[METHOD, Property::AuthenticationData(data)])
}

fn auth(world: &mut World, client: Client, reason: ReasonCode, data: &[u8]) {
    let properties = properties(data);
    let packet = Auth { reason, properties: properties.as_properties() };
    world.send(client, &Packet::Auth(packet));
}

fn only_question(world: &mut World) -> Question {
    let questions = world.questions();
    let [question] = &questions[..] else { panic!("one question: {questions:?}") };
    question.clone()
}

fn data(question: &Question) -> &[u8] {
    question.data.as_deref().unwrap_or_default()
}

/// Somebody who was let in, until then.
fn let_in(world: &mut World, admitted: Admitted) -> Client {
    let client = world.open();
    world.send_connect(client, &riddler("c", b"first"));
    world.answer(client, Verdict::Allow(admitted));
    assert!(world.take(client).concat().starts_with("ConnAck Success"));
    client
}

// shows 5.0: MQTT-4.12.0-2, MQTT-4.12.0-5
#[test]
fn an_exchange_takes_as_many_steps_as_it_takes() {
    for shards in [1, 3] {
        let mut world = asking(shards);
        let client = world.open();
        world.send_connect(client, &riddler("c", b"1"));
        for (step, said, answer) in [(0, b"1", b"a"), (1, b"2", b"b"), (2, b"3", b"c")] {
            let question = only_question(&mut world);
            assert_eq!((question.step, question.again), (step, false));
            assert_eq!((&*question.client_id, question.method.as_deref()), ("c", Some("RIDDLE")));
            assert_eq!(data(&question), said);
            assert!(world.take(client).is_empty());
            world.answer(client, Verdict::Continue(answer.as_slice().into()));
            let told = world.take(client).concat();
            assert!(told.starts_with("Auth ContinueAuthentication AuthenticationMethod"), "{told}");
            auth(&mut world, client, ReasonCode::ContinueAuthentication, &[said[0] + 1]);
        }
        let proof = Admitted { auth_data: Some((*b"proof").into()), ..Admitted::default() };
        world.answer(client, Verdict::Allow(proof));
        let connack = world.take(client).concat();
        assert!(connack.contains("RIDDLE") && connack.contains("AuthenticationData"), "{connack}");
        world.subscribe(client, "t", QoS::AtMostOnce);
        world.publish(client, "t", "x", QoS::AtMostOnce, 0);
        assert_eq!(world.take(client), ["t x"]);
    }
}

// shows 5.0: MQTT-4.12.0-4
#[test]
fn a_failed_exchange_is_told_in_connack() {
    let mut world = asking(1);
    let client = world.open();
    world.send_connect(client, &riddler("c", b"1"));
    world.answer(client, Verdict::Continue(Box::default()));
    auth(&mut world, client, ReasonCode::ContinueAuthentication, b"wrong");
    world.answer(client, Verdict::Deny(Refusal::NotAuthorized { by: None }));
    assert_eq!(world.take(client)[1], "ConnAck NotAuthorized");
    assert!(!world.is_open(client));
}

#[test]
fn a_method_that_is_not_offered_is_refused_by_whoever_is_asked() {
    let mut world = asking(1);
    let client = world.open();
    world.send_connect(client, &riddler("c", b"1"));
    world.answer(client, Verdict::Deny(Refusal::AuthenticationMethod));
    assert_eq!(world.take(client), ["ConnAck BadAuthenticationMethod"]);
}

#[test]
fn another_method_than_that_of_connect_ends_the_exchange() {
    let mut world = asking(1);
    let client = world.open();
    world.send_connect(client, &riddler("c", b"1"));
    world.answer(client, Verdict::Continue(Box::default()));
    let other = buffer(&[Property::AuthenticationMethod("OTHER")]);
    let reason = ReasonCode::ContinueAuthentication;
    world.send(client, &Packet::Auth(Auth { reason, properties: other.as_properties() }));
    assert_eq!(world.take(client)[1], "ConnAck BadAuthenticationMethod");

    let client = let_in(&mut world, Admitted::default());
    let reason = ReasonCode::ReAuthenticate;
    world.send(client, &Packet::Auth(Auth { reason, properties: other.as_properties() }));
    assert_eq!(world.take(client), ["Disconnect BadAuthenticationMethod"]);
}

#[test]
fn only_auth_fits_into_an_exchange() {
    for reason in [ReasonCode::ReAuthenticate, ReasonCode::Success] {
        let mut world = asking(1);
        let client = world.open();
        world.send_connect(client, &riddler("c", b"1"));
        world.answer(client, Verdict::Continue(Box::default()));
        auth(&mut world, client, reason, b"2");
        assert!(!world.is_open(client), "{reason}");
    }
    let mut world = asking(1);
    let client = world.open();
    world.send_connect(client, &riddler("c", b"1"));
    world.answer(client, Verdict::Continue(Box::default()));
    world.send(client, &Packet::PingReq);
    assert!(!world.is_open(client));
}

#[test]
fn an_exchange_that_takes_too_long_ends() {
    let mut world = asking(1);
    let client = world.open();
    world.send_connect(client, &riddler("c", b"1"));
    world.wait_seconds(6);
    world.answer(client, Verdict::Continue(Box::default()));
    world.wait_seconds(6);
    assert!(!world.is_open(client));
    let other = world.open();
    world.send_connect(other, &riddler("c", b"1"));
    world.answer(other, Verdict::Allow(Admitted::default()));
    assert!(world.is_open(other), "the identifier is free");
}

#[test]
fn a_client_authenticates_itself_again_while_messages_go_on() {
    let mut world = asking(1);
    let client = let_in(&mut world, Admitted::default());
    world.subscribe(client, "t", QoS::AtMostOnce);
    world.questions();
    auth(&mut world, client, ReasonCode::ReAuthenticate, b"1");
    let question = only_question(&mut world);
    assert_eq!((question.step, question.again, &*question.client_id), (0, true, "c"));
    world.publish(client, "t", "meanwhile", QoS::AtMostOnce, 0);
    assert_eq!(world.take(client), ["t meanwhile"]);
    world.answer(client, Verdict::Continue((*b"a").into()));
    assert!(world.take(client).concat().starts_with("Auth ContinueAuthentication"));
    auth(&mut world, client, ReasonCode::ContinueAuthentication, b"2");
    let question = only_question(&mut world);
    assert_eq!((question.step, question.again, data(&question)), (1, true, &b"2"[..]));
    let proof = Admitted { auth_data: Some((*b"proof").into()), ..Admitted::default() };
    world.answer(client, Verdict::Allow(proof));
    assert!(world.take(client).concat().starts_with("Auth Success AuthenticationMethod"));
    world.wait_seconds(100);
    assert!(world.is_open(client));
}

// shows 5.0: MQTT-4.12.1-2
#[test]
fn who_fails_to_authenticate_again_is_disconnected() {
    let mut world = asking(1);
    let client = let_in(&mut world, Admitted::default());
    auth(&mut world, client, ReasonCode::ReAuthenticate, b"1");
    world.answer(client, Verdict::Deny(Refusal::BadUserNameOrPassword { by: None }));
    assert_eq!(world.take(client), ["Disconnect NotAuthorized"]);
    assert!(!world.is_open(client));
}

#[test]
fn authenticating_again_has_its_time_and_its_order() {
    let mut world = asking(1);
    let client = let_in(&mut world, Admitted::default());
    auth(&mut world, client, ReasonCode::ReAuthenticate, b"1");
    world.answer(client, Verdict::Continue(Box::default()));
    world.wait_seconds(11);
    assert!(world.take(client).concat().ends_with("Disconnect NotAuthorized"));

    let client = let_in(&mut world, Admitted::default());
    auth(&mut world, client, ReasonCode::ContinueAuthentication, b"1");
    assert_eq!(world.take(client), ["Disconnect ProtocolError"], "nothing was begun");

    let client = let_in(&mut world, Admitted::default());
    auth(&mut world, client, ReasonCode::ReAuthenticate, b"1");
    auth(&mut world, client, ReasonCode::ReAuthenticate, b"2");
    assert_eq!(world.take(client), ["Disconnect ProtocolError"], "one at a time");
}

#[test]
fn nobody_becomes_another_user_by_authenticating_again() {
    let mut world = asking(1);
    let named = |name: &str| Admitted { username: Some(name.into()), ..Admitted::default() };
    let client = let_in(&mut world, named("one"));
    auth(&mut world, client, ReasonCode::ReAuthenticate, b"1");
    world.answer(client, Verdict::Allow(named("two")));
    assert_eq!(world.take(client), ["Disconnect NotAuthorized"]);
}

#[test]
fn new_claims_count_at_once() {
    let mut world = asking(1);
    world.rules.deny("*", Action::Publish, "by claim");
    let client = let_in(&mut world, Admitted::default());
    world.subscribe(client, "by claim", QoS::AtMostOnce);
    world.publish(client, "by claim", "1", QoS::AtMostOnce, 0);
    auth(&mut world, client, ReasonCode::ReAuthenticate, b"1");
    let claims = Some(Arc::new("everything") as Arc<dyn core::any::Any + Send + Sync>);
    world.answer(client, Verdict::Allow(Admitted { claims, ..Admitted::default() }));
    world.take(client);
    world.publish(client, "by claim", "2", QoS::AtMostOnce, 0);
    assert_eq!(world.take(client), ["by claim 2"]);
}

#[test]
fn the_end_of_a_token_ends_the_connection() {
    let mut world = asking(1);
    let expires = Some(world.now.saturating_add(Duration::from_secs(60)));
    let client = let_in(&mut world, Admitted { expires, ..Admitted::default() });
    world.wait_seconds(59);
    assert!(world.is_open(client));
    world.wait_seconds(2);
    assert_eq!(world.take(client), ["Disconnect NotAuthorized"]);
    let told = world
        .events()
        .into_iter()
        .any(|event| matches!(event, Event::Disconnected { end: End::TokenExpired, .. }));
    assert!(told);
    // A new one in time moves it.
    let expires = Some(world.now.saturating_add(Duration::from_secs(60)));
    let client = let_in(&mut world, Admitted { expires, ..Admitted::default() });
    auth(&mut world, client, ReasonCode::ReAuthenticate, b"1");
    let expires = Some(world.now.saturating_add(Duration::from_secs(600)));
    world.answer(client, Verdict::Allow(Admitted { expires, ..Admitted::default() }));
    world.wait_seconds(300);
    assert!(world.is_open(client));
}

#[test]
fn the_answer_may_give_the_client_another_identifier() {
    for (shards, exchange) in [(1, false), (3, false), (1, true), (3, true)] {
        let mut world = asking(shards);
        let mut clients = Vec::new();
        for name in ["anna", "bert", "carl"] {
            let client = world.open();
            let options = if exchange { riddler("same", b"1") } else { Options::new("same") };
            world.send_connect(client, &options);
            let question = only_question(&mut world);
            assert_eq!(&*question.client_id, "same");
            let client_id = Some(name.into());
            world.answer(client, Verdict::Allow(Admitted { client_id, ..Admitted::default() }));
            assert!(world.questions().is_empty(), "asked once");
            let connack = world.take(client).concat();
            assert!(connack.starts_with("ConnAck Success"), "{connack}");
            clients.push(client);
        }
        for client in clients {
            assert!(world.is_open(client), "three clients, not one taken over");
            world.subscribe(client, "t", QoS::AtMostOnce);
        }
        assert_eq!(world.sum(|stats| stats.sessions), 3);
    }
}
