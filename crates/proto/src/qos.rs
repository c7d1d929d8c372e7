//! Quality of service and the packet identifiers that it needs.

use core::fmt;
use core::num::NonZeroU16;

/// Quality of service of a PUBLISH, a will or a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum QoS {
    /// Sent once, not acknowledged.
    #[default]
    AtMostOnce = 0,
    /// Acknowledged by PUBACK; may arrive twice.
    AtLeastOnce = 1,
    /// PUBREC, PUBREL, PUBCOMP; arrives once.
    ExactlyOnce = 2,
}

impl QoS {
    /// The two bits on the wire.
    #[inline]
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }
}

/// A number that is no QoS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAQoS(
    /// The number.
    pub u8,
);

impl fmt::Display for NotAQoS {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a QoS (0, 1 or 2)", self.0)
    }
}

impl core::error::Error for NotAQoS {}

impl TryFrom<u8> for QoS {
    type Error = NotAQoS;

    #[inline]
    fn try_from(value: u8) -> Result<Self, NotAQoS> {
        match value {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            other => Err(NotAQoS(other)),
        }
    }
}

/// The non-zero number that ties a packet to its acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The lowest packet identifier.
    pub const MIN: Self = Self(NonZeroU16::MIN);
    /// The highest packet identifier.
    pub const MAX: Self = Self(NonZeroU16::MAX);

    /// `None` for zero, which no packet may carry [MQTT-2.2.1-3].
    #[inline]
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match NonZeroU16::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number on the wire.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
