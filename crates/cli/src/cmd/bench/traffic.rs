//! Runs a plan: connects everybody, starts the workers, measures between two instants, waits for
//! what is under way, adds up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::affinity::run_soon;
use super::args::TargetArgs;
use super::board::{Board, Counts};
use super::clock::{SECOND_NS, now_ns, sleep_towards};
use super::crowd::{Connected, Crowd, allow_connections, subscribe_all};
use super::outcome::{Measure, Outcome};
use super::plan::{Audience, Layout, Plan, Timeline, in_seconds};
use super::proc::{Process, Usage};
use super::progress::Progress;
use super::publisher::Publisher;
use super::split::Split;
use super::subscriber::Subscriber;
use super::worker::{Shared, Worker, members};

/// Time between the last connection and the first publish.
const SETTLE_NS: u64 = SECOND_NS / 5;

/// How often the run is looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// How often the drain is looked at.
const DRAIN_GLANCE: Duration = Duration::from_millis(5);

/// A drain without a single arrival for so long is over.
const DRAIN_SILENCE_NS: u64 = 2 * SECOND_NS;

/// Counters at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot {
    pub(super) at_ns: u64,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) received: u64,
    pub(super) own: Usage,
    pub(super) broker: Option<Usage>,
    /// Bytes the broker has written to a disk.
    pub(super) written: Option<u64>,
}

/// What a run leaves behind.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) begin: Snapshot,
    pub(super) end: Snapshot,
    pub(super) counts: Counts,
    pub(super) latency: Histogram<u64>,
    pub(super) lag: Histogram<u64>,
}

/// A run that is going on.
struct Run<'a> {
    plan: &'a Plan,
    broker: Option<Process>,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<Result<Board>>>,
    progress: &'a Progress,
}

/// Runs `plan` against the broker.
pub(super) fn run(plan: &Plan, target: &TargetArgs, progress: &Progress) -> Result<Outcome> {
    let broker = target.pid.map(Process::new).transpose()?;
    allow_connections(u64::from(plan.publishers) + u64::from(plan.subscribers))?;
    progress.say("connecting");
    let mut crowd = Crowd::new(target, plan.run, 0)?;
    let mut subscribers = crowd.open("s", plan.subscribers)?;
    let publishers = crowd.open("p", plan.publishers)?;
    progress.say("subscribing");
    let (resident_before, subscribing_ns) =
        (broker.map(Process::resident_bytes).transpose()?, now_ns());
    subscribe_all(&mut subscribers, plan.sub_qos, |index| plan.filters(index))?;
    let subscribed_ns = now_ns();
    let resident_ready = broker.map(Process::resident_bytes).transpose()?;

    let measured = load(plan, target, (publishers, subscribers), progress)?;
    let resident_end = broker.map(Process::resident_bytes).transpose()?;

    let mut outcome = Outcome::default();
    rates(&mut outcome, plan, measured.begin, measured.end);
    latencies(&mut outcome, &measured.latency, &measured.lag);
    faults(&mut outcome, plan, &measured.counts);
    outcome.set_known(Measure::BrokerRssBytes, resident_end.map(|bytes| bytes as f64));
    if let Layout::Groups { groups } = plan.layout {
        let filters = f64::from(groups) * plan.deliveries_per_publish() as f64;
        let grown = resident_ready.zip(resident_before).map(|(now, was)| now as f64 - was as f64);
        outcome.set_known(Measure::RssBytesPerFilter, grown.map(|bytes| bytes / filters));
        outcome.set(Measure::FiltersPerS, filters / in_seconds(subscribed_ns - subscribing_ns));
    }
    Ok(outcome)
}

/// Puts the load of `plan` on publishers and subscribers that are connected.
pub(super) fn load(
    plan: &Plan,
    target: &TargetArgs,
    clients: (Vec<Connected>, Vec<Connected>),
    progress: &Progress,
) -> Result<Measured> {
    let broker = target.pid.map(Process::new).transpose()?;
    let timeline = plan.timeline(now_ns() + SETTLE_NS);
    let run = Run::start(plan, target, broker, timeline, clients, progress)?;
    let measured = run.measure(timeline);
    if measured.is_ok() {
        run.drain();
    }
    // What a worker complains of comes first: a broker that vanished fails the counters as well.
    let (counts, latency, lag) = run.finish()?;
    let (begin, end) = measured?;
    Ok(Measured { begin, end, counts, latency, lag })
}

