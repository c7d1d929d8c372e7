//! One thread of the generator: waits, reads every ready socket, sends what is due.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use mio::event::Event;
use mio::{Events, Poll, Token};

use super::board::{Board, Counts};
use super::clock::{SECOND_NS, now_ns};
use super::plan::{Pace, Plan, Timeline};
use super::publisher::Publisher;
use super::schedule::Schedule;
use super::split::Split;
use super::subscriber::Subscriber;
use super::timer::Timer;

/// Bytes of one read: enough for thousands of small messages, little enough for the cache.
const READ_BYTES: usize = 256 * 1024;

/// Sockets of one turn.
const EVENTS: usize = 1024;

/// Sockets served before looking whether something is due.
const EVENTS_BETWEEN_SENDS: usize = 16;

/// Shortest pause between two turns of an open loop: messages due closer together share a turn.
const QUANTUM_NS: u64 = 100_000;

/// Longest sleep, so that the end of the run is noticed.
const IDLE_WAIT: Duration = Duration::from_millis(20);

/// A window that nothing opens for so long is opened by force: its messages are lost.
const STALL_NS: u64 = SECOND_NS;

const TIMER: Token = Token(usize::MAX);

/// Seen by the thread that measures, written by the workers once a turn.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) sent: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) distinct: AtomicU64,
    /// Set to end the run.
    pub(super) stop: AtomicBool,
}

/// A thread's clients and notes.
#[derive(Debug)]
pub(super) struct Worker {
    poll: Poll,
    timer: Timer,
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    pacing: Pacing,
    timeline: Timeline,
    board: Board,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
    shared: Arc<Shared>,
    /// Counts as last shown in `shared`.
    shown: Counts,
}

/// The pace as this worker follows it.
#[derive(Debug)]
enum Pacing {
    /// Open loop: visits of the local publishers in turn, in the order their messages are due.
    Open { schedule: Schedule, visits: u64 },
    /// Saturation; `last_news_ns` is when a window last opened.
    Closed { last_news_ns: u64 },
}

impl Worker {
    /// A worker with its clients, not yet started.
    pub(super) fn new(
        plan: &Plan,
        timeline: Timeline,
        publishers: Vec<Publisher>,
        subscribers: Vec<Subscriber>,
        shared: Arc<Shared>,
    ) -> Result<Self> {
        let pacing = match plan.pace {
            Pace::Rate { per_second, tick_ns } => Pacing::Open {
                schedule: Schedule {
                    start_ns: timeline.start_ns,
                    rate: per_second,
                    publishers: u64::from(plan.publishers),
                    tick_ns,
                },
                visits: 0,
            },
            Pace::Window(_) => Pacing::Closed { last_news_ns: timeline.start_ns },
        };
        Ok(Self {
            poll: Poll::new().context("creating the poll")?,
            timer: Timer::new().context("creating the timer")?,
            board: Board::new(plan, publishers.len(), timeline)?,
            publishers,
            subscribers,
            pacing,
            timeline,
            buffer: vec![0; READ_BYTES],
            scratch: Vec::new(),
            shared,
            shown: Counts::default(),
        })
    }

