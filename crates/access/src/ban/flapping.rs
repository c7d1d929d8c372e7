//! Clients that connect again and again.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use crate::UnixSeconds;
use crate::ban::Ban;

/// Clients that are watched at the same time. Beyond it those not seen for longest are forgotten.
const WATCHED_MAX: usize = 20_000;

/// From when on a client flaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlappingLimits {
    /// So many connections,
    pub connections: u16,
    /// within so many seconds,
    pub within: u64,
    /// keep a client out for so many seconds.
    pub ban_for: u64,
}

impl Default for FlappingLimits {
    /// A client that comes back every four seconds for a minute does not get anything done, and one that
    /// tries again at growing intervals stays below.
    fn default() -> Self {
        Self { connections: 15, within: 60, ban_for: 300 }
    }
}

/// Counts the connections of each client.
#[derive(Debug, Clone, Default)]
pub struct Flapping {
    limits: FlappingLimits,
    hasher: RandomState,
    /// The times of the last connections of each client, oldest first: at most `limits.connections`. By a hash
    /// that nobody can foresee, since clients choose their identifiers, of 64 KiB perhaps.
    seen: HashMap<u64, VecDeque<UnixSeconds>>,
}

impl Flapping {
    /// Nobody has connected yet.
    #[must_use]
    pub fn new(limits: FlappingLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Sets other limits; what was counted stays.
    pub const fn set_limits(&mut self, limits: FlappingLimits) {
        self.limits = limits;
    }

    /// Counts a connection, and gives the ban if it is one too many. The count then begins anew.
    pub fn connected(&mut self, client_id: &str, now: UnixSeconds) -> Option<Ban> {
        let FlappingLimits { connections, within, ban_for } = self.limits;
        if connections == 0 {
            return None;
        }
        let client = self.hasher.hash_one(client_id);
        if !self.seen.contains_key(&client) {
            self.make_room();
        }
        let times = self.seen.entry(client).or_default();
        times.push_back(now);
        while times.front().is_some_and(|&first| first.saturating_add(within) <= now) {
            times.pop_front();
        }
        if times.len() < usize::from(connections) {
            return None;
        }
        self.seen.remove(&client);
        let reason = format!("connected {connections} times within {within} s");
        Some(Ban { reason, until: Some(now.saturating_add(ban_for)) })
    }

    /// How many clients are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Forgets the half that was not seen for longest, so that this is done rarely.
    fn make_room(&mut self) {
        if self.seen.len() < WATCHED_MAX {
            return;
        }
        let last = |times: &VecDeque<UnixSeconds>| times.back().copied().unwrap_or(0);
        let mut ages: Vec<UnixSeconds> = self.seen.values().map(last).collect();
        let middle = ages.len() / 2;
        let (_, &mut median, _) = ages.select_nth_unstable(middle);
        let mut surplus = middle;
        self.seen.retain(|_, times| {
            let keep = last(times) > median || surplus == 0;
            surplus -= usize::from(!keep);
            keep
        });
    }
}
