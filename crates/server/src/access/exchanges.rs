//! Exchanges of SCRAM-SHA-256 between their two steps (RFC 7677).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dunlin_access::Secret;
use dunlin_access::scram::{self, Accepted, Challenge, Keys, ScramFault};
use dunlin_broker::ConnId;
use parking_lot::Mutex;

use super::random;

/// Exchanges at once; beyond it those that have waited too long make room, or the login is refused.
const MOST: usize = 20_000;

/// An exchange is given up after so long: longer than the broker waits for a CONNECT or an AUTH.
const LONGEST: Duration = Duration::from_secs(60);

/// Exchanges that wait for the client's last message, by shard and connection.
pub(super) struct Exchanges {
    /// What keys are made up from for users that do not exist.
    secret: Secret,
    open: Mutex<HashMap<(u16, ConnId), (Instant, Challenge)>>,
}

impl Exchanges {
    pub(super) fn new() -> Self {
        let mut secret = [0; 32];
        random::fill(&mut secret);
        Self { secret: Secret::new(secret), open: Mutex::default() }
    }

    /// Answers the client's first message; `None` if there is no room for another exchange.
    pub(super) fn start(
        &self,
        of: (u16, ConnId),
        first: &[u8],
        lookup: impl FnOnce(&str) -> Option<Keys>,
    ) -> Result<Option<Vec<u8>>, ScramFault> {
        let now = Instant::now();
        let (challenge, answer) = scram::start(first, lookup, &self.secret, &mut random::fill)?;
        let mut open = self.open.lock();
        if open.len() >= MOST {
            open.retain(|_, (begun, _)| now.duration_since(*begun) < LONGEST);
        }
        if open.len() >= MOST {
            return Ok(None);
        }
        open.insert(of, (now, challenge));
        Ok(Some(answer))
    }

    /// Judges the client's last message. In a re-authentication `only` is the user of the connection.
    pub(super) fn finish(
        &self,
        of: (u16, ConnId),
        last: &[u8],
        only: Option<&str>,
    ) -> Result<Accepted, ScramFault> {
        let found = self.open.lock().remove(&of);
        let (_, challenge) = found.ok_or(ScramFault::Malformed("there was no first message"))?;
        challenge.finish(last, only)
    }
}
