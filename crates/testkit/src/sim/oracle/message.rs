//! Messages from their publisher's side.

use core::time::Duration;
use std::collections::BTreeSet;

use dunlin_broker::Time;
use dunlin_proto::qos::QoS;

use super::{Mark, Oracle};

/// How a message comes into the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum MessageKind {
    /// A client publishes it.
    Published,
    /// It is the will of this connection.
    Will(usize),
}

/// One message, and what became of it.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Debug)]
pub(in super::super) struct Message {
    pub(in super::super) kind: MessageKind,
    pub(in super::super) publisher: usize,
    pub(in super::super) topic: String,
    pub(in super::super) qos: QoS,
    pub(in super::super) retain: bool,
    /// Without payload: it cannot be told from others, and ends what is retained.
    pub(in super::super) empty: bool,
    /// Message expiry interval in seconds.
    pub(in super::super) interval: Option<u32>,
    /// The publisher's session.
    pub(super) session: Option<usize>,
    /// When it was sent first.
    pub(super) sent: Time,
    pub(super) sends: u32,
    /// When the broker last read its PUBLISH.
    pub(super) read: Option<Time>,
    /// When the broker first read its PUBLISH.
    pub(super) begun: Option<Time>,
    /// When the broker last read its PUBLISH or PUBREL.
    pub(super) dealt: Option<Time>,
    /// The connections on which it did.
    links: BTreeSet<usize>,
    /// PUBACK or PUBCOMP came.
    pub(super) done: Option<Time>,
    /// It was answered with an error.
    pub(super) refused: bool,
    /// It may have come to nobody: when the store refused what is to be kept, or when its connection was
    /// over.
    pub(super) unsure: bool,
    /// Somebody was given it.
    pub(super) given: bool,
}

impl Message {
    pub(in super::super) const fn new(
        kind: MessageKind,
        publisher: usize,
        topic: String,
        qos: QoS,
    ) -> Self {
        Self {
            kind,
            publisher,
            topic,
            qos,
            retain: false,
            empty: false,
            interval: None,
            session: None,
            sent: Time::ZERO,
            sends: 1,
            read: None,
            begun: None,
            dealt: None,
            links: BTreeSet::new(),
            done: None,
            refused: false,
            unsure: false,
            given: false,
        }
    }

    fn is_dealt_with(&mut self, now: Time, link: usize) {
        self.begun.get_or_insert(now);
        self.dealt = Some(now);
        self.links.insert(link);
    }

    pub(super) const fn is_will(&self) -> bool {
        matches!(self.kind, MessageKind::Will(_))
    }

    /// When it expires at the latest, for all that is known.
    pub(super) fn expires(&self) -> Time {
        match (self.interval, self.read) {
            (Some(seconds), Some(read)) => {
                read.saturating_add(Duration::from_secs(u64::from(seconds)))
            }
            _ => Time::MAX,
        }
    }

    /// It was dealt with behind a later one, and on no connection together with it: what was sent on an earlier
    /// connection may have been on its way for longer.
    pub(super) fn was_overtaken_on_the_way(&self, by: &Self) -> bool {
        self.dealt > by.dealt && self.links.is_disjoint(&by.links)
    }

    /// The broker has taken it over.
    pub(super) const fn is_accepted(&self) -> bool {
        self.done.is_some() && !self.refused
    }
}

impl Oracle {
    /// Somebody is about to send a message, or has one as a will.
    pub(in super::super) fn publishing(&mut self, now: Time, mut message: Message) -> usize {
        message.sent = now;
        message.session = self.current.get(&message.publisher).copied();
        self.messages.push(message);
        self.messages.len() - 1
    }

    pub(in super::super) fn message(&self, number: usize) -> Option<&Message> {
        self.messages.get(number)
    }

    /// It is sent once more.
    pub(in super::super) fn repeats(&mut self, number: usize) {
        if let Some(message) = self.messages.get_mut(number) {
            message.sends += 1;
        }
    }

    /// The broker has told its publisher that it has it, or does not want it.
    pub(in super::super) fn acknowledged(&mut self, now: Time, number: usize, refused: bool) {
        if let Some(message) = self.messages.get_mut(number) {
            message.done = Some(now);
            message.refused = refused;
        }
    }

    /// How many messages at QoS 2 the broker may hold for clients that know nothing of them any more: their PUBLISH
    /// was on its way for longer than the CONNECT of a later connection with which the client began anew, so it
    /// belongs to the session that began then, and no PUBREL ever follows.
    pub(in super::super) fn abandoned(&self) -> u64 {
        let is_abandoned = |message: &&Message| {
            message.qos == QoS::ExactlyOnce
                && message.done.is_none()
                && self.current.get(&message.publisher).copied() != message.session
                && self.began_anew_before(message)
        };
        self.messages.iter().filter(is_abandoned).count() as u64
    }

    fn began_anew_before(&self, message: &Message) -> bool {
        let Some(last) = message.links.last() else { return false };
        let mut later = self.attempts.iter().skip(last + 1);
        later.any(|one| {
            one.connecting.client == message.publisher
                && one.read.is_some_and(|read| message.read >= Some(read))
        })
    }

    /// The broker has dealt with a part of a stream, or only taken it when the connection was over.
    pub(in super::super) fn dealt(&mut self, now: Time, link: usize, mark: Mark, over: bool) {
        match mark {
            Mark::Publish(number) => {
                if let Some(message) = self.messages.get_mut(number) {
                    message.read = Some(now);
                    message.is_dealt_with(now, link);
                    message.unsure |= over || now <= self.troubled_until;
                }
            }
            Mark::Release(number) => {
                if let Some(message) = self.messages.get_mut(number) {
                    message.is_dealt_with(now, link);
                }
            }
            Mark::Connect => {
                if let Some(attempt) = self.attempts.get_mut(link) {
                    attempt.read = Some(now);
                }
            }
            Mark::Disconnect => {
                if let Some(attempt) = self.attempts.get_mut(link) {
                    attempt.disconnected = Some(now);
                }
            }
        }
    }
}
