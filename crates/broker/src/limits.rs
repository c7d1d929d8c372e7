//! The limits by name: what somebody ran into, and which setting is to be changed.

use core::fmt;

use crate::event::Cause;

/// The limits, each with its key in `dunlin.toml`, its key in `mosquitto.conf` (empty if that has none) and
/// what it counts.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident = $key:literal $mosquitto:literal $what:literal;)+) => {
        /// A limit, named by its setting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Limit { $($(#[$doc])* $name,)+ }

        impl Limit {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The setting in `dunlin.toml`.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)+ }
            }

            /// The setting in `mosquitto.conf`, where there is one.
            #[must_use]
            pub const fn mosquitto_key(self) -> Option<&'static str> {
                let key = match self { $(Self::$name => $mosquitto,)+ };
                if key.is_empty() { None } else { Some(key) }
            }

            /// What it counts.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)+ }
            }
        }
    };
}

limits! {
    /// Connections of the whole server.
    Connections = "limits.connections" "global_max_connections" "connections";
    /// Sessions, connected or not.
    Sessions = "limits.clients" "global_max_clients" "sessions";
    /// Connections by one listener.
    ListenerConnections = "listener.maximum_connections" "max_connections" "connections by this listener";
    /// Connections from one address.
    AddressConnections = "limits.connections_per_address" "" "connections from this address";
    /// Connections of one user.
    UserConnections = "limits.connections_per_user" "" "connections of this user";
    /// New connections in a second.
    ConnectRate = "limits.connect_rate_total" "" "new connections in a second";
    /// New connections from one address in a second.
    AddressConnectRate = "limits.connect_rate" "" "new connections from this address in a second";
    /// The largest packet.
    PacketSize = "limits.maximum_packet_size" "max_packet_size" "bytes in a packet";
    /// The largest payload.
    PayloadSize = "limits.maximum_payload_size" "message_size_limit" "bytes of payload";
    /// User properties of a packet.
    UserProperties = "limits.maximum_user_properties" "" "user properties in a packet";
    /// The longest keep alive.
    KeepAlive = "limits.maximum_keep_alive" "max_keepalive" "seconds of keep alive";
    /// The longest session expiry interval.
    SessionExpiry = "limits.maximum_session_expiry" "persistent_client_expiration" "seconds of session expiry";
    /// The highest `QoS` of a listener.
    MaximumQos = "listener.maximum_qos" "max_qos" "as the highest QoS";
    /// Subscriptions of a session.
    Subscriptions = "limits.maximum_subscriptions" "" "subscriptions of one session";
    /// Output waiting for a connection.
    Output = "limits.maximum_output" "" "bytes waiting to be written";
    /// Messages waiting for a session.
    QueuedMessages = "limits.maximum_queued_messages" "max_queued_messages" "messages waiting for the session";
    /// Bytes waiting for a session.
    QueuedBytes = "limits.maximum_queued_bytes" "max_queued_bytes" "bytes waiting for the session";
    /// Bytes waiting in a shard.
    ShardQueueBytes = "limits.maximum_shard_queue_bytes" "" "bytes waiting in this shard";
    /// `QoS` 2 messages held for a session.
    HeldBytes = "limits.maximum_held_bytes" "" "bytes of QoS 2 messages not released";
    /// Messages of one client in a second.
    PublishRate = "limits.publish_rate" "" "messages in a second from this client";
    /// Bytes of one client in a second.
    PublishBytesRate = "limits.publish_bytes_rate" "" "bytes in a second from this client";
    /// Retained messages.
    Retained = "retained.maximum" "" "retained messages";
    /// Bytes of retained messages.
    RetainedBytes = "retained.maximum_bytes" "" "bytes of retained messages";
    /// Memory of the process.
    Memory = "limits.memory" "memory_limit" "bytes of memory";
}

impl Limit {
    /// By which name counters know that it was reached.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::Connections | Self::ListenerConnections => Cause::TooManyConnections,
            Self::Sessions => Cause::TooManySessions,
            Self::AddressConnections => Cause::TooManyFromAddress,
            Self::UserConnections => Cause::TooManyOfUser,
            Self::ConnectRate | Self::AddressConnectRate => Cause::ConnectRate,
            Self::PacketSize | Self::PayloadSize => Cause::PayloadTooLarge,
            Self::UserProperties => Cause::UserProperties,
            Self::KeepAlive => Cause::KeepAliveLowered,
            Self::SessionExpiry => Cause::SessionExpiryLowered,
            Self::MaximumQos => Cause::QosLowered,
            Self::Subscriptions => Cause::TooManySubscriptions,
            Self::Output => Cause::SlowReader,
            Self::QueuedMessages | Self::QueuedBytes | Self::ShardQueueBytes => Cause::QueueFull,
            Self::HeldBytes => Cause::HeldFull,
            Self::PublishRate | Self::PublishBytesRate => Cause::PublishRate,
            Self::Retained | Self::RetainedBytes => Cause::RetainedFull,
            Self::Memory => Cause::MemoryFull,
        }
    }
}

/// The setting, as somebody is told which one to change.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mosquitto_key() {
            Some(key) => write!(f, "{}, in mosquitto.conf {key}", self.key()),
            None => f.write_str(self.key()),
        }
    }
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Which one.
    pub limit: Limit,
    /// How much there is or was asked for.
    pub value: u64,
    /// How much is allowed.
    pub allowed: u64,
}

impl Reached {
    /// This limit, with what was found and what is allowed.
    #[must_use]
    pub const fn new(limit: Limit, value: usize, allowed: usize) -> Self {
        Self { limit, value: value as u64, allowed: allowed as u64 }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, value, allowed } = self;
        write!(f, "{value} {}, {allowed} allowed (setting {limit})", limit.what())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_reached_names_value_and_setting() {
        let reached = Reached::new(Limit::Connections, 7, 7);
        assert_eq!(
            reached.to_string(),
            "7 connections, 7 allowed (setting limits.connections, in mosquitto.conf global_max_connections)"
        );
        let reached = Reached::new(Limit::UserConnections, 3, 2);
        assert!(reached.to_string().ends_with("(setting limits.connections_per_user)"));
    }

    #[test]
    fn no_setting_is_named_twice() {
        let mut keys: Vec<_> = Limit::ALL.iter().map(|limit| limit.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), Limit::ALL.len());
    }
}
