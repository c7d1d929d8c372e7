//! What is worth a line in the log: who came, who went, who was refused, and why.

use core::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;
use dunlin_proto::{PacketType, Violation};

use crate::refusal::Refusal;

/// Something that happened, with its cause.
#[derive(Debug, Clone)]
pub enum Event {
    /// A CONNECT was accepted.
    Connected {
        /// Who.
        client: Arc<str>,
        /// From where.
        address: SocketAddr,
        /// With which version.
        version: Version,
        /// Seconds; 0 is off.
        keep_alive: u16,
        /// Whether the client asked for a clean start.
        clean_start: bool,
        /// Whether an earlier session was resumed.
        session_present: bool,
    },
    /// A connection ended before it was accepted.
    Refused {
        /// The client identifier, if the CONNECT was read.
        client: Option<Arc<str>>,
        /// From where.
        address: SocketAddr,
        /// Why.
        end: End,
    },
    /// An accepted connection ended.
    Disconnected {
        /// Who.
        client: Arc<str>,
        /// From where.
        address: SocketAddr,
        /// Why.
        end: End,
    },
    /// Messages for a client began to be dropped; told once per connection and cause.
    Dropping {
        /// For whom.
        client: Arc<str>,
        /// Topic of the first such message.
        topic: Arc<str>,
        /// Why.
        cause: Drop,
    },
    /// Messages began not to be retained because as many as are allowed are.
    RetainedFull {
        /// Topic of the first such message.
        topic: Arc<str>,
        /// `maximum_retained`.
        limit: usize,
    },
    /// A session ended because its expiry interval passed.
    SessionExpired {
        /// Whose.
        client: Arc<str>,
    },
    /// A will was published.
    WillPublished {
        /// Whose.
        client: Arc<str>,
        /// Where to.
        topic: Arc<str>,
    },
}

/// How loud an event is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Of interest when looking for something.
    Debug,
    /// Normal course.
    Info,
    /// Somebody will want to know.
    Warn,
}

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
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The client sent DISCONNECT.
    Client(ReasonCode),
    /// The client broke a rule.
    Violation(Violation),
    /// The CONNECT was refused.
    Refused(Refusal),
    /// Nothing came for one and a half times the keep alive [MQTT-3.1.2-22].
    KeepAlive {
        /// Seconds, as agreed.
        keep_alive: u16,
    },
    /// No CONNECT within the time for it.
    ConnectTimeout,
    /// A newer connection took the session over [MQTT-3.1.4-3].
    TakenOver,
    /// The other side closed the connection without DISCONNECT.
    PeerClosed,
    /// The connection broke.
    Broken(io::ErrorKind),
    /// The broker is stopping.
    ShuttingDown,
    /// An operator closed it.
    Administrative,
    /// What it was let in with is not valid any longer.
    TokenExpired,
    /// No AUTH within the time for it (4.12).
    AuthenticationTimeout,
}

impl fmt::Display for Drop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlowReader { pending, limit } => write!(
                f,
                "it reads too slowly for QoS 0: {pending} bytes wait, {limit} are allowed (maximum_output)"
            ),
            Self::QueueFull { messages, limit } => write!(
                f,
                "{messages} messages wait for it, {limit} are allowed (max_queued_messages)"
            ),
            Self::QueueBytes { bytes, limit } => {
                write!(f, "{bytes} bytes wait, {limit} are allowed (max_queued_bytes)")
            }
            Self::TooLarge { size, limit } => {
                write!(f, "the packet has {size} bytes and the client takes at most {limit}")
            }
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(ReasonCode::Success) => f.write_str("it disconnected"),
            Self::Client(reason) => {
                write!(f, "it disconnected with 0x{:02X} ({})", reason.as_u8(), reason.name())
            }
            Self::Violation(violation) => write!(f, "{violation} [{}]", violation.clause()),
            Self::Refused(refusal) => match refusal.by() {
                Some(by) => write!(f, "{refusal} ({by})"),
                None => write!(f, "{refusal}"),
            },
            Self::KeepAlive { keep_alive } => write!(
                f,
                "nothing came for one and a half times its keep alive of {keep_alive} s [MQTT-3.1.2-22]"
            ),
            Self::ConnectTimeout => f.write_str("no whole CONNECT came in time"),
            Self::TakenOver => {
                f.write_str("a newer connection uses the same client identifier [MQTT-3.1.4-3]")
            }
            Self::PeerClosed => f.write_str("it closed the connection without DISCONNECT"),
            Self::Broken(kind) => write!(f, "the connection broke: {kind}"),
            Self::ShuttingDown => f.write_str("the broker is stopping"),
            Self::Administrative => f.write_str("an operator closed it"),
            Self::TokenExpired => f.write_str("token expired"),
            Self::AuthenticationTimeout => f.write_str("no AUTH came in time"),
        }
    }
}

