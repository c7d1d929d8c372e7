//! Bursts: the packets that come in great numbers, one after another.
//!
//! A PUBLISH without flags and properties to the topic of the one before needs no second validation,
//! limit or look-up: comparing the topic is enough, and what is left is to send it on. Nor need the
//! acknowledgements in their shortest form be decoded as packets. Whatever differs (another topic, a flag,
//! a property, an incomplete packet) ends the burst and goes the ordinary way.

use dunlin_proto::codec::AckKind;
use dunlin_proto::packet::{Ack, Delivery};
use dunlin_proto::property::Properties;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::server;
use dunlin_proto::{PacketId, QoS, Time};

use crate::broker::Broker;
use crate::commons::View;
use crate::connection::Stage;
use crate::incoming::{Incoming, Wire};
use crate::publish::{Origin, publishable};
use crate::slab::NONE;

impl Broker {
    /// Takes the packets at the front of `bytes` that are part of a burst; returns how many bytes they had.
    #[inline]
    pub(crate) fn burst(&mut self, now: Time, slot: u32, bytes: &[u8], view: &View<'_>) -> usize {
        let burst = match bytes.first() {
            Some(0x30 | 0x32 | 0x34) => Self::publishes,
            Some(0x40 | 0x50 | 0x62 | 0x70) => Self::short_acks,
            _ => return 0,
        };
        let Some(connection) = self.hub.connections.at_mut(slot) else { return 0 };
        if connection.session == NONE
            || !matches!(connection.stage, Stage::Open)
            || connection.engine.state() != server::State::Open
        {
            return 0;
        }
        let consumed = burst(self, now, slot, bytes, view);
        if consumed > 0
            && let Some(connection) = self.hub.connections.at_mut(slot)
        {
            connection.engine.heard(now);
            self.hub.stats.bytes_received += consumed as u64;
        }
        consumed
    }

    /// Messages that go where the previous one of this connection went.
    fn publishes(&mut self, now: Time, slot: u32, bytes: &[u8], view: &View<'_>) -> usize {
        let Some(connection) = self.hub.connections.at(slot) else { return 0 };
        let Some(route) = self.routes.current(connection.route, view) else { return 0 };
        if let Some(guard) = view.guard
            && !self.hub.is_permitted(slot, route, guard)
        {
            return 0;
        }
        let all_qos = connection.entry.maximum_qos == QoS::ExactlyOnce;
        if !publishable(&route.topic)
            || self.hub.journal.full
            || self.hub.memory.is_some()
            || self.hub.settings.upgrade_qos
            || !all_qos
        {
            return 0;
        }
        let (version, session) = (connection.engine.version(), connection.session);
        // Beyond either, the ordinary way says what is wrong.
        let settings = &self.hub.settings;
        let limit = (settings.maximum_packet_size as usize).min(settings.maximum_payload);
        let publisher = Some(self.hub.key(session));
        let topic = route.topic.as_bytes();
        let (mut consumed, mut count, mut payloads) = (0, 0, 0);
        while let Some(plain) =
            Plain::parse(bytes.get(consumed..).unwrap_or(&[]), topic, version.is_v5())
        {
            let Plain { wire, payload, delivery } = plain;
            if wire.frame.len() > limit || !self.hub.may_publish(slot, delivery) {
                break;
            }
            consumed += wire.frame.len();
            count += 1;
            payloads += payload.len();
            let mut incoming = Incoming::new(&route.topic, delivery.qos(), false, payload);
            incoming.wire = Some(wire);
            incoming.publisher = publisher;
            if delivery == Delivery::AtMostOnce {
                self.hub.send(now, route, &incoming, view);
            } else {
                let from = Origin { connection: slot, session, version, delivery };
                self.hub.take(now, from, route, &incoming, view);
            }
        }
        self.hub.stats.messages_received += count;
        self.hub.stats.publish_received += count;
        self.hub.stats.publish_bytes_received += payloads as u64;
        consumed
    }

    /// Acknowledgements that report success, four bytes each.
    fn short_acks(&mut self, now: Time, slot: u32, bytes: &[u8], view: &View<'_>) -> usize {
        let mut consumed = 0;
        while let Some((&[first, 2, high, low], _)) =
            bytes.get(consumed..).and_then(<[u8]>::split_first_chunk)
        {
            let kind = match first {
                0x40 => AckKind::PubAck,
                0x50 => AckKind::PubRec,
                0x62 => AckKind::PubRel,
                0x70 => AckKind::PubComp,
                _ => break,
            };
            let Some(packet_id) = PacketId::new(u16::from_be_bytes([high, low])) else { break };
            let (reason, properties) = (ReasonCode::Success, Properties::EMPTY);
            self.ack(now, slot, kind, &Ack { packet_id, reason, properties }, view);
            consumed += 4;
        }
        self.hub.stats.messages_received += consumed as u64 / 4;
        consumed
    }
}

