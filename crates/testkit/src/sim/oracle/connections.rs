//! Connections and what CONNACK promises about sessions.

use core::time::Duration;

use dunlin_broker::Time;

use super::session::Session;
use super::{Oracle, Receipt};

/// How far a session may outlive its expiry interval: timers are not exact.
const SLACK: Duration = Duration::from_secs(1);

/// A CONNECT that is sent.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Connecting {
    pub(in super::super) client: usize,
    pub(in super::super) clean: bool,
    /// Seconds; 0 for a session that ends with its connection.
    pub(in super::super) expiry: u32,
    /// CONNACK tells whether there was a session.
    pub(in super::super) tells_present: bool,
    /// The message, and the delay in seconds.
    pub(in super::super) will: Option<(usize, u32)>,
}

/// One connection with its CONNECT.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Debug)]
pub(in super::super) struct Attempt {
    pub(super) connecting: Connecting,
    pub(super) sent: Time,
    /// The broker has read the CONNECT.
    pub(super) read: Option<Time>,
    /// CONNACK came.
    pub(super) acked: Option<Time>,
    /// When the broker last read something from it.
    pub(super) heard: Time,
    /// It has reached the broker.
    pub(super) arrived: bool,
    /// It has not ended there, or may still get there.
    pub(super) open: bool,
    /// The broker died while it was open.
    pub(super) died: bool,
    /// When it ended at the broker; after a death, when the broker was there again.
    pub(super) closed: Option<Time>,
    /// The client has sent a DISCONNECT that takes the will back.
    pub(super) leaving: bool,
    /// And the broker has read it.
    pub(super) disconnected: Option<Time>,
}

impl Attempt {
    pub(super) fn will(&self) -> Option<(usize, u32)> {
        self.connecting.will
    }
}

impl Oracle {
    /// CONNECT is sent on a new link.
    pub(in super::super) fn connecting(&mut self, now: Time, link: usize, connecting: Connecting) {
        let Connecting { client, clean, expiry, .. } = connecting;
        let goes_on = !clean
            && self.session_of(client).is_some_and(|session| session.persistent && !session.over);
        if !goes_on {
            self.begin(client, expiry);
        }
        debug_assert_eq!(link, self.attempts.len(), "each link carries one CONNECT");
        self.attempts.push(Attempt {
            connecting,
            sent: now,
            read: None,
            acked: None,
            heard: now,
            arrived: false,
            open: true,
            died: false,
            closed: None,
            leaving: false,
            disconnected: None,
        });
    }

    fn begin(&mut self, client: usize, expiry: u32) {
        if let Some(old) = self.session_of_mut(client) {
            old.over = true;
        }
        self.sessions.push(Session::new(client, expiry));
        self.current.insert(client, self.sessions.len() - 1);
    }

    /// CONNACK came. False if the client cannot know which session it has now.
    pub(in super::super) fn connected(&mut self, now: Time, link: usize, present: bool) -> bool {
        let doubtful = present && self.is_doubtful(now, link);
        let Some(attempt) = self.attempts.get_mut(link) else { return true };
        attempt.acked = Some(now);
        let Connecting { client, clean, expiry, tells_present, .. } = attempt.connecting;
        if clean && present {
            self.fail(format!("client {client}: a session is present after a clean start"));
        }
        if tells_present && !clean {
            self.judge_presence(now, link, present);
            if !present {
                self.lost(client, expiry);
            }
        }
        if let Some(session) = self.session_of_mut(client) {
            session.confirmed = true;
        }
        !doubtful
    }

    /// Whether a CONNECT whose CONNACK never came may have begun another session, which is the one that
    /// is present now: after this one had expired, or because it was on its way for longer than the
    /// next one.
    fn is_doubtful(&self, now: Time, link: usize) -> bool {
        let Some(Connecting { client, expiry, .. }) =
            self.attempts.get(link).map(|attempt| attempt.connecting)
        else {
            return false;
        };
        let others = || {
            let earlier = self.attempts.iter().take(link);
            earlier.filter(|one| one.connecting.client == client)
        };
        let Some(last) = others().rfind(|one| one.acked.is_some()) else { return false };
        let expired = last.heard.saturating_add(lifetime(expiry)) <= now;
        let mut unheard = others().filter(|one| one.acked.is_none() && one.read > last.read);
        unheard.any(|one| one.connecting.clean || expired)
    }

    /// There was no session, so what is known of it is no more; what was sent on this connection stays.
    fn lost(&mut self, client: usize, expiry: u32) {
        if self.session_of(client).is_some_and(|session| session.confirmed) {
            self.begin(client, expiry);
        }
    }

    fn judge_presence(&mut self, now: Time, link: usize, present: bool) {
        let Some(Connecting { client, expiry, .. }) =
            self.attempts.get(link).map(|attempt| attempt.connecting)
        else {
            return;
        };
        let Some(session) = self.session_of(client) else { return };
        let life = lifetime(expiry);
        let earlier = || {
            self.attempts
                .iter()
                .enumerate()
                .filter(|(number, attempt)| *number != link && attempt.connecting.client == client)
        };
        let alive = earlier().filter(|(_, one)| one.acked.is_some()).map(|(_, one)| one.heard);
        let alive = alive.max().unwrap_or(Time::ZERO);
        if session.confirmed && !present && alive.saturating_add(life) > now {
            self.fail(format!("client {client}: its session is lost, last alive at {alive:?}"));
            return;
        }
        let sent = self.attempts[link].sent;
        let open = earlier().any(|(_, one)| one.open);
        let gone = self.gone.get(&client).copied().unwrap_or(Time::ZERO);
        let ends = gone.saturating_add(life).saturating_add(SLACK);
        if present && !open && ends < sent && !life.is_zero() {
            self.fail(format!(
                "client {client}: its session lives on, though it ended at {ends:?}"
            ));
        }
    }

    /// The client's connection is gone, as it sees it.
    pub(in super::super) fn parted(&mut self, client: usize) {
        if let Some(session) = self.session_of_mut(client)
            && !session.persistent
        {
            session.over = true;
        }
    }

    /// The client takes its will back.
    pub(in super::super) fn leaves(&mut self, link: usize) {
        if let Some(attempt) = self.attempts.get_mut(link) {
            attempt.leaving = true;
        }
    }

    /// A connection has reached the broker.
    pub(in super::super) fn arrived(&mut self, link: usize) {
        if let Some(attempt) = self.attempts.get_mut(link) {
            attempt.arrived = true;
        }
    }

    /// The broker has read something from a connection, which is there for it.
    pub(in super::super) fn heard(&mut self, now: Time, link: usize) {
        if let Some(attempt) = self.attempts.get_mut(link) {
            attempt.heard = now;
        }
    }

    /// A connection has ended at the broker, or never got there.
    pub(in super::super) fn broker_closed(&mut self, now: Time, link: usize) {
        let Some(attempt) = self.attempts.get_mut(link) else { return };
        attempt.open = false;
        attempt.closed.get_or_insert(now);
        self.gone.insert(attempt.connecting.client, now);
    }

    /// A message that the client it came to had from a session that is known.
    pub(super) fn receiving(&self, receipt: &Receipt<'_>) -> Option<usize> {
        self.current.get(&receipt.client).copied()
    }
}

/// How long a session outlives its connection.
fn lifetime(expiry: u32) -> Duration {
    if expiry == u32::MAX { Duration::MAX } else { Duration::from_secs(u64::from(expiry)) }
}
