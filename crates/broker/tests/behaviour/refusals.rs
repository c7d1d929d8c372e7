//! CONNECTs that are refused: with which bytes, and what is left of them (3.2.2.2).

use std::sync::Arc;

use dunlin_broker::{
    Admission, Admitted, End, Entry, Event, Limit, Reached, ReasonStrings, Refusal, RefusalCodes,
    Settings, Verdict,
};
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World};

const FULL: Reached = Reached { limit: Limit::Connections, value: 7, allowed: 7 };

/// Every refusal with its reason code in 5.0 and its return code before.
const REFUSALS: [(Refusal, u8, u8); 9] = [
    (Refusal::Limit(FULL), 0x97, 3),
    (Refusal::ClientIdRequired, 0x85, 2),
    (Refusal::AuthenticationMethod, 0x8C, 5),
    (Refusal::NotAuthorized { by: None }, 0x87, 5),
    (Refusal::BadUserNameOrPassword { by: None }, 0x87, 5),
    (Refusal::KeepAlive { asked: 9, limit: 8 }, 0x85, 2),
    (Refusal::WillTooLarge { size: 9, limit: 8 }, 0x95, 5),
    (Refusal::WillTopic, 0x87, 5),
    (Refusal::ShuttingDown, 0x88, 3),
];

fn connack(version: Version, reason: u8, code: u8) -> Vec<u8> {
    if version.is_v5() { vec![0x20, 3, 0, reason, 0] } else { vec![0x20, 2, 0, code] }
}

fn authenticating(shards: u16) -> World {
    World::with(Settings { authenticate: true, ..Settings::default() }, shards)
}

/// Sends CONNECT and tells what came back, as bytes.
fn answer(world: &mut World, options: &Options<'_>) -> Vec<u8> {
    let client = world.open();
    world.send_connect(client, options);
    assert!(!world.is_open(client), "closed after the refusal");
    world.take_frames(client).concat()
}