/// A PUBLISH without DUP, RETAIN and properties.
#[derive(Clone, Copy)]
struct Plain<'a> {
    wire: Wire<'a>,
    payload: &'a [u8],
    delivery: Delivery,
}

impl<'a> Plain<'a> {
    /// The PUBLISH at the front of `bytes`, if it is whole, plain, and to this topic.
    #[inline]
    fn parse(bytes: &'a [u8], topic: &[u8], v5: bool) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        let (&low, rest) = rest.split_first()?;
        let (remaining, rest) = if low < 0x80 {
            (usize::from(low), rest)
        } else {
            // Longer ones than 16 383 bytes are not worth the haste, and 0 would not be the shortest form.
            let (&high, rest) = rest.split_first().filter(|(high, _)| (1..0x80).contains(*high))?;
            (usize::from(low & 0x7F) | usize::from(high) << 7, rest)
        };
        let body = rest.get(..remaining)?;
        let frame = bytes.get(..bytes.len() - rest.len() + remaining)?;
        let (length, body) = body.split_first_chunk::<2>()?;
        if usize::from(u16::from_be_bytes(*length)) != topic.len() {
            return None;
        }
        let body = body.strip_prefix(topic)?;
        let packet_id_at = frame.len() - body.len();
        let (delivery, body) = match first {
            0x30 => (Delivery::AtMostOnce, body),
            0x32 | 0x34 => {
                let (id, body) = body.split_first_chunk::<2>()?;
                let packet_id = PacketId::new(u16::from_be_bytes(*id))?;
                let delivery = if first == 0x32 {
                    Delivery::AtLeastOnce { packet_id, dup: false }
                } else {
                    Delivery::ExactlyOnce { packet_id, dup: false }
                };
                (delivery, body)
            }
            _ => return None,
        };
        let payload = if v5 { body.strip_prefix(&[0])? } else { body };
        Some(Self { wire: Wire { frame, v5, packet_id_at }, payload, delivery })
    }
}

#[cfg(test)]
mod tests {
    use super::Plain;

    fn plain_publish<'a>(bytes: &'a [u8], topic: &[u8], v5: bool) -> Option<(&'a [u8], &'a [u8])> {
        Plain::parse(bytes, topic, v5).map(|plain| (plain.wire.frame, plain.payload))
    }

    #[test]
    fn only_whole_plain_messages_to_the_topic_are_taken() {
        let whole = b"\x30\x05\x00\x01tab";
        let taken = plain_publish(whole, b"t", false);
        assert_eq!(taken, Some((&whole[..], &b"ab"[..])));
        let followed = [&whole[..], b"\x30"].concat();
        assert_eq!(plain_publish(&followed, b"t", false), Some((&whole[..], &b"ab"[..])));
        for (case, bytes, v5) in [
            ("another topic", &b"\x30\x05\x00\x01uab"[..], false),
            ("a longer topic", b"\x30\x05\x00\x02tab", false),
            ("a cut packet", b"\x30\x05\x00\x01ta", false),
            ("a topic beyond the packet", b"\x30\x02\x00\x01t", false),
            ("retained", b"\x31\x05\x00\x01tab", false),
            ("packet identifier 0", b"\x32\x05\x00\x01t\x00\x00", false),
            ("a repeated one", b"\x3A\x05\x00\x01t\x00\x01", false),
            ("properties", b"\x30\x06\x00\x01t\x02\x01\x01", true),
            ("no property length", b"\x30\x03\x00\x01t", true),
            ("nothing", b"", false),
        ] {
            assert_eq!(plain_publish(bytes, b"t", v5), None, "{case}");
        }
        assert!(plain_publish(b"\x30\x05\x00\x01t\x00a", b"t", true).is_some());
    }

    #[test]
    fn a_length_of_two_bytes_is_read() {
        let mut bytes = vec![0x30, 0x83, 0x01, 0x00, 0x01, b't'];
        bytes.resize(3 + 131, b'x');
        let (frame, payload) = plain_publish(&bytes, b"t", false).unwrap();
        assert_eq!((frame.len(), payload.len()), (134, 128));
    }
}