impl End {
    /// The reason code of the DISCONNECT that says so; `None` where none is sent.
    #[must_use]
    pub fn farewell(&self) -> Option<ReasonCode> {
        let reason = match self {
            Self::Violation(violation) => violation.reason_code(),
            Self::Refused(refusal) => refusal.reason(),
            Self::KeepAlive { .. } => ReasonCode::KeepAliveTimeout,
            Self::TakenOver => ReasonCode::SessionTakenOver,
            Self::ShuttingDown => ReasonCode::ServerShuttingDown,
            Self::Administrative => ReasonCode::AdministrativeAction,
            Self::TokenExpired | Self::AuthenticationTimeout => ReasonCode::NotAuthorized,
            Self::Client(_) | Self::ConnectTimeout | Self::PeerClosed | Self::Broken(_) => {
                return None;
            }
        };
        // Some are for CONNACK only: whoever may not connect is not authorized to stay.
        let told = reason.allowed_in(PacketType::Disconnect);
        Some(if told { reason } else { ReasonCode::NotAuthorized })
    }
}

impl Event {
    /// How loud to tell it.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::Connected { .. } | Self::SessionExpired { .. } => Level::Info,
            Self::WillPublished { .. } => Level::Debug,
            Self::Dropping { .. } | Self::RetainedFull { .. } => Level::Warn,
            Self::Refused { end, client, .. } => match end {
                // A port probe is no event worth a warning.
                End::PeerClosed | End::Broken(_) if client.is_none() => Level::Debug,
                _ => Level::Warn,
            },
            Self::Disconnected { end, .. } => match end {
                End::Violation(_) => Level::Warn,
                _ => Level::Info,
            },
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected {
                client,
                address,
                version,
                keep_alive,
                clean_start,
                session_present,
            } => write!(
                f,
                "client {client:?} connected from {address} with {version}, keep alive {keep_alive} s, {} start, {}",
                if *clean_start { "clean" } else { "resuming" },
                if *session_present { "session present" } else { "new session" },
            ),
            Self::Refused { client: Some(client), address, end } => {
                write!(f, "client {client:?} from {address} refused: {end}")
            }
            Self::Refused { client: None, address, end } => {
                write!(f, "connection from {address} closed before a valid CONNECT: {end}")
            }
            Self::Disconnected { client, address, end } => {
                write!(f, "client {client:?} from {address} disconnected: {end}")
            }
            Self::Dropping { client, topic, cause } => {
                write!(f, "dropping messages for client {client:?}, first on {topic:?}: {cause}")
            }
            Self::RetainedFull { topic, limit } => write!(
                f,
                "not retaining messages for new topics, first {topic:?}: {limit} are retained, which is the limit (max_retained)"
            ),
            Self::SessionExpired { client } => write!(f, "session of client {client:?} expired"),
            Self::WillPublished { client, topic } => {
                write!(f, "will of client {client:?} published to {topic:?}")
            }
        }
    }
}
