//! Every way in which a peer can break the rules, as one table.

use core::fmt;

use crate::packet_type::PacketType;
use crate::property::PropertyId;
use crate::qos::{PacketId, QoS};
use crate::reason::ReasonCode;

/// From one table: the enum, the clause each variant breaks, the reason code and the words.
macro_rules! violations {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident $({ $($field:ident: $type:ty),+ })? =>
            $clause:literal, $reason:ident, $words:literal;
    )*) => {
        /// A way in which a peer broke the rules; the connection ends over it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the fields are the values that the words name")]
        pub enum Violation {
            $($(#[doc = $doc])+ $name $({ $($field: $type),+ })?,)*
        }

        impl Violation {
            /// The normative statement that was broken, by its identifier in MQTT 5.0 or, where
            /// only 3.1.1 has the rule, in 3.1.1; the section where no statement states it.
            #[must_use]
            pub const fn clause(&self) -> &'static str {
                match self { $(Self::$name { .. } => $clause,)* }
            }

            /// The code that a 5.0 peer is told.
            #[must_use]
            pub const fn reason_code(&self) -> ReasonCode {
                match self { $(Self::$name { .. } => ReasonCode::$reason,)* }
            }

            /// The name of the variant: a stable label for counters.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($name),)* }
            }
        }

        impl fmt::Display for Violation {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$name { $($($field),+)? } => write!(f, $words),)* }
            }
        }
    };
}

