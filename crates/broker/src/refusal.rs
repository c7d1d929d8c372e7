//! Why a CONNECT is refused.

use core::fmt;
use std::sync::Arc;

use dunlin_proto::Violation;
use dunlin_proto::packet::Connect;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

use crate::event::Cause;
use crate::limits::{Limit, Reached};
use crate::settings::RefusalCodes;

/// Who decided, for the log: `file:line`, the name of a list, or the address of a service. Clients are
/// not told.
pub type By = Option<Arc<str>>;

/// Why a CONNECT is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A limit was reached.
    Limit(Reached),
    /// The listener does not speak this version.
    Version {
        /// The one that was asked for.
        asked: Version,
    },
    /// No client identifier, and this version or a clean session of 0 does not allow that.
    ClientIdRequired,
    /// The client identifier is not one that this client may use.
    IdentifierPolicy {
        /// Who decided.
        by: By,
    },
    /// An authentication method that is not offered [MQTT-4.12.0-1].
    AuthenticationMethod,
    /// No user name, certificate or token, and nobody is let in without.
    Anonymous,
    /// The answer to the question who it is was no.
    NotAuthorized {
        /// Who decided.
        by: By,
    },
    /// It was let in, and the rules have changed since.
    NoLongerAllowed {
        /// Who decided.
        by: By,
    },
    /// The user name is to come from its certificate, and there is none in it.
    Nameless {
        /// Who decided.
        by: By,
    },
    /// User name or password were wrong, or an exchange of proofs failed.
    BadUserNameOrPassword {
        /// Who decided.
        by: By,
    },
    /// Its token is not valid, or not any more.
    Token {
        /// What is wrong with it.
        why: Arc<str>,
    },
    /// The client, its user or its address is banned.
    Banned {
        /// Seconds until it may come back; `None`: never.
        seconds: Option<u32>,
        /// Who decided.
        by: By,
    },
    /// It came and went too often.
    Flapping {
        /// How often it came.
        times: u32,
        /// In how many seconds.
        within: u32,
        /// Seconds until it may come back.
        seconds: u32,
    },
    /// Who decides could not be asked.
    Unavailable {
        /// Who that is.
        by: By,
    },
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
    /// This client may not publish to the will's topic.
    WillDenied {
        /// Who decided.
        by: By,
    },
    /// The broker is stopping.
    ShuttingDown,
}

/// Whose CONNECT is refused.
pub(crate) struct Caller<'a> {
    pub(crate) version: Version,
    /// What it is called here: what it called itself, unless that was replaced.
    pub(crate) client_id: &'a str,
    /// Who it says it is.
    pub(crate) user: Option<&'a str>,
}

impl<'a> Caller<'a> {
    pub(crate) const fn new(connect: &Connect<'a>, client_id: &'a str) -> Self {
        Self { version: connect.version, client_id, user: connect.username }
    }
}

impl RefusalCodes {
    /// Whether a CONNECT that breaks this rule is answered.
    pub(crate) const fn answers(self, broken: Violation) -> bool {
        use Violation::{
            StringContainsNul, StringNotUtf8, TopicNameEmpty, TopicNameWildcard, TopicTooLong,
            Truncated,
        };
        matches!(self, Self::Telling)
            || !matches!(
                broken,
                StringContainsNul
                    | StringNotUtf8
                    | TopicNameEmpty
                    | TopicNameWildcard
                    | TopicTooLong
                    | Truncated
            )
    }
}

