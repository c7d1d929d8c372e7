//! The reason codes of MQTT 5.0 and how the return codes of CONNACK before it map to them.

use core::fmt;

use crate::packet_type::PacketType;

/// One bit for each packet type, for the table of where a code may stand.
const fn bit(packet_type: PacketType) -> u16 {
    1 << packet_type as u8
}

const CONNACK: u16 = bit(PacketType::ConnAck);
/// PUBACK and PUBREC share their codes, as do PUBREL and PUBCOMP.
const PUBACK: u16 = bit(PacketType::PubAck) | bit(PacketType::PubRec);
const PUBREL: u16 = bit(PacketType::PubRel) | bit(PacketType::PubComp);
const SUBACK: u16 = bit(PacketType::SubAck);
const UNSUBACK: u16 = bit(PacketType::UnsubAck);
const DISCONNECT: u16 = bit(PacketType::Disconnect);
const AUTH: u16 = bit(PacketType::Auth);

/// From one table: the enum, its number, the words for it and the packets that it may stand in.
macro_rules! reason_codes {
    ($($value:literal $name:ident $words:literal in $packets:expr;)*) => {
        /// A reason code (MQTT 5.0, table 2-6), one variant for each number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum ReasonCode {
            $(#[doc = $words] $name = $value,)*
        }

        impl ReasonCode {
            /// All codes, in order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code in words.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }

            /// The packet types that may carry it, a bit for each.
            const fn packets(self) -> u16 {
                match self { $(Self::$name => $packets,)* }
            }
        }

        impl TryFrom<u8> for ReasonCode {
            type Error = UnknownReasonCode;

            #[inline]
            fn try_from(value: u8) -> Result<Self, UnknownReasonCode> {
                match value {
                    $($value => Ok(Self::$name),)*
                    other => Err(UnknownReasonCode(other)),
                }
            }
        }
    };
}

reason_codes! {
    0x00 Success "success" in CONNACK | PUBACK | PUBREL | SUBACK | UNSUBACK | DISCONNECT | AUTH;
    0x01 GrantedQoS1 "granted QoS 1" in SUBACK;
    0x02 GrantedQoS2 "granted QoS 2" in SUBACK;
    0x04 DisconnectWithWillMessage "disconnect with will message" in DISCONNECT;
    0x10 NoMatchingSubscribers "no matching subscribers" in PUBACK;
    0x11 NoSubscriptionExisted "no subscription existed" in UNSUBACK;
    0x18 ContinueAuthentication "continue authentication" in AUTH;
    0x19 ReAuthenticate "re-authenticate" in AUTH;
    0x80 UnspecifiedError "unspecified error" in CONNACK | PUBACK | SUBACK | UNSUBACK | DISCONNECT;
    0x81 MalformedPacket "malformed packet" in CONNACK | DISCONNECT;
    0x82 ProtocolError "protocol error" in CONNACK | DISCONNECT;
    0x83 ImplementationSpecificError "implementation specific error"
        in CONNACK | PUBACK | SUBACK | UNSUBACK | DISCONNECT;
    0x84 UnsupportedProtocolVersion "unsupported protocol version" in CONNACK;
    0x85 ClientIdentifierNotValid "client identifier not valid" in CONNACK;
    0x86 BadUserNameOrPassword "bad user name or password" in CONNACK;
    0x87 NotAuthorized "not authorized" in CONNACK | PUBACK | SUBACK | UNSUBACK | DISCONNECT;
    0x88 ServerUnavailable "server unavailable" in CONNACK;
    0x89 ServerBusy "server busy" in CONNACK | DISCONNECT;
    0x8A Banned "banned" in CONNACK;
    0x8B ServerShuttingDown "server shutting down" in DISCONNECT;
    0x8C BadAuthenticationMethod "bad authentication method" in CONNACK | DISCONNECT;
    0x8D KeepAliveTimeout "keep alive timeout" in DISCONNECT;
    0x8E SessionTakenOver "session taken over" in DISCONNECT;
    0x8F TopicFilterInvalid "topic filter invalid" in SUBACK | UNSUBACK | DISCONNECT;
    0x90 TopicNameInvalid "topic name invalid" in CONNACK | PUBACK | DISCONNECT;
    0x91 PacketIdentifierInUse "packet identifier in use" in PUBACK | SUBACK | UNSUBACK;
    0x92 PacketIdentifierNotFound "packet identifier not found" in PUBREL;
    0x93 ReceiveMaximumExceeded "receive maximum exceeded" in DISCONNECT;
    0x94 TopicAliasInvalid "topic alias invalid" in DISCONNECT;
    // In PUBACK and PUBREC Mosquitto says it, against table 2-6.
    0x95 PacketTooLarge "packet too large" in CONNACK | PUBACK | DISCONNECT;
    0x96 MessageRateTooHigh "message rate too high" in DISCONNECT;
    0x97 QuotaExceeded "quota exceeded" in CONNACK | PUBACK | SUBACK | DISCONNECT;
    0x98 AdministrativeAction "administrative action" in DISCONNECT;
    0x99 PayloadFormatInvalid "payload format invalid" in CONNACK | PUBACK | DISCONNECT;
    0x9A RetainNotSupported "retain not supported" in CONNACK | DISCONNECT;
    0x9B QoSNotSupported "QoS not supported" in CONNACK | DISCONNECT;
    0x9C UseAnotherServer "use another server" in CONNACK | DISCONNECT;
    0x9D ServerMoved "server moved" in CONNACK | DISCONNECT;
    0x9E SharedSubscriptionsNotSupported "shared subscriptions not supported"
        in SUBACK | DISCONNECT;
    0x9F ConnectionRateExceeded "connection rate exceeded" in CONNACK | DISCONNECT;
    0xA0 MaximumConnectTime "maximum connect time" in DISCONNECT;
    0xA1 SubscriptionIdentifiersNotSupported "subscription identifiers not supported"
        in SUBACK | DISCONNECT;
    0xA2 WildcardSubscriptionsNotSupported "wildcard subscriptions not supported"
        in SUBACK | DISCONNECT;
}

