//! Messages for persistent sessions whose clients are away: the price of an acknowledgement.

use anyhow::{Context, Result, ensure};

use super::args::{QueueArgs, TargetArgs};
use super::board::Counts;
use super::crowd::{BATCH, Crowd, allow_connections, subscribe_all};
use super::disk::Probe;
use super::fill;
use super::frames::Version;
use super::nats;
use super::outcome::{Measure, Outcome};
use super::plan::{Audience, Layout, Plan, in_seconds};
use super::proc::Process;
use super::progress::Progress;
use super::spin::Spin;
use super::traffic::{self, Measured};

/// Runs the scenario against one broker.
pub(super) fn run(args: &QueueArgs, target: &TargetArgs, progress: &Progress) -> Result<Outcome> {
    ensure!(args.traffic.qos > 0, "`queue` counts acknowledgements: give --qos 1 or 2");
    let plan = plan(args, target);
    allow_connections(u64::from(plan.publishers) + BATCH as u64)?;
    progress.say("leaving sessions");
    leave_sessions(&plan, target)?;
    let _spin = Spin::start(args.spin)?;
    let mut probe = args.probe.then(|| Probe::create(&std::env::temp_dir())).transpose()?;
    probe.as_mut().map(Probe::look).transpose()?;

    let publishers = Crowd::new(target, plan.run, 0)?.open("p", plan.publishers)?;
    let measured = traffic::load(&plan, target, (publishers, Vec::new()), progress)?;
    probe.as_mut().map(Probe::look).transpose()?;

    let mut outcome = Outcome::default();
    costs(&mut outcome, args, &measured);
    if let Some(probe) = &probe {
        compare_with_disk(&mut outcome, probe)?;
    }
    traffic::faults(&mut outcome, &plan, &measured.counts);
    if let Some(pid) = target.pid {
        outcome.set(Measure::BrokerRssBytes, Process::new(pid)?.resident_bytes()? as f64);
    }
    if target.mqtt != Version::Nats {
        progress.say("looking into a session");
        outcome.set(Measure::Lost, missing(&plan, target, &measured.counts)? as f64);
    }
    progress.clear();
    Ok(outcome)
}

fn plan(args: &QueueArgs, target: &TargetArgs) -> Plan {
    let (layout, sessions) = match args.receivers {
        1 => (Layout::Pairs, args.publishers),
        receivers => (Layout::OneTopic, receivers),
    };
    let plan = Plan::new(layout, args.publishers, sessions, &args.traffic, target);
    Plan { audience: Audience::Away, ..plan }
}

/// Makes the sessions, with their subscriptions, and leaves them.
fn leave_sessions(plan: &Plan, target: &TargetArgs) -> Result<()> {
    if plan.version == Version::Nats {
        return make_consumers(plan, target);
    }
    let names: Vec<String> = (0..plan.subscribers).map(|index| format!("s{index}")).collect();
    let mut crowd = Crowd::new(target, plan.run, 0)?.with_persistent_sessions();
    for (names, first) in names.chunks(BATCH).zip((0..).step_by(BATCH)) {
        let mut clients = crowd.open_batch(names)?;
        subscribe_all(&mut clients, plan.sub_qos, |index| plan.filters(first + index))?;
        for mut client in clients {
            client.handshake.disconnect()?;
            client.handshake.closed()?;
        }
        crowd.all_closed();
    }
    Ok(())
}

fn make_consumers(plan: &Plan, target: &TargetArgs) -> Result<()> {
    let mut clients = Crowd::new(target, plan.run, 0)?.open("setup", 1)?;
    let setup = &mut clients.first_mut().context("no connection")?.handshake;
    let (subject, body) = nats::stream_request();
    setup.request(&subject, &body)?;
    for index in 0..plan.subscribers {
        for topic in plan.filters(index) {
            let (subject, body) = nats::consumer_request(&format!("s{index}"), &topic);
            setup.request(&subject, &body)?;
        }
    }
    Ok(())
}

/// How many of its messages the first session lacks.
fn missing(plan: &Plan, target: &TargetArgs, counts: &Counts) -> Result<u64> {
    let due = match plan.layout {
        Layout::Pairs => counts.sent_by_first,
        _ => counts.sent,
    };
    let mut crowd = Crowd::new(target, plan.run, 0)?.with_persistent_sessions();
    let mut clients = crowd.open("s", 1)?;
    let client = clients.pop().context("no connection")?;
    ensure!(client.accepted.session_present, "the session of a client that was away is gone");
    Ok(due - fill::receive(client, plan, due)?)
}

fn costs(outcome: &mut Outcome, args: &QueueArgs, measured: &Measured) {
    let (begin, end) = (&measured.begin, &measured.end);
    let elapsed_ns = end.at_ns - begin.at_ns;
    let acknowledged = (end.acknowledged - begin.acknowledged) as f64;
    outcome.set(Measure::AcknowledgedPerS, acknowledged / in_seconds(elapsed_ns));
    outcome.set_percentiles(
        &measured.latency,
        &[(Measure::AckP50Us, 0.5), (Measure::AckP99Us, 0.99), (Measure::AckMaxUs, 1.0)],
    );
    let share = |nanoseconds: u64| nanoseconds as f64 / elapsed_ns as f64 * 100.0;
    if args.spin == 0 {
        let own = end.own.since(begin.own);
        outcome.set(Measure::OwnCpuUsPerAck, own.cpu_ns as f64 / 1000.0 / acknowledged);
        outcome.set(Measure::OwnCpuPercent, share(own.cpu_ns));
        outcome.set(Measure::OwnWaitPercent, share(own.wait_ns));
    }
    if let Some((end, begin)) = end.broker.zip(begin.broker) {
        let broker = end.since(begin);
        outcome.set(Measure::BrokerCpuUsPerAck, broker.cpu_ns as f64 / 1000.0 / acknowledged);
        outcome.set(Measure::BrokerCpuPercent, share(broker.cpu_ns));
        outcome.set(Measure::BrokerWaitPercent, share(broker.wait_ns));
    }
    let written = end.written.zip(begin.written).map(|(end, begin)| (end - begin) as f64);
    outcome.set_known(Measure::WrittenPerAck, written.map(|bytes| bytes / acknowledged));
}

fn compare_with_disk(outcome: &mut Outcome, probe: &Probe) -> Result<()> {
    let disk = probe.latency()?;
    outcome.set_percentiles(disk, &[(Measure::DiskSyncP50Us, 0.5), (Measure::DiskSyncP99Us, 0.99)]);
    let disk_us = disk.value_at_quantile(0.5) as f64 / 1000.0;
    let acknowledged = outcome.values.get(&Measure::AckP50Us).map(|us| us / disk_us);
    outcome.set_known(Measure::AckPerDiskSync, acknowledged);
    Ok(())
}
