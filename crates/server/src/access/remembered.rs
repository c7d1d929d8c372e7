//! Passwords that were right a short while ago.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dunlin_access::Secret;
use dunlin_access::password::Attempt;
use parking_lot::Mutex;

use super::random;

/// Logins that are remembered at once: some 4 MB.
const MOST: usize = 50_000;

/// Remembers that a password was right, so that clients that come back within minutes cost microseconds.
///
/// What is kept is an HMAC over user, hash and password with a key that is made at the start and never
/// leaves the process: a new password or another hash is not taken for the old one. A wrong password
/// is never remembered, so failed logins cost what they always cost.
pub(super) struct Remembered {
    key: Secret,
    /// A lock and not one table for each shard: workers fill it and all shards look into it.
    logins: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Remembered {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        random::fill(&mut key);
        Self { key: Secret::new(key), logins: Mutex::default() }
    }

    pub(super) fn token(&self, attempt: &Attempt, user: &str, password: &[u8]) -> Option<[u8; 32]> {
        attempt.token(&self.key, user, password)
    }

    pub(super) fn knows(&self, token: &[u8; 32]) -> bool {
        // Whoever looks up a token needs the right password to have one that is in the table, so the time
        // that this takes tells nothing.
        self.logins.lock().get(token).is_some_and(|until| Instant::now() < *until)
    }

    pub(super) fn keep(&self, token: [u8; 32], time: Duration) {
        if time.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut logins = self.logins.lock();
        if logins.len() >= MOST {
            logins.retain(|_, until| now < *until);
        }
        if logins.len() < MOST {
            logins.insert(token, now + time);
        }
    }

    pub(super) fn forget(&self) {
        self.logins.lock().clear();
    }
}
