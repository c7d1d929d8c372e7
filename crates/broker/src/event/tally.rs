//! Counting what happens often and telling it seldom.

use core::time::Duration;
use std::sync::Arc;

use dunlin_proto::Time;

use super::{Cause, Drop, Event, NotTaken};
use crate::hub::Hub;

/// How often one client is spoken of for one cause.
const AGAIN: Duration = Duration::from_secs(60);

/// Causes told apart for one client at a time.
const MOST: usize = 8;

/// How often each cause has occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Causes([u64; Cause::ALL.len()]);

impl Default for Causes {
    fn default() -> Self {
        Self([0; Cause::ALL.len()])
    }
}

impl Causes {
    /// How often this one has.
    #[must_use]
    pub fn of(&self, cause: Cause) -> u64 {
        self.0.get(cause.index()).copied().unwrap_or(0)
    }

    /// It has so many times more.
    pub fn add(&mut self, cause: Cause, times: u64) {
        if let Some(count) = self.0.get_mut(cause.index()) {
            *count += times;
        }
    }

    /// Each with how often it has.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.iter().copied().zip(self.0)
    }
}

impl core::ops::AddAssign for Causes {
    fn add_assign(&mut self, other: Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

/// What was told of one client, and what happened since.
#[derive(Debug, Default)]
pub(crate) struct Tally(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    cause: Cause,
    told: Time,
    since: u32,
}

impl Tally {
    /// It happened once more; how often since it was told last, if it is to be told now.
    pub(crate) fn note(&mut self, now: Time, cause: Cause) -> Option<u32> {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.cause == cause) {
            entry.since = entry.since.saturating_add(1);
            if now < entry.told.saturating_add(AGAIN) {
                return None;
            }
            entry.told = now;
            return Some(core::mem::take(&mut entry.since));
        }
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(Entry { cause, told: now, since: 0 });
        Some(1)
    }
}

impl Hub {
    /// Counts what happened to the client of a session, and tells it if it is time.
    #[cold]
    pub(crate) fn tell(
        &mut self,
        now: Time,
        session: u32,
        cause: Cause,
        event: impl FnOnce(Arc<str>, u32) -> Event,
    ) {
        self.stats.causes.add(cause, 1);
        let Some(session) = self.sessions.at_mut(session) else { return };
        if let Some(count) = session.told.get_or_insert_default().note(now, cause) {
            self.events.push(event(Arc::clone(&session.who.client_id), count));
        }
    }

    /// A message that the client of a session should have had is lost.
    #[cold]
    pub(crate) fn drop_for_session(
        &mut self,
        now: Time,
        session: u32,
        topic: &Arc<str>,
        cause: Drop,
    ) {
        self.stats.publish_dropped += 1;
        self.tell(now, session, cause.cause(), |client, count| Event::Dropping {
            client,
            topic: Arc::clone(topic),
            cause,
            count,
        });
    }

    /// A message from the client of a session is not taken.
    #[cold]
    pub(crate) fn not_taken(&mut self, now: Time, session: u32, topic: &Arc<str>, why: NotTaken) {
        self.stats.publish_dropped += 1;
        self.tell(now, session, why.cause(), |client, count| Event::NotTaken {
            client,
            topic: Arc::clone(topic),
            why,
            count,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_all_the_time_is_told_once_a_minute_with_how_often() {
        let mut tally = Tally::default();
        let told: Vec<_> = (0..150)
            .filter_map(|second| tally.note(Time::from_secs(second), Cause::QueueFull))
            .collect();
        assert_eq!(told, [1, 60, 60]);
        assert_eq!(tally.note(Time::from_secs(150), Cause::SlowReader), Some(1), "another cause");
    }

    #[test]
    fn the_memory_for_it_is_bounded() {
        let mut tally = Tally::default();
        for cause in Cause::ALL {
            tally.note(Time::ZERO, *cause);
        }
        assert_eq!(tally.0.len(), MOST);
    }
}
