//! Why connections end.

use core::fmt;
use std::io;
use std::sync::Arc;

use dunlin_proto::reason::ReasonCode;
use dunlin_proto::{PacketType, Violation};

use super::Cause;
use crate::guard::Action;
use crate::refusal::Refusal;

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
    /// Rules do not let it do something, and the settings say that its connection ends then.
    Denied {
        /// What.
        action: Action,
        /// With which topic.
        topic: Arc<str>,
        /// The rule that says so.
        rule: Option<Box<str>>,
    },
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
            Self::Denied { action, topic, rule: Some(rule) } => {
                write!(f, "it may not {action} {topic:?} ({rule})")
            }
            Self::Denied { action, topic, rule: None } => {
                write!(f, "it may not {action} {topic:?}")
            }
        }
    }
}

impl End {
    /// By which name counters know it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Client(_) => Cause::Disconnected,
            Self::Violation(_) => Cause::ProtocolError,
            Self::Refused(refusal) => refusal.cause(),
            Self::KeepAlive { .. } => Cause::KeepAlive,
            Self::ConnectTimeout => Cause::ConnectTimeout,
            Self::TakenOver => Cause::TakenOver,
            Self::PeerClosed => Cause::Closed,
            Self::Broken(_) => Cause::Broken,
            Self::ShuttingDown => Cause::Stopping,
            Self::Administrative => Cause::Administrative,
            Self::TokenExpired => Cause::TokenExpired,
            Self::AuthenticationTimeout => Cause::AuthTimeout,
            Self::Denied { .. } => Cause::AclDenied,
        }
    }

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
            Self::TokenExpired | Self::AuthenticationTimeout | Self::Denied { .. } => {
                ReasonCode::NotAuthorized
            }
            Self::Client(_) | Self::ConnectTimeout | Self::PeerClosed | Self::Broken(_) => {
                return None;
            }
        };
        // Some are for CONNACK only: whoever may not connect is not authorized to stay.
        let told = reason.allowed_in(PacketType::Disconnect);
        Some(if told { reason } else { ReasonCode::NotAuthorized })
    }
}
