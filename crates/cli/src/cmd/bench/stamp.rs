//! What every payload starts with: who sent it, in which run, its number and its scheduled time.

/// Bytes a stamp takes, hence the smallest payload.
pub(super) const STAMP_LEN: usize = 24;

/// Written by a publisher, read back by the subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Index of the publisher in the plan.
    pub(super) publisher: u32,
    /// Tells this run from whatever else travels through the broker.
    pub(super) run: u32,
    /// Counts the publisher's messages from 0.
    pub(super) sequence: u64,
    /// When the message was due (open loop) or handed to the kernel (saturation), monotonic clock.
    pub(super) scheduled_ns: u64,
}

impl Stamp {
    /// Writes the whole stamp.
    pub(super) fn write(&self, payload: &mut [u8]) {
        payload[..4].copy_from_slice(&self.publisher.to_le_bytes());
        payload[4..8].copy_from_slice(&self.run.to_le_bytes());
        Self::rewrite(payload, self.sequence, self.scheduled_ns);
    }

    /// Replaces what differs from one message of a publisher to the next.
    pub(super) fn rewrite(payload: &mut [u8], sequence: u64, scheduled_ns: u64) {
        payload[8..16].copy_from_slice(&sequence.to_le_bytes());
        payload[16..24].copy_from_slice(&scheduled_ns.to_le_bytes());
    }

    /// The stamp at the start of a payload; `None` if the payload is too short to carry one.
    #[inline]
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let bytes = payload.first_chunk::<STAMP_LEN>()?;
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Some(Self { publisher: word(0), run: word(4), sequence: long(8), scheduled_ns: long(16) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back_as_written() {
        let stamp = Stamp { publisher: 7, run: 0xdead_beef, sequence: 1 << 40, scheduled_ns: 99 };
        let mut payload = [0; 30];
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        Stamp::rewrite(&mut payload, 5, 6);
        assert_eq!(Stamp::read(&payload), Some(Stamp { sequence: 5, scheduled_ns: 6, ..stamp }));
    }

    #[test]
    fn a_short_payload_carries_no_stamp() {
        assert_eq!(Stamp::read(&[0; STAMP_LEN - 1]), None);
    }
}
