//! Keep alive: when a server gives a client up, and when a client has to be heard from.

use core::time::Duration;

use crate::time::Time;

/// When a server that last received a packet at `last_received` closes the connection: after one
/// and a half times the keep alive of `keep_alive` seconds, 0 being never [MQTT-3.1.2-22].
#[inline]
#[must_use]
pub fn server_deadline(last_received: Time, keep_alive: u16) -> Time {
    if keep_alive == 0 {
        return Time::MAX;
    }
    last_received.saturating_add(Duration::from_millis(u64::from(keep_alive) * 1_500))
}

/// When a client has to send PINGREQ, and when the answer to it is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingSchedule {
    keep_alive: Duration,
    last_sent: Time,
    /// When the PINGREQ went out that is not answered yet.
    pinged: Option<Time>,
}

/// What the schedule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// A PINGREQ.
    Ping,
    /// The server did not answer: the connection is dead.
    Dead,
}

impl PingSchedule {
    /// A schedule for `keep_alive` seconds, 0 being none, that begins now.
    #[must_use]
    pub const fn new(keep_alive: u16, now: Time) -> Self {
        let keep_alive = Duration::from_secs(keep_alive as u64);
        Self { keep_alive, last_sent: now, pinged: None }
    }

    /// A packet went out.
    #[inline]
    pub const fn sent(&mut self, now: Time) {
        self.last_sent = now;
    }

    /// A PINGREQ went out.
    pub const fn ping_sent(&mut self, now: Time) {
        self.last_sent = now;
        self.pinged = Some(now);
    }

    /// Anything came in: the server lives, whether or not the PINGRESP is behind it.
    #[inline]
    pub const fn received(&mut self) {
        self.pinged = None;
    }

    /// What is to be done now.
    #[must_use]
    pub fn due(&self, now: Time) -> Due {
        match self.deadline() {
            Some(deadline) if now < deadline => Due::Nothing,
            None => Due::Nothing,
            Some(_) if self.pinged.is_some() => Due::Dead,
            Some(_) => Due::Ping,
        }
    }

    /// When something will be; `None` without keep alive.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        if self.keep_alive.is_zero() {
            return None;
        }
        Some(match self.pinged {
            Some(pinged) => pinged.saturating_add(self.patience()),
            // [MQTT-3.1.2-20], with a tenth of the interval kept for lateness on the way.
            None => self.last_sent.saturating_add(self.keep_alive * 9 / 10),
        })
    }

    /// How long a PINGRESP may take: as long as the server itself waits beyond the keep alive, but
    /// no less than a slow link needs and no more than a user cares to wait.
    fn patience(&self) -> Duration {
        (self.keep_alive / 2).clamp(MIN_PATIENCE, MAX_PATIENCE)
    }
}

const MIN_PATIENCE: Duration = Duration::from_secs(2);
const MAX_PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_waits_one_and_a_half_times_the_keep_alive() {
        assert_eq!(server_deadline(Time::from_secs(5), 10), Time::from_secs(20));
        assert_eq!(server_deadline(Time::from_secs(5), 1), Time::from_millis(6_500));
        assert_eq!(server_deadline(Time::from_secs(5), 0), Time::MAX);
    }

    #[test]
    fn a_client_pings_within_the_keep_alive_and_gives_up_when_not_answered() {
        let mut schedule = PingSchedule::new(10, Time::ZERO);
        assert_eq!(schedule.due(Time::from_millis(8_999)), Due::Nothing);
        assert_eq!(schedule.due(Time::from_secs(9)), Due::Ping);
        schedule.ping_sent(Time::from_secs(9));
        assert_eq!(schedule.deadline(), Some(Time::from_secs(14)));
        assert_eq!(schedule.due(Time::from_secs(13)), Due::Nothing);
        assert_eq!(schedule.due(Time::from_secs(14)), Due::Dead);
        schedule.received();
        assert_eq!(schedule.due(Time::from_secs(14)), Due::Nothing);
        schedule.sent(Time::from_secs(15));
        assert_eq!(schedule.deadline(), Some(Time::from_secs(24)));
    }

    #[test]
    fn no_keep_alive_asks_for_nothing() {
        let schedule = PingSchedule::new(0, Time::ZERO);
        assert_eq!(schedule.deadline(), None);
        assert_eq!(schedule.due(Time::MAX), Due::Nothing);
    }
}
