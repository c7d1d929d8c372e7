//! Bursts: one publisher, one topic, QoS 0, message after message.
//!
//! This is the densest traffic there is, and all its messages but the first go where the one before
//! went. Their topic was validated, limited and looked up already, so comparing it is enough; what is
//! left is to append the frame to the receivers' output. Whatever differs (another topic, a flag, a
//! property, an incomplete packet) ends the burst and goes the ordinary way.

use dunlin_proto::Time;
use dunlin_proto::qos::QoS;
use dunlin_proto::server;

use crate::broker::Broker;
use crate::commons::View;
use crate::connection::Stage;
use crate::hub::Incoming;
use crate::publish::publishable;
use crate::slab::NONE;

/// PUBLISH, QoS 0, neither DUP nor RETAIN.
const PLAIN: u8 = 0x30;

impl Broker {
    /// Takes the messages at the front of `bytes` that go where the previous one went; returns how many
    /// bytes they had.
    #[inline]
    pub(crate) fn burst(&mut self, now: Time, slot: u32, bytes: &[u8], view: &View<'_>) -> usize {
        if bytes.first() != Some(&PLAIN) {
            return 0;
        }
        self.take_burst(now, slot, bytes, view)
    }

    fn take_burst(&mut self, now: Time, slot: u32, bytes: &[u8], view: &View<'_>) -> usize {
        let Some(connection) = self.hub.connections.at(slot) else { return 0 };
        let Some(route) = self.routes.current(connection.route, view.index) else { return 0 };
        if !matches!(connection.stage, Stage::Open)
            || connection.engine.state() != server::State::Open
            || connection.session == NONE
            || !publishable(&route.topic)
        {
            return 0;
        }
        let v5 = connection.engine.version().is_v5();
        let limit = self.hub.settings.maximum_packet_size as usize;
        let publisher = Some(self.hub.key(connection.session));
        let topic = route.topic.as_bytes();
        let (mut consumed, mut count, mut payloads) = (0, 0, 0);
        while let Some((frame, payload)) =
            plain_publish(bytes.get(consumed..).unwrap_or(&[]), topic, v5)
        {
            if frame.len() > limit {
                break;
            }
            consumed += frame.len();
            count += 1;
            payloads += payload.len();
            let mut incoming = Incoming::new(&route.topic, QoS::AtMostOnce, false, payload);
            incoming.frame = Some((frame, v5));
            incoming.publisher = publisher;
            self.hub.send(now, route, &incoming, view);
        }
        if count > 0
            && let Some(connection) = self.hub.connections.at_mut(slot)
        {
            connection.engine.heard(now);
            let stats = &mut self.hub.stats;
            stats.messages_received += count;
            stats.publish_received += count;
            stats.bytes_received += consumed as u64;
            stats.publish_bytes_received += payloads as u64;
        }
        consumed
    }
}

/// The PUBLISH at the front of `bytes` and its payload, if it is whole, plain, without properties, and to
/// this topic.
#[inline]
fn plain_publish<'a>(bytes: &'a [u8], topic: &[u8], v5: bool) -> Option<(&'a [u8], &'a [u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&low, rest) = rest.split_first()?;
    if first != PLAIN {
        return None;
    }
    let (remaining, rest) = if low < 0x80 {
        (usize::from(low), rest)
    } else {
        // Longer ones than 16 383 bytes are not worth the haste.
        let (&high, rest) = rest.split_first().filter(|(high, _)| **high < 0x80)?;
        (usize::from(low & 0x7F) | usize::from(high) << 7, rest)
    };
    let body = rest.get(..remaining)?;
    let (length, body) = body.split_first_chunk::<2>()?;
    if usize::from(u16::from_be_bytes(*length)) != topic.len() {
        return None;
    }
    let payload = body.strip_prefix(topic)?;
    let payload = if v5 { payload.strip_prefix(&[0])? } else { payload };
    let length = bytes.len() - rest.len() + remaining;
    Some((bytes.get(..length)?, payload))
}

#[cfg(test)]
mod tests {
    use super::plain_publish;

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
            ("QoS 1", b"\x32\x05\x00\x01t\x00\x01", false),
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