violations! {
    // Framing.

    /// Packet type 0.
    PacketTypeReserved => "2.1.2", MalformedPacket, "packet type 0 is reserved";
    /// Fixed header flags that this type may not have.
    FlagsReserved { packet_type: PacketType, flags: u8 } => "MQTT-2.1.3-1", MalformedPacket,
        "{packet_type} with the reserved fixed header flags {flags:04b}";
    /// A remaining length of more than four bytes.
    RemainingLengthMalformed => "1.5.5", MalformedPacket,
        "the remaining length runs on past four bytes";
    /// More bytes than the receiver said it takes.
    PacketTooLarge { size: u32, maximum: u32 } => "MQTT-3.2.2-15", PacketTooLarge,
        "a packet of {size} bytes where {maximum} is the maximum";
    /// The body ends inside a field.
    Truncated => "2.1.4", MalformedPacket, "the packet ends inside a field";
    /// The body goes on behind its last field.
    TrailingBytes => "2.1.4", MalformedPacket, "the packet goes on behind its last field";
    /// A variable byte integer too long, or longer than it has to be.
    IntegerMalformed => "MQTT-1.5.5-1", MalformedPacket,
        "a variable byte integer is not in its shortest form of at most four bytes";
    /// A string that is not UTF-8.
    StringNotUtf8 => "MQTT-1.5.4-1", MalformedPacket, "a string is not UTF-8";
    /// U+0000 in a string.
    StringContainsNul => "MQTT-1.5.4-2", MalformedPacket, "a string contains U+0000";
    /// A packet identifier of 0.
    PacketIdZero => "MQTT-2.2.1-3", ProtocolError, "packet identifier 0";

    // Topics.

    /// `+` or `#` in a topic name.
    TopicNameWildcard => "MQTT-3.3.2-2", TopicNameInvalid,
        "a topic name contains the wildcard + or #";
    /// An empty topic name, and no topic alias instead.
    TopicNameEmpty => "MQTT-4.7.3-1", ProtocolError, "an empty topic name and no topic alias";
    /// More levels than the broker takes.
    TopicTooDeep { levels: usize, maximum: usize } => "4.7.3", MalformedPacket,
        "a topic of {levels} levels, where {maximum} are the most (maximum_topic_levels)";
    /// An empty topic filter.
    TopicFilterEmpty => "MQTT-4.7.3-1", TopicFilterInvalid, "an empty topic filter";
    /// More than 65 535 bytes of topic.
    TopicTooLong => "MQTT-4.7.3-3", MalformedPacket,
        "a topic name or filter is longer than 65535 bytes";
    /// `#` not last or not alone in its level.
    MultiLevelWildcardMisplaced => "MQTT-4.7.1-1", TopicFilterInvalid,
        "a topic filter has # elsewhere than alone in its last level";
    /// `+` not alone in its level.
    SingleLevelWildcardMisplaced => "MQTT-4.7.1-2", TopicFilterInvalid,
        "a topic filter has + beside other characters in a level";
    /// `$share//filter`.
    ShareNameEmpty => "MQTT-4.8.2-1", TopicFilterInvalid,
        "a shared subscription has an empty share name";
    /// `+` or `#` in the share name.
    ShareNameWildcard => "MQTT-4.8.2-2", TopicFilterInvalid,
        "a share name contains the wildcard + or #";
    /// `$share/name` with no filter behind it.
    ShareFilterMissing => "MQTT-4.8.2-2", TopicFilterInvalid,
        "a shared subscription has no topic filter behind its share name";

    // Properties.

    /// An identifier that no property has.
    PropertyUnknown { id: u32 } => "2.2.2.2", MalformedPacket, "no property has identifier {id}";
    /// A property that this packet may not have.
    PropertyNotAllowed { property: PropertyId, packet: PropertyContext } =>
        "2.2.2.2", MalformedPacket, "{property} is no property of {packet}";
    /// A property given twice.
    PropertyDuplicated { property: PropertyId } => "2.2.2.2", ProtocolError,
        "{property} is given more than once";
    /// A property value outside its range.
    PropertyOutOfRange { property: PropertyId } => "2.2.2.2", ProtocolError,
        "the value of {property} is out of range";
    /// A response topic with wildcards.
    ResponseTopicWildcard => "MQTT-3.3.2-14", ProtocolError,
        "the response topic contains the wildcard + or #";
    /// Authentication Data alone.
    AuthenticationDataAlone => "3.1.2.11.10", ProtocolError,
        "Authentication Data without Authentication Method";

    /// An exchange that names no Authentication Method.
    AuthenticationMethodMissing => "3.15.2.2.2", ProtocolError,
        "AUTH without Authentication Method";

    // CONNECT and CONNACK.

    /// Something else than CONNECT came first.
    ConnectMissing { packet_type: PacketType } => "MQTT-3.1.0-1", ProtocolError,
        "{packet_type} before CONNECT";
    /// A second CONNECT.
    ConnectRepeated => "MQTT-3.1.0-2", ProtocolError, "a second CONNECT";
    /// A protocol name other than `MQTT` and `MQIsdp`.
    ProtocolNameUnsupported => "MQTT-3.1.2-1", UnsupportedProtocolVersion,
        "the protocol name is neither MQTT nor MQIsdp";
    /// A protocol level that the name does not go with. Answered in the form of 5.0 when the
    /// level is above 5, else by return code 1.
    ProtocolLevelUnsupported { level: u8 } => "MQTT-3.1.2-2", UnsupportedProtocolVersion,
        "protocol level {level} is not supported";
    /// The lowest connect flag.
    ConnectFlagReserved => "MQTT-3.1.2-3", MalformedPacket, "the reserved connect flag is set";
    /// A will at QoS 3.
    WillQoSThree => "MQTT-3.1.2-12", MalformedPacket, "the will has QoS 3";
    /// A will QoS without a will.
    WillQoSWithoutWill => "MQTT-3.1.2-11", MalformedPacket, "a will QoS without a will";
    /// Will retain without a will.
    WillRetainWithoutWill => "MQTT-3.1.2-13", MalformedPacket, "will retain without a will";
    /// Before 5.0: a password needs a user name.
    PasswordWithoutUserName => "MQTT-3.1.2-22", MalformedPacket,
        "a password without a user name";
    /// Something else than CONNACK or AUTH came first from the server.
    ConnAckMissing { packet_type: PacketType } => "MQTT-3.2.0-1", ProtocolError,
        "{packet_type} before CONNACK";
    /// A second CONNACK.
    ConnAckRepeated => "MQTT-3.2.0-2", ProtocolError, "a second CONNACK";
    /// Reserved connect acknowledge flags.
    ConnAckFlagsReserved => "MQTT-3.2.2-1", MalformedPacket,
        "reserved connect acknowledge flags are set";
    /// Session present in a refusal.
    SessionPresentInRefusal => "MQTT-3.2.2-6", ProtocolError,
        "session present in a CONNACK that refuses";
    /// Session present where the client has no session.
    SessionPresentUnexpected => "MQTT-3.2.2-4", ProtocolError,
        "session present, but the client has no session";
    /// A packet that this side never sends.
    PacketNotAllowedFromClient { packet_type: PacketType } => "2.1.2", ProtocolError,
        "{packet_type} from a client";
    /// A packet that this side never sends.
    PacketNotAllowedFromServer { packet_type: PacketType } => "2.1.2", ProtocolError,
        "{packet_type} from a server";
    /// AUTH (packet type 15) before MQTT 5.0.
    AuthBeforeV5 => "2.1.2", MalformedPacket, "AUTH, which is reserved before MQTT 5.0";
    /// AUTH where CONNECT named no authentication method.
    AuthWithoutMethod => "MQTT-4.12.0-7", ProtocolError,
        "AUTH on a connection without an authentication method";
    /// AUTH with a reason that does not fit the state of the exchange.
    AuthOutOfTurn { reason: ReasonCode } => "3.15.2.1", ProtocolError,
        "AUTH that says {reason} out of turn";
    /// Another packet than AUTH or DISCONNECT while authentication goes on.
    PacketDuringAuthentication { packet_type: PacketType } => "MQTT-3.1.2-30", ProtocolError,
        "{packet_type} before authentication is done";

    // PUBLISH and its acknowledgements.

    /// QoS 3.
    QoSThree => "MQTT-3.3.1-4", MalformedPacket, "PUBLISH with QoS 3";
    /// DUP at QoS 0.
    DupAtQoSZero => "MQTT-3.3.1-2", MalformedPacket, "PUBLISH with DUP at QoS 0";
    /// A QoS above the receiver's maximum.
    QoSAboveMaximum { qos: QoS, maximum: QoS } => "MQTT-3.2.2-11", QoSNotSupported,
        "PUBLISH with {qos:?}, above the maximum of {maximum:?}";
    /// A will QoS above the server's maximum.
    WillQoSAboveMaximum { qos: QoS, maximum: QoS } => "MQTT-3.2.2-12", QoSNotSupported,
        "a will with {qos:?}, above the maximum of {maximum:?}";
    /// RETAIN where the server does not retain.
    RetainNotAvailable => "MQTT-3.2.2-14", RetainNotSupported,
        "PUBLISH with RETAIN, which is not available";
    /// Will retain where the server does not retain.
    WillRetainNotAvailable => "MQTT-3.2.2-13", RetainNotSupported,
        "a will with RETAIN, which is not available";
    /// More unacknowledged QoS 1 and 2 than the receiver takes.
    ReceiveMaximumExceeded { maximum: u16 } => "MQTT-3.3.4-7", ReceiveMaximumExceeded,
        "more than {maximum} unacknowledged PUBLISH";
    /// A QoS 2 message repeated although its PUBREC was sent twice on this connection.
    PublishRepeated { packet_id: PacketId } => "MQTT-4.4.0-1", ProtocolError,
        "PUBLISH with packet identifier {packet_id} for the third time, without PUBREL";
    /// Topic alias 0.
    TopicAliasZero => "MQTT-3.3.2-8", TopicAliasInvalid, "topic alias 0";
    /// A topic alias above the receiver's maximum.
    TopicAliasTooLarge { alias: u16, maximum: u16 } => "MQTT-3.3.2-9", TopicAliasInvalid,
        "topic alias {alias}, above the maximum of {maximum}";
    /// A topic alias that was never given a topic.
    TopicAliasUnknown { alias: u16 } => "3.3.2.3.4", ProtocolError,
        "topic alias {alias} stands for no topic yet";
    /// A subscription identifier in a PUBLISH of a client.
    SubscriptionIdFromClient => "MQTT-3.3.4-6", ProtocolError,
        "PUBLISH with a subscription identifier from a client";
    /// A reason code that this packet may not have.
    ReasonCodeInvalid { code: u8, packet_type: PacketType } => "2.4", ProtocolError,
        "0x{code:02X} is no reason code of {packet_type}";

    // SUBSCRIBE, UNSUBSCRIBE and their acknowledgements.

    /// SUBSCRIBE without a topic filter.
    SubscribeEmpty => "MQTT-3.8.3-2", ProtocolError, "SUBSCRIBE without a topic filter";
    /// UNSUBSCRIBE without a topic filter.
    UnsubscribeEmpty => "MQTT-3.10.3-2", ProtocolError, "UNSUBSCRIBE without a topic filter";
    /// Reserved subscription option bits.
    SubscriptionOptionsReserved => "MQTT-3.8.3-5", MalformedPacket,
        "reserved subscription options are set";
    /// A subscription at QoS 3.
    SubscriptionQoSThree => "3.8.3.1", ProtocolError, "a subscription with QoS 3";
    /// Retain Handling 3.
    RetainHandlingThree => "3.8.3.1", ProtocolError, "a subscription with retain handling 3";
    /// No Local on a shared subscription.
    NoLocalOnShared => "MQTT-3.8.3-4", ProtocolError, "No Local on a shared subscription";
    /// SUBACK or UNSUBACK that answers another number of filters than were asked.
    AnswerCountWrong { asked: u16, answered: u16 } => "MQTT-3.8.4-6", ProtocolError,
        "{answered} reason codes for {asked} topic filters";

    // DISCONNECT and time.

    /// Session Expiry Interval in a server's DISCONNECT.
    SessionExpiryFromServer => "MQTT-3.14.2-2", ProtocolError,
        "DISCONNECT of a server with a session expiry interval";
    /// A session expiry interval of 0 in CONNECT made longer at DISCONNECT.
    SessionExpiryRaised => "3.14.2.2.2", ProtocolError,
        "DISCONNECT with a session expiry interval where CONNECT had 0";
    /// Anything behind DISCONNECT.
    PacketAfterDisconnect => "MQTT-3.14.4-1", ProtocolError, "a packet after DISCONNECT";
    /// Silence for one and a half times the keep alive.
    KeepAliveTimeout => "MQTT-3.1.2-22", KeepAliveTimeout,
        "silence for one and a half times the keep alive";
}

impl core::error::Error for Violation {}

/// What a property block belongs to: a packet, or the will inside a CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyContext {
    /// The packet's own properties.
    Packet(PacketType),
    /// The will properties of a CONNECT.
    Will,
}

impl fmt::Display for PropertyContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(packet_type) => packet_type.fmt(f),
            Self::Will => f.write_str("the will"),
        }
    }
}
