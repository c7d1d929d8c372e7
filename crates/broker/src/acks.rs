//! PUBACK, PUBREC, PUBREL and PUBCOMP from a client (3.4 to 3.7, 4.3).

use dunlin_proto::Time;
use dunlin_proto::codec::AckKind;
use dunlin_proto::packet::Ack;
use dunlin_proto::qos::PacketId;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

use crate::broker::Broker;
use crate::commons::View;
use crate::journal::{Held, Origin, Record};
use crate::publish::Source;
use crate::slab::NONE;

impl Broker {
    /// Any of the four. Identifiers that are not known are what a client repeats after a lost
    /// connection, so they are answered as if they were.
    #[inline]
    pub(crate) fn ack(
        &mut self,
        now: Time,
        slot: u32,
        kind: AckKind,
        ack: &Ack<'_>,
        view: &View<'_>,
    ) {
        let packet_id = ack.packet_id;
        match kind {
            AckKind::PubAck => self.acknowledged(now, slot, packet_id, view),
            AckKind::PubRec if ack.reason.is_error() => self.refused(now, slot, packet_id, view),
            AckKind::PubRec => self.hub.received(self.session_at(slot), slot, packet_id),
            AckKind::PubRel => self.released(now, slot, packet_id, view),
            AckKind::PubComp => self.completed(now, slot, packet_id, view),
        }
    }

    /// [MQTT-4.3.2-4]: a place in the window is free.
    #[inline]
    fn acknowledged(&mut self, now: Time, slot: u32, packet_id: PacketId, view: &View<'_>) {
        let session = self.session_at(slot);
        if let Some(held) = self.hub.sessions.at_mut(session)
            && let Some(outbound) = held.outbound.as_mut()
            && let Some(done) = outbound.window.acknowledge(packet_id)
        {
            if held.keeps {
                let target = done.target(held.number, Some(packet_id));
                self.hub.journal.done(done.message.id(), target);
            }
            outbound.landed(&done.message);
            self.hub.pool.recycle(done.message);
            self.hub.stats.queued_messages -= 1;
            if outbound.waits() || held.replays.is_some() {
                self.go_on(now, session, view);
            }
        }
    }

    /// The client does not want this QoS 2 message [MQTT-4.3.3-4].
    fn refused(&mut self, now: Time, slot: u32, packet_id: PacketId, view: &View<'_>) {
        let session = self.session_at(slot);
        if let Some(held) = self.hub.sessions.at_mut(session)
            && let Some(outbound) = held.outbound.as_mut()
            && let Some(refused) = outbound.window.refused(packet_id)
        {
            if held.keeps {
                let target = refused.target(held.number, Some(packet_id));
                self.hub.journal.done(refused.message.id(), target);
            }
            outbound.landed(&refused.message);
            self.hub.stats.queued_messages -= 1;
            self.go_on(now, session, view);
        }
    }

    /// [MQTT-4.3.3-11]: now the message goes on its way.
    fn released(&mut self, now: Time, slot: u32, packet_id: PacketId, view: &View<'_>) {
        let session = self.session_at(slot);
        let number = self.hub.number(session);
        let mut stored = number != 0;
        if let Some(held) = self.hub.sessions.at_mut(session)
            && let Some(message) = held.release_inbound(packet_id)
        {
            let publisher = self.hub.key(session);
            let hint = self.hub.connections.at_mut(slot).map_or(NONE, |connection| {
                connection.repeated = None;
                connection.route
            });
            let held = (number != 0 && message.id() != 0).then_some(Held { number, packet_id });
            if message.expired(now) {
                if let Some(held) = held {
                    self.hub.journal.release(message.id(), held);
                }
            } else {
                let publisher = Some(publisher);
                let source = Source { publisher, origin: Origin::Client, released: held };
                stored |= self.distribute(now, source, &message, hint, view);
            }
            self.hub.pool.recycle(message);
            self.hub.settled(slot);
        }
        stored |= self.hub.journal.is_awaited();
        self.hub.answer(slot, AckKind::PubComp, packet_id, ReasonCode::Success, stored);
    }

    /// The exchange is over, and a place in the window is free.
    fn completed(&mut self, now: Time, slot: u32, packet_id: PacketId, view: &View<'_>) {
        let session = self.session_at(slot);
        if let Some(held) = self.hub.sessions.at_mut(session)
            && let Some(outbound) = held.outbound.as_mut()
            && outbound.window.completed(packet_id)
        {
            if held.keeps {
                let number = held.number;
                self.hub.journal.write(&Record::Completed { number, packet_id });
            }
            self.hub.stats.queued_messages -= 1;
            if outbound.waits() || held.replays.is_some() {
                self.go_on(now, session, view);
            }
        }
    }

    fn session_at(&self, slot: u32) -> u32 {
        self.hub.connections.at(slot).map_or(NONE, |connection| connection.session)
    }

    pub(crate) fn version_at(&self, slot: u32) -> Version {
        self.hub
            .connections
            .at(slot)
            .map_or(Version::V5_0, |connection| connection.engine.version())
    }
}
