//! An application message as the broker keeps it.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use dunlin_proto::property::{Properties, PropertyBuf};
use dunlin_proto::qos::QoS;
use dunlin_proto::topic::TopicName;
use dunlin_proto::violation::PropertyContext;
use dunlin_proto::{PacketType, Time};

use crate::guard::Identity;
use crate::journal::StoredMessage;

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
    /// Under which identifier it is stored; 0 if it is not.
    pub(crate) id: Stored,
}

/// The retained message of a topic.
#[derive(Debug, Clone)]
pub struct RetainedMessage {
    /// The message.
    pub message: Arc<Message>,
    /// Who published it; `None` if that is not known, or nobody who can be judged.
    pub publisher: Option<Arc<Identity>>,
}

/// The identifier under which a message is stored, which it may be given once, by any shard.
#[derive(Debug, Default)]
pub(crate) struct Stored(AtomicU64);

impl Stored {
    pub(crate) const fn new(id: u64) -> Self {
        Self(AtomicU64::new(id))
    }

    /// 0 if it is not stored.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Gives it this identifier, unless it has one; returns the one it has.
    pub(crate) fn claim(&self, id: u64) -> u64 {
        match self.0.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => id,
            Err(earlier) => earlier,
        }
    }

    /// It is not stored, and nobody else has seen that it was to be.
    pub(crate) fn disclaim(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Message {
    /// A message that was stored under this identifier; `None` if its properties are not what a
    /// PUBLISH may carry.
    #[must_use]
    pub fn restored(id: u64, stored: &StoredMessage<'_>) -> Option<Self> {
        let mut properties = PropertyBuf::new();
        if !stored.properties.is_empty() {
            let context = PropertyContext::Packet(PacketType::Publish);
            properties.extend(Properties::parse(stored.properties, context).ok()?);
        }
        Some(Self {
            topic: stored.topic.into(),
            payload: stored.payload.into(),
            properties,
            expires: stored.expires,
            qos: stored.qos,
            retain: stored.retain,
            id: Stored::new(id),
        })
    }

    /// The message as records hold it.
    #[must_use]
    pub fn stored(&self) -> StoredMessage<'_> {
        StoredMessage {
            topic: &self.topic,
            payload: &self.payload,
            properties: self.properties.as_properties().as_bytes(),
            expires: self.expires,
            qos: self.qos,
            retain: self.retain,
        }
    }

    /// The same message, not stored.
    pub(crate) fn unstored(&self) -> Self {
        Self {
            topic: Arc::clone(&self.topic),
            payload: self.payload.clone(),
            properties: self.properties.clone(),
            expires: self.expires,
            qos: self.qos,
            retain: self.retain,
            id: Stored::default(),
        }
    }

    /// The identifier under which it is stored; 0 if it is not.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id.get()
    }

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
            id: Stored::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(topic: &str, payload: &[u8]) -> Arc<Self> {
        Arc::new(Self { payload: payload.to_vec(), ..Self::head_for_test(topic) })
    }
}
