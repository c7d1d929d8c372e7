//! Where new sessions go: packed onto few shards, spread as load grows.
//!
//! A message that crosses shards costs a wake-up, so sessions are kept together while one core
//! can serve them. Sessions do not move later, so a shard also takes no more than a number of
//! them ahead of the emptiest: they may all connect first and send afterwards.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use dunlin_broker::Time;

/// Busy share in per mille from which on a shard gets no new sessions while others have room.
const BUSY: u32 = 600;

/// Busy shares are averages over about this time.
const MEMORY: Duration = Duration::from_millis(500);

/// The load of every shard.
pub(crate) struct Loads {
    shards: Vec<Load>,
    /// Sessions a shard may have more than the emptiest one.
    ahead: u32,
}

#[derive(Default)]
struct Load {
    /// Per mille, as it was at `at`.
    busy: AtomicU32,
    /// Microseconds.
    at: AtomicU64,
    sessions: AtomicU32,
}

impl Loads {
    pub(crate) fn new(shards: u16, ahead: u32) -> Self {
        Self { shards: (0..shards).map(|_| Load::default()).collect(), ahead }
    }

    /// A shard reports that it worked for `busy` since its last report.
    pub(crate) fn report(&self, shard: u16, now: Time, busy: Duration) {
        let Some(load) = self.shards.get(usize::from(shard)) else { return };
        let since = now.since(Time::from_micros(load.at.load(Ordering::Relaxed)));
        let keep = remembered(since);
        let latest = 1_000.0 * busy.as_secs_f64() / since.as_secs_f64().max(1e-6);
        let before = f64::from(load.busy.load(Ordering::Relaxed));
        let share = before * keep + latest.min(1_000.0) * (1.0 - keep);
        load.busy.store(share as u32, Ordering::Relaxed);
        load.at.store(now.as_micros(), Ordering::Relaxed);
    }

    /// The busy share in per mille.
    #[cfg(test)]
    pub(crate) fn busy(&self, shard: u16, now: Time) -> u32 {
        self.shards.get(usize::from(shard)).map_or(0, |load| load.busy_at(now))
    }

    pub(crate) fn add_session(&self, shard: u16) {
        if let Some(load) = self.shards.get(usize::from(shard)) {
            load.sessions.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn remove_session(&self, shard: u16) {
        if let Some(load) = self.shards.get(usize::from(shard)) {
            load.sessions.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The shard for a new session.
    pub(crate) fn choose(&self, now: Time) -> u16 {
        let loads = || {
            (0u16..).zip(&self.shards).map(|(shard, load)| {
                (shard, load.busy_at(now), load.sessions.load(Ordering::Relaxed))
            })
        };
        let fewest = loads().map(|(_, _, sessions)| sessions).min().unwrap_or(0);
        loads()
            .find(|&(_, busy, sessions)| busy < BUSY && sessions < fewest + self.ahead)
            .or_else(|| loads().min_by_key(|&(_, busy, sessions)| (busy, sessions)))
            .map_or(0, |(shard, _, _)| shard)
    }
}

impl Load {
    /// Per mille. A shard that sleeps reports nothing and is thereby idle.
    fn busy_at(&self, now: Time) -> u32 {
        let since = now.since(Time::from_micros(self.at.load(Ordering::Relaxed)));
        (f64::from(self.busy.load(Ordering::Relaxed)) * remembered(since)) as u32
    }
}

/// What is left of an average after `since`.
fn remembered(since: Duration) -> f64 {
    (-since.as_secs_f64() / MEMORY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AHEAD: u32 = 1_000;

    fn work(loads: &Loads, shard: u16, share: f64, from: Time) -> Time {
        let mut now = from;
        for _ in 0..50 {
            now = now.saturating_add(Duration::from_millis(100));
            loads.report(shard, now, Duration::from_secs_f64(0.1 * share));
        }
        now
    }

    #[test]
    fn sessions_are_packed_while_the_first_shard_has_time() {
        let loads = Loads::new(2, AHEAD);
        let now = work(&loads, 0, 0.4, Time::ZERO);
        assert!((350..450).contains(&loads.busy(0, now)));
        assert_eq!(loads.choose(now), 0);
    }

    #[test]
    fn a_busy_shard_gets_no_more() {
        let loads = Loads::new(2, AHEAD);
        let now = work(&loads, 0, 0.9, Time::ZERO);
        assert_eq!(loads.choose(now), 1);
    }

    #[test]
    fn among_busy_shards_the_least_busy_is_chosen() {
        let loads = Loads::new(2, AHEAD);
        work(&loads, 0, 0.95, Time::ZERO);
        let now = work(&loads, 1, 0.8, Time::ZERO);
        assert_eq!(loads.choose(now), 1);
    }

    #[test]
    fn many_idle_sessions_are_spread_as_well() {
        let loads = Loads::new(2, AHEAD);
        for _ in 0..AHEAD {
            loads.add_session(loads.choose(Time::ZERO));
        }
        assert_eq!(loads.choose(Time::ZERO), 1);
    }

    #[test]
    fn a_sleeping_shard_becomes_idle() {
        let loads = Loads::new(2, AHEAD);
        let now = work(&loads, 0, 1.0, Time::ZERO);
        assert_eq!(loads.busy(0, now.saturating_add(Duration::from_secs(10))), 0);
    }
}
