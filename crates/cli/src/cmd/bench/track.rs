//! Whether what arrives is what was sent: lost, duplicated, out of order, or not ours at all.

/// Gaps remembered per publisher and subscriber; beyond it the oldest is written off as lost.
const MAX_GAPS: usize = 4096;

/// What one arrival was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The expected one, or one after a gap.
    InOrder,
    /// For the first time, but after a later one.
    Late,
    /// Seen before.
    Duplicate,
}

/// Arrivals of one publisher at one subscriber that is due every message.
#[derive(Debug, Default)]
pub(super) struct Track {
    next: u64,
    /// Missing ranges below `next`, ascending; empty unless something went wrong.
    gaps: Vec<(u64, u64)>,
}

impl Track {
    /// Judges the arrival of `sequence`.
    #[inline]
    pub(super) fn arrive(&mut self, sequence: u64) -> Arrival {
        if sequence == self.next {
            self.next += 1;
            return Arrival::InOrder;
        }
        self.arrive_unexpected(sequence)
    }

    #[cold]
    fn arrive_unexpected(&mut self, sequence: u64) -> Arrival {
        if sequence > self.next {
            if self.gaps.len() == MAX_GAPS {
                self.gaps.remove(0);
            }
            self.gaps.push((self.next, sequence));
            self.next = sequence.saturating_add(1);
            return Arrival::InOrder;
        }
        let holding = self.gaps.iter().position(|gap| (gap.0..gap.1).contains(&sequence));
        let Some(at) = holding else { return Arrival::Duplicate };
        let (start, end) = self.gaps.remove(at);
        for half in [(sequence + 1, end), (start, sequence)] {
            if half.0 < half.1 {
                self.gaps.insert(at, half);
            }
        }
        Arrival::Late
    }
}

/// Arrivals at a subscriber that is due only some messages of a publisher.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct SparseTrack {
    /// One more than the highest seen.
    next: u64,
}

impl SparseTrack {
    /// Judges the arrival of `sequence`; only an immediate repetition is known as duplicate.
    #[inline]
    pub(super) fn arrive(&mut self, sequence: u64) -> Arrival {
        if sequence >= self.next {
            self.next = sequence.saturating_add(1);
            Arrival::InOrder
        } else if sequence + 1 == self.next {
            Arrival::Duplicate
        } else {
            Arrival::Late
        }
    }
}

/// Arrivals of one publisher at a group that shares its messages: each is due exactly once.
#[derive(Debug, Default)]
pub(super) struct GroupTrack {
    seen: Vec<u64>,
}

impl GroupTrack {
    /// Sequences beyond this are not ours: it bounds the memory a broken stamp could ask for.
    const MAX_SEQUENCE: u64 = 1 << 32;

    /// Whether any consumer had `sequence` before; marks it.
    pub(super) fn first_time(&mut self, sequence: u64) -> bool {
        if sequence >= Self::MAX_SEQUENCE {
            return false;
        }
        let word = (sequence / 64) as usize;
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        let bit = 1 << (sequence % 64);
        let first = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::Arrival::{Duplicate, InOrder, Late};
    use super::*;

    fn judge(sequences: &[u64]) -> Vec<Arrival> {
        let mut track = Track::default();
        sequences.iter().map(|sequence| track.arrive(*sequence)).collect()
    }

    #[test]
    fn late_and_repeated_messages_are_told_apart() {
        assert_eq!(judge(&[0, 1, 2]), [InOrder; 3]);
        assert_eq!(judge(&[0, 0, 1]), [InOrder, Duplicate, InOrder]);
        assert_eq!(judge(&[0, 3, 1, 1]), [InOrder, InOrder, Late, Duplicate]);
        assert_eq!(judge(&[4, 2, 0, 3, 1, 2]), [InOrder, Late, Late, Late, Late, Duplicate]);
    }

    #[test]
    fn gaps_are_bounded() {
        let mut track = Track::default();
        for sequence in (0..20_000).map(|n| n * 2 + 1) {
            assert_eq!(track.arrive(sequence), InOrder);
        }
        assert_eq!(track.gaps.len(), MAX_GAPS);
    }

    #[test]
    fn a_sparse_track_needs_order_only() {
        let mut track = SparseTrack::default();
        let seen: Vec<Arrival> = [5, 9, 9, 7].map(|sequence| track.arrive(sequence)).to_vec();
        assert_eq!(seen, [InOrder, InOrder, Duplicate, Late]);
    }

    #[test]
    fn a_group_gets_each_message_once() {
        let mut group = GroupTrack::default();
        assert!(group.first_time(700));
        assert!(group.first_time(0));
        assert!(!group.first_time(700));
        assert!(!group.first_time(u64::MAX));
    }
}
