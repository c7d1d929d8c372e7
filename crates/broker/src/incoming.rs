//! A message while it is handed out, and the form in which one receiver gets it.

use core::cell::{Cell, OnceCell};
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::packet::{Delivery, Publish};
use dunlin_proto::property::{Properties, PropertyBuf};
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::version::Version;

use crate::journal::StoredMessage;
use crate::message::{Message, Stored};
use crate::pool::Pool;
use crate::router::SessionKey;

/// Payloads of this size and above are shared between receivers, smaller ones copied: below, the
/// second slice of a vectored write costs more than the copy.
const SHARED_PAYLOAD: usize = 2048;

/// A message on its way through the router.
pub(crate) struct Incoming<'a> {
    pub(crate) publisher: Option<SessionKey>,
    pub(crate) topic: &'a Arc<str>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// The properties that travel on; the expiry interval is `expires`.
    pub(crate) properties: Properties<'a>,
    pub(crate) expires: Time,
    pub(crate) payload: &'a [u8],
    /// The packet it came in, if that can be sent on as it is.
    pub(crate) wire: Option<Wire<'a>>,
    /// The identifier under which it is, or is about to be, stored; 0 if it is not.
    pub(crate) id: Cell<u64>,
    /// Made when the first receiver needs to keep it.
    message: OnceCell<Arc<Message>>,
}

/// A PUBLISH without DUP, RETAIN and properties: what a receiver of the same protocol family and QoS is
/// sent differs from it in the packet identifier at most.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'a> {
    pub(crate) frame: &'a [u8],
    /// Whether it has the (empty) properties of 5.0.
    pub(crate) v5: bool,
    /// Where the packet identifier stands; meaningless at QoS 0.
    pub(crate) packet_id_at: usize,
}

impl<'a> Wire<'a> {
    /// The frame of a PUBLISH without properties, unless a flag is set in it or its length could be
    /// said in fewer bytes [MQTT-1.5.5-1].
    #[inline]
    pub(crate) fn of(frame: &'a [u8], publish: &Publish<'_>, version: Version) -> Option<Self> {
        let dup = match publish.delivery {
            Delivery::AtMostOnce => false,
            Delivery::AtLeastOnce { dup, .. } | Delivery::ExactlyOnce { dup, .. } => dup,
        };
        let v5 = version.is_v5();
        let packet_id_at = frame.len().checked_sub(publish.payload.len() + 2 + usize::from(v5))?;
        let length = frame.get(1..5)?;
        let last = length.iter().position(|byte| *byte < 0x80)?;
        let shortest = last == 0 || length.get(last) != Some(&0);
        (!dup && !publish.retain && shortest).then_some(Self { frame, v5, packet_id_at })
    }
}

impl<'a> Incoming<'a> {
    /// A message that exists already.
    pub(crate) fn of(message: &'a Arc<Message>) -> Self {
        Self {
            publisher: None,
            topic: &message.topic,
            qos: message.qos,
            retain: message.retain,
            properties: message.properties.as_properties(),
            expires: message.expires,
            payload: &message.payload,
            wire: None,
            id: Cell::new(message.id.get()),
            message: OnceCell::from(Arc::clone(message)),
        }
    }

    /// A message that so far is only bytes.
    pub(crate) fn new(topic: &'a Arc<str>, qos: QoS, retain: bool, payload: &'a [u8]) -> Self {
        Self {
            publisher: None,
            topic,
            qos,
            retain,
            properties: Properties::EMPTY,
            expires: Time::MAX,
            payload,
            wire: None,
            id: Cell::new(0),
            message: OnceCell::new(),
        }
    }

    /// What it counts for in limits, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.as_bytes().len()
    }

    /// Whether receivers share the payload instead of having a copy each.
    #[inline]
    pub(crate) const fn is_shared(&self) -> bool {
        self.payload.len() >= SHARED_PAYLOAD
    }

    /// Gives it the identifier under which it is about to be stored; false if another shard was first.
    pub(crate) fn claim(&self, id: u64) -> bool {
        let claimed = self.message.get().map_or(id, |message| message.id.claim(id));
        self.id.set(claimed);
        claimed == id
    }

    /// It is not stored after all.
    pub(crate) fn disclaim(&self) {
        self.id.set(0);
        if let Some(message) = self.message.get() {
            message.id.disclaim();
        }
    }

    /// As records hold it.
    pub(crate) fn stored(&self) -> StoredMessage<'_> {
        StoredMessage {
            topic: self.topic,
            payload: self.payload,
            properties: self.properties.as_bytes(),
            expires: self.expires,
            qos: self.qos,
            retain: self.retain,
        }
    }

    /// The message to keep.
    #[inline]
    pub(crate) fn message(&self, pool: &mut Pool) -> &Arc<Message> {
        self.message.get_or_init(|| {
            let head = Message {
                topic: Arc::clone(self.topic),
                payload: Vec::new(),
                properties: copied(self.properties),
                expires: self.expires,
                qos: self.qos,
                retain: self.retain,
                id: Stored::new(self.id.get()),
            };
            pool.make(self.payload, head)
        })
    }
}

/// How one receiver gets a message.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    /// `None` for QoS 0.
    pub(crate) packet_id: Option<PacketId>,
    /// 0 when there is none.
    pub(crate) identifier: u32,
}

impl Form {
    pub(crate) const fn delivery(self) -> Delivery {
        match (self.qos, self.packet_id) {
            (QoS::AtLeastOnce, Some(packet_id)) => {
                Delivery::AtLeastOnce { packet_id, dup: self.dup }
            }
            (QoS::ExactlyOnce, Some(packet_id)) => {
                Delivery::ExactlyOnce { packet_id, dup: self.dup }
            }
            _ => Delivery::AtMostOnce,
        }
    }
}

fn copied(properties: Properties<'_>) -> PropertyBuf {
    let mut copy = PropertyBuf::new();
    copy.extend(properties);
    copy
}
