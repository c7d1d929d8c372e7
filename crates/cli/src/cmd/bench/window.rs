//! The messages of one publisher that are still under way.

use super::frames::packet_id_of;

/// Most that may be under way with packet identifiers, so that neighbours never share one.
pub(super) const MAX_ACKNOWLEDGED: u64 = 32_768;

/// Sliding window over the sequence numbers of one publisher: `oldest..next` are under way.
#[derive(Debug)]
pub(super) struct Window {
    size: u64,
    oldest: u64,
    next: u64,
    /// A bit per place of the window for those that were acknowledged out of order.
    acknowledged: Vec<u64>,
}

impl Window {
    /// Nothing under way; `size` at least 1. `by_acknowledgement`: closed by `acknowledge` rather
    /// than by `reached`.
    pub(super) fn new(size: u64, by_acknowledgement: bool) -> Self {
        let size = if by_acknowledgement { size.clamp(1, MAX_ACKNOWLEDGED) } else { size.max(1) };
        let words = if by_acknowledgement { size.next_power_of_two().div_ceil(64) } else { 0 };
        Self { size, oldest: 0, next: 0, acknowledged: vec![0; words as usize] }
    }

    /// The sequence number of the message to send next, which is also how many were sent.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// How many more may be sent now.
    pub(super) fn room(&self) -> u64 {
        self.size - (self.next - self.oldest)
    }

    /// Messages under way.
    pub(super) fn outstanding(&self) -> u64 {
        self.next - self.oldest
    }

    /// Room worth a write: small refills would cost more than the messages in them.
    pub(super) fn refill(&self) -> u64 {
        let room = self.room();
        if room * 4 >= self.size { room } else { 0 }
    }

    /// Counts `count` messages as sent; the caller asked `room` before.
    pub(super) fn sent(&mut self, count: u64) {
        self.next += count;
    }

    /// Everything before `sequence` has arrived.
    pub(super) fn reached(&mut self, sequence: u64) {
        self.oldest = self.oldest.max(sequence.min(self.next));
    }

    /// Gives up what is under way; `false` if nothing is, or if acknowledgements are awaited.
    pub(super) fn give_up(&mut self) -> bool {
        let gives_up = self.acknowledged.is_empty() && self.outstanding() > 0;
        if gives_up {
            self.oldest = self.next;
        }
        gives_up
    }

    /// Closes the place of a packet identifier; gives the sequence number that bore it, if one
    /// under way did.
    pub(super) fn acknowledge(&mut self, packet_id: u16) -> Option<u64> {
        let distance =
            (u64::from(packet_id) + 65_535 - u64::from(packet_id_of(self.oldest))) % 65_535;
        let sequence = self.oldest + distance;
        if packet_id == 0 || sequence >= self.next || self.is_acknowledged(sequence) {
            return None;
        }
        let (word, bit) = self.place(sequence);
        self.acknowledged[word] |= bit;
        while self.oldest < self.next && self.is_acknowledged(self.oldest) {
            let (word, bit) = self.place(self.oldest);
            self.acknowledged[word] &= !bit;
            self.oldest += 1;
        }
        Some(sequence)
    }

    fn is_acknowledged(&self, sequence: u64) -> bool {
        let (word, bit) = self.place(sequence);
        self.acknowledged[word] & bit != 0
    }

    fn place(&self, sequence: u64) -> (usize, u64) {
        let bits = self.acknowledged.len() as u64 * 64;
        let place = sequence & (bits - 1);
        ((place / 64) as usize, 1 << (place % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_waits_for_its_oldest_message() {
        let mut window = Window::new(3, true);
        window.sent(3);
        assert_eq!(window.room(), 0);
        assert_eq!(window.acknowledge(packet_id_of(1)), Some(1));
        assert_eq!(window.room(), 0);
        assert_eq!(window.acknowledge(packet_id_of(0)), Some(0));
        assert_eq!((window.room(), window.outstanding()), (2, 1));
    }

    #[test]
    fn identifiers_wrap_round_without_confusion() {
        let mut window = Window::new(100, true);
        for sequence in 0..200_000 {
            window.sent(1);
            assert_eq!(window.acknowledge(packet_id_of(sequence)), Some(sequence));
        }
        assert_eq!(window.outstanding(), 0);
    }

    #[test]
    fn acknowledgements_of_nothing_are_refused() {
        let mut window = Window::new(10, true);
        window.sent(2);
        assert_eq!(window.acknowledge(0), None);
        assert_eq!(window.acknowledge(packet_id_of(2)), None);
        assert_eq!(window.acknowledge(packet_id_of(1)), Some(1));
        assert_eq!(window.acknowledge(packet_id_of(1)), None);
    }

    #[test]
    fn arrival_closes_a_window_without_acknowledgements() {
        let mut window = Window::new(1000, false);
        window.sent(1000);
        assert_eq!(window.refill(), 0);
        window.reached(100);
        assert_eq!((window.room(), window.refill()), (100, 0));
        window.reached(5000);
        assert_eq!(window.refill(), 1000);
    }
}
