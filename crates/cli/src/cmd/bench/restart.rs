//! A broker that held much is killed and started again: how long until a client is served.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::args::{RestartArgs, TargetArgs};
use super::clock::{SECOND_NS, now_ns};
use super::crowd::{BATCH, Connected, Crowd, subscribe_all};
use super::disk::allocated_bytes;
use super::fill::{Retain, count_publishes, publish};
use super::frames::Version;
use super::launch::{Broker, Ending};
use super::outcome::{Measure, Outcome};
use super::plan::run_tag;
use super::proc::Process;
use super::progress::Progress;

/// Patience with a broker that loads what it held.
const PATIENCE_NS: u64 = 60 * SECOND_NS;

/// Between two attempts to connect.
const GLANCE: Duration = Duration::from_millis(1);

/// Fills the broker, ends it, starts it again and looks for what it held.
pub(super) fn run(
    args: &RestartArgs,
    broker: &mut Broker,
    common: &TargetArgs,
    progress: &Progress,
) -> Result<Outcome> {
    let (target, run) = (broker.target(common), run_tag());
    ensure!(target.mqtt == Version::V311, "`restart` speaks MQTT 3.1.1 only");
    fill(args, &target, run, progress)?;

    progress.say("ending and starting");
    let ending = if args.graceful { Ending::Graceful } else { Ending::Crash };
    let from_ns = broker.restart(ending)?;
    let session = wait_for_session(broker, &target, run)?;
    let ready_ns = now_ns() - from_ns;
    progress.say("looking for what it held");
    ensure!(session.accepted.session_present, "the session is gone");

    let mut outcome = Outcome::default();
    outcome.set(Measure::ReadyMs, ready_ns as f64 / 1e6);
    let pid = broker.target(common).pid.context("a broker without process")?;
    outcome.set(Measure::BrokerRssBytes, Process::new(pid)?.resident_bytes()? as f64);
    outcome.set(Measure::DirectoryBytes, allocated_bytes(&broker.directory()?) as f64);
    // The first session and the first ten retained messages stand for all of them.
    let queued = u64::from(args.queued.div_ceil(args.sessions));
    let retained = u64::from(args.retained.min(10));
    let mut reader = Crowd::new(&target, run, 0)?.open("reader", 1)?;
    let found_queued = count_publishes(session, queued)?;
    subscribe_all(&mut reader, 1, |_| (0..10).map(|index| retained_topic(run, index)).collect())?;
    let reader = reader.pop().context("no connection")?;
    let found_retained = count_publishes(reader, retained)?;
    let lost = (queued - found_queued) + (retained - found_retained);
    outcome.set(Measure::Lost, lost as f64);
    progress.clear();
    Ok(outcome)
}

fn fill(args: &RestartArgs, target: &TargetArgs, run: u32, progress: &Progress) -> Result<()> {
    let names: Vec<String> = (0..args.sessions).map(|index| format!("s{index}")).collect();
    let mut crowd = Crowd::new(target, run, 0)?.with_persistent_sessions();
    for (names, first) in names.chunks(BATCH).zip((0..).step_by(BATCH)) {
        if first % (BATCH as u32 * 64) == 0 {
            progress.say(&format!("leaving sessions: {first} of {}", args.sessions));
        }
        let mut clients = crowd.open_batch(names)?;
        subscribe_all(&mut clients, 1, |index| vec![queued_topic(run, first + index)])?;
        for mut client in clients {
            client.handshake.disconnect()?;
            client.handshake.closed()?;
        }
        crowd.all_closed();
    }
    let payload = vec![b'x'; args.payload as usize];
    let publisher = |name| -> Result<Connected> {
        Crowd::new(target, run, 0)?.open(name, 1)?.pop().context("no connection")
    };
    progress.say("retained messages");
    let topic = |index| retained_topic(run, index);
    publish(publisher("r")?, args.retained, &payload, Retain::Yes, topic)?;
    progress.say("queued messages");
    let topic = |index| queued_topic(run, index % args.sessions);
    publish(publisher("q")?, args.queued, &payload, Retain::No, topic)
}

/// Tries to connect as the first session until CONNACK comes.
fn wait_for_session(broker: &mut Broker, target: &TargetArgs, run: u32) -> Result<Connected> {
    let deadline_ns = now_ns() + PATIENCE_NS;
    loop {
        let mut crowd = Crowd::new(target, run, 0)?.with_persistent_sessions();
        match crowd.open("s", 1) {
            Ok(mut clients) => return clients.pop().context("no connection"),
            Err(error) if now_ns() > deadline_ns => return Err(error),
            Err(_) => {
                broker.directory()?;
                std::thread::sleep(GLANCE);
            }
        }
    }
}

fn retained_topic(run: u32, index: u32) -> String {
    format!("bench/{run:08x}/r/{index:07}")
}

fn queued_topic(run: u32, session: u32) -> String {
    format!("bench/{run:08x}/q/{session:07}")
}
