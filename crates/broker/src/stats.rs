//! Counters of one shard.

use crate::event::Causes;

/// What a shard has done since it started, and what it holds now.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Bytes received from clients.
    pub bytes_received: u64,
    /// Bytes handed to connections for writing.
    pub bytes_sent: u64,
    /// Control packets received.
    pub messages_received: u64,
    /// Control packets sent.
    pub messages_sent: u64,
    /// PUBLISH packets received.
    pub publish_received: u64,
    /// PUBLISH packets sent.
    pub publish_sent: u64,
    /// Payload bytes in PUBLISH packets received.
    pub publish_bytes_received: u64,
    /// Payload bytes in PUBLISH packets sent.
    pub publish_bytes_sent: u64,
    /// Messages not delivered to a subscriber that should have had them, for any cause.
    pub publish_dropped: u64,
    /// Of these: QoS 0 to a reader whose output was over budget.
    pub dropped_slow_reader: u64,
    /// Of these: no room in the session's queue.
    pub dropped_queue_full: u64,
    /// Of these: larger than the receiver's maximum packet size.
    pub dropped_too_large: u64,
    /// Of these: expired before they could be delivered.
    pub dropped_expired: u64,
    /// Messages not retained because as many as are allowed are.
    pub retained_refused: u64,
    /// Connections accepted.
    pub connections_opened: u64,
    /// CONNECT packets accepted.
    pub connects_accepted: u64,
    /// Connections refused, or closed for a violation.
    pub refused: u64,
    /// Sessions taken over by a newer connection.
    pub takeovers: u64,
    /// Sessions ended because their expiry interval passed.
    pub sessions_expired: u64,
    /// Connections that have been accepted by CONNACK, now.
    pub clients_connected: u64,
    /// Sessions, with or without a connection, now.
    pub sessions: u64,
    /// Messages waiting in the queues and windows of sessions, now.
    pub queued_messages: u64,
    /// Bytes of these.
    pub queued_bytes: u64,
    /// Events, told or not, by their cause.
    pub causes: Causes,
}
