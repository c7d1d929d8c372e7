//! One fact that is to outlive the process, and how it is written.
//!
//! A record is `kind: u8`, the length of its body as a number, and the body. Numbers are LEB128; a length
//! may have more groups than it needs. Kinds from 0x80 on may be skipped by who does not know them.

use dunlin_proto::Time;
use dunlin_proto::qos::{PacketId, QoS};

use super::publisher::Publisher;
use super::wire::{put, put_bytes, put_optional, put_time};

/// What a record says. Sessions are named by numbers and messages by identifiers that are never used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    /// A session that outlives its connection, or has a will: began, or its client has connected again.
    /// Replaces all that was said of its expiry, connection and will before.
    Session {
        /// Its number.
        number: u64,
        /// The client identifier.
        client_id: &'a str,
        /// The user name its client was let in with.
        username: Option<&'a str>,
        /// The listener its client came in by.
        listener: u16,
        /// Session expiry interval in seconds; `u32::MAX` never ends. 0 for one that has only a will to keep.
        expiry: u32,
        /// Its will, if it has one.
        will: Option<Will<'a>>,
    },
    /// The connection of a session has ended and the session goes on.
    Parted {
        /// The session.
        number: u64,
        /// When it ends; `Time::MAX` for never.
        ends_at: Time,
        /// When its will is to be published; `None` if it has none any more.
        will_due: Option<Time>,
    },
    /// A session is over, with everything it had.
    Ended {
        /// The session.
        number: u64,
    },
    /// A subscription was made or replaced.
    Subscribed {
        /// The session.
        number: u64,
        /// The topic filter as it was subscribed, `$share/group/` included.
        filter: &'a str,
        /// Granted QoS.
        qos: QoS,
        /// No Local.
        no_local: bool,
        /// Retain As Published.
        retain_as_published: bool,
        /// Subscription identifier; 0 for none.
        identifier: u32,
    },
    /// A subscription was ended.
    Unsubscribed {
        /// The session.
        number: u64,
        /// The topic filter as it was subscribed.
        filter: &'a str,
    },
    /// A message, and who is to have it. Written again by the store with those that are left, whenever it
    /// moves: the last one counts.
    Message {
        /// Its identifier; messages of one queue are in the order of their identifiers.
        id: u64,
        /// What is done with this publication.
        origin: Origin,
        /// When it is the retained message of its topic: the place in the order of such changes.
        retained: Option<u64>,
        /// The QoS 2 exchange that has not released it yet.
        held: Option<Held>,
        /// Who published it, if it is retained and that is known.
        publisher: Option<Publisher<'a>>,
        /// The message.
        message: StoredMessage<'a>,
        /// Sessions that are to have it.
        targets: Vec<Target>,
    },
    /// Further receivers of a message that is stored already.
    Route {
        /// The message.
        id: u64,
        /// The QoS 2 exchange that is released by this.
        released: Option<Held>,
        /// Sessions that are to have it.
        targets: Vec<Target>,
    },
    /// A message is on its way to a client under this packet identifier.
    Sent {
        /// The message.
        id: u64,
        /// The session and which of its copies; `sent` is the packet identifier.
        target: Target,
    },
    /// A session is done with a message: acknowledged, expired, dropped or given to another.
    Done {
        /// The message.
        id: u64,
        /// The session and which of its copies; `sent` is the packet identifier, if it was given one.
        target: Target,
    },
    /// PUBREC has come: the message is the client's, its PUBREL is to be sent until PUBCOMP.
    Received {
        /// The session.
        number: u64,
        /// The packet identifier.
        packet_id: PacketId,
        /// The message.
        id: u64,
    },
    /// PUBCOMP has come.
    Completed {
        /// The session.
        number: u64,
        /// The packet identifier.
        packet_id: PacketId,
    },
    /// A topic has no retained message any more.
    Unretained {
        /// The topic.
        topic: &'a str,
        /// The place in the order of such changes.
        stamp: u64,
    },
}

/// A message as records hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredMessage<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// The application data.
    pub payload: &'a [u8],
    /// The properties that travel with it, encoded as in a PUBLISH of 5.0, without their length.
    pub properties: &'a [u8],
    /// When it expires; `Time::MAX` for never.
    pub expires: Time,
    /// QoS it was published at.
    pub qos: QoS,
    /// The RETAIN flag as it was published.
    pub retain: bool,
}

/// A will as records hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Will<'a> {
    /// What is to be published; it does not expire before that.
    pub message: StoredMessage<'a>,
    /// Message expiry interval in seconds, counted from its publication.
    pub expiry: Option<u32>,
    /// Will delay interval in seconds.
    pub delay: u32,
}

/// Which will a publication is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// None: a client published it.
    Client,
    /// The will of this session, which has none any more.
    Will(u64),
}

/// A QoS 2 exchange with a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Held {
    /// The publisher's session.
    pub number: u64,
    /// The packet identifier it chose.
    pub packet_id: PacketId,
}

