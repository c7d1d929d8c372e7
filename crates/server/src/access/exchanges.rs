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

/// Exchanges that wait for the client's last message, by shard and place of the connection: whoever begins
/// exchanges and goes takes the room of one, since the next connection has its place.
pub(super) struct Exchanges {
    /// What keys are made up from for users that do not exist.
    secret: Secret,
    open: Mutex<HashMap<(u16, u32), Open>>,
}

struct Open {
    of: ConnId,
    begun: Instant,
    challenge: Challenge,
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
            open.retain(|_, open| now.duration_since(open.begun) < LONGEST);
        }
        let (shard, of) = of;
        let place = (shard, of.slot);
        if open.len() >= MOST && !open.contains_key(&place) {
            return Ok(None);
        }
        open.insert(place, Open { of, begun: now, challenge });
        Ok(Some(answer))
    }

    /// Judges the client's last message. In a re-authentication `only` is the user of the connection.
    pub(super) fn finish(
        &self,
        of: (u16, ConnId),
        last: &[u8],
        only: Option<&str>,
    ) -> Result<Accepted, ScramFault> {
        let (shard, of) = of;
        let found = self.open.lock().remove(&(shard, of.slot)).filter(|open| open.of == of);
        let found = found.ok_or(ScramFault::Malformed("there was no first message"))?;
        found.challenge.finish(last, only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_exchanges_and_goes_leaves_room_for_others() {
        let exchanges = Exchanges::new();
        let start = |slot, epoch| {
            let of = (0, ConnId { slot, epoch });
            exchanges.start(of, b"n,,n=anna,r=abc", |_| None).unwrap()
        };
        for epoch in 0..100 {
            assert!(start(7, epoch).is_some());
        }
        assert_eq!(exchanges.open.lock().len(), 1);
        // Nor does the next connection in that place go on with it.
        let other = (0, ConnId { slot: 7, epoch: 100 });
        let fault = exchanges.finish(other, b"c=biws,r=abc,p=AA==", None).unwrap_err();
        assert_eq!(fault, ScramFault::Malformed("there was no first message"));
    }
}
