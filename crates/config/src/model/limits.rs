//! Bounds, retained messages and delivery.

use std::time::Duration;

use dunlin_broker::Settings;

use super::Ages;
use crate::value::{Expiry, Limit, words};

/// The bounds of the whole broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Connections at once.
    pub connections: Limit,
    /// Sessions, connected or not.
    pub clients: Limit,
    /// Connections at once from one address.
    pub connections_per_address: Limit,
    /// Connections at once of one user.
    pub connections_per_user: Limit,
    /// New connections in a second, from one address.
    pub connect_rate: Limit,
    /// New connections in a second, from everywhere.
    pub connect_rate_total: Limit,
    /// Connections of a listener that are in the handshakes of TLS, WebSocket or a proxy.
    pub half_open: Limit,
    /// Connections of a listener whose CONNECT is not there.
    pub before_connect: Limit,
    /// The same from one address.
    pub before_connect_per_address: Limit,
    /// Bytes of CONNECTs of a listener that are not complete.
    pub before_connect_bytes: Limit,
    /// Bytes of memory of the process.
    pub memory: Limit,
    /// Bytes of one packet.
    pub maximum_packet_size: u32,
    /// Bytes of one payload.
    pub maximum_payload_size: Limit,
    /// User properties of one packet.
    pub maximum_user_properties: Limit,
    /// Unacknowledged messages of a client towards us.
    pub receive_maximum: u16,
    /// Topic aliases of a client towards us.
    pub topic_alias_maximum: u16,
    /// Our topic aliases towards a client.
    pub topic_alias_maximum_out: u16,
    /// Unacknowledged messages towards a client.
    pub maximum_inflight: u16,
    /// Bytes of them.
    pub maximum_inflight_bytes: Limit,
    /// Messages waiting for one session.
    pub maximum_queued_messages: Limit,
    /// Bytes of them.
    pub maximum_queued_bytes: Limit,
    /// Bytes of messages of `QoS` 2 held for one session.
    pub maximum_held_bytes: Limit,
    /// What happens when a queue is full.
    pub queue_full: QueueFullPolicy,
    /// Bytes waiting to be written to one connection.
    pub maximum_output: Limit,
    /// Bytes of queued messages that a shard keeps in memory.
    pub maximum_queue_memory: Limit,
    /// Bytes that all queues of a shard hold together.
    pub maximum_shard_queue_bytes: Limit,
    /// From opening a connection to its CONNECT.
    pub connect_timeout: Duration,
    /// Longest keep alive, in seconds.
    pub maximum_keep_alive: u16,
    /// Longest session expiry.
    pub maximum_session_expiry: Expiry,
    /// Subscriptions of one session.
    pub maximum_subscriptions: Limit,
    /// Levels of a topic.
    pub maximum_topic_levels: u16,
    /// Longest will delay.
    pub maximum_will_delay: Expiry,
    /// Messages in a second from one client.
    pub publish_rate: Limit,
    /// Bytes in a second from one client.
    pub publish_bytes_rate: Limit,
    /// Logins whose passwords are checked at once.
    pub password_checks: u16,
}

impl Default for Limits {
    fn default() -> Self {
        let broker = Settings::default();
        let at = |bound: usize| Limit::At(bound as u64);
        Self {
            connections: Limit::Unlimited,
            clients: Limit::Unlimited,
            connections_per_address: Limit::Unlimited,
            connections_per_user: Limit::Unlimited,
            connect_rate: Limit::Unlimited,
            connect_rate_total: Limit::Unlimited,
            half_open: Limit::At(1_000),
            before_connect: Limit::At(20_000),
            before_connect_per_address: Limit::At(4_000),
            before_connect_bytes: Limit::At(64 << 20),
            memory: Limit::Unlimited,
            maximum_packet_size: broker.maximum_packet_size,
            maximum_payload_size: Limit::Unlimited,
            maximum_user_properties: at(broker.maximum_user_properties),
            receive_maximum: broker.receive_maximum,
            topic_alias_maximum: broker.topic_alias_maximum,
            topic_alias_maximum_out: broker.topic_alias_maximum_out,
            maximum_inflight: broker.maximum_inflight,
            maximum_inflight_bytes: Limit::Unlimited,
            maximum_queued_messages: at(broker.maximum_queued_messages),
            maximum_queued_bytes: at(broker.maximum_queued_bytes),
            maximum_held_bytes: at(broker.maximum_held_bytes),
            queue_full: QueueFullPolicy::DropNewest,
            maximum_output: at(broker.maximum_output),
            maximum_queue_memory: at(broker.maximum_queue_memory),
            maximum_shard_queue_bytes: at(broker.maximum_shard_queue_bytes),
            connect_timeout: broker.connect_timeout,
            maximum_keep_alive: broker.maximum_keep_alive,
            maximum_session_expiry: Expiry::Never,
            maximum_subscriptions: at(broker.maximum_subscriptions),
            maximum_topic_levels: 201,
            maximum_will_delay: Expiry::Never,
            publish_rate: Limit::Unlimited,
            publish_bytes_rate: Limit::Unlimited,
            password_checks: 2,
        }
    }
}

