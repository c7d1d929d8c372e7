//! PUBLISH packets as they go out: one encoding for all receivers of the same shape.

use dunlin_proto::Time;
use dunlin_proto::codec;
use dunlin_proto::packet::Publish;
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::topic::TopicName;
use dunlin_proto::version::Version;

use crate::incoming::{Form, Incoming};

/// Appends what stands before the payload of one receiver's PUBLISH; returns its size and where in it
/// the packet identifier stands.
///
/// `alias` is a topic alias of this connection, and whether the client knows it already.
pub(crate) fn append_head(
    v5: bool,
    form: Form,
    m: &Incoming<'_>,
    alias: Option<(u16, bool)>,
    now: Time,
    out: &mut Vec<u8>,
) -> (usize, usize) {
    let mut own = PropertyBuf::new();
    let plain = m.expires == Time::MAX && alias.is_none() && form.identifier == 0;
    let properties = if v5 && !plain {
        fill(&mut own, form, m, alias, now);
        own.as_properties()
    } else if v5 {
        m.properties
    } else {
        Properties::EMPTY
    };
    let known = alias.is_some_and(|(_, known)| known);
    let publish = Publish {
        delivery: form.delivery(),
        retain: form.retain,
        topic: if known { None } else { TopicName::new(m.topic).ok() },
        properties,
        payload: &[],
    };
    let version = if v5 { Version::V5_0 } else { Version::V3_1_1 };
    let before = out.len();
    let place = codec::encode_publish_head(&publish, m.payload.len(), version, out);
    debug_assert!(place.is_ok(), "what was received can be sent: {place:?}");
    (out.len() - before, place.ok().flatten().map_or(0, |place| place - before))
}

/// The properties of one receiver: those that travel with the message keep their order and come first, as
/// from Mosquitto.
fn fill(
    own: &mut PropertyBuf,
    form: Form,
    m: &Incoming<'_>,
    alias: Option<(u16, bool)>,
    now: Time,
) {
    own.extend(m.properties);
    // [MQTT-3.3.2-6]: what is left of the interval.
    if m.expires != Time::MAX {
        let left = m.expires.since(now).as_micros().div_ceil(1_000_000);
        own.push(Property::MessageExpiryInterval(u32::try_from(left).unwrap_or(u32::MAX)));
    }
    if let Some((alias, _)) = alias {
        own.push(Property::TopicAlias(alias));
    }
    // [MQTT-3.3.4-3]
    if form.identifier != 0 {
        own.push(Property::SubscriptionIdentifier(form.identifier));
    }
}

/// Encodings of one message, made when the first receiver of each shape needs it.
///
/// A shape is protocol family, QoS and RETAIN; all receivers of a shape differ in the packet
/// identifier at most.
#[derive(Default)]
pub(crate) struct Shapes {
    bytes: Vec<u8>,
    shapes: [Shape; 12],
    made: u16,
}

#[derive(Default, Clone, Copy)]
struct Shape {
    from: usize,
    to: usize,
    packet_id_at: usize,
}

impl Shapes {
    /// Forgets the previous message.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.made != 0 {
            self.made = 0;
            self.bytes.clear();
        }
    }

    /// Appends the packet for one receiver (without the payload, if that is shared) and returns the
    /// size of the whole packet.
    pub(crate) fn append(
        &mut self,
        v5: bool,
        form: Form,
        m: &Incoming<'_>,
        out: &mut Vec<u8>,
    ) -> usize {
        let shared = m.is_shared();
        if form.dup {
            let (size, _) = append_head(v5, form, m, None, Time::ZERO, out);
            if !shared {
                out.extend_from_slice(m.payload);
            }
            return size + m.payload.len();
        }
        let index =
            usize::from(form.qos.as_u8()) * 4 + usize::from(v5) * 2 + usize::from(form.retain);
        if self.made & 1 << index == 0 {
            self.make(index, v5, form, m);
        }
        let shape = self.shapes[index];
        let start = out.len();
        out.extend_from_slice(&self.bytes[shape.from..shape.to]);
        if let Some(packet_id) = form.packet_id {
            let at = start + shape.packet_id_at;
            out[at..at + 2].copy_from_slice(&packet_id.get().to_be_bytes());
        }
        shape.to - shape.from + if shared { m.payload.len() } else { 0 }
    }

    fn make(&mut self, index: usize, v5: bool, form: Form, m: &Incoming<'_>) {
        let from = self.bytes.len();
        let (_, packet_id_at) = append_head(v5, form, m, None, Time::ZERO, &mut self.bytes);
        if !m.is_shared() {
            self.bytes.extend_from_slice(m.payload);
        }
        self.shapes[index] = Shape { from, to: self.bytes.len(), packet_id_at };
        self.made |= 1 << index;
    }
}
