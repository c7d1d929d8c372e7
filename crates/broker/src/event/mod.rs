//! What is worth a line in the log: who came, who went, who was refused, and why.
//!
//! Every event has a [`Cause`], under whose name it is counted. What may happen for every message is told
//! once and then again once a minute, with how often it happened since; it is counted always
//! (`tally.rs`).

mod cause;
mod end;
mod lost;
mod tally;
mod words;

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_proto::version::Version;

pub use cause::Cause;
pub use end::End;
pub use lost::{Downgrade, Drop, NotTaken};
pub use tally::Causes;
pub(crate) use tally::Tally;

use crate::guard::Action;
use crate::limits::{Limit, Reached};

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
        /// The user name, if it has one.
        user: Option<Arc<str>>,
    },
    /// A connection was turned away before anything of MQTT was heard. Those who accept it say so, and count it.
    TurnedAway {
        /// Where it came in.
        listener: Arc<str>,
        /// From where.
        address: SocketAddr,
        /// Why, for counters.
        cause: Cause,
        /// The setting behind it, or who decided.
        rule: Option<Box<str>>,
        /// Why, in words.
        why: Box<str>,
    },
    /// A connection ended before it was accepted.
    Refused {
        /// The client identifier, if the CONNECT was read.
        client: Option<Arc<str>>,
        /// The user name, if it gave one.
        user: Option<Arc<str>>,
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
    /// Messages for a client are dropped.
    Dropping {
        /// For whom.
        client: Arc<str>,
        /// Topic of the latest such message.
        topic: Arc<str>,
        /// Why.
        cause: Drop,
        /// How many, since it was told last.
        count: u32,
    },
    /// Messages from a client are not taken.
    NotTaken {
        /// From whom.
        client: Arc<str>,
        /// Topic of the latest such message.
        topic: Arc<str>,
        /// Why.
        why: NotTaken,
        /// How many, since it was told last.
        count: u32,
    },
    /// Rules do not let a client do something.
    Denied {
        /// Whom.
        client: Arc<str>,
        /// What.
        action: Action,
        /// With which topic or filter.
        topic: Arc<str>,
        /// The rule that says so: `file:line`, or the name of a role.
        rule: Option<Box<str>>,
        /// How often, since it was told last.
        count: u32,
    },
    /// A client got less than it asked for.
    Downgraded {
        /// Who.
        client: Arc<str>,
        /// Of what.
        what: Downgrade,
    },
    /// A subscription is refused because of a limit.
    SubscriptionRefused {
        /// Whose.
        client: Arc<str>,
        /// To what.
        filter: Arc<str>,
        /// Which limit.
        reached: Reached,
        /// How often, since it was told last.
        count: u32,
    },
    /// A client publishes faster than it may, and is read more slowly for a while.
    Slowed {
        /// Who.
        client: Arc<str>,
        /// Which rate.
        reached: Reached,
        /// How often it was held back since it was told last.
        count: u32,
    },
    /// Two clients use one client identifier and take it from each other.
    Fight {
        /// The client identifier.
        client: Arc<str>,
        /// Where one of them is.
        one: SocketAddr,
        /// Where the other is.
        other: SocketAddr,
        /// How often it was taken over.
        times: u32,
        /// In how long.
        within: Duration,
    },
    /// Messages began not to be retained because as many as are allowed are.
    RetainedFull {
        /// Who published the first such message, unless the broker did.
        client: Option<Arc<str>>,
        /// Topic of the first such message.
        topic: Arc<str>,
        /// Which limit.
        reached: Reached,
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

impl Event {
    /// How loud to tell it.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::Connected { .. } | Self::SessionExpired { .. } | Self::Downgraded { .. } => {
                Level::Info
            }
            Self::WillPublished { .. } => Level::Debug,
            Self::Dropping { cause: Drop::Expired, .. } => Level::Info,
            Self::TurnedAway { .. }
            | Self::Dropping { .. }
            | Self::NotTaken { .. }
            | Self::Denied { .. }
            | Self::SubscriptionRefused { .. }
            | Self::Slowed { .. }
            | Self::Fight { .. }
            | Self::RetainedFull { .. } => Level::Warn,
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

    /// By which name counters know it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Connected { .. } => Cause::Connected,
            Self::TurnedAway { cause, .. } => *cause,
            Self::Refused { end, .. } | Self::Disconnected { end, .. } => end.cause(),
            Self::Dropping { cause, .. } => cause.cause(),
            Self::NotTaken { why, .. } => why.cause(),
            Self::Denied { .. } => Cause::AclDenied,
            Self::Downgraded { what, .. } => what.cause(),
            Self::SubscriptionRefused { reached, .. } | Self::Slowed { reached, .. } => {
                reached.limit.cause()
            }
            Self::Fight { .. } => Cause::Fight,
            Self::RetainedFull { .. } => Cause::RetainedFull,
            Self::SessionExpired { .. } => Cause::SessionExpired,
            Self::WillPublished { .. } => Cause::WillPublished,
        }
    }

    /// Whom it is about.
    #[must_use]
    pub const fn client(&self) -> Option<&Arc<str>> {
        match self {
            Self::Refused { client, .. } => client.as_ref(),
            Self::Connected { client, .. }
            | Self::Disconnected { client, .. }
            | Self::Dropping { client, .. }
            | Self::NotTaken { client, .. }
            | Self::Denied { client, .. }
            | Self::Downgraded { client, .. }
            | Self::SubscriptionRefused { client, .. }
            | Self::Slowed { client, .. }
            | Self::Fight { client, .. }
            | Self::SessionExpired { client }
            | Self::WillPublished { client, .. } => Some(client),
            Self::RetainedFull { client, .. } => client.as_ref(),
            Self::TurnedAway { .. } => None,
        }
    }

    /// The user it is about, where one was named.
    #[must_use]
    pub const fn user(&self) -> Option<&Arc<str>> {
        match self {
            Self::Connected { user, .. } | Self::Refused { user, .. } => user.as_ref(),
            _ => None,
        }
    }

    /// The topic or filter it is about.
    #[must_use]
    pub const fn topic(&self) -> Option<&Arc<str>> {
        match self {
            Self::Dropping { topic, .. }
            | Self::NotTaken { topic, .. }
            | Self::Denied { topic, .. }
            | Self::RetainedFull { topic, .. }
            | Self::WillPublished { topic, .. }
            | Self::SubscriptionRefused { filter: topic, .. }
            | Self::Downgraded { what: Downgrade::Qos { filter: topic, .. }, .. } => Some(topic),
            _ => None,
        }
    }

    /// The rule behind it: where it is written, or the setting.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        let limit = match self {
            Self::Denied { rule, .. } | Self::TurnedAway { rule, .. } => return rule.as_deref(),
            Self::Refused { end: End::Refused(refusal), .. }
            | Self::Disconnected { end: End::Refused(refusal), .. } => {
                return refusal.by().or_else(|| Some(refusal.limit()?.key()));
            }
            Self::Dropping { cause, .. } => cause.limit(),
            Self::NotTaken { why: NotTaken::Limit(reached), .. }
            | Self::SubscriptionRefused { reached, .. }
            | Self::Slowed { reached, .. }
            | Self::RetainedFull { reached, .. } => Some(reached.limit),
            Self::Downgraded { what, .. } => Some(what.limit()),
            _ => None,
        };
        limit.map(Limit::key)
    }

    /// How often it happened before it was told, where it was counted then already.
    pub(crate) const fn tallied(&self) -> bool {
        matches!(
            self,
            Self::Dropping { .. }
                | Self::NotTaken { .. }
                | Self::Denied { .. }
                | Self::SubscriptionRefused { .. }
                | Self::Slowed { .. }
                | Self::Downgraded { .. }
                | Self::RetainedFull { .. }
                | Self::TurnedAway { .. }
        )
    }
}