words! {
    /// What to do with a message for a session whose queue is full.
    QueueFullPolicy {
        /// Drop the message that does not fit.
        DropNewest = "drop-newest",
        /// Drop the one that has waited longest.
        DropOldest = "drop-oldest",
    }
}

/// Retained messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Retained {
    /// Whether there are any.
    pub available: bool,
    /// Whether the publisher must still be allowed to write when a retained message is delivered.
    pub check_source: bool,
    /// When a retained message without an expiry of its own ends.
    pub expiry: Expiry,
    /// The same for some topics, before it.
    pub expiry_of: Ages,
    /// How many there may be.
    pub maximum: Limit,
    /// Bytes of them.
    pub maximum_bytes: Limit,
}

impl Default for Retained {
    fn default() -> Self {
        Self {
            available: true,
            check_source: true,
            expiry: Expiry::Never,
            expiry_of: Ages::default(),
            maximum: Limit::At(10_000_000),
            maximum_bytes: Limit::At(Settings::default().maximum_retained_bytes as u64),
        }
    }
}

/// How messages are delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Whether `QoS` 0 waits for sessions that are away.
    pub queue_qos0: bool,
    /// Whether the `QoS` of the subscription is used where that of the message is lower.
    pub upgrade_qos: bool,
    /// What a client with overlapping subscriptions receives.
    pub overlapping: OverlappingSubscriptions,
    /// What becomes of a will with a delay when its session ends before.
    pub will_delay: WillDelayPolicy,
    /// When a refusal is told in words.
    pub reason_strings: ReasonStringPolicy,
    /// With which codes clients are refused.
    pub refusal_codes: RefusalCodePolicy,
    /// Where the Response Information of CONNACK points.
    pub response_information: Option<String>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            queue_qos0: false,
            upgrade_qos: false,
            overlapping: OverlappingSubscriptions::Each,
            will_delay: WillDelayPolicy::Standard,
            reason_strings: ReasonStringPolicy::Asked,
            refusal_codes: RefusalCodePolicy::Telling,
            response_information: None,
        }
    }
}

words! {
    /// What a client with overlapping subscriptions receives.
    OverlappingSubscriptions {
        /// One copy for each subscription.
        Each = "each",
        /// One copy.
        Once = "once",
    }
}

words! {
    /// What becomes of a will with a delay when its session ends before.
    WillDelayPolicy {
        /// It is published with the end of the session.
        Standard = "standard",
        /// An end of the session with the connection does not cut the delay short, and a client that comes back
        /// in time takes its will back.
        Mosquitto = "mosquitto",
    }
}

words! {
    /// When a 5.0 client is told in words why something was refused.
    ReasonStringPolicy {
        /// If it set Request Problem Information to 1 itself.
        Asked = "asked",
        /// Unless it set it to 0.
        Always = "always",
        /// Not at all.
        Never = "never",
    }
}

words! {
    /// What clients are refused with where brokers differ.
    RefusalCodePolicy {
        /// With those that say why.
        Telling = "telling",
        /// As Mosquitto does, but limits are told, and what MQTT demands is done.
        Familiar = "familiar",
        /// As Mosquitto does.
        Mosquitto = "mosquitto",
    }
}
