//! Broken links, lost sessions, and servers that break the rules.

#[path = "../harness/entropy.rs"]
#[allow(dead_code, reason = "the seeded part of it is used here")]
mod entropy;

use dunlin_proto::client::{Cause, ConnectOptions, Connection, Event, Failure, Session};
use dunlin_proto::property::{Property, PropertyBuf};
use dunlin_proto::{PacketType, QoS, ReasonCode, Time, TopicFilter, Version, Violation};
use entropy::Seeded;

use super::pair::{Pair, Payload};
use super::{message, options, persistent, subscribe_options};

/// Over links that break anywhere, QoS 2 messages arrive once and in order, QoS 1 messages at
/// least once and first in order, in both directions.
#[test]
fn nothing_acknowledged_is_lost_when_links_break() {
    let mut seeded = Seeded::from_env();
    for run in 0..300 {
        let version = Version::ALL[run % 3];
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][run / 3 % 2];
        links_break(&mut seeded, version, qos);
    }
}

fn links_break(seeded: &mut Seeded, version: Version, qos: QoS) {
    let mut pair = Pair::new();
    let options = ConnectOptions { receive_maximum: 5, ..persistent(version) };
    let mut below = |end: u64| usize::try_from(seeded.next() % end).unwrap();
    let mut expected: Vec<Payload> = Vec::new();
    for number in 0..30_u8 {
        let payload = [b'a' + number; 3];
        let text = str::from_utf8(&payload).unwrap();
        pair.client.publish(message("up", qos, text)).unwrap();
        pair.server.queue.push_back((qos, payload.to_vec()));
        expected.push((qos, payload.to_vec()));
    }
    pair.server.limits.receive_maximum = 4;
    pair.server.connack.push(Property::ReceiveMaximum(4));
    // The server has a session from the first CONNECT on; its CONNACK may be lost.
    for _ in 0..20 {
        pair.connect(&options);
        for _ in 0..below(12) {
            pair.client_sends();
            let (up, down) = (below(60), below(60));
            pair.server_takes(up);
            pair.client_takes(down);
        }
        let (up, down) = (below(200), below(200));
        pair.cut(up, down);
    }
    pair.connected(&options);
    let up: Vec<Payload> =
        pair.server.received.iter().map(|(_, payload)| payload.clone()).collect();
    let down = pair.given();
    for arrived in [up, down] {
        if qos == QoS::ExactlyOnce {
            assert_eq!(arrived, expected, "{version}");
        } else {
            assert_eq!(firsts(&arrived), expected, "{version}");
        }
    }
    assert_eq!(pair.client.session().in_flight(), 0);
    let done = |event: &&Event| matches!(event, Event::PublishDone { result: Ok(_), .. });
    assert_eq!(pair.events.iter().filter(done).count(), 30);
}

/// What arrived, without what had arrived before.
fn firsts(arrived: &[Payload]) -> Vec<Payload> {
    let mut firsts: Vec<Payload> = Vec::new();
    for payload in arrived {
        if !firsts.contains(payload) {
            firsts.push(payload.clone());
        }
    }
    firsts
}

#[test]
fn a_lost_session_is_begun_anew_without_breaking_exactly_once() {
    let mut pair = Pair::new();
    pair.connected(&persistent(Version::V5_0));
    pair.events.clear();
    let least = pair.client.publish(message("up", QoS::AtLeastOnce, "1")).unwrap();
    let once = pair.client.publish(message("up", QoS::ExactlyOnce, "2")).unwrap();
    pair.cut(0, 0);
    pair.server.has_session = false;
    pair.connected(&persistent(Version::V5_0));
    assert_eq!(
        pair.events,
        [
            Event::Disconnected(Cause::TransportLost),
            Event::Connected { session_present: false, properties: PropertyBuf::new() },
            Event::PublishDone { token: once, result: Err(Failure::SessionLost) },
            Event::PublishDone { token: least, result: Ok(ReasonCode::Success) },
        ]
    );
    assert_eq!(pair.server.received.len(), 1);
}

#[test]
fn what_is_sent_again_says_that_it_may_be_a_duplicate() {
    let mut pair = Pair::new();
    pair.connected(&persistent(Version::V3_1_1));
    pair.client.publish(message("up", QoS::AtLeastOnce, "1")).unwrap();
    pair.client_sends();
    assert_eq!(pair.up, b"\x32\x07\x00\x02up\x00\x011");
    pair.cut(0, 0);
    pair.connect(&persistent(Version::V3_1_1));
    pair.client_sends();
    pair.server_takes(usize::MAX);
    pair.client_takes(usize::MAX);
    pair.client_sends();
    assert_eq!(pair.up, b"\x3A\x07\x00\x02up\x00\x011");
}

#[test]
fn identifiers_of_a_lost_session_mean_nothing_in_the_next() {
    let mut pair = Pair::new();
    pair.connected(&persistent(Version::V5_0));
    pair.server.queue.push_back((QoS::ExactlyOnce, b"1".to_vec()));
    pair.server_takes(0);
    pair.client_takes(usize::MAX);
    // The PUBREC is lost, and with it the server's session.
    pair.cut(0, 0);
    pair.server.has_session = false;
    pair.server.queue.push_back((QoS::ExactlyOnce, b"2".to_vec()));
    pair.connected(&persistent(Version::V5_0));
    let given = [b"1", b"2"].map(|payload| (QoS::ExactlyOnce, payload.to_vec()));
    assert_eq!(pair.given(), given);
}

