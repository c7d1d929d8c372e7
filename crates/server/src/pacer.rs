//! Turn pacing: how long a shard waits before its next turn so that more input comes together.
//!
//! Sparse traffic costs mostly wake-ups. While input comes often, at most one turn is taken per
//! interval L = min(cap, 12 / event rate), so a turn finds about twelve ready sockets instead of
//! one. The wait comes after a turn, never before one: the first message after idle is not put
//! off.
//!
//! Peers that send only once they were answered lose throughput to any wait. They are found by
//! trial: what comes in during a window without pauses is compared with a window with them.
//!
//! ```text
//!            often enough                 no gain without pauses
//!  Quiet ------------------> Check -----------------------------> Paced <---+
//!    ^                         |  ^                                 | due   | no gain
//!    | sparse (from any)       |  | due                             v       |
//!    +----                     +--+--> Off <---------------------- Trial ---+
//!                         clearly more without pauses
//! ```

use std::time::Duration;

use dunlin_broker::Time;

/// Length of one measurement. Long enough for a hundred events at the rates that matter, short
/// enough that a wrong choice costs nobody more than two of them.
const WINDOW: Duration = Duration::from_millis(10);

/// Ready sockets that a paced turn aims to find. With 500 pairs at QoS 1 and 10 k messages a second, CPU
/// per message was 0.74 of Mosquitto's at 4, 0.63 at 8, 0.54 to 0.56 at 12 and no less at 14; p99 stays below 1.5 ms.
const EVENTS_PER_TURN: f64 = 12.0;

/// Events expected within one cap below which pauses gather too little to pay for the sleep.
const WORTH_PACING: f64 = 3.0;

/// The same to leave pacing again: lower, so that the two do not alternate.
const STILL_WORTH_PACING: f64 = 2.0;

/// Input without pauses over input with them from which on pauses are seen to cost throughput.
const CLEARLY_MORE: f64 = 1.25;

/// Time between trials while pacing: one window in fifty goes without.
const TRIAL_EVERY: Duration = Duration::from_millis(500);

/// First and longest time between checks whether pauses still cost throughput; it doubles.
const CHECK_FIRST: Duration = Duration::from_millis(200);
const CHECK_LONGEST: Duration = Duration::from_secs(5);

/// Decides the pauses of one shard.
#[derive(Debug)]
pub(crate) struct Pacer {
    cap: Duration,
    mode: Mode,
    /// Ready client sockets per second.
    rate: f64,
    window: Sample,
    window_start: Time,
    /// Turns that were followed by a pause, and their sum; for the statistics.
    paused: Paused,
}

/// Pauses taken so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Paused {
    pub(crate) turns: u64,
    pub(crate) micros: u64,
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    /// Input is too sparse for pauses to gather anything.
    Quiet,
    /// Pausing, and comparing with `free`, the window before.
    Check { free: Sample, wait: Duration },
    /// Pausing until the next trial.
    Paced { trial: Time },
    /// Not pausing, and comparing with `paced`, the window before.
    Trial { paced: Sample },
    /// Pauses were seen to cost throughput; checked again at `check`.
    Off { check: Time, wait: Duration },
}

/// What came from clients within a window.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    events: u64,
    messages: u64,
    seconds: f64,
}

impl Pacer {
    /// A pacer that never waits longer than `cap`; zero never waits.
    pub(crate) fn new(cap: Duration, now: Time) -> Self {
        Self {
            cap,
            mode: Mode::Quiet,
            rate: 0.0,
            window: Sample::default(),
            window_start: now,
            paused: Paused::default(),
        }
    }

    /// Notes what a turn read from clients: sockets that had something, and whole messages.
    /// Wake-ups by sibling shards are none of these.
    pub(crate) fn turn(&mut self, now: Time, events: u64, messages: u64) {
        self.window.events += events;
        self.window.messages += messages;
        let length = now.since(self.window_start);
        if length >= WINDOW {
            self.window.seconds = length.as_secs_f64();
            let sample = std::mem::take(&mut self.window);
            self.window_start = now;
            self.close_window(now, sample);
        }
    }

    /// How long to wait now, after a turn that began at `started`.
    pub(crate) fn pause(&mut self, started: Time, now: Time) -> Duration {
        let pause = self.interval().saturating_sub(now.since(started));
        if !pause.is_zero() {
            self.paused.turns += 1;
            self.paused.micros += u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        }
        pause
    }

    /// The interval L of the moment; zero while turns are not put off.
    pub(crate) fn interval(&self) -> Duration {
        match self.mode {
            Mode::Quiet | Mode::Trial { .. } | Mode::Off { .. } => Duration::ZERO,
            Mode::Check { .. } | Mode::Paced { .. } => {
                self.cap.min(Duration::from_secs_f64(EVENTS_PER_TURN / self.rate.max(1.0)))
            }
        }
    }

    /// Pauses taken so far.
    pub(crate) const fn paused(&self) -> Paused {
        self.paused
    }

    fn close_window(&mut self, now: Time, sample: Sample) {
        self.follow(sample.events as f64 / sample.seconds);
        let expected = self.rate * self.cap.as_secs_f64();
        self.mode = match self.mode {
            // The comparison comes first: pauses may be what made the input sparse.
            Mode::Check { free, wait } if free.clearly_more_than(&sample) => {
                Mode::Off { check: now.saturating_add(wait), wait }
            }
            Mode::Trial { paced } if sample.clearly_more_than(&paced) => {
                Mode::Off { check: now.saturating_add(CHECK_FIRST), wait: CHECK_FIRST }
            }
            Mode::Quiet if expected >= WORTH_PACING => {
                Mode::Check { free: sample, wait: CHECK_FIRST }
            }
            Mode::Quiet => Mode::Quiet,
            _ if expected < STILL_WORTH_PACING => Mode::Quiet,
            Mode::Check { .. } | Mode::Trial { .. } => {
                Mode::Paced { trial: now.saturating_add(TRIAL_EVERY) }
            }
            Mode::Paced { trial } if now >= trial => Mode::Trial { paced: sample },
            Mode::Off { check, wait } if now >= check => {
                Mode::Check { free: sample, wait: CHECK_LONGEST.min(wait * 2) }
            }
            unchanged @ (Mode::Paced { .. } | Mode::Off { .. }) => unchanged,
        };
    }

