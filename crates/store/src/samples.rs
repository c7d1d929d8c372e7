//! Records for tests.

use dunlin_broker::Time;
use dunlin_broker::journal::{Held, Origin, Publisher, Record, StoredMessage, Target, Will};
use dunlin_proto::qos::{PacketId, QoS};

pub(crate) fn pid(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

pub(crate) fn stored<'a>(topic: &'a str, payload: &'a [u8]) -> StoredMessage<'a> {
    let (qos, retain) = (QoS::AtLeastOnce, false);
    StoredMessage { topic, payload, properties: &[], expires: Time::MAX, qos, retain }
}

pub(crate) fn target(number: u64) -> Target {
    let qos = QoS::AtLeastOnce;
    Target { number, qos, retain: false, shared: false, identifier: 0, sent: None }
}

pub(crate) fn session(number: u64, expiry: u32) -> Record<'static> {
    Record::Session { number, client_id: "c", username: None, listener: 0, expiry, will: None }
}

pub(crate) fn message<'a>(id: u64, payload: &'a [u8], targets: &[u64]) -> Record<'a> {
    let (origin, targets) = (Origin::Client, targets.iter().copied().map(target).collect());
    let message = stored("t", payload);
    let (retained, held, publisher) = (None, None, None);
    Record::Message { id, origin, retained, held, publisher, message, targets }
}

pub(crate) fn retained<'a>(id: u64, topic: &'a str, payload: &'a [u8], stamp: u64) -> Record<'a> {
    let message = StoredMessage { retain: true, ..stored(topic, payload) };
    let (origin, targets) = (Origin::Client, vec![]);
    let publisher = Some(publisher());
    let retained = Some(stamp);
    Record::Message { id, origin, retained, held: None, publisher, message, targets }
}

pub(crate) fn publisher() -> Publisher<'static> {
    Publisher { client_id: "p", username: Some("u"), listener: 3 }
}

/// The records as bytes.
pub(crate) fn written(records: &[Record<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    records.iter().for_each(|record| record.write(&mut bytes));
    bytes
}

/// One of each kind and shape.
pub(crate) fn records() -> Vec<Record<'static>> {
    let packet_id = pid(7);
    let held = Held { number: 3, packet_id };
    let whole = StoredMessage {
        properties: &[0x01, 0x01],
        expires: Time::from_secs(5),
        qos: QoS::ExactlyOnce,
        retain: true,
        ..stored("a/b", b"payload")
    };
    let will = Will { message: whole, expiry: Some(9), delay: 4 };
    let special = Target {
        qos: QoS::ExactlyOnce,
        retain: true,
        shared: true,
        identifier: 268_435_455,
        sent: Some(packet_id),
        ..target(2)
    };
    let targets = vec![target(900), special, target(u64::MAX)];
    vec![
        session(1, u32::MAX),
        Record::Session {
            number: 1,
            client_id: "",
            username: Some("u"),
            listener: 1,
            expiry: 0,
            will: Some(will),
        },
        Record::Parted { number: 1, ends_at: Time::MAX, will_due: None },
        Record::Parted { number: 1, ends_at: Time::ZERO, will_due: Some(Time::MAX) },
        Record::Ended { number: u64::MAX },
        Record::Subscribed {
            number: 1,
            filter: "$share/g/a/+",
            qos: QoS::AtLeastOnce,
            no_local: true,
            retain_as_published: true,
            identifier: 4,
        },
        Record::Unsubscribed { number: 1, filter: "#" },
        message(u64::MAX, b"p", &[]),
        message(300, b"p", &[7]),
        Record::Message {
            id: 9,
            origin: Origin::Will(4),
            retained: Some(8),
            held: Some(held),
            publisher: Some(publisher()),
            message: whole,
            targets: targets.clone(),
        },
        Record::Route { id: 5, released: Some(held), targets },
        Record::Route { id: 5, released: None, targets: vec![] },
        Record::Sent { id: 2, target: Target { sent: Some(packet_id), ..target(1) } },
        Record::Done { id: 2, target: target(1) },
        Record::Received { number: 1, packet_id, id: 2 },
        Record::Completed { number: 1, packet_id },
        Record::Unretained { topic: "t", stamp: 2 },
    ]
}
