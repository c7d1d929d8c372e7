//! The one packet model for MQTT 3.1, 3.1.1 and 5.0.
//!
//! A packet borrows from the bytes it was decoded from (or from the caller, when it is to be
//! encoded), so neither direction allocates on the way of a PUBLISH. What a version cannot carry
//! (properties before 5.0, say) is empty after decoding and left out when encoding.

use alloc::vec::Vec;
use core::fmt;

use crate::property::Properties;
use crate::qos::{PacketId, QoS};
use crate::reason::ReasonCode;
use crate::topic::{TopicFilter, TopicName};
use crate::version::Version;

/// Any control packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Client to server: opens the MQTT connection (3.1).
    Connect(Connect<'a>),
    /// Server to client: answers CONNECT (3.2).
    ConnAck(ConnAck<'a>),
    /// Either way: an application message (3.3).
    Publish(Publish<'a>),
    /// Either way: QoS 1 acknowledgement (3.4).
    PubAck(Ack<'a>),
    /// Either way: QoS 2, first acknowledgement (3.5).
    PubRec(Ack<'a>),
    /// Either way: QoS 2, release (3.6).
    PubRel(Ack<'a>),
    /// Either way: QoS 2, completion (3.7).
    PubComp(Ack<'a>),
    /// Client to server (3.8).
    Subscribe(Subscribe<'a>),
    /// Server to client (3.9).
    SubAck(SubAck<'a>),
    /// Client to server (3.10).
    Unsubscribe(Unsubscribe<'a>),
    /// Server to client (3.11); before 5.0 it carries no reason codes.
    UnsubAck(SubAck<'a>),
    /// Client to server (3.12).
    PingReq,
    /// Server to client (3.13).
    PingResp,
    /// Client to server; from 5.0 on either way (3.14).
    Disconnect(Disconnect<'a>),
    /// Either way, 5.0 only (3.15).
    Auth(Auth<'a>),
}

/// CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect<'a> {
    /// Protocol name and level of the CONNECT.
    pub version: Version,
    /// The high bit of the protocol level: how bridges announce themselves before 5.0.
    pub bridge: bool,
    /// Clean Session (3.x) or Clean Start (5.0).
    pub clean_start: bool,
    /// Seconds; 0 turns the keep alive off.
    pub keep_alive: u16,
    /// May be empty: the server then assigns one, where the version allows.
    pub client_id: &'a str,
    /// The will, if one is set.
    pub will: Option<Will<'a>>,
    /// The user name, if one is given.
    pub username: Option<&'a str>,
    /// The password: binary data.
    pub password: Option<&'a [u8]>,
    /// CONNECT properties (5.0).
    pub properties: Properties<'a>,
}

/// Without the password, and without the properties, where proofs of who it is may be.
impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("bridge", &self.bridge)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("username", &self.username)
            .field("password", &self.password.map(|_| "***"))
            .finish_non_exhaustive()
    }
}

/// The will of a CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will<'a> {
    /// QoS the will is to be published at.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Topic it is published to.
    pub topic: TopicName<'a>,
    /// What is published.
    pub payload: &'a [u8],
    /// Will properties (5.0), the delay interval among them.
    pub properties: Properties<'a>,
}

/// CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// The server holds a session for this client identifier; false unless `reason` is success.
    pub session_present: bool,
    /// The 5.0 code; before 5.0 it is mapped from and to the six return codes.
    pub reason: ReasonCode,
    /// CONNACK properties (5.0).
    pub properties: Properties<'a>,
}

/// PUBLISH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish<'a> {
    /// QoS with what belongs to it.
    pub delivery: Delivery,
    /// The RETAIN flag.
    pub retain: bool,
    /// `None` when the topic is empty: a topic alias names it (5.0).
    pub topic: Option<TopicName<'a>>,
    /// PUBLISH properties (5.0).
    pub properties: Properties<'a>,
    /// The application message.
    pub payload: &'a [u8],
}

/// The QoS of a PUBLISH with the packet identifier and DUP flag that only QoS 1 and 2 have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// QoS 0; the DUP flag is zero [MQTT-3.3.1-2].
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce {
        /// Answered by the PUBACK.
        packet_id: PacketId,
        /// Set when this may repeat an earlier attempt.
        dup: bool,
    },
    /// QoS 2.
    ExactlyOnce {
        /// Answered by the PUBREC.
        packet_id: PacketId,
        /// Set when this may repeat an earlier attempt.
        dup: bool,
    },
}

impl Delivery {
    /// The QoS alone.
    #[inline]
    #[must_use]
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The packet identifier, which QoS 0 does not have.
    #[inline]
    #[must_use]
    pub const fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { packet_id, .. } | Self::ExactlyOnce { packet_id, .. } => {
                Some(packet_id)
            }
        }
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The PUBLISH this is about.
    pub packet_id: PacketId,
    /// Success before 5.0.
    pub reason: ReasonCode,
    /// Reason string and user properties (5.0).
    pub properties: Properties<'a>,
}

/// SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Answered by the SUBACK.
    pub packet_id: PacketId,
    /// Subscription identifier and user properties (5.0).
    pub properties: Properties<'a>,
    /// At least one [MQTT-3.8.3-2].
    pub filters: Vec<(TopicFilter<'a>, SubscribeOptions)>,
}

/// The options of one topic filter in a SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Highest QoS wanted.
    pub qos: QoS,
    /// Own messages are not to come back (5.0).
    pub no_local: bool,
    /// The RETAIN flag is to be kept as it was published (5.0).
    pub retain_as_published: bool,
    /// Which retained messages are wanted at subscribing (5.0).
    pub retain_handling: RetainHandling,
}

/// When a subscription is sent the retained messages it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetainHandling {
    /// At every SUBSCRIBE.
    #[default]
    Always,
    /// Only if the subscription did not exist.
    IfNew,
    /// Never.
    Never,
}

/// SUBACK or UNSUBACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The SUBSCRIBE or UNSUBSCRIBE this answers.
    pub packet_id: PacketId,
    /// Reason string and user properties (5.0).
    pub properties: Properties<'a>,
    /// One for each filter, in order; empty in an UNSUBACK before 5.0.
    pub reasons: Vec<ReasonCode>,
}

/// UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Answered by the UNSUBACK.
    pub packet_id: PacketId,
    /// User properties (5.0).
    pub properties: Properties<'a>,
    /// At least one [MQTT-3.10.3-2].
    pub filters: Vec<TopicFilter<'a>>,
}

/// DISCONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Normal disconnection before 5.0.
    pub reason: ReasonCode,
    /// Session expiry, reason string, server reference, user properties (5.0).
    pub properties: Properties<'a>,
}

/// AUTH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Success, continue or re-authenticate.
    pub reason: ReasonCode,
    /// Authentication method and data, reason string, user properties.
    pub properties: Properties<'a>,
}
