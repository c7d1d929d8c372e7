//! What the broker answers a connection.

use dunlin_proto::codec::{self, AckKind};
use dunlin_proto::packet::{Ack, Delivery, Packet};
use dunlin_proto::property::Properties;
use dunlin_proto::qos::PacketId;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::server::Sent;
use dunlin_proto::version::Version;

use crate::hub::Hub;

impl Hub {
    /// Appends a packet that is not on the hot path.
    pub(crate) fn reply(&mut self, slot: u32, version: Version, packet: &Packet<'_>) {
        let Some(buffer) = self.buffer(slot) else { return };
        let before = buffer.len();
        let written = codec::encode(packet, version, buffer);
        debug_assert!(written.is_ok(), "what the broker sends can be encoded: {written:?}");
        let mut size = buffer.len() - before;
        let Some(connection) = self.connections.at_mut(slot) else { return };
        // [MQTT-3.1.2-24], [MQTT-3.2.2-19], [MQTT-3.14.2-3]: without what only explains it, if that
        // makes it fit, or not at all.
        if !connection.engine.fits(size) {
            let buffer = connection.output.buffer();
            buffer.truncate(before);
            if !matches!(
                connection.engine.send(packet, buffer),
                Ok(Sent::Whole | Sent::Unexplained)
            ) {
                return;
            }
            size = buffer.len() - before;
        }
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += size as u64;
    }

    /// Sends PUBACK, PUBREC, PUBREL or PUBCOMP.
    #[inline]
    pub(crate) fn acknowledge(
        &mut self,
        slot: u32,
        kind: AckKind,
        packet_id: PacketId,
        reason: ReasonCode,
    ) {
        if reason == ReasonCode::Success {
            let Some(buffer) = self.buffer(slot) else { return };
            codec::encode_ack(kind, packet_id, buffer);
            self.stats.messages_sent += 1;
            self.stats.bytes_sent += 4;
            return;
        }
        let ack = Ack { packet_id, reason, properties: Properties::EMPTY };
        let packet = match kind {
            AckKind::PubAck => Packet::PubAck(ack),
            AckKind::PubRec => Packet::PubRec(ack),
            AckKind::PubRel => Packet::PubRel(ack),
            AckKind::PubComp => Packet::PubComp(ack),
        };
        // Only 5.0 has reasons to tell.
        self.reply(slot, Version::V5_0, &packet);
    }

    /// Whether the receive maximum has room for one more message [MQTT-3.3.4-7]; it is counted then.
    #[inline]
    pub(crate) fn may_publish(&mut self, slot: u32, delivery: Delivery) -> bool {
        delivery == Delivery::AtMostOnce
            || self
                .connections
                .at_mut(slot)
                .is_some_and(|connection| connection.engine.inbound_published())
    }

    /// One fewer of the client's messages is unacknowledged (4.9).
    #[inline]
    pub(crate) fn settled(&mut self, slot: u32) {
        if let Some(connection) = self.connections.at_mut(slot) {
            connection.engine.inbound_acknowledged();
        }
    }
}