#[test]
fn whoever_is_refused_is_told_by_the_user_name_and_never_by_the_password() {
    for refusal in
        [Refusal::BadUserNameOrPassword { by: None }, Refusal::Banned { seconds: None, by: None }]
    {
        let mut world = World::new();
        let client = world.open_as(Admission::Refuse(refusal.clone()));
        let mut options = Options::new("c");
        (options.username, options.password) = (Some("anna\n"), Some(&b"sesame"[..]));
        world.send_connect(client, &options);
        let event = world.events().pop().expect("it is told");
        assert_eq!(event.user().map(|user| &**user), Some("anna\n"));
        let told = event.to_string();
        assert!(told.contains(r#"client "c", user "anna\n", from "#), "{told}");
        assert!(!format!("{told}{event:?}").contains("sesame"), "{told}");
    }
}

#[test]
fn every_refusal_has_its_code_in_every_version() {
    for (refusal, reason, code) in REFUSALS {
        for version in [Version::V3_1, Version::V3_1_1, Version::V5_0] {
            let options = Options::new("c").version(version);
            // Told before CONNECT is read, by the listener's limits.
            let mut world = World::new();
            let client = world.open_as(Admission::Refuse(refusal.clone()));
            world.send_connect(client, &options);
            assert_eq!(world.take_frames(client), [connack(version, reason, code)], "{refusal:?}");
            assert!(!world.is_open(client));
            // And as the answer to the question who it is.
            let mut world = authenticating(2);
            let client = world.open();
            world.send_connect(client, &options);
            world.answer(client, Verdict::Deny(refusal.clone()));
            assert_eq!(world.take_frames(client), [connack(version, reason, code)]);
            assert!(!world.is_open(client));
            world.assert_empty();
            let event = world.events().pop();
            let told = matches!(
                &event,
                Some(Event::Refused { client: Some(id), end: End::Refused(cause), .. })
                    if &**id == "c" && *cause == refusal
            );
            assert!(told, "{event:?}");
        }
    }
}

#[test]
fn refusals_have_the_codes_of_mosquitto_where_they_are_asked_for() {
    use RefusalCodes::{Familiar, Mosquitto};
    let by_listener = Reached { limit: Limit::ListenerConnections, ..FULL };
    let sessions = Reached { limit: Limit::Sessions, ..FULL };
    for (codes, refusal, v5, before) in [
        (Mosquitto, Refusal::Limit(FULL), None, None),
        (Mosquitto, Refusal::Limit(by_listener), None, None),
        (Mosquitto, Refusal::Limit(sessions), Some(0x89), Some(3)),
        (Familiar, Refusal::Limit(FULL), Some(0x97), Some(3)),
        (Familiar, Refusal::Limit(by_listener), Some(0x97), Some(3)),
        (Familiar, Refusal::Limit(sessions), Some(0x97), Some(3)),
        (Mosquitto, Refusal::ClientIdRequired, Some(0x80), Some(2)),
        (Familiar, Refusal::ClientIdRequired, Some(0x80), Some(2)),
        (Mosquitto, Refusal::IdentifierPolicy { by: None }, Some(0x87), Some(5)),
        (Familiar, Refusal::IdentifierPolicy { by: None }, Some(0x87), Some(5)),
        (Familiar, Refusal::Anonymous, Some(0x87), Some(5)),
    ] {
        for version in [Version::V3_1_1, Version::V5_0] {
            let mut world =
                World::with(Settings { refusal_codes: codes, ..Settings::default() }, 1);
            let client = world.open_as(Admission::Refuse(refusal.clone()));
            world.send_connect(client, &Options::new("c").version(version));
            let expected: Vec<_> = match (version, v5, before) {
                (Version::V5_0, Some(reason), _) => vec![connack(version, reason, 0)],
                (Version::V3_1_1, _, Some(code)) => vec![connack(version, 0, code)],
                _ => vec![],
            };
            assert_eq!(world.take_frames(client), expected, "{refusal:?} {version}");
            assert!(!world.is_open(client));
            let event = world.events().pop();
            assert!(matches!(event, Some(Event::Refused { client: Some(_), .. })), "{event:?}");
        }
    }
}

#[test]
fn a_refusal_of_a_client_without_an_identifier_says_so() {
    let mut world = authenticating(2);
    let client = world.open();
    world.send_connect(client, &Options::new(""));
    world.answer(client, Verdict::Deny(Refusal::Anonymous));
    let told = world.events().pop().unwrap().to_string();
    assert!(told.starts_with("client without an identifier from 127.0.0.1:"), "{told}");
    assert!(told.contains("(allow_anonymous)"), "{told}");
}

#[test]
fn an_empty_client_identifier_needs_a_clean_session_before_5() {
    let mut world = World::new();
    let mut refused =
        |version, clean| answer(&mut world, &Options::new("").version(version).clean(clean));
    assert_eq!(refused(Version::V3_1, true), [0x20, 2, 0, 2]);
    assert_eq!(refused(Version::V3_1, false), [0x20, 2, 0, 2]);
    assert_eq!(refused(Version::V3_1_1, false), [0x20, 2, 0, 2]);
    assert_eq!(world.commons.homes.borrow().len(), 0);
}

#[test]
fn an_authentication_method_that_is_not_configured_is_refused() {
    let mut world = World::new();
    let options = Options::new("c").property(Property::AuthenticationMethod("SCRAM-SHA-1"));
    assert_eq!(answer(&mut world, &options), [0x20, 3, 0, 0x8C, 0]);
}

#[test]
fn a_keep_alive_above_the_limit_is_lowered_in_5_and_refused_before() {
    let settings = || Settings { maximum_keep_alive: 60, ..Settings::default() };
    for version in [Version::V3_1, Version::V3_1_1] {
        let mut world = World::with(settings(), 1);
        for keep_alive in [61, 0] {
            let options = Options::new("c").version(version).keep_alive(keep_alive);
            assert_eq!(answer(&mut world, &options), [0x20, 2, 0, 2]);
        }
        world.connect(Options::new("c").version(version).keep_alive(60));
    }
    let mut world = World::with(settings(), 1);
    for (asked, told) in [(61, true), (0, true), (60, false), (1, false)] {
        let (_, connack) = world.try_connect(Options::new("c").keep_alive(asked));
        assert_eq!(connack.contains("ServerKeepAlive(60)"), told, "{connack}");
    }
}

#[test]
fn a_will_to_a_topic_of_the_brokers_own_is_refused() {
    for (version, expected) in
        [(Version::V3_1_1, vec![0x20, 2, 0, 5]), (Version::V5_0, vec![0x20, 3, 0, 0x87, 0])]
    {
        let mut world = World::new();
        let options = Options::new("c").version(version).will("$SYS/broker/version", "mine");
        assert_eq!(answer(&mut world, &options), expected);
        world.assert_empty();
    }
    for refusal_codes in [RefusalCodes::Familiar, RefusalCodes::Mosquitto] {
        let mut world = World::with(Settings { refusal_codes, ..Settings::default() }, 1);
        let options = Options::new("c").will("$CONTROL/dynamic-security/v1", "mine");
        assert!(answer(&mut world, &options).is_empty(), "closed without a word there");
    }
    let mut world = World::new();
    let bridge = "$SYS/broker/connection/b/state";
    world.connect(Options::new("bridge").will(bridge, "0").will_retain());
}

#[test]
fn a_broken_connect_of_5_0_is_answered_unless_mosquittos_codes_are_asked_for() {
    for (refusal_codes, expected) in [
        (RefusalCodes::Telling, vec![0x20, 3, 0, 0x81, 0]),
        (RefusalCodes::Familiar, vec![]),
        (RefusalCodes::Mosquitto, vec![]),
    ] {
        let settings = Settings { refusal_codes, ..Settings::default() };
        let mut world = World::with(settings, 1);
        for body in [
            b"\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x02c\0",
            b"\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x03cc",
        ] {
            let client = world.open();
            world.send_bytes(client, &[b"\x10\x0F", &body[..]].concat());
            assert!(!world.is_open(client));
            assert_eq!(world.take_frames(client).concat(), expected);
        }
    }
}

#[test]
fn a_reason_string_is_sent_when_it_is_wanted() {
    use ReasonStrings::{Always, Asked, Never};
    for (setting, asked, expected) in [
        (Asked, None, false),
        (Asked, Some(true), true),
        (Asked, Some(false), false),
        (Always, None, true),
        (Always, Some(false), false),
        (Never, Some(true), false),
    ] {
        let settings = || Settings { reason_strings: setting, ..Settings::default() };
        let mut options = Options::new("c");
        if let Some(asked) = asked {
            options = options.property(Property::RequestProblemInformation(asked));
        }
        // On CONNACK.
        let mut world = World::with(settings(), 1);
        let client = world.open_as(Admission::Refuse(Refusal::NotAuthorized { by: None }));
        world.send_connect(client, &options);
        let connack = world.take(client).concat();
        assert!(connack.starts_with("ConnAck NotAuthorized"), "{connack}");
        assert_eq!(connack.contains("ReasonString(\"not authorized\")"), expected, "{connack}");
        // On DISCONNECT.
        let client = world.connect(options);
        world.send_bytes(client, &[0x36, 0x00]);
        let goodbye = world.take(client).concat();
        assert!(goodbye.starts_with("Disconnect MalformedPacket"), "{goodbye}");
        assert_eq!(goodbye.contains("ReasonString(\"PUBLISH with QoS 3"), expected, "{goodbye}");
    }
}

#[test]
fn a_reason_string_is_left_out_where_it_would_not_fit() {
    let mut world =
        World::with(Settings { reason_strings: ReasonStrings::Always, ..Settings::default() }, 1);
    let options = Options::new("c").property(Property::MaximumPacketSize(20));
    let client = world.open_as(Admission::Refuse(Refusal::NotAuthorized { by: None }));
    world.send_connect(client, &options);
    assert_eq!(world.take(client), ["ConnAck NotAuthorized"]);
    let client = world.connect(options);
    world.send_bytes(client, &[0x36, 0x00]);
    assert_eq!(world.take(client), ["Disconnect MalformedPacket"]);
}

#[test]
fn what_connack_tells_stands_in_the_order_that_mosquitto_gives_it() {
    let settings = Settings {
        maximum_session_expiry: 5,
        maximum_keep_alive: 60,
        retain_available: false,
        response_information: Some("answers/".into()),
        ..Settings::default()
    };
    let mut world = World::with(settings, 1);
    let (_, connack) = world.try_connect(Options::new("c"));
    assert_eq!(
        connack,
        "ConnAck Success ServerKeepAlive(60) TopicAliasMaximum(10) RetainAvailable(false) \
         MaximumPacketSize(2000000) ReceiveMaximum(20)"
    );
    let options = Options::new("")
        .persistent(10)
        .keep_alive(70)
        .property(Property::RequestResponseInformation(true));
    let entry = Entry { maximum_qos: QoS::AtLeastOnce, ..Entry::default() };
    let (_, connack) = world.try_connect_by(&Arc::new(entry), &options);
    let names: Vec<&str> =
        connack.split(' ').skip(2).filter_map(|word| word.split('(').next()).collect();
    assert_eq!(
        names,
        [
            "SessionExpiryInterval",
            "ServerKeepAlive",
            "TopicAliasMaximum",
            "AssignedClientIdentifier",
            "ResponseInformation",
            "RetainAvailable",
            "MaximumPacketSize",
            "ReceiveMaximum",
            "MaximumQoS"
        ]
    );
}

#[test]
fn the_default_connack_is_the_same_bytes_as_ever() {
    let mut world = World::new();
    let client = world.open();
    world.send_connect(client, &Options::new("c"));
    assert_eq!(
        world.take_frames(client),
        [b"\x20\x0E\x00\x00\x0B\x22\x00\x0A\x27\x00\x1E\x84\x80\x21\x00\x14".to_vec()]
    );
    for version in [Version::V3_1, Version::V3_1_1] {
        let client = world.open();
        world.send_connect(client, &Options::new("old").version(version));
        assert_eq!(world.take_frames(client), [[0x20, 2, 0, 0]]);
    }
}

#[test]
fn unsupported_levels_are_answered_in_the_nearest_form() {
    for (level, expected) in
        [(2, vec![0x20, 2, 0, 1]), (3, vec![0x20, 2, 0, 1]), (6, vec![0x20, 3, 0, 0x84, 0])]
    {
        let mut world = World::new();
        let client = world.open();
        world.send_bytes(
            client,
            &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 0, 0, 1, b'c'],
        );
        // A client that speaks another version could not read what is checked here.
        assert_eq!(world.take_frames(client).concat(), expected, "level {level}");
        assert!(!world.is_open(client));
    }
}

#[test]
fn a_broken_connect_is_answered_in_5_and_closed_without_a_word_before() {
    for (level, expected) in [(4, vec![]), (5, vec![0x20, 3, 0, 0x81, 0])] {
        let mut world = World::new();
        let client = world.open();
        // The reserved connect flag.
        world.send_bytes(
            client,
            &[0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', level, 3, 0, 0, 0, 0, 1, b'c'],
        );
        assert_eq!(world.take_frames(client).concat(), expected);
        assert!(!world.is_open(client));
    }
}

#[test]
fn the_first_packet_has_to_be_connect() {
    for first in [&b"\xC0\x00"[..], b"\x30\x03\x00\x01t", b"\x20\x02\x00\x00", b"\xE0\x00", b"\xFF"]
    {
        let mut world = World::new();
        let client = world.open();
        world.send_bytes(client, first);
        assert!(world.take_frames(client).is_empty(), "{first:?}");
        assert!(!world.is_open(client));
    }
}

#[test]
fn a_second_connect_ends_the_connection() {
    for (version, expected) in
        [(Version::V3_1_1, vec![]), (Version::V5_0, vec!["Disconnect ProtocolError".to_owned()])]
    {
        let mut world = World::new();
        let options = Options::new("c").version(version);
        let client = world.connect(options.clone());
        world.send_connect(client, &options);
        assert_eq!(world.take(client), expected);
        assert!(!world.is_open(client));
        world.assert_empty();
    }
}

/// Connects to a broker that asks who it is, and takes the question.
fn asks(world: &mut World, options: &Options<'_>) -> Client {
    let client = world.open();
    world.send_connect(client, options);
    let questions = world.questions();
    assert_eq!(questions.len(), 1);
    assert_eq!(&*questions[0].client_id, options.id);
    assert_eq!(questions[0].username.as_deref(), options.username);
    client
}

#[test]
fn a_client_waits_for_the_answer_and_what_it_sent_meanwhile_is_not_lost() {
    for shards in [1, 2] {
        let mut world = authenticating(shards);
        for id in ["a", "b", "c"] {
            let mut options = Options::new(id);
            options.username = Some("somebody");
            let client = asks(&mut world, &options);
            world.publish(client, "t", "x", QoS::AtLeastOnce, 1);
            world.send_bytes(client, &[0xC0, 0x00]);
            assert!(world.take(client).is_empty());
            world.answer(client, Verdict::Allow(Admitted::default()));
            let answers = world.take(client);
            assert!(answers[0].starts_with("ConnAck Success"), "{answers:?}");
            assert_eq!(answers[1..], ["PubAck #1 NoMatchingSubscribers", "PingResp"]);
        }
    }
}

#[test]
fn an_assigned_identifier_outlives_the_question() {
    for shards in [1, 2] {
        let mut world = authenticating(shards);
        for _ in 0..4 {
            let client = asks(&mut world, &Options::new(""));
            world.answer(client, Verdict::Allow(Admitted::default()));
            let connack = world.take(client).concat();
            assert!(connack.contains("AssignedClientIdentifier"), "{connack}");
            assert_eq!(world.commons.homes.borrow().len(), 1);
            world.cut(client);
            world.assert_empty();
        }
        let client = asks(&mut world, &Options::new(""));
        world.answer(client, Verdict::Deny(Refusal::NotAuthorized { by: None }));
        assert!(!world.is_open(client));
        world.assert_empty();
    }
}

#[test]
fn a_client_that_leaves_before_the_answer_leaves_nothing_behind() {
    for shards in [1, 2] {
        let mut world = authenticating(shards);
        let client = asks(&mut world, &Options::new("impatient"));
        world.cut(client);
        world.answer(client, Verdict::Allow(Admitted::default()));
        world.assert_empty();
        let client = asks(&mut world, &Options::new("slow answer"));
        world.wait_seconds(11);
        assert!(!world.is_open(client));
        world.assert_empty();
    }
}

#[test]
fn a_refused_connection_does_not_disturb_the_session_of_its_identifier() {
    let mut world = authenticating(2);
    let client = asks(&mut world, &Options::new("c"));
    world.answer(client, Verdict::Allow(Admitted::default()));
    world.subscribe_all(client, &["t"]);
    world.take(client);
    let intruder = asks(&mut world, &Options::new("c"));
    world.answer(intruder, Verdict::Deny(Refusal::BadUserNameOrPassword { by: None }));
    assert!(world.is_open(client));
    world.publish(client, "t", "still here", QoS::AtMostOnce, 0);
    assert_eq!(world.take(client), ["t still here"]);
    assert_eq!(world.commons.homes.borrow().len(), 1);
}

#[test]
fn a_client_that_gives_up_does_not_take_the_home_of_its_identifier_away() {
    // Regression: two that wait, the identifier settles in another shard, then the second one leaves.
    let mut world = authenticating(2);
    let options = Options::new("c");
    let (first, second) = (asks(&mut world, &options), asks(&mut world, &options));
    world.cut(first);
    let third = asks(&mut world, &options);
    assert_ne!(world.shard(second), world.shard(third));
    world.answer(third, Verdict::Allow(Admitted::default()));
    world.cut(second);
    let fourth = asks(&mut world, &options);
    world.answer(fourth, Verdict::Allow(Admitted::default()));
    assert!(!world.is_open(third), "taken over");
    assert!(world.is_open(fourth));
    assert_eq!(world.sum(|stats| stats.sessions), 1);
}

#[test]
fn of_two_that_wait_the_one_answered_last_has_the_session() {
    let mut world = authenticating(2);
    let options = Options::new("c");
    let (first, second) = (asks(&mut world, &options), asks(&mut world, &options));
    world.answer(second, Verdict::Allow(Admitted::default()));
    world.answer(first, Verdict::Allow(Admitted::default()));
    assert!(world.is_open(first));
    assert!(!world.is_open(second));
    world.cut(first);
    world.assert_empty();
}
