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
    #[expect(clippy::indexing_slicing, reason = "the table has a place for every byte")]
    pub const fn from_first_byte(first: u8) -> Result<Self, Violation> {
        match BY_FIRST_BYTE[first as usize] {
            Some(packet_type) => Ok(packet_type),
            None => classify(first),
        }
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

/// What each first byte begins; `None` where it may not begin a packet. PUBLISH comes by here
/// too often for a chain of comparisons.
#[expect(clippy::indexing_slicing, reason = "done when compiling")]
#[expect(clippy::cast_possible_truncation, reason = "the table has 256 places")]
static BY_FIRST_BYTE: [Option<PacketType>; 256] = {
    let mut table = [None; 256];
    let mut first = 0;
    while first < table.len() {
        if let Ok(packet_type) = classify(first as u8) {
            table[first] = Some(packet_type);
        }
        first += 1;
    }
    table
};

#[cold]
#[expect(clippy::indexing_slicing, reason = "a nibble from 1 to 15 has its place in the list")]
const fn classify(first: u8) -> Result<PacketType, Violation> {
    let (number, flags) = (first >> 4, first & 0x0F);
    if number == 0 {
        return Err(Violation::PacketTypeReserved);
    }
    let packet_type = PacketType::ALL[number as usize - 1];
    match packet_type {
        PacketType::Publish if flags & 0b0110 == 0b0110 => Err(Violation::QoSThree),
        PacketType::Publish => Ok(packet_type),
        PacketType::Subscribe | PacketType::Unsubscribe | PacketType::PubRel
            if flags & 0b0111 == 0b0010 =>
        {
            Ok(packet_type)
        }
        _ if first == packet_type.first_byte() => Ok(packet_type),
        _ => Err(Violation::FlagsReserved { packet_type, flags }),
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