#[test]
fn an_unanswered_subscribe_is_asked_again() {
    let mut pair = Pair::new();
    pair.server.answers_subscribe = false;
    pair.connected(&persistent(Version::V3_1_1));
    let filter = [(TopicFilter::new("a").unwrap(), subscribe_options(QoS::AtMostOnce))];
    let token = pair.client.subscribe(&filter, PropertyBuf::new()).unwrap();
    pair.run();
    pair.cut(0, 0);
    pair.server.answers_subscribe = true;
    pair.connected(&persistent(Version::V3_1_1));
    let result = Ok(vec![ReasonCode::GRANTED_QOS_0]);
    assert_eq!(pair.events.last(), Some(&Event::SubscribeDone { token, result }));
}

#[test]
fn a_refusal_is_told() {
    let mut client = Connection::default();
    client.connect(&options(Version::V3_1_1), Time::ZERO).unwrap();
    client.handle_input(Time::ZERO, b"\x20\x02\x00\x04").unwrap();
    let reason = ReasonCode::BadUserNameOrPassword;
    let refused = Event::Refused { reason, properties: PropertyBuf::new() };
    assert_eq!(client.poll_event(), Some(refused));
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn a_server_that_breaks_the_rules_is_left() {
    let connack = b"\x20\x03\x00\x00\x00";
    let cases: &[(&[&[u8]], Violation)] = &[
        (&[b"\xD0\x00"], Violation::ConnAckMissing { packet_type: PacketType::PingResp }),
        (&[b"\x20\x03\x01\x00\x00"], Violation::SessionPresentUnexpected),
        (&[connack, connack], Violation::ConnAckRepeated),
        (
            &[connack, b"\xC0\x00"],
            Violation::PacketNotAllowedFromServer { packet_type: PacketType::PingReq },
        ),
        (&[connack, b"\xF0\x00"], Violation::AuthWithoutMethod),
        (&[connack, b"\xE0\x07\x00\x05\x11\x00\x00\x00\x01"], Violation::SessionExpiryFromServer),
        (
            &[connack, b"\x30\x07\x00\x01a\x03\x23\x00\x03"],
            Violation::TopicAliasTooLarge { alias: 3, maximum: 2 },
        ),
        (
            &[connack, b"\x30\x06\x00\x00\x03\x23\x00\x02"],
            Violation::TopicAliasUnknown { alias: 2 },
        ),
        (
            &[connack, b"\x34\x06\x00\x01a\x00\x01\x00", b"\x34\x06\x00\x01a\x00\x02\x00"],
            Violation::ReceiveMaximumExceeded { maximum: 1 },
        ),
        (&[connack, b"\x30\xFF\x01"], Violation::PacketTooLarge { size: 258, maximum: 256 }),
    ];
    for (packets, violation) in cases {
        let mut client = Connection::new(Session::default());
        let options = ConnectOptions {
            receive_maximum: 1,
            maximum_packet_size: 256,
            topic_alias_maximum: 2,
            ..options(Version::V5_0)
        };
        client.connect(&options, Time::ZERO).unwrap();
        let mut out = Vec::new();
        client.poll_transmit(Time::ZERO, &mut out);
        let input = packets.concat();
        assert_eq!(client.handle_input(Time::ZERO, &input), Err(*violation), "{violation}");
        out.clear();
        client.poll_transmit(Time::ZERO, &mut out);
        if packets.len() > 1 {
            let told = [0xE0, 1, violation.reason_code().as_u8()];
            assert!(out.ends_with(&told), "{violation}: {out:?}");
        }
        let last = std::iter::from_fn(|| client.poll_event()).last();
        assert_eq!(last, Some(Event::Disconnected(Cause::Violation(*violation))));
    }
}

#[test]
fn an_answer_with_another_number_of_codes_is_a_violation() {
    let mut client = Connection::default();
    client.connect(&options(Version::V5_0), Time::ZERO).unwrap();
    client.handle_input(Time::ZERO, b"\x20\x03\x00\x00\x00").unwrap();
    let filter = [(TopicFilter::new("a").unwrap(), subscribe_options(QoS::AtMostOnce))];
    client.subscribe(&filter, PropertyBuf::new()).unwrap();
    client.poll_transmit(Time::ZERO, &mut Vec::new());
    assert_eq!(
        client.handle_input(Time::ZERO, b"\x90\x05\x00\x01\x00\x00\x00"),
        Err(Violation::AnswerCountWrong { asked: 1, answered: 2 })
    );
}

#[test]
fn unknown_identifiers_are_answered_so_that_the_server_recovers() {
    let mut client = Connection::default();
    client.connect(&options(Version::V5_0), Time::ZERO).unwrap();
    let mut out = Vec::new();
    client.poll_transmit(Time::ZERO, &mut out);
    out.clear();
    let input = b"\x20\x03\x00\x00\x00\x50\x02\x00\x07\x62\x02\x00\x08\x40\x02\x00\x09";
    client.handle_input(Time::ZERO, input).unwrap();
    client.poll_transmit(Time::ZERO, &mut out);
    assert_eq!(out, b"\x62\x03\x00\x07\x92\x70\x03\x00\x08\x92");
}