    /// Smooths the event rate, but follows a sudden lull at once.
    fn follow(&mut self, latest: f64) {
        self.rate = if latest * 4.0 < self.rate { latest } else { (self.rate + latest) / 2.0 };
    }
}

impl Sample {
    /// Whether this holds more messages per second than `other`, beyond threshold and chance.
    /// Arrivals by chance scatter by one over the root of their number, so few prove little.
    fn clearly_more_than(&self, other: &Self) -> bool {
        let scatter = |sample: &Self| 1.0 / (sample.events.max(1) as f64).sqrt();
        let threshold = CLEARLY_MORE + scatter(self) + scatter(other);
        self.message_rate() > threshold * other.message_rate()
    }

    fn message_rate(&self) -> f64 {
        if self.seconds > 0.0 { self.messages as f64 / self.seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: Duration = Duration::from_micros(600);
    /// What a turn costs in these stories.
    const TURN: Duration = Duration::from_micros(10);

    /// A shard on virtual time: `arrival` tells when input number n is there.
    struct Line {
        pacer: Pacer,
        now: Time,
        turns: u64,
        longest_wait: Duration,
    }

    impl Line {
        fn new() -> Self {
            let now = Time::from_secs(1);
            Self { pacer: Pacer::new(CAP, now), now, turns: 0, longest_wait: Duration::ZERO }
        }

        /// Senders that send every `gap` whatever happens, until `length` is over.
        fn open_loop(&mut self, gap: Duration, length: Duration) {
            let end = self.now.saturating_add(length);
            let mut next = self.now;
            while next < end {
                // Sleep until something is there.
                self.now = self.now.max(next);
                let started = self.now;
                self.longest_wait = self.longest_wait.max(started.since(next));
                let mut events = 0;
                while next <= started {
                    next = next.saturating_add(gap);
                    events += 1;
                }
                self.finish_turn(started, events);
            }
        }

        /// `peers` that each send again `think` after they were answered.
        fn closed_loop(&mut self, peers: u64, think: Duration, length: Duration) -> u64 {
            let end = self.now.saturating_add(length);
            let mut answered = 0;
            while self.now < end {
                self.now = self.now.saturating_add(think);
                answered += peers;
                self.finish_turn(self.now, peers);
            }
            answered
        }

        fn finish_turn(&mut self, started: Time, events: u64) {
            self.turns += 1;
            self.now = started.saturating_add(TURN);
            self.pacer.turn(self.now, events, events);
            let pause = self.pacer.pause(started, self.now);
            self.now = self.now.saturating_add(pause);
        }
    }

    #[test]
    fn sparse_input_is_never_put_off() {
        let mut line = Line::new();
        line.open_loop(Duration::from_millis(5), Duration::from_secs(2));
        assert_eq!(line.longest_wait, Duration::ZERO);
        assert_eq!(line.pacer.paused(), Paused::default());
    }

    #[test]
    fn frequent_input_comes_together_about_twelve_at_a_time() {
        let mut line = Line::new();
        line.open_loop(Duration::from_micros(50), Duration::from_secs(2));
        let per_turn = 40_000.0 / line.turns as f64;
        assert!((9.0..14.0).contains(&per_turn), "{per_turn} events a turn");
        assert!(line.longest_wait <= CAP);
    }

    #[test]
    fn the_first_message_after_idle_is_not_put_off() {
        let mut line = Line::new();
        line.open_loop(Duration::from_micros(50), Duration::from_secs(1));
        line.now = line.now.saturating_add(Duration::from_secs(3));
        line.longest_wait = Duration::ZERO;
        line.open_loop(Duration::from_secs(1), Duration::from_millis(1));
        assert_eq!(line.longest_wait, Duration::ZERO);
    }

    #[test]
    fn a_closed_loop_keeps_its_speed() {
        for peers in [1, 4, 20] {
            let mut line = Line::new();
            let think = Duration::from_micros(50);
            let length = Duration::from_secs(5);
            let answered = line.closed_loop(peers, think, length);
            let unpaced = peers * (length.as_micros() / (think + TURN).as_micros()) as u64;
            let share = answered as f64 / unpaced as f64;
            assert!(share > 0.95, "{peers} peers keep {share} of their speed");
        }
    }

    #[test]
    fn open_senders_are_paced_again_after_a_closed_loop() {
        let mut line = Line::new();
        line.closed_loop(4, Duration::from_micros(50), Duration::from_secs(5));
        line.open_loop(Duration::from_micros(50), Duration::from_secs(6));
        line.turns = 0;
        line.open_loop(Duration::from_micros(50), Duration::from_secs(1));
        assert!(line.turns < 8_000, "{} turns for 20000 events", line.turns);
    }

    #[test]
    fn a_cap_of_zero_turns_pacing_off() {
        let mut line = Line::new();
        line.pacer = Pacer::new(Duration::ZERO, line.now);
        line.open_loop(Duration::from_micros(20), Duration::from_secs(1));
        assert_eq!(line.pacer.paused(), Paused::default());
    }
}
