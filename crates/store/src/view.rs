//! Records as the index reads them.
//!
//! [`Records`](dunlin_broker::journal::Records) decodes all of a record and gives its targets a list of
//! their own. The index is asked about every record, mostly about a few numbers in it, so here a message is
//! looked at where it lies. What is not looked at is not checked: that was done by who wrote it, and since
//! then the checksum stands for it.

use dunlin_broker::Time;
use dunlin_broker::journal::{Held, Kind, Publisher, Record, Records, StoredMessage, Target};
use dunlin_proto::qos::{PacketId, QoS};

/// One record, as far as the index needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View<'a> {
    Session {
        number: u64,
        expiry: u32,
        will: bool,
    },
    Parted {
        number: u64,
        ends_at: Time,
        due: Option<Time>,
    },
    Ended {
        number: u64,
    },
    Subscribed {
        number: u64,
        filter: &'a [u8],
    },
    Unsubscribed {
        number: u64,
        filter: &'a [u8],
    },
    Message(MessageView<'a>),
    Route {
        id: u64,
        released: Option<Held>,
        targets: Targets<'a>,
    },
    Sent {
        id: u64,
        target: Target,
    },
    Done {
        id: u64,
        target: Target,
    },
    Received {
        number: u64,
        packet_id: PacketId,
        id: u64,
    },
    Completed {
        number: u64,
        packet_id: PacketId,
    },
    Unretained {
        topic: &'a [u8],
        stamp: u64,
    },
    /// Of a kind that may be skipped.
    Unknown,
}

/// A message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageView<'a> {
    pub(crate) id: u64,
    pub(crate) topic: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) properties: &'a [u8],
    pub(crate) expires: Time,
    pub(crate) retained: Option<u64>,
    pub(crate) held: Option<Held>,
    /// The session whose will it is.
    pub(crate) will: Option<u64>,
    pub(crate) targets: Targets<'a>,
    flags: u8,
}

impl<'a> MessageView<'a> {
    /// What is in it for its receivers; `None` if it is no message after all.
    pub(crate) fn stored(&self) -> Option<StoredMessage<'a>> {
        Some(StoredMessage {
            topic: core::str::from_utf8(self.topic).ok()?,
            payload: self.payload,
            properties: self.properties,
            expires: self.expires,
            qos: QoS::try_from(self.flags & flags::QOS).ok()?,
            retain: self.flags & flags::RETAIN != 0,
        })
    }

    /// Who published it, if it says so: that stands behind the targets.
    pub(crate) fn publisher(&self) -> Option<Publisher<'a>> {
        self.retained?;
        let mut targets = self.targets;
        targets.by_ref().for_each(drop);
        targets.reader.publisher()
    }

    /// What it counts for in limits, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len()
    }
}

/// Bits of the first byte of a message and of a target.
mod flags {
    pub(super) const QOS: u8 = 0b11;
    pub(super) const RETAIN: u8 = 1 << 2;
    pub(super) const EXPIRES: u8 = 1 << 3;
    pub(super) const PROPERTIES: u8 = 1 << 4;
    pub(super) const RETAINED: u8 = 1 << 5;
    pub(super) const HELD: u8 = 1 << 6;
    pub(super) const WILL: u8 = 1 << 7;

    pub(super) const SHARED: u8 = 1 << 3;
    pub(super) const IDENTIFIER: u8 = 1 << 4;
    pub(super) const SENT: u8 = 1 << 5;
}

/// Who is to have a message: as many as were counted, read one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Targets<'a> {
    left: usize,
    number: u64,
    reader: Reader<'a>,
}

impl Targets<'_> {
    pub(crate) const fn len(&self) -> usize {
        self.left
    }
}

impl Iterator for Targets<'_> {
    type Item = Target;

    #[inline]
    fn next(&mut self) -> Option<Target> {
        self.left = self.left.checked_sub(1)?;
        let target = self.reader.target(self.number)?;
        self.number = target.number;
        Some(target)
    }
}

