//! Who the sessions of all shards belong to: what a shard needs to know about receivers elsewhere.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::guard::Identity;
use crate::router::SessionKey;

/// Changes remembered. 256: about as many as come between two messages to one topic.
const CHANGES: usize = 256;

/// The identity of every session.
#[derive(Debug)]
pub(crate) struct Identities {
    /// Asked when a route is made anew, not for each message; a message instead of a lock would be
    /// answered too late.
    book: RwLock<Book>,
    /// How often somebody else came in with a session that was there.
    version: AtomicU64,
}

#[derive(Debug)]
struct Book {
    sessions: HashMap<SessionKey, Arc<Identity>, FixedState>,
    /// The last sessions that somebody else came in with.
    changes: VecDeque<SessionKey>,
}

impl Default for Identities {
    fn default() -> Self {
        let sessions = HashMap::with_hasher(FixedState::with_seed(0));
        let book = RwLock::new(Book { sessions, changes: VecDeque::new() });
        Self { book, version: AtomicU64::new(0) }
    }
}

impl Identities {
    /// Notes whose a session is now.
    pub(crate) fn note(&self, session: SessionKey, who: &Arc<Identity>) {
        let mut book = self.book.write();
        let before = book.sessions.insert(session, Arc::clone(who));
        if before.is_some_and(|before| !before.is_same(who)) {
            if book.changes.len() == CHANGES {
                book.changes.pop_front();
            }
            book.changes.push_back(session);
            // Still under the lock, so that it fits to the changes.
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// A session is over.
    pub(crate) fn forget(&self, session: SessionKey) {
        self.book.write().sessions.remove(&session);
    }

    /// Whose a session is.
    pub(crate) fn of(&self, session: SessionKey) -> Option<Arc<Identity>> {
        self.book.read().sessions.get(&session).cloned()
    }

    /// Grows whenever rules may judge a session otherwise than before.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The version, and of which sessions that may be since an earlier one; `None`: of any.
    pub(crate) fn since(&self, version: u64) -> (u64, Option<Vec<SessionKey>>) {
        let book = self.book.read();
        let now = self.version();
        let count = usize::try_from(now - version).unwrap_or(usize::MAX);
        let known = book.changes.len().checked_sub(count);
        (now, known.map(|skip| book.changes.iter().skip(skip).copied().collect()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_since_is_known_for_a_while() {
        let identities = Identities::default();
        let session = |slot| SessionKey { shard: 0, slot, generation: 0 };
        let who = || Arc::new(Identity { username: Some("u".into()), ..unnamed() });
        for slot in 0..3 {
            identities.note(session(slot), &Arc::new(unnamed()));
        }
        assert_eq!(identities.since(0), (0, Some(vec![])));
        identities.note(session(1), &who());
        identities.note(session(1), &who());
        identities.note(session(2), &who());
        assert_eq!(identities.since(0), (2, Some(vec![session(1), session(2)])));
        assert_eq!(identities.since(1), (2, Some(vec![session(2)])));
        for _ in 0..CHANGES {
            identities.note(session(1), &Arc::new(unnamed()));
            identities.note(session(1), &who());
        }
        assert_eq!(identities.since(2).1, None);
    }

    fn unnamed() -> Identity {
        Identity::unnamed("c".into())
    }
}