/// A session that is to have a message, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The session.
    pub number: u64,
    /// Granted QoS: 1 or 2.
    pub qos: QoS,
    /// RETAIN is set in what it is sent.
    pub retain: bool,
    /// It was chosen among the members of a shared subscription.
    pub shared: bool,
    /// Subscription identifier; 0 for none.
    pub identifier: u32,
    /// The packet identifier under which it is on its way.
    pub sent: Option<PacketId>,
}

/// What a [`Record::Message`] says besides the message and its receivers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) id: u64,
    pub(crate) origin: Origin,
    pub(crate) retained: Option<u64>,
    pub(crate) held: Option<Held>,
    pub(crate) publisher: Option<Publisher<'a>>,
}

/// The first byte of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`Record::Session`]
    Session = 1,
    /// [`Record::Parted`]
    Parted = 2,
    /// [`Record::Ended`]
    Ended = 3,
    /// [`Record::Subscribed`]
    Subscribed = 4,
    /// [`Record::Unsubscribed`]
    Unsubscribed = 5,
    /// [`Record::Message`]
    Message = 6,
    /// [`Record::Route`]
    Route = 7,
    /// [`Record::Sent`]
    Sent = 8,
    /// [`Record::Done`]
    Done = 9,
    /// [`Record::Received`]
    Received = 10,
    /// [`Record::Completed`]
    Completed = 11,
    /// [`Record::Unretained`]
    Unretained = 12,
}

/// Bits of the first byte of a message.
pub(super) mod message_flags {
    pub(in super::super) const QOS: u8 = 0b11;
    pub(in super::super) const RETAIN: u8 = 1 << 2;
    pub(in super::super) const EXPIRES: u8 = 1 << 3;
    pub(in super::super) const PROPERTIES: u8 = 1 << 4;
    pub(in super::super) const RETAINED: u8 = 1 << 5;
    pub(in super::super) const HELD: u8 = 1 << 6;
    pub(in super::super) const WILL: u8 = 1 << 7;
}

/// Bits of the first byte of a target, and of a subscription's options.
pub(super) mod target_flags {
    pub(in super::super) const QOS: u8 = 0b11;
    pub(in super::super) const RETAIN: u8 = 1 << 2;
    pub(in super::super) const SHARED: u8 = 1 << 3;
    pub(in super::super) const IDENTIFIER: u8 = 1 << 4;
    pub(in super::super) const SENT: u8 = 1 << 5;
    pub(in super::super) const NO_LOCAL: u8 = 1 << 6;
}

/// Bodies up to this many bytes have two bytes of length.
const SHORT: usize = 1 << 14;

impl Record<'_> {
    /// Appends the record.
    pub fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Session { number, client_id, username, listener, expiry, will } => {
                let size = will.map_or(0, |will| will.message.size());
                let names = client_id.len() + username.map_or(0, str::len);
                write(Kind::Session, names + size + 64, into, |body| {
                    put(*number, body);
                    put_bytes(client_id.as_bytes(), body);
                    put_optional(*username, body);
                    put((*listener).into(), body);
                    put((*expiry).into(), body);
                    if let Some(will) = will {
                        put(will.delay.into(), body);
                        put(will.expiry.map_or(0, |expiry| u64::from(expiry) + 1), body);
                        will.message.write(0, body);
                    }
                });
            }
            Self::Parted { number, ends_at, will_due } => {
                write(Kind::Parted, 64, into, |body| {
                    put(*number, body);
                    put_time(*ends_at, body);
                    if let Some(due) = will_due {
                        put_time(*due, body);
                    }
                });
            }
            Self::Ended { number } => write(Kind::Ended, 16, into, |body| put(*number, body)),
            Self::Subscribed { number, filter, .. } => {
                write(Kind::Subscribed, filter.len() + 64, into, |body| {
                    put(*number, body);
                    put_bytes(filter.as_bytes(), body);
                    self.write_options(body);
                });
            }
            Self::Unsubscribed { number, filter } => {
                write(Kind::Unsubscribed, filter.len() + 64, into, |body| {
                    put(*number, body);
                    put_bytes(filter.as_bytes(), body);
                });
            }
            Self::Message { id, origin, retained, held, publisher, message, targets } => {
                let (id, origin, retained) = (*id, *origin, *retained);
                let head = Head { id, origin, retained, held: *held, publisher: *publisher };
                message_record(head, message, targets, into);
            }
            Self::Route { id, released, targets } => {
                route_record(*id, *released, targets, into);
            }
            Self::Sent { id, target } => one_target(Kind::Sent, *id, *target, into),
            Self::Done { id, target } => one_target(Kind::Done, *id, *target, into),
            Self::Received { number, packet_id, id } => {
                exchange(Kind::Received, *number, *packet_id, Some(*id), into);
            }
            Self::Completed { number, packet_id } => {
                exchange(Kind::Completed, *number, *packet_id, None, into);
            }
            Self::Unretained { topic, stamp } => {
                write(Kind::Unretained, topic.len() + 64, into, |body| {
                    put(*stamp, body);
                    put_bytes(topic.as_bytes(), body);
                });
            }
        }
    }

    fn write_options(&self, body: &mut Vec<u8>) {
        let Self::Subscribed { qos, no_local, retain_as_published, identifier, .. } = self else {
            return;
        };
        let mut flags = *qos as u8;
        flags |= if *no_local { target_flags::NO_LOCAL } else { 0 };
        flags |= if *retain_as_published { target_flags::RETAIN } else { 0 };
        body.push(flags);
        put((*identifier).into(), body);
    }
}