    /// Runs until told to stop; gives back the notes.
    pub(super) fn run(mut self) -> Result<Board> {
        self.register()?;
        let mut events = Events::with_capacity(EVENTS);
        self.timer.wake_by(self.timeline.start_ns, now_ns())?;
        for local in 0..self.publishers.len() {
            self.board.progress.wake(local);
        }
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(IDLE_WAIT)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.context("polling")?,
            }
            for (count, event) in (1..).zip(&events) {
                self.serve(event)?;
                if count % EVENTS_BETWEEN_SENDS == 0 && matches!(self.pacing, Pacing::Open { .. }) {
                    self.send_due(now_ns())?;
                }
            }
            let now = now_ns();
            match self.pacing {
                Pacing::Open { .. } => self.send_due(now)?,
                Pacing::Closed { .. } => self.refill(now)?,
            }
            self.show();
        }
        let first = self.publishers.iter_mut().find(|publisher| publisher.index() == 0);
        self.board.counts.sent_by_first = first.map_or(0, |first| first.window().next());
        Ok(self.board)
    }

    fn register(&mut self) -> Result<()> {
        self.timer.register(self.poll.registry(), TIMER)?;
        let first = self.publishers.len();
        for (token, publisher) in self.publishers.iter_mut().enumerate() {
            publisher.register(self.poll.registry(), Token(token))?;
        }
        for (token, subscriber) in (first..).zip(&mut self.subscribers) {
            subscriber.register(self.poll.registry(), Token(token))?;
        }
        Ok(())
    }

    fn serve(&mut self, event: &Event) -> Result<()> {
        let Token(at) = event.token();
        let (buffer, scratch, board) = (&mut self.buffer, &mut self.scratch, &mut self.board);
        let first_subscriber = self.publishers.len();
        if let Some(publisher) = self.publishers.get_mut(at) {
            if event.is_writable() {
                publisher.flush()?;
            }
            if event.is_readable() || event.is_read_closed() {
                publisher.receive(buffer, scratch, board)?;
            }
            board.progress.wake(at);
        } else if let Some(subscriber) = self.subscribers.get_mut(at.wrapping_sub(first_subscriber))
        {
            if event.is_writable() {
                subscriber.flush()?;
            }
            if event.is_readable() || event.is_read_closed() {
                subscriber.receive(buffer, scratch, board)?;
            }
        }
        Ok(())
    }

    /// Open loop: sends every message that is due and was due before the end.
    fn send_due(&mut self, now: u64) -> Result<()> {
        let Pacing::Open { schedule, mut visits } = self.pacing else { return Ok(()) };
        let due_by = now.min(self.timeline.stop_ns - 1);
        // Those the window or the kernel held back when their turn came.
        while let Some((local, _)) = self.board.progress.take() {
            self.send_due_of(local, &schedule, due_by, now)?;
        }
        let publishers = self.publishers.len() as u64;
        let next_due = loop {
            let (sequence, local) = (visits / publishers, (visits % publishers) as usize);
            let due = schedule.due_ns(u64::from(self.publishers[local].index()), sequence);
            if due > due_by {
                break due;
            }
            self.send_due_of(local, &schedule, due_by, now)?;
            visits += 1;
        };
        self.pacing = Pacing::Open { schedule, visits };
        if next_due < self.timeline.stop_ns {
            self.timer.wake_by(next_due.max(now + QUANTUM_NS), now)?;
        }
        Ok(())
    }

    fn send_due_of(
        &mut self,
        local: usize,
        schedule: &Schedule,
        due_by: u64,
        now: u64,
    ) -> Result<()> {
        let publisher = &mut self.publishers[local];
        let index = u64::from(publisher.index());
        let (first, room) = (publisher.window().next(), publisher.window().room());
        if publisher.is_blocked() || room == 0 {
            return Ok(());
        }
        let is_due = |count: &u64| schedule.due_ns(index, first + count) <= due_by;
        let count = (0..room).take_while(is_due).count() as u64;
        if count > 0 {
            let due = |sequence| schedule.due_ns(index, sequence);
            let sent = publisher.send(count, due, &mut self.scratch)?;
            self.board.counts.sent += sent;
            for sequence in first..first + sent {
                self.board.lag.note(due(sequence), now);
            }
            self.board.lag.settle(now);
        }
        Ok(())
    }

    /// Saturation: refills the windows that opened.
    fn refill(&mut self, now: u64) -> Result<()> {
        let Pacing::Closed { mut last_news_ns } = self.pacing else { return Ok(()) };
        if !(self.timeline.start_ns..self.timeline.stop_ns).contains(&now) {
            return Ok(());
        }
        while let Some((local, reached)) = self.board.progress.take() {
            let publisher = &mut self.publishers[local];
            publisher.window().reached(reached);
            let count = publisher.window().refill();
            if count > 0 && !publisher.is_blocked() {
                let sent = publisher.send(count, |_| now, &mut self.scratch)?;
                self.board.counts.sent += sent;
                last_news_ns = now;
            }
        }
        if now.saturating_sub(last_news_ns) > STALL_NS {
            last_news_ns = now;
            self.reopen();
        }
        self.pacing = Pacing::Closed { last_news_ns };
        Ok(())
    }

    /// Gives up on what never arrived. Windows that acknowledgements open stay closed: at `QoS` 1
    /// and 2 nothing may be given up.
    fn reopen(&mut self) {
        for (local, publisher) in self.publishers.iter_mut().enumerate() {
            if publisher.window().give_up() {
                self.board.progress.wake(local);
            }
        }
    }

    fn show(&mut self) {
        let (now, shown) = (self.board.counts, self.shown);
        let add = |cell: &AtomicU64, now: u64, shown: u64| {
            if now != shown {
                cell.fetch_add(now.wrapping_sub(shown), Ordering::Relaxed);
            }
        };
        add(&self.shared.sent, now.sent, shown.sent);
        add(&self.shared.acknowledged, now.acknowledged, shown.acknowledged);
        add(&self.shared.received, now.received, shown.received);
        add(&self.shared.distinct, now.distinct(), shown.distinct());
        self.shown = now;
    }
}

/// The clients of one worker, taken out of all that are connected.
pub(super) fn members<T>(split: Split, all: &mut [Option<T>]) -> Vec<(u32, T)> {
    split
        .members(all.len() as u32)
        .filter_map(|index| Some((index, all[index as usize].take()?)))
        .collect()
}
