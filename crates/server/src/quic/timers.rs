//! When each connection has to be looked at again.

use std::collections::BTreeSet;
use std::time::Instant;

/// One time for each connection at most: a later one waits until the earlier has come, which spares
/// moving it with every packet.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, usize)>);

impl Timers {
    /// Sees to it that `slot` is looked at by `next`; `armed` is what it has.
    pub(super) fn arm(&mut self, slot: usize, armed: &mut Option<Instant>, next: Option<Instant>) {
        let Some(next) = next else { return };
        match *armed {
            Some(earlier) if earlier <= next => return,
            Some(later) => {
                self.0.remove(&(later, slot));
            }
            None => {}
        }
        self.0.insert((next, slot));
        *armed = Some(next);
    }

    pub(super) fn disarm(&mut self, slot: usize, armed: Option<Instant>) {
        if let Some(time) = armed {
            self.0.remove(&(time, slot));
        }
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.0.first().map(|(time, _)| *time)
    }

    /// The next connection whose time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<usize> {
        let (time, _) = self.0.first()?;
        (*time <= now).then(|| self.0.pop_first()).flatten().map(|(_, slot)| slot)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_connection_has_one_time_and_it_is_the_earliest() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let mut armed = None;
        for millis in [20, 30, 10] {
            timers.arm(7, &mut armed, Some(at(millis)));
        }
        assert_eq!(timers.first(), Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(10)), Some(7));
        assert_eq!(timers.first(), None);
    }
}
