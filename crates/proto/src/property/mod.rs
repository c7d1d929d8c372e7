//! The properties of MQTT 5.0 packets.
//!
//! [`Property`] is one property with its value, [`Properties`] a checked block of them as it
//! stands in a packet, [`PropertyBuf`] a block being built.

mod block;
mod wire;

use core::fmt;

pub use block::{Iter, Properties, PropertyBuf};

use crate::packet_type::PacketType;
use crate::qos::QoS;
use crate::violation::PropertyContext;

const CONNECT: u16 = 1 << PacketType::Connect as u16;
const CONNACK: u16 = 1 << PacketType::ConnAck as u16;
const PUBLISH: u16 = 1 << PacketType::Publish as u16;
const SUBSCRIBE: u16 = 1 << PacketType::Subscribe as u16;
const DISCONNECT: u16 = 1 << PacketType::Disconnect as u16;
const AUTH: u16 = 1 << PacketType::Auth as u16;
/// The will takes the bit of packet type 0, which does not exist.
const WILL: u16 = 1;
const ANYWHERE: u16 = u16::MAX;
/// Everything that a reason string may explain: what answers another packet, and DISCONNECT.
const ANSWERS: u16 = CONNACK
    | 1 << PacketType::PubAck as u16
    | 1 << PacketType::PubRec as u16
    | 1 << PacketType::PubRel as u16
    | 1 << PacketType::PubComp as u16
    | 1 << PacketType::SubAck as u16
    | 1 << PacketType::UnsubAck as u16
    | DISCONNECT
    | AUTH;

/// From one table: identifier, name, value, words, and the packets that may have the property.
macro_rules! properties {
    ($($id:literal $name:ident ($($value:ty),+) $words:literal in $packets:expr;)*) => {
        /// The identifier of a property.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PropertyId {
            $(#[doc = $words] $name = $id,)*
        }

        impl PropertyId {
            /// All of them, in order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The identifier with this number.
            #[inline]
            #[must_use]
            pub const fn from_u32(id: u32) -> Option<Self> {
                match id {
                    $($id => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name in the specification's spelling.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }

            /// The packets that may have it, a bit for each.
            const fn packets(self) -> u16 {
                match self { $(Self::$name => $packets,)* }
            }
        }

        /// A property with its value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Property<'a> {
            $(#[doc = $words] $name($($value),+),)*
        }

        impl Property<'_> {
            /// Its identifier.
            #[inline]
            #[must_use]
            pub const fn id(&self) -> PropertyId {
                match self { $(Self::$name(..) => PropertyId::$name,)* }
            }
        }
    };
}

properties! {
    1 PayloadFormatIndicator(bool) "Payload Format Indicator" in PUBLISH | WILL;
    2 MessageExpiryInterval(u32) "Message Expiry Interval" in PUBLISH | WILL;
    3 ContentType(&'a str) "Content Type" in PUBLISH | WILL;
    8 ResponseTopic(&'a str) "Response Topic" in PUBLISH | WILL;
    9 CorrelationData(&'a [u8]) "Correlation Data" in PUBLISH | WILL;
    11 SubscriptionIdentifier(u32) "Subscription Identifier" in PUBLISH | SUBSCRIBE;
    17 SessionExpiryInterval(u32) "Session Expiry Interval" in CONNECT | CONNACK | DISCONNECT;
    18 AssignedClientIdentifier(&'a str) "Assigned Client Identifier" in CONNACK;
    19 ServerKeepAlive(u16) "Server Keep Alive" in CONNACK;
    21 AuthenticationMethod(&'a str) "Authentication Method" in CONNECT | CONNACK | AUTH;
    22 AuthenticationData(&'a [u8]) "Authentication Data" in CONNECT | CONNACK | AUTH;
    23 RequestProblemInformation(bool) "Request Problem Information" in CONNECT;
    24 WillDelayInterval(u32) "Will Delay Interval" in WILL;
    25 RequestResponseInformation(bool) "Request Response Information" in CONNECT;
    26 ResponseInformation(&'a str) "Response Information" in CONNACK;
    28 ServerReference(&'a str) "Server Reference" in CONNACK | DISCONNECT;
    31 ReasonString(&'a str) "Reason String" in ANSWERS;
    33 ReceiveMaximum(u16) "Receive Maximum" in CONNECT | CONNACK;
    34 TopicAliasMaximum(u16) "Topic Alias Maximum" in CONNECT | CONNACK;
    35 TopicAlias(u16) "Topic Alias" in PUBLISH;
    36 MaximumQoS(QoS) "Maximum QoS" in CONNACK;
    37 RetainAvailable(bool) "Retain Available" in CONNACK;
    38 UserProperty(&'a str, &'a str) "User Property" in ANYWHERE;
    39 MaximumPacketSize(u32) "Maximum Packet Size" in CONNECT | CONNACK;
    40 WildcardSubscriptionAvailable(bool) "Wildcard Subscription Available" in CONNACK;
    41 SubscriptionIdentifierAvailable(bool) "Subscription Identifier Available" in CONNACK;
    42 SharedSubscriptionAvailable(bool) "Shared Subscription Available" in CONNACK;
}

impl PropertyId {
    /// The number on the wire.
    #[inline]
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// Whether it may stand there.
    #[inline]
    #[must_use]
    pub const fn allowed_in(self, context: PropertyContext) -> bool {
        let bit = match context {
            PropertyContext::Packet(packet_type) => 1 << packet_type as u16,
            PropertyContext::Will => WILL,
        };
        self.packets() & bit != 0
    }

    /// Whether it may stand there more than once.
    #[inline]
    #[must_use]
    pub const fn repeatable_in(self, context: PropertyContext) -> bool {
        match self {
            Self::UserProperty => true,
            // A message that matched several subscriptions names them all [MQTT-3.3.4-4].
            Self::SubscriptionIdentifier => {
                matches!(context, PropertyContext::Packet(PacketType::Publish))
            }
            _ => false,
        }
    }
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
