//! Application messages and other commands, owned: they wait until they can be sent, and may
//! have to be sent again.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::packet::{Delivery, Publish, SubscribeOptions};
use crate::property::{Properties, PropertyBuf};
use crate::qos::QoS;
use crate::topic::TopicName;

/// An application message, to be published or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Checked topic name.
    topic: Box<str>,
    /// What it carries.
    pub payload: Vec<u8>,
    /// At this QoS.
    pub qos: QoS,
    /// The RETAIN flag.
    pub retain: bool,
    /// The DUP flag, of a received message: it may have come before.
    pub dup: bool,
    /// PUBLISH properties (5.0). A received message has its subscription identifiers here.
    pub properties: PropertyBuf,
}

impl Message {
    /// A message at QoS 0, not retained, without properties.
    #[must_use]
    pub fn new(topic: TopicName<'_>, payload: Vec<u8>) -> Self {
        Self {
            topic: topic.as_str().into(),
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            dup: false,
            properties: PropertyBuf::new(),
        }
    }

    /// The same at another QoS.
    #[must_use]
    pub fn with_qos(self, qos: QoS) -> Self {
        Self { qos, ..self }
    }

    /// The same with RETAIN.
    #[must_use]
    pub fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    /// The topic it is published to.
    #[must_use]
    pub fn topic(&self) -> TopicName<'_> {
        TopicName::from_checked(&self.topic)
    }

    pub(super) fn received(topic: TopicName<'_>, publish: &Publish<'_>) -> Self {
        let dup = match publish.delivery {
            Delivery::AtMostOnce => false,
            Delivery::AtLeastOnce { dup, .. } | Delivery::ExactlyOnce { dup, .. } => dup,
        };
        Self {
            topic: topic.as_str().into(),
            payload: publish.payload.to_vec(),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            dup,
            properties: PropertyBuf::from(publish.properties),
        }
    }

    /// The PUBLISH with the whole topic.
    pub(super) fn packet(&self, delivery: Delivery) -> Publish<'_> {
        self.packet_with(delivery, Some(self.topic()), self.properties.as_properties())
    }

    pub(super) fn packet_with<'a>(
        &'a self,
        delivery: Delivery,
        topic: Option<TopicName<'a>>,
        properties: Properties<'a>,
    ) -> Publish<'a> {
        Publish { delivery, retain: self.retain, topic, properties, payload: &self.payload }
    }
}

/// Names a command, so that its outcome can be told from that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(super) u64);

impl Token {
    /// The number behind it: commands of a session are counted from 0.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A command that waits, or that is on its way.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) token: Token,
    pub(super) command: Command,
}

#[derive(Debug, Clone)]
pub(super) enum Command {
    Publish(Message),
    /// Boxed, as most commands are messages.
    Subscribe(Box<SubscribeCommand>),
    Unsubscribe(Box<UnsubscribeCommand>),
}

#[derive(Debug, Clone)]
pub(super) struct SubscribeCommand {
    /// Checked filters.
    pub(super) filters: Vec<(Box<str>, SubscribeOptions)>,
    pub(super) properties: PropertyBuf,
}

#[derive(Debug, Clone)]
pub(super) struct UnsubscribeCommand {
    /// Checked filters.
    pub(super) filters: Vec<Box<str>>,
    pub(super) properties: PropertyBuf,
}
