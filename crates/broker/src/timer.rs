//! A timing wheel: one deadline per slot, set and cleared in constant time.
//!
//! Keep alives are set anew with every reconnect and mostly never fire, so a heap that keeps stale
//! entries until their time would grow with the connection rate. The wheel holds exactly one entry
//! for each slot that waits. Deadlines are rounded up to the tick; one beyond the wheel's turn
//! is looked at once per turn and put back.

use dunlin_proto::Time;

use crate::slab::NONE;

/// Length of a tick: how late a deadline may be noticed.
const TICK_MICROS: u64 = 250_000;
const BUCKETS: usize = 512;

/// Deadlines by slot.
pub(crate) struct Wheel {
    heads: Vec<u32>,
    links: Vec<Link>,
    /// The tick up to which everything has been looked at.
    done: u64,
    waiting: usize,
}

#[derive(Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
    /// Tick of the deadline; `UNSET` when none is set.
    tick: u64,
}

const UNSET: u64 = u64::MAX;
const FREE: Link = Link { previous: NONE, next: NONE, tick: UNSET };

impl Wheel {
    pub(crate) fn new() -> Self {
        Self { heads: vec![NONE; BUCKETS], links: Vec::new(), done: 0, waiting: 0 }
    }

    /// Sets the one deadline of `slot`, replacing what was set before.
    pub(crate) fn set(&mut self, slot: u32, deadline: Time) {
        self.clear(slot);
        let index = slot as usize;
        if self.links.len() <= index {
            self.links.resize(index + 1, FREE);
        }
        let tick = deadline.as_micros().div_ceil(TICK_MICROS).max(self.done + 1).min(UNSET - 1);
        let bucket = Self::bucket(tick);
        let next = self.heads[bucket];
        self.links[index] = Link { previous: NONE, next, tick };
        if next != NONE {
            self.links[next as usize].previous = slot;
        }
        self.heads[bucket] = slot;
        self.waiting += 1;
    }

    /// Forgets the deadline of `slot`, if it has one.
    pub(crate) fn clear(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else { return };
        if link.tick == UNSET {
            return;
        }
        let Link { previous, next, tick } = core::mem::replace(link, FREE);
        if previous == NONE {
            self.heads[Self::bucket(tick)] = next;
        } else {
            self.links[previous as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        self.waiting -= 1;
    }

    /// Collects the slots whose deadline has come, earliest tick first.
    pub(crate) fn expire(&mut self, now: Time, due: &mut Vec<u32>) {
        let reached = now.as_micros() / TICK_MICROS;
        if self.waiting == 0 {
            self.done = self.done.max(reached);
            return;
        }
        // After a pause longer than the wheel's turn every bucket needs one look only.
        let first = self.done.max(reached.saturating_sub(BUCKETS as u64)) + 1;
        for tick in first..=reached {
            let from = due.len();
            let mut slot = self.heads[Self::bucket(tick)];
            while slot != NONE {
                let link = self.links[slot as usize];
                if link.tick <= reached {
                    due.push(slot);
                }
                slot = link.next;
            }
            for slot in due.iter().skip(from) {
                self.clear(*slot);
            }
        }
        self.done = self.done.max(reached);
    }

    /// When to call [`Self::expire`] next: the next tick whose bucket holds anything.
    pub(crate) fn next(&self) -> Option<Time> {
        if self.waiting == 0 {
            return None;
        }
        let tick = (self.done + 1..=self.done + BUCKETS as u64)
            .find(|tick| self.heads[Self::bucket(*tick)] != NONE)?;
        Some(Time::from_micros(tick.saturating_mul(TICK_MICROS)))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below BUCKETS")]
    const fn bucket(tick: u64) -> usize {
        (tick % BUCKETS as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use dunlin_proto::Time;

    use super::{TICK_MICROS, Wheel};

    const TICK: Duration = Duration::from_micros(TICK_MICROS);

    fn at(seconds: u64) -> Time {
        Time::ZERO.saturating_add(Duration::from_secs(seconds))
    }

    fn due(wheel: &mut Wheel, now: Time) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.expire(now, &mut due);
        due
    }

    #[test]
    fn deadlines_fire_once_and_never_early() {
        let mut wheel = Wheel::new();
        wheel.set(3, at(10));
        wheel.set(1, at(5));
        assert_eq!(due(&mut wheel, at(4)), []);
        assert_eq!(wheel.next(), Some(at(5)));
        assert_eq!(due(&mut wheel, at(5)), [1]);
        assert_eq!(due(&mut wheel, at(60)), [3]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_deadline_beyond_one_turn_of_the_wheel_waits_for_its_time() {
        let mut wheel = Wheel::new();
        wheel.set(0, at(3600));
        let mut now = Time::ZERO;
        while now < at(3599) {
            assert_eq!(due(&mut wheel, now), []);
            now = now.saturating_add(TICK);
        }
        assert_eq!(due(&mut wheel, at(3600)), [0]);
    }

    #[test]
    fn a_cleared_or_replaced_deadline_does_not_fire() {
        let mut wheel = Wheel::new();
        for slot in 0..4 {
            wheel.set(slot, at(1));
        }
        wheel.clear(2);
        wheel.set(1, at(2));
        let mut fired = due(&mut wheel, at(1));
        fired.sort_unstable();
        assert_eq!(fired, [0, 3]);
        assert_eq!(due(&mut wheel, at(2)), [1]);
    }
}
