//! Reading records.

use dunlin_proto::Time;
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::topic::{TopicFilter, TopicName};

use super::publisher::Publisher;
use super::record::{
    Held, Origin, Record, StoredMessage, Target, Will, message_flags, target_flags,
};
use super::wire::Reader;

/// Bytes that are no record, though their checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Where the record begins.
    pub offset: usize,
    /// Its first byte, if there is one.
    pub kind: Option<u8>,
}

/// Reads the records in `bytes`, one after another, each with its own bytes. Ends after the first broken one.
pub struct Records<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Records<'a> {
    /// Begins at the front.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Where the next record begins.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// `Ok(None)` for a record that may be skipped.
    fn record(&mut self) -> Option<(&'a [u8], Option<Record<'a>>)> {
        let from = self.bytes.get(self.offset..)?;
        let mut reader = Reader(from);
        let kind = reader.byte()?;
        let body = reader.bytes()?;
        let whole = from.get(..from.len() - reader.0.len())?;
        let record = if kind >= 0x80 { None } else { Some(body_of(kind, body)?) };
        self.offset += whole.len();
        Some((whole, record))
    }
}

impl<'a> Iterator for Records<'a> {
    /// The bytes of the record, and what it says if its kind is known.
    type Item = Result<(&'a [u8], Option<Record<'a>>), Broken>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let kind = *self.bytes.get(self.offset)?;
        let read = self.record();
        Some(read.ok_or_else(|| {
            let broken = Broken { offset: self.offset, kind: Some(kind) };
            self.offset = self.bytes.len();
            broken
        }))
    }
}

fn body_of(kind: u8, body: &[u8]) -> Option<Record<'_>> {
    let mut reader = Reader(body);
    let r = &mut reader;
    Some(match kind {
        1 => session(r)?,
        2 => {
            let (number, ends_at) = (r.number()?, r.time()?);
            let will_due = if r.0.is_empty() { None } else { Some(r.time()?) };
            Record::Parted { number, ends_at, will_due }
        }
        3 => Record::Ended { number: r.number()? },
        4 => subscribed(r)?,
        5 => Record::Unsubscribed { number: r.number()?, filter: r.text()? },
        6 => stored(r)?,
        7 => {
            let id = r.number()?;
            let released = match r.byte()? {
                0 => None,
                1 => Some(held(r)?),
                _ => return None,
            };
            Record::Route { id, released, targets: targets(r)? }
        }
        8 => Record::Sent { id: r.number()?, target: target(r, 0)? },
        9 => Record::Done { id: r.number()?, target: target(r, 0)? },
        10 => Record::Received { number: r.number()?, packet_id: packet_id(r)?, id: r.number()? },
        11 => Record::Completed { number: r.number()?, packet_id: packet_id(r)? },
        12 => {
            let stamp = r.number()?;
            let topic = TopicName::new(r.text()?).ok()?.as_str();
            Record::Unretained { topic, stamp }
        }
        _ => return None,
    })
}

fn session<'a>(r: &mut Reader<'a>) -> Option<Record<'a>> {
    let (number, client_id, username) = (r.number()?, r.text()?, r.optional()?);
    let (listener, expiry) = (r.small()?, r.small()?);
    let will = if r.0.is_empty() {
        None
    } else {
        let delay = r.small()?;
        let expiry = match r.number()? {
            0 => None,
            more => Some(u32::try_from(more - 1).ok()?),
        };
        let (_, message) = message(r)?;
        Some(Will { message, expiry, delay })
    };
    Some(Record::Session { number, client_id, username, listener, expiry, will })
}

fn subscribed<'a>(r: &mut Reader<'a>) -> Option<Record<'a>> {
    let number = r.number()?;
    let filter = TopicFilter::new(r.text()?).ok()?.as_str();
    let flags = r.byte()?;
    Some(Record::Subscribed {
        number,
        filter,
        qos: QoS::try_from(flags & target_flags::QOS).ok()?,
        no_local: flags & target_flags::NO_LOCAL != 0,
        retain_as_published: flags & target_flags::RETAIN != 0,
        identifier: r.small()?,
    })
}

fn stored<'a>(r: &mut Reader<'a>) -> Option<Record<'a>> {
    let id = r.number()?;
    let (flags, message) = message(r)?;
    let has = |flag| flags & flag != 0;
    let retained = if has(message_flags::RETAINED) { Some(r.number()?) } else { None };
    let held = if has(message_flags::HELD) { Some(held(r)?) } else { None };
    let origin = if has(message_flags::WILL) { Origin::Will(r.number()?) } else { Origin::Client };
    let targets = targets(r)?;
    // Stores of version 1.0 end here.
    let publisher =
        if retained.is_none() || r.0.is_empty() { None } else { Some(Publisher::read(r)?) };
    Some(Record::Message { id, origin, retained, held, publisher, message, targets })
}

fn message<'a>(r: &mut Reader<'a>) -> Option<(u8, StoredMessage<'a>)> {
    let flags = r.byte()?;
    let topic = TopicName::new(r.text()?).ok()?.as_str();
    let expires = if flags & message_flags::EXPIRES == 0 { Time::MAX } else { r.time()? };
    let properties = if flags & message_flags::PROPERTIES == 0 { &[] } else { r.bytes()? };
    let payload = r.bytes()?;
    let qos = QoS::try_from(flags & message_flags::QOS).ok()?;
    let retain = flags & message_flags::RETAIN != 0;
    Some((flags, StoredMessage { topic, payload, properties, expires, qos, retain }))
}

fn held(r: &mut Reader<'_>) -> Option<Held> {
    Some(Held { number: r.number()?, packet_id: packet_id(r)? })
}