/// Appends a [`Record::Message`] without making one.
pub(crate) fn message_record(
    head: Head<'_>,
    message: &StoredMessage<'_>,
    targets: &[Target],
    into: &mut Vec<u8>,
) {
    let Head { id, origin, retained, held, publisher } = head;
    let publisher = publisher.filter(|_| retained.is_some());
    let names = publisher.map_or(0, |publisher| publisher.size());
    let estimate = message.size() + names + 64 + targets.len() * 24;
    write(Kind::Message, estimate, into, |body| {
        put(id, body);
        let mut flags = if retained.is_some() { message_flags::RETAINED } else { 0 };
        flags |= if held.is_some() { message_flags::HELD } else { 0 };
        flags |= if origin == Origin::Client { 0 } else { message_flags::WILL };
        message.write(flags, body);
        if let Some(stamp) = retained {
            put(stamp, body);
        }
        if let Some(held) = held {
            held.write(body);
        }
        if let Origin::Will(number) = origin {
            put(number, body);
        }
        write_targets(targets, body);
        if let Some(publisher) = publisher {
            publisher.write(body);
        }
    });
}

/// Appends a [`Record::Route`] without making one.
pub(crate) fn route_record(
    id: u64,
    released: Option<Held>,
    targets: &[Target],
    into: &mut Vec<u8>,
) {
    write(Kind::Route, 64 + targets.len() * 24, into, |body| {
        put(id, body);
        body.push(released.is_some().into());
        if let Some(held) = released {
            held.write(body);
        }
        write_targets(targets, body);
    });
}

fn exchange(kind: Kind, number: u64, packet_id: PacketId, id: Option<u64>, into: &mut Vec<u8>) {
    write(kind, 32, into, |body| {
        put(number, body);
        put(packet_id.get().into(), body);
        if let Some(id) = id {
            put(id, body);
        }
    });
}

fn one_target(kind: Kind, id: u64, target: Target, into: &mut Vec<u8>) {
    write(kind, 48, into, |body| {
        put(id, body);
        write_target(target, 0, body);
    });
}

/// Numbers of the same age are near each other, so each is written as the difference to the one before.
fn write_targets(targets: &[Target], body: &mut Vec<u8>) {
    put(targets.len() as u64, body);
    let mut previous = 0u64;
    for target in targets {
        write_target(*target, previous, body);
        previous = target.number;
    }
}

fn write_target(target: Target, previous: u64, body: &mut Vec<u8>) {
    let difference = target.number.wrapping_sub(previous).cast_signed();
    put(((difference << 1) ^ (difference >> 63)).cast_unsigned(), body);
    let mut flags = target.qos as u8;
    flags |= if target.retain { target_flags::RETAIN } else { 0 };
    flags |= if target.shared { target_flags::SHARED } else { 0 };
    flags |= if target.identifier == 0 { 0 } else { target_flags::IDENTIFIER };
    flags |= if target.sent.is_none() { 0 } else { target_flags::SENT };
    body.push(flags);
    if target.identifier != 0 {
        put(target.identifier.into(), body);
    }
    if let Some(packet_id) = target.sent {
        put(packet_id.get().into(), body);
    }
}

impl Held {
    fn write(self, body: &mut Vec<u8>) {
        put(self.number, body);
        put(self.packet_id.get().into(), body);
    }
}

impl StoredMessage<'_> {
    /// Bytes it takes in a record, without flags and numbers.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len()
    }

    fn write(&self, more: u8, body: &mut Vec<u8>) {
        let mut flags = self.qos as u8 | more;
        flags |= if self.retain { message_flags::RETAIN } else { 0 };
        flags |= if self.expires == Time::MAX { 0 } else { message_flags::EXPIRES };
        flags |= if self.properties.is_empty() { 0 } else { message_flags::PROPERTIES };
        body.push(flags);
        put_bytes(self.topic.as_bytes(), body);
        if self.expires != Time::MAX {
            put_time(self.expires, body);
        }
        if !self.properties.is_empty() {
            put_bytes(self.properties, body);
        }
        put_bytes(self.payload, body);
    }
}

/// Writes kind, length and body. `estimate` is at least the length of the body.
fn write(kind: Kind, estimate: usize, into: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    into.reserve(estimate + 8);
    into.push(kind as u8);
    let groups = if estimate < SHORT { 2 } else { 5 };
    let start = into.len() + groups;
    into.resize(start, 0);
    body(into);
    let mut length = into.len() - start;
    debug_assert!(length < SHORT || groups == 5, "the estimate is no less than the length");
    for group in 0..groups {
        let more = if group + 1 < groups { 0x80 } else { 0 };
        into[start - groups + group] = (length & 0x7F) as u8 | more;
        length >>= 7;
    }
}
