//! What is worth a line in the log: who came, who went, who was refused, and why.

use core::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_proto::Violation;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

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
}

/// Why a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// As many connections as are allowed are open.
    TooManyConnections {
        /// The limit.
        limit: usize,
    },
    /// The listener does not speak this version.
    Version {
        /// The one that was asked for.
        asked: Version,
    },
    /// No client identifier, and this version or a clean session of 0 does not allow that.
    ClientIdRequired,
    /// An authentication method, and none is configured.
    AuthenticationMethod,
    /// The answer to the question who it is was no.
    NotAuthorized,
    /// User name or password were wrong.
    BadUserNameOrPassword,
    /// Keep alive above the limit, before 5.0.
    KeepAlive {
        /// Seconds asked for.
        asked: u16,
        /// Seconds allowed.
        limit: u16,
    },
    /// The will does not fit into the Maximum Packet Size.
    WillTooLarge {
        /// Bytes.
        size: usize,
        /// Bytes allowed.
        limit: u32,
    },
    /// Clients may not publish to the will's topic.
    WillTopic,
    /// The broker is stopping.
    ShuttingDown,
}

impl Refusal {
    /// The CONNACK reason code; before 5.0 the return code it maps to is sent.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::TooManyConnections { .. } => ReasonCode::QuotaExceeded,
            Self::ClientIdRequired | Self::KeepAlive { .. } => ReasonCode::ClientIdentifierNotValid,
            Self::Version { .. } => ReasonCode::UnsupportedProtocolVersion,
            Self::AuthenticationMethod => ReasonCode::BadAuthenticationMethod,
            Self::NotAuthorized | Self::WillTopic => ReasonCode::NotAuthorized,
            Self::BadUserNameOrPassword => ReasonCode::BadUserNameOrPassword,
            Self::WillTooLarge { .. } => ReasonCode::PacketTooLarge,
            // 0x8B is not for CONNACK (table 2-6).
            Self::ShuttingDown => ReasonCode::ServerUnavailable,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyConnections { limit } => write!(
                f,
                "{limit} connections are open, which is the limit (max_connections)"
            ),
            Self::Version { asked } => write!(
                f,
                "this listener does not speak {asked} (accept_protocol_versions)"
            ),
            Self::ClientIdRequired => f.write_str(
                "the client identifier is empty, which needs MQTT 3.1.1 with a clean session, or 5.0",
            ),
            Self::AuthenticationMethod => {
                f.write_str("an authentication method was asked for and none is configured")
            }
            Self::NotAuthorized => f.write_str("not authorized"),
            Self::BadUserNameOrPassword => f.write_str("bad user name or password"),
            Self::KeepAlive { asked, limit } => write!(
                f,
                "a keep alive of {asked} s is above the limit of {limit} s (max_keepalive)"
            ),
            Self::WillTooLarge { size, limit } => write!(
                f,
                "the will of {size} bytes does not fit into a packet of {limit} bytes (max_packet_size)"
            ),
            Self::WillTopic => f.write_str("clients may not publish to the topic of the will"),
            Self::ShuttingDown => f.write_str("the broker is stopping"),
        }
    }
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
            Self::Refused(refusal) => write!(f, "{refusal}"),
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
        }
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