/// Reads records one after another, each with the bytes it takes; `None` in place of one that cannot be
/// understood, and nothing behind that.
pub(crate) struct Views<'a> {
    bytes: &'a [u8],
}

impl<'a> Views<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl<'a> Iterator for Views<'a> {
    type Item = Option<(&'a [u8], View<'a>)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let Some((whole, rest)) =
            record_size(self.bytes).and_then(|n| self.bytes.split_at_checked(n))
        else {
            self.bytes = &[];
            return Some(None);
        };
        self.bytes = rest;
        let view = view(whole);
        if view.is_none() {
            self.bytes = &[];
        }
        Some(view.map(|view| (whole, view)))
    }
}

/// How many bytes the first record takes; no more than there are, if `bytes` is whole.
#[inline]
pub(crate) fn record_size(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader(bytes);
    reader.byte()?;
    let length: usize = reader.small()?;
    (bytes.len() - reader.0.len()).checked_add(length)
}

/// What a record says.
#[inline]
pub(crate) fn view(record: &[u8]) -> Option<View<'_>> {
    let mut reader = Reader(record);
    let kind = reader.byte()?;
    reader.number()?;
    let r = &mut reader;
    const MESSAGE: u8 = Kind::Message as u8;
    const DONE: u8 = Kind::Done as u8;
    const SENT: u8 = Kind::Sent as u8;
    const ROUTE: u8 = Kind::Route as u8;
    Some(match kind {
        MESSAGE => View::Message(message(r)?),
        DONE => View::Done { id: r.number()?, target: r.target(0)? },
        SENT => View::Sent { id: r.number()?, target: r.target(0)? },
        ROUTE => {
            let id = r.number()?;
            let released = if r.byte()? == 0 { None } else { Some(r.held()?) };
            View::Route { id, released, targets: r.targets()? }
        }
        0x80.. => View::Unknown,
        _ => rare(record)?,
    })
}

#[inline]
fn message<'a>(r: &mut Reader<'a>) -> Option<MessageView<'a>> {
    let id = r.number()?;
    let flags = r.byte()?;
    let has = |flag| flags & flag != 0;
    let topic = r.bytes()?;
    let expires = if has(flags::EXPIRES) { r.time()? } else { Time::MAX };
    let properties = if has(flags::PROPERTIES) { r.bytes()? } else { &[] };
    let payload = r.bytes()?;
    let retained = if has(flags::RETAINED) { Some(r.number()?) } else { None };
    let held = if has(flags::HELD) { Some(r.held()?) } else { None };
    let will = if has(flags::WILL) { Some(r.number()?) } else { None };
    let targets = r.targets()?;
    Some(MessageView {
        id,
        topic,
        payload,
        properties,
        expires,
        retained,
        held,
        will,
        targets,
        flags,
    })
}

/// What does not come a million times a second.
fn rare(record: &[u8]) -> Option<View<'_>> {
    let (_, record) = Records::new(record).next()?.ok()?;
    Some(match record? {
        Record::Session { number, expiry, will, .. } => {
            View::Session { number, expiry, will: will.is_some() }
        }
        Record::Parted { number, ends_at, will_due } => {
            View::Parted { number, ends_at, due: will_due }
        }
        Record::Ended { number } => View::Ended { number },
        Record::Subscribed { number, filter, .. } => {
            View::Subscribed { number, filter: filter.as_bytes() }
        }
        Record::Unsubscribed { number, filter } => {
            View::Unsubscribed { number, filter: filter.as_bytes() }
        }
        Record::Received { number, packet_id, id } => View::Received { number, packet_id, id },
        Record::Completed { number, packet_id } => View::Completed { number, packet_id },
        Record::Unretained { topic, stamp } => View::Unretained { topic: topic.as_bytes(), stamp },
        Record::Message { .. }
        | Record::Route { .. }
        | Record::Sent { .. }
        | Record::Done { .. } => return None,
    })
}

