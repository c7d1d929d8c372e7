//! An application message as the broker keeps it.

use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::property::PropertyBuf;
use dunlin_proto::qos::QoS;
use dunlin_proto::topic::TopicName;

/// An application message: written once, shared by every session that is to receive it.
#[derive(Debug)]
pub struct Message {
    pub(crate) topic: Arc<str>,
    pub(crate) payload: Vec<u8>,
    /// The properties that travel with the message; the expiry interval is `expires`.
    pub(crate) properties: PropertyBuf,
    /// `Time::MAX` when the message does not expire.
    pub(crate) expires: Time,
    pub(crate) qos: QoS,
    /// The RETAIN flag as it was published.
    pub(crate) retain: bool,
}

impl Message {
    /// Topic the message was published to.
    #[must_use]
    pub fn topic(&self) -> TopicName<'_> {
        TopicName::new(&self.topic).expect("only valid topic names become messages")
    }

    /// The application data.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// When it expires, if it does.
    #[must_use]
    pub fn expires(&self) -> Option<Time> {
        (self.expires != Time::MAX).then_some(self.expires)
    }

    /// QoS it was published at.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// What it counts for in limits: topic, payload and properties, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.as_properties().as_bytes().len()
    }

    /// Whether it is not to be delivered any more [MQTT-3.3.2-5].
    #[inline]
    pub(crate) fn expired(&self, now: Time) -> bool {
        self.expires <= now
    }

    #[cfg(test)]
    pub(crate) fn head_for_test(topic: &str) -> Self {
        Self {
            topic: topic.into(),
            payload: Vec::new(),
            properties: PropertyBuf::new(),
            expires: Time::MAX,
            qos: QoS::AtMostOnce,
            retain: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(topic: &str, payload: &[u8]) -> Arc<Self> {
        Arc::new(Self { payload: payload.to_vec(), ..Self::head_for_test(topic) })
    }
}
