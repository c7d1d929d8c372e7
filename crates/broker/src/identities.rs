//! Who the sessions of all shards belong to: what a shard needs to know about receivers elsewhere.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::guard::Identity;
use crate::router::SessionKey;

/// The identity of every session.
#[derive(Debug)]
pub(crate) struct Identities {
    /// Asked when a route is made anew, not for each message; a message instead of a lock would be
    /// answered too late.
    sessions: RwLock<HashMap<SessionKey, Arc<Identity>, FixedState>>,
    /// Changes when somebody else comes in with a session that is there.
    version: AtomicU64,
}

impl Default for Identities {
    fn default() -> Self {
        let sessions = RwLock::new(HashMap::with_hasher(FixedState::with_seed(0)));
        Self { sessions, version: AtomicU64::new(0) }
    }
}

impl Identities {
    /// Notes whose a session is now.
    pub(crate) fn note(&self, session: SessionKey, who: &Arc<Identity>) {
        let before = self.sessions.write().insert(session, Arc::clone(who));
        if before.is_some_and(|before| !before.is_same(who)) {
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// A session is over.
    pub(crate) fn forget(&self, session: SessionKey) {
        self.sessions.write().remove(&session);
    }

    /// Whose a session is.
    pub(crate) fn of(&self, session: SessionKey) -> Option<Arc<Identity>> {
        self.sessions.read().get(&session).cloned()
    }

    /// Grows whenever rules may judge a session otherwise than before.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

impl Identity {
    /// Whether rules see the same in both.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let claims = match (&self.claims, &other.claims) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        claims
            && self.client_id == other.client_id
            && self.username == other.username
            && self.listener == other.listener
    }
}
