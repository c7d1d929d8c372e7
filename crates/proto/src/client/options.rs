//! What a client asks for in CONNECT, and what the server answers in CONNACK.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Asked, CONNECT_TIMEOUT};
use crate::codec::{self, EncodeError};
use crate::packet::{ConnAck, Connect, Will};
use crate::property::{Property, PropertyBuf};
use crate::qos::QoS;
use crate::topic::TopicName;
use crate::version::Version;

/// What to connect with. The defaults are those of the standard; what a version has no place for
/// is not sent.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Protocol version. Default 5.0.
    pub version: Version,
    /// Empty: the server assigns one, where version and options allow.
    pub client_id: String,
    /// Begin a new session. Default yes.
    pub clean_start: bool,
    /// Seconds; 0 is off. Default 60.
    pub keep_alive: u16,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Vec<u8>>,
    /// The will.
    pub will: Option<WillOptions>,
    /// Seconds that the session outlives the connection; `u32::MAX` is for ever. Default 0.
    pub session_expiry_interval: u32,
    /// QoS 1 and 2 messages that the server may send before they are acknowledged.
    /// Default 65 535.
    pub receive_maximum: u16,
    /// Bytes of a whole packet that are taken. Default: whatever can be sent.
    pub maximum_packet_size: u32,
    /// The highest topic alias that the server may set. Default 0.
    pub topic_alias_maximum: u16,
    /// Set topic aliases for what is published, as far as the server takes them. Default no.
    pub topic_aliases: bool,
    /// Any other properties: authentication method and data, request problem or response
    /// information, user properties.
    pub properties: PropertyBuf,
    /// How long the CONNACK may take. Default 10 s.
    pub connect_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            version: Version::V5_0,
            client_id: String::new(),
            clean_start: true,
            keep_alive: 60,
            username: None,
            password: None,
            will: None,
            session_expiry_interval: 0,
            receive_maximum: u16::MAX,
            maximum_packet_size: codec::MAX_PACKET_SIZE,
            topic_alias_maximum: 0,
            topic_aliases: false,
            properties: PropertyBuf::new(),
            connect_timeout: CONNECT_TIMEOUT,
        }
    }
}

/// The will.
#[derive(Debug, Clone)]
pub struct WillOptions {
    /// Checked topic name.
    topic: Box<str>,
    /// What is published.
    pub payload: Vec<u8>,
    /// At this QoS.
    pub qos: QoS,
    /// And retained or not.
    pub retain: bool,
    /// Will delay interval, message expiry interval, content type and so on.
    pub properties: PropertyBuf,
}

impl WillOptions {
    /// A will at QoS 0, not retained.
    #[must_use]
    pub fn new(topic: TopicName<'_>, payload: Vec<u8>) -> Self {
        Self {
            topic: topic.as_str().into(),
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            properties: PropertyBuf::new(),
        }
    }
}

impl ConnectOptions {
    pub(super) fn asked(&self) -> Asked {
        let properties = self.properties.as_properties();
        Asked {
            clean_start: self.clean_start,
            authentication: properties.authentication_method().is_some(),
            topic_aliases: self.topic_aliases,
            receive_maximum: self.receive_maximum,
            maximum_packet_size: self.maximum_packet_size,
            keep_alive: self.keep_alive,
        }
    }

    pub(super) fn properties(&self) -> Result<PropertyBuf, EncodeError> {
        let mut properties = PropertyBuf::new();
        if self.session_expiry_interval > 0 {
            properties.try_push(Property::SessionExpiryInterval(self.session_expiry_interval))?;
        }
        if self.receive_maximum < u16::MAX {
            properties.try_push(Property::ReceiveMaximum(self.receive_maximum))?;
        }
        if self.maximum_packet_size < codec::MAX_PACKET_SIZE {
            properties.try_push(Property::MaximumPacketSize(self.maximum_packet_size))?;
        }
        if self.topic_alias_maximum > 0 {
            properties.try_push(Property::TopicAliasMaximum(self.topic_alias_maximum))?;
        }
        properties.extend(self.properties.as_properties());
        Ok(properties)
    }

    pub(super) fn packet<'a>(
        &'a self,
        client_id: &'a str,
        properties: &'a PropertyBuf,
    ) -> Connect<'a> {
        Connect {
            version: self.version,
            bridge: false,
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            client_id,
            will: self.will.as_ref().map(WillOptions::packet),
            username: self.username.as_deref(),
            password: self.password.as_deref(),
            properties: properties.as_properties(),
        }
    }
}

impl WillOptions {
    fn packet(&self) -> Will<'_> {
        Will {
            qos: self.qos,
            retain: self.retain,
            topic: TopicName::from_checked(&self.topic),
            payload: &self.payload,
            properties: self.properties.as_properties(),
        }
    }
}

/// What the server allows; before its CONNACK, and before 5.0, what the standard supposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// QoS 1 and 2 messages that may be sent before they are acknowledged.
    pub receive_maximum: u16,
    /// The highest QoS that may be published.
    pub maximum_qos: QoS,
    /// Whether RETAIN may be set.
    pub retain_available: bool,
    /// The longest packet that may be sent.
    pub maximum_packet_size: u32,
    /// The highest topic alias that may be set.
    pub topic_alias_maximum: u16,
    /// Which kinds of subscription may be asked for.
    pub subscriptions: SubscriptionsAvailable,
    /// The keep alive in force, in seconds.
    pub keep_alive: u16,
}

/// Which kinds of subscription a server grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionsAvailable {
    /// Those with wildcards.
    pub wildcard: bool,
    /// Those with a subscription identifier.
    pub identifier: bool,
    /// Shared ones.
    pub shared: bool,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            receive_maximum: u16::MAX,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            maximum_packet_size: codec::MAX_PACKET_SIZE,
            topic_alias_maximum: 0,
            subscriptions: SubscriptionsAvailable {
                wildcard: true,
                identifier: true,
                shared: true,
            },
            keep_alive: 0,
        }
    }
}

impl ServerLimits {
    /// What a CONNACK says; `keep_alive` is what CONNECT asked for.
    pub(super) fn from_connack(connack: &ConnAck<'_>, keep_alive: u16) -> Self {
        let properties = connack.properties;
        let default = Self::default();
        Self {
            receive_maximum: properties.receive_maximum().unwrap_or(default.receive_maximum),
            maximum_qos: properties.maximum_qos().unwrap_or(default.maximum_qos),
            retain_available: properties.retain_available().unwrap_or(true),
            maximum_packet_size: properties
                .maximum_packet_size()
                .unwrap_or(default.maximum_packet_size),
            topic_alias_maximum: properties.topic_alias_maximum().unwrap_or(0),
            subscriptions: SubscriptionsAvailable {
                wildcard: properties.wildcard_subscription_available().unwrap_or(true),
                identifier: properties.subscription_identifier_available().unwrap_or(true),
                shared: properties.shared_subscription_available().unwrap_or(true),
            },
            // [MQTT-3.1.2-21], [MQTT-3.2.2-21]
            keep_alive: properties.server_keep_alive().unwrap_or(keep_alive),
        }
    }
}
