//! Names of what is stored: numbers that are given once and never again. And whose the sessions are.

use core::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::identities::Identities;
use crate::journal::State;
use crate::router::{SessionKey, Subscriber};

/// Counters that all shards share, which session has which number, and whose it is.
#[derive(Debug)]
pub struct Numbers {
    message: AtomicU64,
    session: AtomicU64,
    stamp: AtomicU64,
    /// Asked when a route is made anew, not for each message.
    sessions: RwLock<HashMap<SessionKey, u64, FixedState>>,
    /// Who they belong to.
    pub(crate) identities: Identities,
}

impl Default for Numbers {
    fn default() -> Self {
        Self::after(&State::default())
    }
}

impl Numbers {
    /// Goes on where a store ended.
    #[must_use]
    pub fn after(state: &State) -> Self {
        Self {
            message: AtomicU64::new(state.next_message.max(1)),
            session: AtomicU64::new(state.next_number.max(1)),
            stamp: AtomicU64::new(state.next_stamp.max(1)),
            sessions: RwLock::new(HashMap::with_hasher(FixedState::with_seed(0))),
            identities: Identities::default(),
        }
    }

    /// The first of so many message identifiers, which are the caller's now.
    pub(crate) fn messages(&self, count: u64) -> u64 {
        self.message.fetch_add(count, Ordering::Relaxed)
    }

    /// The number of a new session.
    pub(crate) fn session(&self) -> u64 {
        self.session.fetch_add(1, Ordering::Relaxed)
    }

    /// The next place in the order of changes of retained messages. To be taken under the lock that
    /// orders the changes.
    pub fn stamp(&self) -> u64 {
        self.stamp.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes the number of a session, or with 0 that it has none any more.
    pub(crate) fn note(&self, session: SessionKey, number: u64) {
        let mut sessions = self.sessions.write();
        if number == 0 {
            sessions.remove(&session);
        } else {
            sessions.insert(session, number);
        }
    }

    /// Appends the numbers of the sessions of these subscribers; true if any keeps its messages.
    pub(crate) fn fill(&self, subscribers: &[Subscriber], into: &mut Vec<u64>) -> bool {
        let sessions = self.sessions.read();
        if sessions.is_empty() {
            into.resize(into.len() + subscribers.len(), 0);
            return false;
        }
        let numbers = subscribers.iter().map(|to| sessions.get(&to.session).copied().unwrap_or(0));
        let before = into.len();
        into.extend(numbers);
        into.iter().skip(before).any(|number| *number != 0)
    }

    /// The number of a session that keeps its messages; 0 if it does not.
    pub(crate) fn of(&self, session: SessionKey) -> u64 {
        let sessions = self.sessions.read();
        sessions.get(&session).copied().unwrap_or(0)
    }
}
