//! Wills: each exactly once, or not at all when it was taken back.

use core::time::Duration;

use dunlin_broker::Time;

use super::Oracle;
use super::connections::Attempt;

/// Whether a will is to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It must have been.
    Fired,
    /// It must not have been.
    Quiet,
    /// Either is right.
    Open,
}

/// How late a will may be.
const LAZY: Duration = Duration::from_secs(1);

impl Oracle {
    /// What is to have become of the will of a connection by now.
    pub(super) fn fate(&self, now: Time, link: usize) -> Fate {
        let Some(attempt) = self.attempts.get(link) else { return Fate::Open };
        let Some((_, delay)) = attempt.will() else { return Fate::Open };
        if attempt.read.is_none() {
            return Fate::Quiet;
        }
        if attempt.open {
            // It ends with the connection, which a later one may have ended already.
            return if self.is_succeeded(link, now) { Fate::Open } else { Fate::Quiet };
        }
        if let Some(read) = attempt.disconnected {
            return self.fate_after_disconnect(link, read);
        }
        if attempt.leaving || attempt.acked.is_none() {
            return Fate::Open;
        }
        let Some(closed) = attempt.closed else { return Fate::Open };
        let wait = u64::from(delay.min(attempt.connecting.expiry));
        if wait == 0 {
            return if closed.saturating_add(LAZY) < now { Fate::Fired } else { Fate::Open };
        }
        self.fate_of_delayed(now, link, attempt, closed, Duration::from_secs(wait))
    }

    /// Taken back, unless the broker died before it had stored that, or another connection had ended
    /// this one before.
    fn fate_after_disconnect(&self, link: usize, read: Time) -> Fate {
        let taken_over = self.is_succeeded(link, read);
        let forgotten = self.deaths.iter().any(|death| death.durable <= read && death.at >= read);
        if taken_over || forgotten { Fate::Open } else { Fate::Quiet }
    }

    /// The broker has read a later CONNECT of the same client by then.
    fn is_succeeded(&self, link: usize, by: Time) -> bool {
        let client = self.attempts[link].connecting.client;
        let mut later = self.attempts.iter().skip(link + 1);
        later.any(|one| one.connecting.client == client && one.read.is_some_and(|read| read <= by))
    }

    /// Published when the delay is over, unless the client is back before.
    fn fate_of_delayed(
        &self,
        now: Time,
        link: usize,
        attempt: &Attempt,
        closed: Time,
        wait: Duration,
    ) -> Fate {
        // After a death before that, the delay begins anew.
        let due = self.deaths.iter().fold(closed.saturating_add(wait), |due, death| {
            if death.at >= closed && death.at <= due.saturating_add(LAZY) {
                death.back.saturating_add(wait)
            } else {
                due
            }
        });
        let due = due.saturating_add(LAZY);
        let client = attempt.connecting.client;
        let mut later = self.attempts.iter().skip(link + 1);
        let Some(next) = later.find(|one| one.connecting.client == client) else {
            return if due < now { Fate::Fired } else { Fate::Open };
        };
        if next.sent > due {
            return Fate::Fired;
        }
        // A clean start that was on its way for longer than later connections may have ended the session.
        let unheard = self.attempts.iter().filter(|one| one.acked.is_none());
        let overtaken = unheard.filter(|one| one.read > attempt.read && one.connecting.clean);
        if overtaken.into_iter().any(|one| one.connecting.client == client) {
            return Fate::Open;
        }
        // [MQTT-3.1.3-9]
        let back = next.acked.is_some_and(|acked| acked < attempt.heard.saturating_add(wait));
        match (next.connecting.clean, back) {
            // The old session ends, and its will with it.
            (true, _) if next.acked.is_some() => Fate::Fired,
            (false, true) => Fate::Quiet,
            _ => Fate::Open,
        }
    }
}
