//! PUBLISH (3.3): the packet whose cost counts.

use crate::codec::reader::Reader;
use crate::packet::{Delivery, Publish};
use crate::packet_type::PacketType;
use crate::topic::TopicName;
use crate::version::Version;
use crate::violation::{PropertyContext, Violation};

/// Reads a PUBLISH whose fixed header takes the first `header_len` bytes of the frame.
///
/// # Errors
/// Whatever is wrong with the packet in itself.
#[inline]
pub fn decode_publish(
    frame: &[u8],
    header_len: usize,
    version: Version,
) -> Result<Publish<'_>, Violation> {
    let (Some(&first), Some(body)) = (frame.first(), frame.get(header_len..)) else {
        return Err(Violation::Truncated);
    };
    let mut body = Reader::new(body);
    // [MQTT-3.3.2-1]
    let topic = match body.binary()? {
        [] => None,
        bytes => Some(TopicName::from_bytes(bytes)?),
    };
    let dup = first & DUP != 0;
    // [MQTT-2.2.1-2]: there is a packet identifier only at QoS 1 and 2.
    let delivery = match first >> 1 & 0b11 {
        0 if dup => dup_at_qos_zero(version)?,
        0 => Delivery::AtMostOnce,
        1 => Delivery::AtLeastOnce { packet_id: body.packet_id()?, dup },
        2 => Delivery::ExactlyOnce { packet_id: body.packet_id()?, dup },
        // [MQTT-3.3.1-4]
        _ => return Err(Violation::QoSThree),
    };
    let properties = body.properties(PropertyContext::Packet(PacketType::Publish), version)?;
    if topic.is_none() && properties.topic_alias().is_none() {
        return Err(Violation::TopicNameEmpty);
    }
    Ok(Publish { delivery, retain: first & RETAIN != 0, topic, properties, payload: body.rest() })
}

/// MQTT 3.1 has no rule against DUP at QoS 0.
#[cold]
fn dup_at_qos_zero(version: Version) -> Result<Delivery, Violation> {
    // [MQTT-3.3.1-2]
    if version > Version::V3_1 { Err(Violation::DupAtQoSZero) } else { Ok(Delivery::AtMostOnce) }
}

const DUP: u8 = 0b1000;
const RETAIN: u8 = 0b0001;
