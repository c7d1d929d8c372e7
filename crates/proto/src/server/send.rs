//! What may go out to a client.

use alloc::vec::Vec;

use super::Connection;
use crate::codec::{self, EncodeError};
use crate::packet::Packet;
use crate::packet_type::PacketType;
use crate::property::{Properties, Property, PropertyBuf};

/// What became of a packet that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was appended as it is.
    Whole,
    /// It was appended without its reason string and user properties: the client did not ask for
    /// them, or the packet would have been longer than the client takes.
    Unexplained,
    /// It was not appended: it is longer than the client takes.
    TooLarge,
}

impl Connection {
    /// Whether a packet of this type may carry a reason string and user properties.
    #[inline]
    #[must_use]
    pub const fn explains(&self, packet_type: PacketType) -> bool {
        // [MQTT-3.1.2-29]
        self.asked.problem_information
            || matches!(
                packet_type,
                PacketType::Publish | PacketType::ConnAck | PacketType::Disconnect
            )
    }

    /// Whether the client takes a packet of so many bytes [MQTT-3.1.2-24].
    #[inline]
    #[must_use]
    pub const fn fits(&self, len: usize) -> bool {
        len <= self.maximum_packet_size as usize
    }

    /// Appends a packet as far as the client takes it.
    ///
    /// # Errors
    /// Those of [`codec::encode`].
    pub fn send(&self, packet: &Packet<'_>, out: &mut Vec<u8>) -> Result<Sent, EncodeError> {
        if self.explains(packet.packet_type()) {
            // [MQTT-3.1.2-24]
            if self.fits(codec::encoded_len(packet, self.version)?) {
                codec::encode(packet, self.version, out)?;
                return Ok(Sent::Whole);
            }
            // [MQTT-3.1.2-25]: the message is dropped as if it was delivered.
            if packet.packet_type() == PacketType::Publish {
                return Ok(Sent::TooLarge);
            }
        }
        self.send_unexplained(packet, out)
    }

    /// Appends a packet without what only explains it: [MQTT-3.2.2-19], [MQTT-3.2.2-20],
    /// [MQTT-3.4.2-2], [MQTT-3.4.2-3] and their like on the other packets.
    fn send_unexplained(
        &self,
        packet: &Packet<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Sent, EncodeError> {
        let mut kept = PropertyBuf::new();
        let mut packet = packet.clone();
        let mut explained = false;
        if let Some(properties) = properties_mut(&mut packet) {
            for property in *properties {
                match property {
                    Property::ReasonString(_) | Property::UserProperty(..) => explained = true,
                    other => kept.try_push(other)?,
                }
            }
        }
        if let Some(properties) = properties_mut(&mut packet) {
            *properties = kept.as_properties();
        }
        if !self.fits(codec::encoded_len(&packet, self.version)?) {
            return Ok(Sent::TooLarge);
        }
        codec::encode(&packet, self.version, out)?;
        Ok(if explained { Sent::Unexplained } else { Sent::Whole })
    }
}

/// The properties of what a server answers with.
const fn properties_mut<'a, 'b>(packet: &'b mut Packet<'a>) -> Option<&'b mut Properties<'a>> {
    match packet {
        Packet::ConnAck(packet) => Some(&mut packet.properties),
        Packet::PubAck(packet)
        | Packet::PubRec(packet)
        | Packet::PubRel(packet)
        | Packet::PubComp(packet) => Some(&mut packet.properties),
        Packet::SubAck(packet) | Packet::UnsubAck(packet) => Some(&mut packet.properties),
        Packet::Disconnect(packet) => Some(&mut packet.properties),
        Packet::Auth(packet) => Some(&mut packet.properties),
        _ => None,
    }
}