fn packet_id(r: &mut Reader<'_>) -> Option<PacketId> {
    PacketId::new(r.small()?)
}

fn targets(r: &mut Reader<'_>) -> Option<Vec<Target>> {
    let count = r.small::<usize>()?;
    // A target takes two bytes at least: what is promised beyond that is not believed.
    let mut targets = Vec::with_capacity(count.min(r.0.len() / 2));
    let mut previous = 0u64;
    for _ in 0..count {
        let target = target(r, previous)?;
        previous = target.number;
        targets.push(target);
    }
    Some(targets)
}

fn target(r: &mut Reader<'_>, previous: u64) -> Option<Target> {
    let zigzag = r.number()?;
    let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
    let flags = r.byte()?;
    let has = |flag| flags & flag != 0;
    Some(Target {
        number: previous.wrapping_add(difference.cast_unsigned()),
        qos: QoS::try_from(flags & target_flags::QOS).ok()?,
        retain: has(target_flags::RETAIN),
        shared: has(target_flags::SHARED),
        identifier: if has(target_flags::IDENTIFIER) { r.small()? } else { 0 },
        sent: if has(target_flags::SENT) { Some(packet_id(r)?) } else { None },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &[u8]) -> StoredMessage<'_> {
        StoredMessage {
            topic: "plant/7",
            payload,
            properties: &[],
            expires: Time::MAX,
            qos: QoS::AtLeastOnce,
            retain: false,
        }
    }

    fn target(number: u64) -> Target {
        let sent = number.is_multiple_of(2).then(|| PacketId::new(7)).flatten();
        let qos = QoS::ExactlyOnce;
        Target { number, qos, retain: number > 9, shared: true, identifier: number as u32, sent }
    }

    fn all(payload: &[u8]) -> Vec<Record<'_>> {
        let packet_id = PacketId::MAX;
        let held = Held { number: 3, packet_id };
        let whole = StoredMessage {
            properties: &[0x01, 0x01],
            expires: Time::from_secs(5),
            retain: true,
            ..message(payload)
        };
        let will = Will { message: whole, expiry: Some(0), delay: u32::MAX };
        let targets = vec![target(90), target(3), target(u64::MAX)];
        let plain = Record::Message {
            id: u64::MAX,
            origin: Origin::Client,
            retained: None,
            held: None,
            publisher: None,
            message: message(payload),
            targets: vec![],
        };
        vec![
            Record::Session {
                number: 1,
                client_id: "c",
                username: None,
                listener: 0,
                expiry: u32::MAX,
                will: None,
            },
            Record::Session {
                number: 1,
                client_id: "",
                username: Some("u"),
                listener: u16::MAX,
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
                identifier: 268_435_455,
            },
            Record::Unsubscribed { number: 1, filter: "#" },
            plain,
            Record::Message {
                id: 9,
                origin: Origin::Will(4),
                retained: Some(8),
                held: Some(held),
                publisher: Some(Publisher { client_id: "p", username: Some("u"), listener: 2 }),
                message: whole,
                targets: targets.clone(),
            },
            Record::Route { id: 5, released: Some(held), targets },
            Record::Route { id: 5, released: None, targets: vec![] },
            Record::Sent { id: 2, target: target(90) },
            Record::Done { id: 2, target: target(3) },
            Record::Received { number: 1, packet_id, id: 2 },
            Record::Completed { number: 1, packet_id },
            Record::Unretained { topic: "t", stamp: 2 },
        ]
    }

    #[test]
    fn every_record_comes_back_and_none_does_when_it_is_cut() {
        for size in [0, 10, 20_000] {
            let payload = vec![7; size];
            let (records, mut bytes) = (all(&payload), Vec::new());
            records.iter().for_each(|record| record.write(&mut bytes));
            let read: Vec<_> = Records::new(&bytes).map(|read| read.unwrap().1.unwrap()).collect();
            assert_eq!(read, records);
            for record in &records {
                let mut bytes = Vec::new();
                record.write(&mut bytes);
                for cut in (1..bytes.len()).rev().take(100) {
                    let read: Vec<_> = Records::new(&bytes[..cut]).collect();
                    assert!(matches!(read[..], [Err(_)]), "{record:?} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn a_retained_message_of_version_1_0_has_no_publisher() {
        let old = [6, 8, 1, 0x24, 1, b't', 1, b'x', 3, 0];
        let new = [6, 12, 1, 0x24, 1, b't', 1, b'x', 3, 0, 1, b'p', 0, 2];
        let publisher_in = |bytes| match Records::new(bytes).next() {
            Some(Ok((_, Some(Record::Message { retained: Some(3), publisher, .. })))) => publisher,
            other => panic!("{other:?}"),
        };
        assert_eq!(publisher_in(&old), None);
        let publisher = Publisher { client_id: "p", username: None, listener: 2 };
        assert_eq!(publisher_in(&new), Some(publisher));
    }

    #[test]
    fn unknown_kinds_are_skipped_only_if_they_may_be() {
        let read: Vec<_> = Records::new(&[0x80, 2, 1, 2, 3, 1, 5]).collect();
        assert_eq!(
            read,
            [
                Ok((&[0x80, 2, 1, 2][..], None)),
                Ok((&[3, 1, 5][..], Some(Record::Ended { number: 5 })))
            ]
        );
        let broken = Broken { offset: 0, kind: Some(0x7F) };
        assert_eq!(Records::new(&[0x7F, 0, 3, 1, 5]).collect::<Vec<_>>(), [Err(broken)]);
    }

    #[test]
    fn promises_beyond_the_bytes_are_not_believed() {
        // A route with 2^40 targets in no bytes.
        let bytes = [7, 8, 5, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
        assert!(Records::new(&bytes).all(|read| read.is_err()));
    }
}
