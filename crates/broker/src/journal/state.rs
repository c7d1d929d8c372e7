//! What the records of a store come to: where the broker goes on after a restart.

use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::qos::{PacketId, QoS};

use super::record::Target;
use crate::guard::Identity;
use crate::message::Message;

/// All that was kept.
#[derive(Debug, Default)]
pub struct State {
    /// In the order of their numbers.
    pub sessions: Vec<SessionState>,
    /// In no order.
    pub retained: Vec<RetainedState>,
    /// Every session number is below.
    pub next_number: u64,
    /// Every message identifier is below.
    pub next_message: u64,
    /// Every stamp of a retained message is below.
    pub next_stamp: u64,
}

/// A session that goes on.
#[derive(Debug)]
pub struct SessionState {
    /// Its number in records.
    pub number: u64,
    /// The client identifier.
    pub client_id: String,
    /// The user name its client was let in with.
    pub username: Option<String>,
    /// The listener its client came in by.
    pub listener: u16,
    /// Session expiry interval in seconds; 0 for one that only has a will left to publish.
    pub expiry: u32,
    /// When it ends and since when it was without a connection; `None` if it had one when the broker ended.
    pub ends_at: Option<Time>,
    /// Its will, if it still has one.
    pub will: Option<WillState>,
    /// In the order of their filters.
    pub subscriptions: Vec<SubscriptionState>,
    /// Messages for the client, in the order of their identifiers.
    pub queue: Vec<QueuedState>,
    /// Packet identifiers whose PUBREL the client has to answer, in the order of their PUBREC.
    pub releases: Vec<PacketId>,
    /// QoS 2 messages from the client that it has not released.
    pub held: Vec<HeldState>,
}

/// A will that was not published.
#[derive(Debug)]
pub struct WillState {
    /// What is to be published.
    pub message: Message,
    /// Message expiry interval in seconds, counted from its publication.
    pub expiry: Option<u32>,
    /// Will delay interval in seconds.
    pub delay: u32,
    /// When it is to be published; `None` if the session had a connection.
    pub due: Option<Time>,
}

/// A subscription of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionState {
    /// The topic filter as it was subscribed, `$share/group/` included.
    pub filter: String,
    /// Granted QoS.
    pub qos: QoS,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Subscription identifier; 0 for none.
    pub identifier: u32,
}

/// A message that a session is still to have.
#[derive(Debug)]
pub struct QueuedState {
    /// The message.
    pub id: u64,
    /// How this session gets it, and under which packet identifier it was sent.
    pub target: Target,
    /// What it counts for in limits, in bytes.
    pub bytes: u32,
    /// When it expires; `Time::MAX` for never.
    pub expires: Time,
    /// The message itself if it was sent already; else it is loaded when it is its turn.
    pub message: Option<Arc<Message>>,
}

/// A QoS 2 message that its publisher has not released.
#[derive(Debug)]
pub struct HeldState {
    /// The packet identifier the publisher chose.
    pub packet_id: PacketId,
    /// The message.
    pub message: Arc<Message>,
}

/// The retained message of a topic.
#[derive(Debug)]
pub struct RetainedState {
    /// The message, which names the topic.
    pub message: Arc<Message>,
    /// Its place in the order of changes.
    pub stamp: u64,
    /// Who published it, if that is known.
    pub publisher: Option<Arc<Identity>>,
}
