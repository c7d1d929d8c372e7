//! The control packet types and the fixed header flags that each may have.

use core::fmt;

use crate::packet::Packet;
use crate::violation::Violation;

/// The high nibble of a packet's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are those of the packets")]
pub enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// All types, in wire order.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// The type in a packet's first byte, if its flags are possible in any version.
    ///
    /// MQTT 3.1 lets SUBSCRIBE, UNSUBSCRIBE and PUBREL set DUP; the decoder, which knows the
    /// version, refuses that for the later ones.
    ///
    /// # Errors
    /// The type is 0, PUBLISH has QoS 3, or another type has flags that it may not have.
    #[inline]
    pub const fn from_first_byte(first: u8) -> Result<Self, Violation> {
        let packet_type = match first >> 4 {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return Err(Violation::PacketTypeReserved),
        };
        let flags = first & 0x0F;
        let legal = match packet_type {
            Self::Publish => {
                if flags & 0b0110 == 0b0110 {
                    return Err(Violation::QoSThree);
                }
                true
            }
            Self::Subscribe | Self::Unsubscribe | Self::PubRel => flags & 0b0111 == 0b0010,
            _ => flags == 0,
        };
        if legal { Ok(packet_type) } else { Err(Violation::FlagsReserved { packet_type, flags }) }
    }

    /// The first byte of a packet of this type; for PUBLISH the one of QoS 0.
    #[inline]
    #[must_use]
    pub const fn first_byte(self) -> u8 {
        let flags = match self {
            Self::Subscribe | Self::Unsubscribe | Self::PubRel => 0b0010,
            _ => 0,
        };
        (self as u8) << 4 | flags
    }

    /// The name in the specification's spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Packet<'_> {
    /// The type of this packet.
    #[inline]
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}
