//! What a shard tells whoever operates the broker about its clients.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::version::Version;

use crate::broker::Broker;
use crate::guard::Identity;
use crate::slab::NONE;

/// A session, and its connection if it has one.
#[derive(Debug, Clone)]
pub struct Client {
    /// Who.
    pub who: Arc<Identity>,
    /// The connection; `None` while the client is away.
    pub online: Option<Online>,
    /// Subscriptions.
    pub subscriptions: usize,
    /// QoS 1 and 2 messages that wait, in memory or on the disk, or are sent and not acknowledged.
    pub waiting: usize,
    /// When the session ends if the client stays away; `None` if it is connected, or for never.
    pub ends_at: Option<Time>,
}

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Online {
    /// From where.
    pub address: SocketAddr,
    /// What it speaks.
    pub version: Version,
    /// Seconds; 0 is off.
    pub keep_alive: u16,
}

impl Broker {
    /// The listeners that connections or sessions of this shard came in by, as `Entry::number` has them.
    #[must_use]
    pub fn listeners_in_use(&self) -> BTreeSet<u16> {
        let connections = self.hub.connections.slots().map(|(_, held)| held.entry.number);
        let sessions = self.hub.sessions.slots().map(|(_, held)| held.who.listener);
        connections.chain(sessions).collect()
    }

    /// The sessions of this shard that are `wanted`, at most `limit` of them, in no particular order.
    #[must_use]
    pub fn clients(&self, wanted: &dyn Fn(&Identity) -> bool, limit: usize) -> Vec<Client> {
        let sessions = self.hub.sessions.slots().map(|(_, session)| session);
        let wanted = sessions.filter(|session| wanted(&session.who)).take(limit);
        wanted
            .map(|session| {
                let connection = Some(session.connection).filter(|slot| *slot != NONE);
                let connection = connection.and_then(|slot| self.hub.connections.at(slot));
                let outbound = session.outbound.as_ref();
                Client {
                    who: Arc::clone(&session.who),
                    online: connection.map(|connection| Online {
                        address: connection.address,
                        version: connection.engine.version(),
                        keep_alive: connection.engine.keep_alive(),
                    }),
                    subscriptions: session.subscriptions.len(),
                    waiting: outbound.map_or(0, |outbound| {
                        usize::from(outbound.window.in_flight()) + outbound.waiting()
                    }),
                    ends_at: Some(session.ends_at)
                        .filter(|ends| connection.is_none() && *ends != Time::MAX),
                }
            })
            .collect()
    }
}
