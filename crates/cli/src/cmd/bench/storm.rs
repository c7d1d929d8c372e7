//! Connecting and disconnecting: what one connection costs from SYN to FIN.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::args::TargetArgs;
use super::clock::{SECOND_NS, now_ns, sleep_towards};
use super::crowd::{Crowd, allow_connections};
use super::outcome::{Measure, Outcome};
use super::plan::{in_seconds, run_tag};
use super::proc::Process;
use super::progress::Progress;

/// The pace of a storm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storm {
    /// Connections opened at a time.
    pub(super) lanes: u32,
    /// Connections per second; none for as many as possible.
    pub(super) rate: Option<u64>,
    pub(super) warmup_ns: u64,
    pub(super) measured_ns: u64,
}

/// Shortest distance between two batches at a rate.
const TICK_NS: u64 = 10_000_000;

/// What one phase saw.
struct Phase {
    connections: u64,
    elapsed_ns: u64,
    connect: Histogram<u64>,
}

impl Storm {
    /// Runs the storm against the broker.
    pub(super) fn run(self, target: &TargetArgs, progress: &Progress) -> Result<Outcome> {
        let broker = target.pid.map(Process::new).transpose()?;
        allow_connections(u64::from(self.lanes))?;
        let mut crowd = Crowd::new(target, run_tag(), 0)?;
        let names: Vec<String> = (0..self.lanes).map(|lane| format!("c{lane}")).collect();
        progress.say("warm-up");
        self.phase(&mut crowd, &names, self.warmup_ns)?;
        progress.say("measuring");
        let broker_from = broker.map(Process::usage).transpose()?;
        let own_from = Process::own().usage()?;
        let phase = self.phase(&mut crowd, &names, self.measured_ns.max(1))?;
        let broker_to = broker.map(Process::usage).transpose()?;
        let own = Process::own().usage()?.since(own_from);
        progress.clear();

        let mut outcome = Outcome::default();
        let count = phase.connections as f64;
        let share = |nanoseconds: u64| nanoseconds as f64 / phase.elapsed_ns as f64 * 100.0;
        outcome.set(Measure::ConnectionsPerS, count / in_seconds(phase.elapsed_ns));
        outcome.set(Measure::OwnCpuUsPerConnection, own.cpu_ns as f64 / 1000.0 / count);
        outcome.set(Measure::OwnCpuPercent, share(own.cpu_ns));
        outcome.set(Measure::OwnWaitPercent, share(own.wait_ns));
        if let Some((to, from)) = broker_to.zip(broker_from) {
            let used = to.since(from);
            let per_connection = used.cpu_ns as f64 / 1000.0 / count;
            outcome.set(Measure::BrokerCpuUsPerConnection, per_connection);
            outcome.set(Measure::BrokerCpuPercent, share(used.cpu_ns));
            outcome.set(Measure::BrokerWaitPercent, share(used.wait_ns));
        }
        outcome.set_percentiles(
            &phase.connect,
            &[(Measure::ConnectP50Us, 0.5), (Measure::ConnectP99Us, 0.99)],
        );
        let resident = broker.map(Process::resident_bytes).transpose()?;
        outcome.set_known(Measure::BrokerRssBytes, resident.map(|bytes| bytes as f64));
        Ok(outcome)
    }

    fn phase(self, crowd: &mut Crowd, names: &[String], length_ns: u64) -> Result<Phase> {
        let from_ns = now_ns();
        let mut connections = 0;
        let mut connect = Histogram::new_with_bounds(1, 60 * SECOND_NS, 3)?;
        while now_ns() - from_ns < length_ns {
            let batch = match self.rate {
                None => names.len() as u64,
                Some(rate) => {
                    let due = u128::from(now_ns() - from_ns) * u128::from(rate);
                    let due = (due / u128::from(SECOND_NS)) as u64;
                    due.saturating_sub(connections).min(names.len() as u64)
                }
            };
            if batch == 0 {
                sleep_towards(now_ns() + TICK_NS, Duration::MAX);
                continue;
            }
            let mut open = crowd.open_batch(&names[..batch as usize])?;
            for connected in &mut open {
                connect.saturating_record(connected.took_ns);
                connected.handshake.disconnect()?;
            }
            for connected in open {
                connected.handshake.closed()?;
            }
            crowd.all_closed();
            connections += batch;
        }
        Ok(Phase { connections, elapsed_ns: now_ns() - from_ns, connect })
    }
}
