//! What one worker writes down while it runs: counts, latencies, and how far each publisher's
//! messages have come.

use anyhow::Result;
use hdrhistogram::Histogram;

use super::plan::{Layout, Plan, Timeline};
use super::track::GroupTrack;

/// Longest latency told apart: an hour.
const MAX_LATENCY_NS: u64 = 3_600_000_000_000;

/// Significant digits of every latency.
const LATENCY_DIGITS: u8 = 3;

/// Counts of a worker, or of all of them added up.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    /// Messages published.
    pub(super) sent: u64,
    /// Of these, published by the first publisher: what one receiver can be checked against.
    pub(super) sent_by_first: u64,
    /// Of all, acknowledged to the end (`QoS` 1 and 2).
    pub(super) acknowledged: u64,
    /// Acknowledgements with an error code.
    pub(super) refused: u64,
    /// Acknowledgements of nothing under way.
    pub(super) unexpected_acks: u64,
    /// Messages received, repetitions included.
    pub(super) received: u64,
    /// Received again.
    pub(super) duplicates: u64,
    /// Received after a later one of the same publisher.
    pub(super) out_of_order: u64,
    /// Received although nobody in this run sent it here.
    pub(super) foreign: u64,
}

impl Counts {
    /// Messages received, each counted once.
    pub(super) fn distinct(&self) -> u64 {
        self.received - self.duplicates
    }

    /// Adds the counts of another worker.
    pub(super) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.sent_by_first += other.sent_by_first;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unexpected_acks += other.unexpected_acks;
        self.received += other.received;
        self.duplicates += other.duplicates;
        self.out_of_order += other.out_of_order;
        self.foreign += other.foreign;
    }
}

/// Notes of one worker.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) counts: Counts,
    pub(super) progress: Progress,
    /// From the scheduled time to arrival.
    pub(super) latency: Latencies,
    /// From the scheduled time to the write: how late the generator itself was.
    pub(super) lag: Latencies,
    /// Per publisher, what the consumers of a shared subscription received together.
    pub(super) group: Vec<GroupTrack>,
}

impl Board {
    /// Empty notes of a worker with `publishers` of the plan's publishers.
    pub(super) fn new(plan: &Plan, publishers: usize, timeline: Timeline) -> Result<Self> {
        let in_group = if plan.layout == Layout::Shared { plan.publishers } else { 0 };
        Ok(Self {
            counts: Counts::default(),
            progress: Progress::new(publishers),
            latency: Latencies::new(timeline)?,
            lag: Latencies::new(timeline)?,
            group: (0..in_group).map(|_| GroupTrack::default()).collect(),
        })
    }
}

/// Latencies of what was scheduled within the measured phase.
#[derive(Debug)]
pub(super) struct Latencies {
    pub(super) histogram: Histogram<u64>,
    timeline: Timeline,
    /// Messages of a batch mostly share one scheduled time: they are recorded together.
    run_scheduled_ns: u64,
    run_length: u64,
}

impl Latencies {
    fn new(timeline: Timeline) -> Result<Self> {
        let histogram = Histogram::new_with_bounds(1, MAX_LATENCY_NS, LATENCY_DIGITS)?;
        Ok(Self { histogram, timeline, run_scheduled_ns: 0, run_length: 0 })
    }

    /// Notes one message that arrived at `now_ns`; `settle` ends a batch with the same `now_ns`.
    #[inline]
    pub(super) fn note(&mut self, scheduled_ns: u64, now_ns: u64) {
        if scheduled_ns != self.run_scheduled_ns {
            self.settle(now_ns);
            self.run_scheduled_ns = scheduled_ns;
        }
        self.run_length += 1;
    }

    /// Records what was noted since the last call.
    #[inline]
    pub(super) fn settle(&mut self, now_ns: u64) {
        let measured = self.timeline.measure_ns..self.timeline.stop_ns;
        if self.run_length > 0 && measured.contains(&self.run_scheduled_ns) {
            let latency = now_ns.saturating_sub(self.run_scheduled_ns);
            self.histogram.saturating_record_n(latency, self.run_length);
        }
        self.run_length = 0;
    }
}

/// Which publishers have news: an arrival or an acknowledgement.
#[derive(Debug)]
pub(super) struct Progress {
    /// Per local publisher, one more than the highest sequence that arrived.
    reached: Vec<u64>,
    is_woken: Vec<bool>,
    woken: Vec<usize>,
}

impl Progress {
    fn new(publishers: usize) -> Self {
        Self {
            reached: vec![0; publishers],
            is_woken: vec![false; publishers],
            woken: Vec::with_capacity(publishers),
        }
    }

    /// Message `sequence` of a local publisher arrived.
    #[inline]
    pub(super) fn arrived(&mut self, local: usize, sequence: u64) {
        let reached = &mut self.reached[local];
        *reached = (*reached).max(sequence.saturating_add(1));
        self.wake(local);
    }

    /// The publisher may be able to send.
    #[inline]
    pub(super) fn wake(&mut self, local: usize) {
        if !self.is_woken[local] {
            self.is_woken[local] = true;
            self.woken.push(local);
        }
    }

    /// One publisher with news, and how far its messages came.
    pub(super) fn take(&mut self) -> Option<(usize, u64)> {
        let local = self.woken.pop()?;
        self.is_woken[local] = false;
        Some((local, self.reached[local]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMELINE: Timeline = Timeline { start_ns: 0, measure_ns: 100, stop_ns: 200 };

    #[test]
    fn only_messages_scheduled_in_the_measured_phase_count() {
        let mut latencies = Latencies::new(TIMELINE).unwrap();
        for scheduled in [99, 100, 100, 199, 200] {
            latencies.note(scheduled, 300);
        }
        latencies.settle(300);
        assert_eq!(latencies.histogram.len(), 3);
        assert_eq!((latencies.histogram.min(), latencies.histogram.max()), (101, 200));
    }

    #[test]
    fn batches_do_not_share_their_arrival_time() {
        let mut latencies = Latencies::new(TIMELINE).unwrap();
        latencies.note(150, 160);
        latencies.settle(160);
        latencies.note(150, 250);
        latencies.settle(250);
        assert_eq!((latencies.histogram.min(), latencies.histogram.max()), (10, 100));
    }

    #[test]
    fn a_publisher_is_woken_once() {
        let mut progress = Progress::new(3);
        progress.arrived(1, 6);
        progress.arrived(1, 7);
        progress.wake(2);
        assert_eq!(progress.take(), Some((2, 0)));
        assert_eq!(progress.take(), Some((1, 8)));
        assert_eq!(progress.take(), None);
    }
}
