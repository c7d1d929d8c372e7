//! Events in words, as they stand in the log.

use core::fmt;
use std::net::SocketAddr;

use super::{End, Event};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { .. } | Self::Refused { .. } | Self::Disconnected { .. } => {
                self.tell_connection(f)
            }
            Self::TurnedAway { listener, address, why, .. } => {
                write!(f, "{listener}: connection from {} closed: {why}", Origin(*address))
            }
            Self::Dropping { client, topic, cause, count } => write!(
                f,
                "{count} messages for client {client:?} dropped, the latest on {topic:?}: {cause}"
            ),
            Self::NotTaken { client, topic, why, count } => write!(
                f,
                "{count} messages from client {client:?} not taken, the latest on {topic:?}: {why}"
            ),
            Self::Denied { client, action, topic, rule, count } => {
                write!(f, "client {client:?} may not {action} {topic:?}")?;
                match rule {
                    Some(rule) => write!(f, ": {rule}")?,
                    None => f.write_str(": no rule lets it")?,
                }
                if *count > 1 { write!(f, " ({count} times)") } else { Ok(()) }
            }
            Self::Downgraded { client, what } => write!(f, "client {client:?}: {what}"),
            Self::SubscriptionRefused { client, filter, reached, .. } => {
                write!(f, "client {client:?} may not subscribe to {filter:?}: {reached}")
            }
            Self::Slowed { client, reached, .. } => {
                write!(f, "client {client:?} is read more slowly: {reached}")
            }
            Self::Fight { client, one, other, times, within } => write!(
                f,
                "client identifier {client:?} is used by two clients that take it from each other: \
                 {} and {}, {times} times in {} s; each client needs its own",
                Origin(*one),
                Origin(*other),
                within.as_secs()
            ),
            Self::RetainedFull { client, topic, reached } => {
                write!(f, "not retaining messages for new topics, first {topic:?}")?;
                if let Some(client) = client {
                    write!(f, " of client {client:?}")?;
                }
                write!(f, ": {reached}")
            }
            Self::SessionExpired { client } => write!(f, "session of client {client:?} expired"),
            Self::WillPublished { client, topic } => {
                write!(f, "will of client {client:?} published to {topic:?}")
            }
        }
    }
}

impl Event {
    /// Who came, and who went.
    fn tell_connection(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected {
                client,
                address,
                version,
                keep_alive,
                clean_start,
                session_present,
                user,
            } => {
                write!(
                    f,
                    "client {client:?} connected from {} with {version}, keep alive {keep_alive} s, {} start, {}",
                    Origin(*address),
                    if *clean_start { "clean" } else { "resuming" },
                    if *session_present { "session present" } else { "new session" },
                )?;
                user.as_ref().map_or(Ok(()), |user| write!(f, ", user {user:?}"))
            }
            Self::Refused { client: Some(client), user, address, end } => {
                let (from, user) = (Origin(*address), Named(user.as_deref()));
                write!(f, "client {client:?}{user} from {from} refused: {end}")
            }
            Self::Refused { client: None, user, address, end: end @ End::Refused(_) } => {
                let (from, user) = (Origin(*address), Named(user.as_deref()));
                write!(f, "client without an identifier{user} from {from} refused: {end}")
            }
            Self::Refused { client: None, address, end, .. } => {
                write!(
                    f,
                    "connection from {} closed before a valid CONNECT: {end}",
                    Origin(*address)
                )
            }
            Self::Disconnected { client, address, end } => {
                write!(f, "client {client:?} from {} disconnected: {end}", Origin(*address))
            }
            _ => Ok(()),
        }
    }
}

/// Who a client says it is, if it does. It stands before the address: what tools that bar addresses take for one
/// must not be chosen by the client.
struct Named<'a>(Option<&'a str>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |user| write!(f, ", user {user:?},"))
    }
}

/// Where a client is. One that came by a unix socket has no address, and stands with the port 0.
struct Origin(SocketAddr);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.port() == 0 && self.0.ip().is_loopback() {
            return f.write_str("this machine");
        }
        self.0.fmt(f)
    }
}