impl<'a> Run<'a> {
    fn start(
        plan: &'a Plan,
        target: &TargetArgs,
        broker: Option<Process>,
        timeline: Timeline,
        clients: (Vec<Connected>, Vec<Connected>),
        progress: &'a Progress,
    ) -> Result<Self> {
        let workers = Split::workers(plan, target.threads);
        let mut publishers: Vec<_> = clients.0.into_iter().map(Some).collect();
        let mut subscribers: Vec<_> = clients.1.into_iter().map(Some).collect();
        let shared = Arc::new(Shared::default());
        let mut ready = Vec::new();
        for worker in 0..workers {
            let split = Split { worker, workers };
            let publishers = members(split, &mut publishers)
                .into_iter()
                .map(|(index, connected)| Publisher::new(plan, index, connected))
                .collect::<Result<_>>()?;
            let subscribers = members(split, &mut subscribers)
                .into_iter()
                .map(|(index, connected)| Subscriber::new(plan, split, index, connected))
                .collect::<Result<_>>()?;
            let worker = Worker::new(plan, timeline, publishers, subscribers, Arc::clone(&shared))?;
            ready.push(worker);
        }
        let audience = plan.audience;
        let start = |worker: Worker| {
            let work = move || {
                if audience == Audience::Away {
                    run_soon();
                }
                worker.run()
            };
            let thread = std::thread::Builder::new().name("load".to_owned());
            thread.spawn(work).context("starting a thread")
        };
        let workers = ready.into_iter().map(start).collect::<Result<_>>()?;
        Ok(Self { plan, broker, shared, workers, progress })
    }

    /// Sleeps through the measured phase and reads the counters at both ends of it.
    fn measure(&self, timeline: Timeline) -> Result<(Snapshot, Snapshot)> {
        self.watch("warm-up", timeline.measure_ns);
        let begin = self.snapshot()?;
        self.watch("measuring", timeline.stop_ns);
        Ok((begin, self.snapshot()?))
    }

    fn watch(&self, phase: &str, until_ns: u64) {
        let done = || match self.plan.audience {
            Audience::Present => self.shared.received.load(Ordering::Relaxed),
            Audience::Away => self.shared.acknowledged.load(Ordering::Relaxed),
        };
        let (mut shown_ns, mut shown) = (now_ns(), done());
        while now_ns() < until_ns && !self.has_ended() {
            sleep_towards(until_ns, GLANCE);
            let now = now_ns();
            if now - shown_ns >= SECOND_NS {
                let reached = done();
                let rate = (reached - shown) as f64 / in_seconds(now - shown_ns);
                let left = in_seconds(until_ns.saturating_sub(now));
                self.progress.say(&format!("{phase}: {rate:.0} msg/s, {left:.0} s to go"));
                (shown_ns, shown) = (now, reached);
            }
        }
    }

    /// A worker ends early only if it failed; `finish` tells why.
    fn has_ended(&self) -> bool {
        self.workers.iter().any(JoinHandle::is_finished)
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            broker: self.broker.map(Process::usage).transpose()?,
            written: self.broker.and_then(Process::written_bytes),
            sent: self.shared.sent.load(Ordering::Relaxed),
            acknowledged: self.shared.acknowledged.load(Ordering::Relaxed),
            received: self.shared.received.load(Ordering::Relaxed),
            own: Process::own().usage()?,
            at_ns: now_ns(),
        })
    }

    /// Waits until everything sent has arrived and is acknowledged, or nothing moves any more.
    fn drain(&self) {
        let deadline = now_ns().saturating_add(self.plan.phases.drain_ns);
        let (mut last, mut last_change_ns) = ((0, 0), now_ns());
        self.progress.say("draining");
        while now_ns() < deadline && !self.has_ended() {
            std::thread::sleep(DRAIN_GLANCE);
            let sent = self.shared.sent.load(Ordering::Relaxed);
            let state = (
                self.shared.distinct.load(Ordering::Relaxed),
                self.shared.acknowledged.load(Ordering::Relaxed),
            );
            let to_acknowledge = if self.plan.qos == 0 { 0 } else { sent };
            if state.0 >= sent * self.plan.deliveries_per_publish() && state.1 >= to_acknowledge {
                break;
            }
            let now = now_ns();
            if state != last {
                (last, last_change_ns) = (state, now);
            } else if now - last_change_ns > DRAIN_SILENCE_NS {
                break;
            }
        }
    }

    fn finish(self) -> Result<(Counts, Histogram<u64>, Histogram<u64>)> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut counts = Counts::default();
        let mut histograms: Option<(Histogram<u64>, Histogram<u64>)> = None;
        for worker in self.workers {
            let board =
                worker.join().map_err(|_| anyhow::anyhow!("a thread of the load panicked"))??;
            counts.add(&board.counts);
            if let Some((latency, lag)) = &mut histograms {
                latency.add(&board.latency.histogram)?;
                lag.add(&board.lag.histogram)?;
            } else {
                histograms = Some((board.latency.histogram, board.lag.histogram));
            }
        }
        self.progress.clear();
        let (latency, lag) = histograms.context("no thread ran")?;
        Ok((counts, latency, lag))
    }
}