/// Reads numbers and byte strings as `journal` writes them.
#[derive(Debug, Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    #[inline]
    fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    fn time(&mut self) -> Option<Time> {
        Some(Time::from_micros(self.number()?.wrapping_sub(1)))
    }

    fn packet_id(&mut self) -> Option<PacketId> {
        PacketId::new(self.small()?)
    }

    fn held(&mut self) -> Option<Held> {
        Some(Held { number: self.number()?, packet_id: self.packet_id()? })
    }

    #[inline]
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.small::<usize>()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        core::str::from_utf8(self.bytes()?).ok()
    }

    fn publisher(&mut self) -> Option<Publisher<'a>> {
        let client_id = self.text()?;
        let username = match self.small::<usize>()?.checked_sub(1) {
            None => None,
            Some(length) => {
                let (text, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Some(core::str::from_utf8(text).ok()?)
            }
        };
        Some(Publisher { client_id, username, listener: self.small()? })
    }

    /// Its number is told as the difference to `previous`.
    #[inline]
    fn target(&mut self, previous: u64) -> Option<Target> {
        let zigzag = self.number()?;
        let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        let has = self.byte()?;
        Some(Target {
            number: previous.wrapping_add(difference.cast_unsigned()),
            qos: QoS::try_from(has & flags::QOS).ok()?,
            retain: has & flags::RETAIN != 0,
            shared: has & flags::SHARED != 0,
            identifier: if has & flags::IDENTIFIER == 0 { 0 } else { self.small()? },
            sent: if has & flags::SENT == 0 { None } else { Some(self.packet_id()?) },
        })
    }

    #[inline]
    fn targets(&mut self) -> Option<Targets<'a>> {
        let left = self.small()?;
        Some(Targets { left, number: 0, reader: *self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn every_record_is_seen_as_it_is_decoded() {
        for record in samples::records() {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            assert_eq!(record_size(&bytes), Some(bytes.len()));
            let (whole, seen) = Views::new(&bytes).next().flatten().expect("it is whole");
            assert_eq!(whole, bytes);
            let targets: Vec<Target> = match seen {
                View::Message(m) => m.targets.collect(),
                View::Route { targets, .. } => targets.collect(),
                _ => Vec::new(),
            };
            match (&record, seen) {
                (
                    Record::Message {
                        id, retained, held, publisher, message, targets: all, ..
                    },
                    View::Message(m),
                ) => {
                    assert_eq!(m.publisher(), *publisher);
                    assert_eq!((m.id, m.retained, m.held), (*id, *retained, *held));
                    assert_eq!((m.stored(), m.bytes()), (Some(*message), message.size()));
                    assert_eq!(targets, *all);
                }
                (
                    Record::Route { id, released, targets: all },
                    View::Route { id: seen, released: r, .. },
                ) => {
                    assert_eq!((seen, r, targets), (*id, *released, all.clone()));
                }
                (Record::Done { id, target }, View::Done { id: i, target: t })
                | (Record::Sent { id, target }, View::Sent { id: i, target: t }) => {
                    assert_eq!((i, t), (*id, *target));
                }
                (
                    Record::Message { .. }
                    | Record::Route { .. }
                    | Record::Done { .. }
                    | Record::Sent { .. },
                    _,
                ) => {
                    panic!("{record:?} is seen as {seen:?}");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn what_is_cut_or_unknown_is_not_made_out() {
        for record in samples::records() {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            for cut in 1..bytes.len() {
                assert!(
                    matches!(Views::new(&bytes[..cut]).next(), Some(None)),
                    "{record:?} at {cut}"
                );
            }
        }
        assert!(matches!(Views::new(&[0x80, 1, 9]).next(), Some(Some((_, View::Unknown)))));
        assert!(matches!(Views::new(&[0x70, 1, 9]).next(), Some(None)));
    }
}
