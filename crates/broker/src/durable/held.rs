//! Answers that wait until what they promise is durable.

use dunlin_proto::Time;
use dunlin_proto::codec::AckKind;
use dunlin_proto::packet::{Packet, SubAck};
use dunlin_proto::qos::PacketId;
use dunlin_proto::reason::ReasonCode;

use crate::broker::Broker;
use crate::commons::View;
use crate::connection::{ConnId, Stage};
use crate::hub::Hub;
use crate::router::SessionKey;
use crate::session::Replay;

/// Something to be sent when its token is durable.
pub(crate) struct Waiting {
    token: u64,
    connection: ConnId,
    what: What,
}

/// What is to be sent.
pub(crate) enum What {
    /// PUBACK, PUBREC, PUBREL or PUBCOMP, for so many packet identifiers from the first one on.
    Acks { kind: AckKind, first: PacketId, count: u16, reason: ReasonCode },
    /// A QoS 2 message whose packet identifier had to be stored first, or a message behind one.
    Publish { packet_id: PacketId },
    /// SUBACK, and the retained messages that follow it.
    SubAck(Box<(SubAck<'static>, SessionKey, Vec<Replay>)>),
    /// UNSUBACK.
    UnsubAck(Box<SubAck<'static>>),
    /// Everything from CONNACK on, which is in the output already.
    ConnAck,
}

impl What {
    /// Adds an acknowledgement that follows on those that are here; false if it does not.
    fn join(&mut self, more: &Self) -> bool {
        let Self::Acks { kind, first, count, reason } = self else { return false };
        let Self::Acks { kind: k, first: next, count: 1, reason: r } = more else { return false };
        let joins =
            first.get().checked_add(*count) == Some(next.get()) && (&*kind, &*reason) == (k, r);
        *count += u16::from(joins);
        joins
    }
}

impl Hub {
    /// Sends PUBACK, PUBREC, PUBREL or PUBCOMP: now, or if it promises what is not durable yet, or would
    /// overtake one that does, later [MQTT-4.6.0-2].
    #[inline]
    pub(crate) fn answer(
        &mut self,
        slot: u32,
        kind: AckKind,
        packet_id: PacketId,
        reason: ReasonCode,
        promises: bool,
    ) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        if promises || connection.waiting > 0 {
            self.answer_later(slot, kind, packet_id, reason);
            return;
        }
        if settles(kind, reason) {
            connection.engine.inbound_acknowledged();
        }
        self.acknowledge(slot, kind, packet_id, reason);
    }

    fn answer_later(&mut self, slot: u32, kind: AckKind, packet_id: PacketId, reason: ReasonCode) {
        let what = What::Acks { kind, first: packet_id, count: 1, reason };
        if !self.joins(slot, &what) && self.wait(slot, what).is_some() {
            self.acknowledge_all(slot, kind, packet_id, 1, reason);
        }
    }

    /// Whether it goes out with what waits already: clients number their messages one after the other, and
    /// what they send in one turn waits for one token.
    fn joins(&mut self, slot: u32, what: &What) -> bool {
        let (token, connection) = (self.journal.due(), self.id(slot));
        let Some(last) = self.waiting.back_mut() else { return false };
        let same = Some(last.token) == token && last.connection == connection;
        same && last.what.join(what)
    }

    fn acknowledge_all(
        &mut self,
        slot: u32,
        kind: AckKind,
        first: PacketId,
        count: u16,
        reason: ReasonCode,
    ) {
        for packet_id in (0..count).filter_map(|n| PacketId::new(first.get() + n)) {
            if settles(kind, reason) {
                self.settled(slot);
            }
            self.acknowledge(slot, kind, packet_id, reason);
        }
    }

    /// Sends something when all that was written so far is durable; gives it back if it is already.
    pub(crate) fn wait(&mut self, slot: u32, what: What) -> Option<What> {
        let behind = self.connections.at(slot).is_some_and(|connection| connection.waiting > 0);
        let token = match self.journal.due() {
            Some(token) => token,
            // What it is behind is released in the same step, before it.
            None if behind => self.waiting.back().map_or(0, |last| last.token),
            None => return Some(what),
        };
        let connection = self.id(slot);
        if let Some(held) = self.connections.at_mut(slot) {
            held.waiting += 1;
            held.withheld += u32::from(matches!(what, What::Publish { .. }));
            self.waiting.push_back(Waiting { token, connection, what });
        }
        None
    }
}

impl Broker {
    /// Sends what waited for this token.
    pub(super) fn release(&mut self, now: Time, token: u64, view: &View<'_>) {
        while let Some(waiting) = self.hub.waiting.pop_front_if(|first| first.token <= token) {
            let ConnId { slot, epoch } = waiting.connection;
            let Some(connection) = self.hub.connections.get_mut(slot, epoch) else { continue };
            connection.waiting -= 1;
            // Nothing follows DISCONNECT, but what precedes it still goes out.
            if matches!(connection.stage, Stage::Ended) && !matches!(waiting.what, What::ConnAck) {
                continue;
            }
            self.send_waiting(now, slot, waiting.what, view);
        }
    }

    pub(crate) fn send_waiting(&mut self, now: Time, slot: u32, what: What, view: &View<'_>) {
        match what {
            What::Acks { kind, first, count, reason } => {
                self.hub.acknowledge_all(slot, kind, first, count, reason);
            }
            What::Publish { packet_id } => {
                if let Some(connection) = self.hub.connections.at_mut(slot) {
                    connection.withheld -= 1;
                }
                self.hub.send_stored(now, slot, packet_id);
            }
            What::SubAck(held) => {
                let (ack, session, replays) = *held;
                let version = self.version_at(slot);
                self.hub.reply(slot, version, &Packet::SubAck(ack));
                self.start_replays(now, session, replays, view);
            }
            What::UnsubAck(ack) => {
                let version = self.version_at(slot);
                self.hub.reply(slot, version, &Packet::UnsubAck(*ack));
            }
            What::ConnAck => {
                // Marks it dirty, so that it is flushed.
                let _ = self.hub.buffer(slot);
                if let Some(connection) = self.hub.connections.at_mut(slot) {
                    connection.output.uncork();
                }
            }
        }
    }
}

/// Whether the client may publish once more after this (4.9).
const fn settles(kind: AckKind, reason: ReasonCode) -> bool {
    match kind {
        AckKind::PubAck => true,
        AckKind::PubRec => reason.is_error(),
        AckKind::PubRel | AckKind::PubComp => false,
    }
}
