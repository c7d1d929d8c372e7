//! Who may read what: in some runs the broker has rules, which change now and then.

use core::time::Duration;

use dunlin_broker::{Action, Guard, Guarded, Identity, Ruling, Time};

use super::random::Random;

/// The rules of a run, as they are just now.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    seed: u64,
    /// Clients with higher numbers may read everything.
    bound: usize,
    /// How often they have changed.
    changes: u64,
    /// When they did so last.
    changed: Time,
    random: Random,
}

/// Whether a client may read a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Always,
    /// After every second change.
    ByTurns,
    Never,
}

impl Rules {
    /// The rules of a run, if it has some: for the first `bound` clients.
    pub(super) fn of(seed: u64, bound: usize) -> Option<Self> {
        // Not the run's own chance, so that a run without rules does not depend on this.
        let mut random = Random::new(!seed);
        let wanted = random.chance(300);
        let seed = random.next();
        wanted.then_some(Self { seed, bound, changes: 0, changed: Time::ZERO, random })
    }

    /// They are other ones from now on; returns when they are to be so again.
    pub(super) fn change(&mut self, now: Time) -> Time {
        self.changes += 1;
        self.changed = now;
        now.saturating_add(self.random.delay(Duration::from_secs(3)))
    }

    pub(super) fn guard(&self) -> Guarded<'_> {
        Guarded { rules: self, generation: 1 + self.changes }
    }

    pub(super) fn reading(&self, client: usize, topic: &str) -> Reading {
        if client >= self.bound {
            return Reading::Always;
        }
        let mut random = Random::new(self.mix(client, topic));
        match random.below(10) {
            0 => Reading::Never,
            1 | 2 => Reading::ByTurns,
            _ => Reading::Always,
        }
    }

    fn allows(&self, client: usize, topic: &str) -> bool {
        match self.reading(client, topic) {
            Reading::Always => true,
            Reading::Never => false,
            Reading::ByTurns => (self.changes + self.mix(client, topic)).is_multiple_of(2),
        }
    }

    /// What a client was sent although it might not read it, made by the broker after `made_after`.
    pub(super) fn judge(
        &self,
        client: usize,
        topic: &str,
        made_after: Time,
    ) -> Result<(), &'static str> {
        if self.reading(client, topic) == Reading::Never {
            return Err("the rules never let this client read it");
        }
        if !self.allows(client, topic) && self.changed < made_after {
            return Err("the rules did not let this client read it any more");
        }
        Ok(())
    }

    fn mix(&self, client: usize, topic: &str) -> u64 {
        let start = self.seed ^ client as u64;
        topic.bytes().fold(start, |mixed, byte| Random::new(mixed ^ u64::from(byte)).next())
    }
}

impl Guard for Rules {
    fn check(&self, who: &Identity, action: Action, topic: &str) -> Ruling {
        let client = who.client_id.trim_start_matches('c').parse().unwrap_or(usize::MAX);
        if action != Action::Deliver || self.allows(client, topic) {
            Ruling::ALLOWED
        } else {
            Ruling::denied(None)
        }
    }
}