fn rates(outcome: &mut Outcome, plan: &Plan, begin: Snapshot, end: Snapshot) {
    let elapsed_ns = end.at_ns - begin.at_ns;
    let (received, sent) = ((end.received - begin.received) as f64, (end.sent - begin.sent) as f64);
    outcome.set(Measure::DeliveredPerS, received / in_seconds(elapsed_ns));
    outcome.set(Measure::PublishedPerS, sent / in_seconds(elapsed_ns));
    let share = |nanoseconds: u64| nanoseconds as f64 / elapsed_ns as f64 * 100.0;
    let own = end.own.since(begin.own);
    outcome.set(Measure::OwnCpuUsPerDelivery, own.cpu_ns as f64 / 1000.0 / received);
    outcome.set(Measure::OwnCpuPercent, share(own.cpu_ns));
    outcome.set(Measure::OwnWaitPercent, share(own.wait_ns));
    let Some((end, begin)) = end.broker.zip(begin.broker) else { return };
    let broker = end.since(begin);
    let broker_us = broker.cpu_ns as f64 / 1000.0;
    outcome.set(Measure::BrokerCpuUsPerDelivery, broker_us / received);
    if plan.deliveries_per_publish() > 1 {
        outcome.set(Measure::BrokerCpuUsPerPublish, broker_us / sent);
    }
    outcome.set(Measure::BrokerCpuPercent, share(broker.cpu_ns));
    outcome.set(Measure::BrokerWaitPercent, share(broker.wait_ns));
}

fn latencies(outcome: &mut Outcome, latency: &Histogram<u64>, lag: &Histogram<u64>) {
    outcome.set_percentiles(
        latency,
        &[
            (Measure::LatencyP50Us, 0.5),
            (Measure::LatencyP90Us, 0.9),
            (Measure::LatencyP99Us, 0.99),
            (Measure::LatencyP999Us, 0.999),
            (Measure::LatencyMaxUs, 1.0),
        ],
    );
    outcome.set_percentiles(lag, &[(Measure::OwnLagP99Us, 0.99)]);
}

/// What must not be: lost, doubled, disordered or refused messages.
pub(super) fn faults(outcome: &mut Outcome, plan: &Plan, counts: &Counts) {
    let due = counts.sent * plan.deliveries_per_publish();
    outcome.set(Measure::Lost, due.saturating_sub(counts.distinct()) as f64);
    outcome.set(Measure::Duplicated, counts.duplicates as f64);
    outcome.set(Measure::OutOfOrder, counts.out_of_order as f64);
    outcome.set(Measure::Foreign, counts.foreign as f64);
    if plan.qos > 0 {
        outcome.set(Measure::Refused, (counts.refused + counts.unexpected_acks) as f64);
        let unacknowledged = counts.sent.saturating_sub(counts.acknowledged);
        outcome.set(Measure::Unacknowledged, unacknowledged as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use clap::Parser;

    use super::super::plan::tests::plan;
    use super::super::plan::{Pace, Phases};
    use super::super::relay;
    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        target: TargetArgs,
    }

    /// Runs pairs through a relay in this process.
    fn through_relay(pairs: u32, pace: Pace, threads: u16) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving =
            std::thread::spawn(move || relay::serve(&listener, usize::try_from(pairs).unwrap()));
        let typed = Typed::parse_from(["", "--port", &port.to_string()]);
        let target = TargetArgs { threads, pid: Some(std::process::id()), ..typed.target };
        let phases = Phases {
            warmup_ns: SECOND_NS / 10,
            measured_ns: SECOND_NS * 3 / 10,
            drain_ns: 5 * SECOND_NS,
        };
        let plan = Plan { pace, phases, ..plan(Layout::Pairs, pairs, pairs) };
        let outcome = run(&plan, &target, &Progress::new(false)).unwrap();
        serving.join().unwrap().unwrap();
        outcome
    }

    /// What holds of one run at least: others may hold the machine up, but not every time.
    fn holds(run: impl Fn() -> Outcome, so: impl Fn(&Outcome) -> bool) {
        for _ in 0..10 {
            let outcome = run();
            for measure in [Measure::Duplicated, Measure::OutOfOrder, Measure::Foreign] {
                assert_eq!(outcome.values[&measure], 0.0, "{measure:?}");
            }
            if outcome.values[&Measure::Lost] == 0.0 && so(&outcome) {
                return;
            }
        }
        panic!("not in one of ten runs");
    }

    #[test]
    fn a_saturated_pair_loses_nothing() {
        let is_saturated = |outcome: &Outcome| {
            outcome.values[&Measure::DeliveredPerS] > 1000.0
                && outcome.values[&Measure::BrokerCpuUsPerDelivery] > 0.0
        };
        holds(|| through_relay(1, Pace::Window(500), 1), is_saturated);
    }

    #[test]
    fn an_open_loop_keeps_its_rate() {
        let keeps_it = |outcome: &Outcome| {
            (1500.0..2500.0).contains(&outcome.values[&Measure::PublishedPerS])
                && outcome.values[&Measure::LatencyP50Us] > 0.0
        };
        holds(|| through_relay(4, Pace::Rate { per_second: 2000, tick_ns: 0 }, 2), keeps_it);
    }

    #[test]
    fn a_broker_that_hangs_up_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let hanging_up = std::thread::spawn(move || drop(listener.accept()));
        let typed = Typed::parse_from(["", "--port", &port.to_string()]);
        let plan = plan(Layout::Pairs, 1, 1);
        let error = run(&plan, &typed.target, &Progress::new(false)).unwrap_err();
        // Whoever comes after the first meets nobody any more.
        let told = format!("{error:#}");
        assert!(told.contains("client s0") || told.contains("client p0"), "{told}");
        hanging_up.join().unwrap();
    }
}
