//! Connections that only exist: what each costs the broker in memory and CPU.

use std::time::Duration;

use anyhow::{Context, Result};

use super::args::TargetArgs;
use super::clock::{SECOND_NS, now_ns, sleep_towards};
use super::crowd::{Crowd, allow_connections, subscribe_all};
use super::outcome::{Measure, Outcome};
use super::plan::{in_seconds, run_tag};
use super::proc::Process;
use super::progress::Progress;

/// Long enough that no PINGREQ is due, yet a timer the broker has to keep.
const KEEP_ALIVE_SECONDS: u16 = 3600;

/// Time for buffers of the connecting phase to be released.
const SETTLE_NS: u64 = 2 * SECOND_NS;

/// Opens `connections` with one subscription each and watches the broker for `watch_ns`.
pub(super) fn run(
    connections: u32,
    watch_ns: u64,
    target: &TargetArgs,
    progress: &Progress,
) -> Result<Outcome> {
    let pid = target.pid.context("`idle` measures the broker process: give its --pid")?;
    let broker = Process::new(pid)?;
    allow_connections(u64::from(connections))?;
    let run = run_tag();
    let mut crowd = Crowd::new(target, run, KEEP_ALIVE_SECONDS)?;
    let before = broker.resident_bytes()?;
    progress.say(&format!("opening {connections} connections"));
    let from_ns = now_ns();
    let mut open = crowd.open("i", connections)?;
    subscribe_all(&mut open, 0, |index| vec![format!("bench/{run:08x}/{index}")])?;
    let opening_ns = now_ns() - from_ns;

    progress.say("settling");
    sleep_towards(now_ns() + SETTLE_NS, Duration::MAX);
    let (after, cpu_from, watch_from) = (broker.resident_bytes()?, broker.usage()?, now_ns());
    progress.say("watching");
    sleep_towards(watch_from + watch_ns, Duration::MAX);
    let (used, watched_ns) = (broker.usage()?.since(cpu_from), now_ns() - watch_from);
    progress.clear();
    drop(open);

    let mut outcome = Outcome::default();
    let count = f64::from(connections);
    outcome.set(Measure::ConnectionsPerS, count / in_seconds(opening_ns));
    outcome.set(Measure::BrokerCpuPercent, used.cpu_ns as f64 / watched_ns as f64 * 100.0);
    outcome.set(Measure::BrokerRssBytes, after as f64);
    outcome.set(Measure::RssBytesPerConnection, (after as f64 - before as f64) / count);
    Ok(outcome)
}
