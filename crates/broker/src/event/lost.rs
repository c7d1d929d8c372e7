//! Why messages are lost, not taken, or taken in a lesser way.

use core::fmt;
use std::sync::Arc;

use dunlin_proto::qos::QoS;

use super::Cause;
use crate::limits::{Limit, Reached};

/// Why a message was not delivered to one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// QoS 0, and the client reads too slowly.
    SlowReader {
        /// Bytes waiting for it.
        pending: usize,
        /// `maximum_output`.
        limit: usize,
    },
    /// No room among the messages that wait for the session.
    QueueFull {
        /// Messages waiting.
        messages: usize,
        /// `maximum_queued_messages`.
        limit: usize,
    },
    /// No room in the bytes that may wait for the session or in this shard.
    QueueBytes {
        /// Bytes waiting.
        bytes: usize,
        /// The limit that was reached.
        limit: usize,
    },
    /// Larger than the Maximum Packet Size of the client [MQTT-3.1.2-24].
    TooLarge {
        /// Size of the packet.
        size: usize,
        /// What the client allows.
        limit: u32,
    },
    /// It expired before the client took it [MQTT-3.3.2-5].
    Expired,
}

/// Why a message was not taken from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// The topic is the broker's own.
    Reserved,
    /// A limit was reached.
    Limit(Reached),
    /// There is no room for it on the disk.
    DiskFull,
    /// With the mount point of the listener the topic is longer than topics can be.
    Mounted,
}

/// What a client got less of than it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downgrade {
    /// The `QoS` of a subscription, because of the listener.
    Qos {
        /// To what.
        filter: Arc<str>,
        /// As it was asked for.
        asked: QoS,
        /// As it was granted.
        granted: QoS,
    },
    /// The keep alive, in seconds.
    KeepAlive {
        /// As it was asked for; 0: none.
        asked: u16,
        /// As it was granted.
        granted: u16,
    },
    /// The session expiry interval, in seconds.
    SessionExpiry {
        /// As it was asked for.
        asked: u32,
        /// As it was granted.
        granted: u32,
    },
}

impl Drop {
    /// By which name counters know it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::SlowReader { .. } => Cause::SlowReader,
            Self::QueueFull { .. } | Self::QueueBytes { .. } => Cause::QueueFull,
            Self::TooLarge { .. } => Cause::TooLargeForClient,
            Self::Expired => Cause::MessageExpired,
        }
    }

    /// The limit behind it.
    #[must_use]
    pub const fn limit(&self) -> Option<Limit> {
        match self {
            Self::SlowReader { .. } => Some(Limit::Output),
            Self::QueueFull { .. } => Some(Limit::QueuedMessages),
            Self::QueueBytes { .. } => Some(Limit::QueuedBytes),
            Self::TooLarge { .. } | Self::Expired => None,
        }
    }
}

impl NotTaken {
    /// By which name counters know it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Reserved => Cause::ReservedTopic,
            Self::Limit(reached) => reached.limit.cause(),
            Self::DiskFull => Cause::DiskFull,
            Self::Mounted => Cause::MountedTooLong,
        }
    }
}

impl Downgrade {
    /// By which name counters know it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Qos { .. } => Cause::QosLowered,
            Self::KeepAlive { .. } => Cause::KeepAliveLowered,
            Self::SessionExpiry { .. } => Cause::SessionExpiryLowered,
        }
    }

    /// The limit behind it.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        match self {
            Self::Qos { .. } => Limit::MaximumQos,
            Self::KeepAlive { .. } => Limit::KeepAlive,
            Self::SessionExpiry { .. } => Limit::SessionExpiry,
        }
    }
}

impl fmt::Display for Drop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SlowReader { pending, limit } => {
                let reached = Reached::new(Limit::Output, pending, limit);
                write!(f, "it reads too slowly for QoS 0: {reached}")
            }
            Self::QueueFull { messages, limit } => {
                Reached::new(Limit::QueuedMessages, messages, limit).fmt(f)
            }
            Self::QueueBytes { bytes, limit } => {
                Reached::new(Limit::QueuedBytes, bytes, limit).fmt(f)
            }
            Self::TooLarge { size, limit } => {
                write!(f, "the packet has {size} bytes and the client takes at most {limit}")
            }
            Self::Expired => f.write_str("they expired before the client took them"),
        }
    }
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved => f.write_str("the topic is the broker's own"),
            Self::Limit(reached) => reached.fmt(f),
            Self::DiskFull => f.write_str("the disk has no room for it"),
            Self::Mounted => f.write_str("with the mount point the topic is too long"),
        }
    }
}

impl fmt::Display for Downgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qos { filter, asked, granted } => write!(
                f,
                "its subscription to {filter:?} asked for QoS {} and is granted QoS {} (setting {})",
                asked.as_u8(),
                granted.as_u8(),
                Limit::MaximumQos
            ),
            Self::KeepAlive { asked, granted } => write!(
                f,
                "its keep alive of {asked} s is {granted} s now (setting {})",
                Limit::KeepAlive
            ),
            Self::SessionExpiry { asked, granted } => write!(
                f,
                "its session expiry interval of {asked} s is {granted} s now (setting {})",
                Limit::SessionExpiry
            ),
        }
    }
}
