//! When an open-loop message is due. A pure function of its number, so a late generator or a full
//! window never moves a due time: latency counted from it has no coordinated omission.

use super::clock::SECOND_NS;

/// Messages of all publishers in turn, evenly over time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// When message 0 is due.
    pub(super) start_ns: u64,
    /// Messages per second, all publishers together; at least 1.
    pub(super) rate: u64,
    /// All publishers of the plan.
    pub(super) publishers: u64,
    /// Due times are rounded up to multiples of this after the start; 0 for exact ones.
    pub(super) tick_ns: u64,
}

impl Schedule {
    /// When message `sequence` of `publisher` is due.
    pub(super) fn due_ns(&self, publisher: u64, sequence: u64) -> u64 {
        let message = u128::from(sequence) * u128::from(self.publishers) + u128::from(publisher);
        let offset = message * u128::from(SECOND_NS) / u128::from(self.rate.max(1));
        let offset = u64::try_from(offset).unwrap_or(u64::MAX / 2);
        let rounded =
            if self.tick_ns == 0 { offset } else { offset.next_multiple_of(self.tick_ns) };
        self.start_ns.saturating_add(rounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_take_turns_at_even_distances() {
        let schedule = Schedule { start_ns: 50, rate: 1000, publishers: 4, tick_ns: 0 };
        let mut due: Vec<u64> =
            (0..3).flat_map(|k| (0..4).map(move |p| schedule.due_ns(p, k))).collect();
        due.sort_unstable();
        let expected: Vec<u64> = (0..12).map(|n| 50 + n * 1_000_000).collect();
        assert_eq!(due, expected);
    }

    #[test]
    fn a_tick_gathers_what_is_due_before_it() {
        let schedule = Schedule { start_ns: 7, rate: 4000, publishers: 1, tick_ns: 1_000_000 };
        let due: Vec<u64> = (0..6).map(|k| (schedule.due_ns(0, k) - 7) / 1_000_000).collect();
        assert_eq!(due, [0, 1, 1, 1, 1, 2]);
    }
}