impl ReasonCode {
    /// What 0x00 is called in a DISCONNECT.
    pub const NORMAL_DISCONNECTION: Self = Self::Success;
    /// What 0x00 is called in a SUBACK.
    pub const GRANTED_QOS_0: Self = Self::Success;

    /// The number on the wire.
    #[inline]
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// Whether it reports a failure: 0x80 and above.
    #[inline]
    #[must_use]
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// Whether a packet of this type may carry it, from either side.
    #[inline]
    #[must_use]
    pub const fn allowed_in(self, packet_type: PacketType) -> bool {
        self.packets() & bit(packet_type) != 0
    }

    /// The code of a granted subscription.
    #[must_use]
    pub const fn granted(qos: crate::qos::QoS) -> Self {
        match qos {
            crate::qos::QoS::AtMostOnce => Self::GRANTED_QOS_0,
            crate::qos::QoS::AtLeastOnce => Self::GrantedQoS1,
            crate::qos::QoS::ExactlyOnce => Self::GrantedQoS2,
        }
    }

    /// The code that means what a CONNACK return code before 5.0 means; `None` above 5.
    #[must_use]
    pub const fn from_connack_return_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Success,
            1 => Self::UnsupportedProtocolVersion,
            2 => Self::ClientIdentifierNotValid,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }

    /// The CONNACK return code before 5.0 that comes nearest.
    ///
    /// What may pass if tried later is 3 (server unavailable); what will not is 5 (not
    /// authorized).
    #[must_use]
    pub const fn connack_return_code(self) -> u8 {
        match self {
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized
            | Self::Banned
            | Self::BadAuthenticationMethod
            | Self::AdministrativeAction
            | Self::MalformedPacket
            | Self::ProtocolError
            | Self::TopicNameInvalid
            | Self::PayloadFormatInvalid
            | Self::PacketTooLarge
            | Self::RetainNotSupported
            | Self::QoSNotSupported => 5,
            _ if self.is_error() => 3,
            _ => 0,
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02X} {}", self.as_u8(), self.name())
    }
}

/// A number that is no reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownReasonCode(
    /// The number.
    pub u8,
);

impl fmt::Display for UnknownReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02X} is not a reason code", self.0)
    }
}

impl core::error::Error for UnknownReasonCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_43_codes_and_each_survives_the_wire() {
        assert_eq!(ReasonCode::ALL.len(), 43);
        for &code in ReasonCode::ALL {
            assert_eq!(ReasonCode::try_from(code.as_u8()), Ok(code));
        }
        let known = (0..=u8::MAX).filter(|&n| ReasonCode::try_from(n).is_ok()).count();
        assert_eq!(known, 43);
    }

    #[test]
    fn every_return_code_before_5_comes_back_as_itself() {
        for code in 0..=5 {
            let reason = ReasonCode::from_connack_return_code(code).unwrap();
            assert_eq!(reason.connack_return_code(), code);
        }
        assert_eq!(ReasonCode::from_connack_return_code(6), None);
    }

    #[test]
    fn refusals_never_look_like_success_before_5() {
        for &code in ReasonCode::ALL {
            assert_eq!(code.is_error(), code.connack_return_code() != 0, "{code}");
        }
    }

    #[test]
    fn codes_stand_only_in_their_packets() {
        assert!(ReasonCode::GrantedQoS2.allowed_in(PacketType::SubAck));
        assert!(!ReasonCode::GrantedQoS2.allowed_in(PacketType::PubAck));
        assert!(ReasonCode::PacketIdentifierNotFound.allowed_in(PacketType::PubComp));
        assert!(!ReasonCode::PacketIdentifierNotFound.allowed_in(PacketType::PubRec));
        assert!(ReasonCode::Success.allowed_in(PacketType::Auth));
    }
}