impl Refusal {
    /// The CONNACK reason code; before 5.0 the return code it maps to is sent.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Limit(Reached {
                limit: Limit::ConnectRate | Limit::AddressConnectRate, ..
            }) => ReasonCode::ConnectionRateExceeded,
            Self::Limit(_) => ReasonCode::QuotaExceeded,
            Self::ClientIdRequired | Self::IdentifierPolicy { .. } | Self::KeepAlive { .. } => {
                ReasonCode::ClientIdentifierNotValid
            }
            Self::Version { .. } => ReasonCode::UnsupportedProtocolVersion,
            Self::AuthenticationMethod => ReasonCode::BadAuthenticationMethod,
            Self::Nameless { .. } => ReasonCode::BadUserNameOrPassword,
            // 0x86 would say the same; what is sent is what clients know from Mosquitto.
            Self::Anonymous
            | Self::NotAuthorized { .. }
            | Self::NoLongerAllowed { .. }
            | Self::BadUserNameOrPassword { .. }
            | Self::Token { .. }
            | Self::WillTopic
            | Self::WillDenied { .. } => ReasonCode::NotAuthorized,
            Self::Banned { .. } | Self::Flapping { .. } => ReasonCode::Banned,
            Self::WillTooLarge { .. } => ReasonCode::PacketTooLarge,
            // 0x8B is not for CONNACK (table 2-6).
            Self::Unavailable { .. } | Self::ShuttingDown => ReasonCode::ServerUnavailable,
        }
    }

    /// The reason code that the setting wants in CONNACK; `None` if there is to be no CONNACK.
    #[must_use]
    pub const fn answer(&self, codes: RefusalCodes, version: Version) -> Option<ReasonCode> {
        if matches!(codes, RefusalCodes::Telling) {
            return Some(self.reason());
        }
        Some(match self {
            Self::Limit(reached) if matches!(codes, RefusalCodes::Mosquitto) => {
                match reached.limit {
                    Limit::Connections | Limit::ListenerConnections => return None,
                    Limit::Sessions => ReasonCode::ServerBusy,
                    _ => self.reason(),
                }
            }
            Self::ClientIdRequired if version.is_v5() => ReasonCode::UnspecifiedError,
            Self::IdentifierPolicy { .. } => ReasonCode::NotAuthorized,
            Self::WillTopic => return None,
            _ => self.reason(),
        })
    }

    /// By which name counters know it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Limit(reached) => reached.limit.cause(),
            Self::Version { .. } => Cause::Version,
            Self::ClientIdRequired => Cause::ClientIdRequired,
            Self::IdentifierPolicy { .. } => Cause::ClientIdNotAllowed,
            Self::AuthenticationMethod => Cause::AuthMethod,
            Self::Anonymous => Cause::Anonymous,
            Self::NotAuthorized { .. } => Cause::NotAuthorized,
            Self::Nameless { .. } => Cause::NotAuthorized,
            Self::NoLongerAllowed { .. } => Cause::NoLongerAllowed,
            Self::BadUserNameOrPassword { .. } => Cause::BadPassword,
            Self::Token { .. } => Cause::BadToken,
            Self::Banned { .. } => Cause::Banned,
            Self::Flapping { .. } => Cause::Flapping,
            Self::Unavailable { .. } => Cause::AuthUnavailable,
            Self::KeepAlive { .. } => Cause::KeepAliveTooLong,
            Self::WillTooLarge { .. } => Cause::WillTooLarge,
            Self::WillTopic | Self::WillDenied { .. } => Cause::WillDenied,
            Self::ShuttingDown => Cause::Stopping,
        }
    }

    /// The limit behind it, if there is one.
    #[must_use]
    pub const fn limit(&self) -> Option<Limit> {
        match self {
            Self::Limit(reached) => Some(reached.limit),
            Self::KeepAlive { .. } => Some(Limit::KeepAlive),
            Self::WillTooLarge { .. } => Some(Limit::PacketSize),
            _ => None,
        }
    }

    /// Who decided, where that is known.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::IdentifierPolicy { by }
            | Self::NotAuthorized { by }
            | Self::Nameless { by }
            | Self::NoLongerAllowed { by }
            | Self::BadUserNameOrPassword { by }
            | Self::Banned { by, .. }
            | Self::Unavailable { by }
            | Self::WillDenied { by } => by.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(reached) => reached.fmt(f),
            Self::Version { asked } => write!(
                f,
                "this listener does not speak {asked} (accept_protocol_versions)"
            ),
            Self::ClientIdRequired => f.write_str(
                "the client identifier is empty, which needs MQTT 3.1.1 with a clean session, or 5.0",
            ),
            Self::IdentifierPolicy { .. } => {
                f.write_str("this client may not use this client identifier")
            }
            Self::AuthenticationMethod => {
                f.write_str("an authentication method was asked for that is not offered")
            }
            Self::Anonymous => f.write_str(
                "it named no user, and nobody is let in without (allow_anonymous)",
            ),
            Self::NotAuthorized { .. } => f.write_str("not authorized"),
            Self::Nameless { .. } => f.write_str("no user name"),
            Self::NoLongerAllowed { .. } => {
                f.write_str("the rules have changed, and do not allow it any longer")
            }
            Self::BadUserNameOrPassword { .. } => f.write_str("bad user name or password"),
            Self::Token { why } => write!(f, "its token is not valid: {why}"),
            Self::Banned { seconds: Some(seconds), .. } => write!(f, "banned for {seconds} s more"),
            Self::Banned { seconds: None, .. } => f.write_str("banned"),
            Self::Flapping { times, within, seconds } => write!(
                f,
                "it came {times} times in {within} s, so it is banned for {seconds} s more"
            ),
            Self::Unavailable { .. } => f.write_str("who decides about it cannot be asked now"),
            Self::KeepAlive { asked, limit } => write!(
                f,
                "a keep alive of {asked} s is above the limit of {limit} s (setting {})",
                Limit::KeepAlive
            ),
            Self::WillTooLarge { size, limit } => write!(
                f,
                "the will of {size} bytes is above the limit of {limit} bytes (setting {})",
                Limit::PacketSize
            ),
            Self::WillTopic => f.write_str("clients may not publish to the topic of the will"),
            Self::WillDenied { .. } => f.write_str("it may not publish to the topic of its will"),
            Self::ShuttingDown => f.write_str("the broker is stopping"),
        }
    }
}
