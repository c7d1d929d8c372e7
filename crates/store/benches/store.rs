//! What the store costs on this machine's disk: appends, churn, and opening what has grown large.
//!
//! Run with `cargo bench -p dunlin-store`; behind `--`, `append`, `churn` or `open` run one part, and a path
//! names the directory to use. CPU is that of the process; the disk's time is in the rates.
#![expect(clippy::print_stdout, reason = "the measurements are its output")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::path::Path;
use std::time::{Duration, Instant};

use dunlin_broker::Time;
use dunlin_broker::journal::{Origin, Record, StoredMessage, Target};
use dunlin_proto::qos::QoS;
use dunlin_store::{Log, Options, RealDisk, Status};

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let parts = ["append", "churn", "open"];
    let named = arguments.iter().any(|argument| parts.contains(&argument.as_str()));
    let chosen = |part: &str| !named || arguments.iter().any(|argument| argument == part);
    let place = arguments.iter().find(|argument| !parts.contains(&argument.as_str()));
    let place = place.map_or_else(std::env::temp_dir, Into::into);
    if let Err(error) = dunlin_store::sharpen() {
        println!("no short slices: {error}");
    }
    if chosen("append") {
        for (batch, payload) in [(1, 64), (100, 64), (1000, 64), (100, 1024)] {
            append(&place, batch, payload);
        }
    }
    if chosen("churn") {
        for batch in [100, 1000] {
            churn(&place, batch);
        }
    }
    if chosen("open") {
        open(&place);
    }
}

/// Messages for one session that is away, each group made durable.
fn append(place: &Path, batch: u64, payload: usize) {
    let directory = directory(place);
    let mut log = fresh(directory.path());
    let payload = vec![7; payload];
    let mut next = 1;
    measure(&format!("append {batch} x {} B", payload.len()), &mut log, |log| {
        let ids = next..next + batch;
        next += batch;
        let bytes = written(ids.map(|id| message(id, "bench/topic/1", &payload, &[1], None)));
        (batch, commit(log, &bytes))
    });
}

/// Messages that are acknowledged in the group after next.
fn churn(place: &Path, batch: u64) {
    let directory = directory(place);
    let mut log = fresh(directory.path());
    let payload = [7; 64];
    let mut next = 1;
    measure(&format!("churn {batch} x 64 B"), &mut log, |log| {
        let mut bytes = Vec::new();
        for id in next..next + batch {
            message(id, "bench/topic/1", &payload, &[1], None).write(&mut bytes);
            if id > 2 * batch {
                Record::Done { id: id - 2 * batch, target: target(1) }.write(&mut bytes);
            }
        }
        next += batch;
        (2 * batch, commit(log, &bytes))
    });
}

/// A million retained messages, a hundred thousand sessions with a subscription each, and a million
/// messages queued for them.
fn open(place: &Path) {
    const MANY: u64 = 1_000_000;
    const SESSIONS: u64 = 100_000;
    let directory = directory(place);
    let mut log = fresh(directory.path());
    let payload = [7; 64];
    for first in (1..=SESSIONS).step_by(1000) {
        let mut bytes = Vec::new();
        for number in first..first + 1000 {
            let client_id = format!("client-{number:08}");
            let session = Record::Session {
                number,
                client_id: &client_id,
                username: None,
                listener: 0,
                expiry: 3600,
                will: None,
            };
            session.write(&mut bytes);
            let filter = format!("plant/{number}/+/commands");
            let subscribed = Record::Subscribed {
                number,
                filter: &filter,
                qos: QoS::AtLeastOnce,
                no_local: false,
                retain_as_published: false,
                identifier: 0,
            };
            subscribed.write(&mut bytes);
        }
        log.append(&[&bytes]).expect("append");
    }
    for first in (1..=MANY).step_by(1000) {
        let mut bytes = Vec::new();
        for id in first..first + 1000 {
            let topic = format!("plant/{id}/state");
            message(id, &topic, &payload, &[], Some(id)).write(&mut bytes);
            let targets = [1 + id % SESSIONS];
            message(MANY + id, "plant/1/commands", &payload, &targets, None).write(&mut bytes);
        }
        log.append(&[&bytes]).expect("append");
        if first % 50_000 == 1 {
            log.sync().expect("sync");
            log.prepare().expect("prepare");
        }
    }
    log.sync().expect("sync");
    drop(log);
    let resident = resident_bytes();
    let (start, cpu) = (Instant::now(), cpu());
    let disk = RealDisk::open(directory.path(), false).expect("the directory");
    let (log, state, report) = Log::open(disk, Options::default()).expect("the store");
    let (took, cpu) = (start.elapsed(), self::cpu() - cpu);
    let with_state = resident_bytes().saturating_sub(resident);
    let queued: usize = state.sessions.iter().map(|session| session.queue.len()).sum();
    println!(
        "open    {took:.2?}, CPU {cpu:.2?}: {} sessions, {} retained, {queued} queued, {} records; \
         {} MiB resident with the state",
        state.sessions.len(),
        state.retained.len(),
        report.records,
        with_state >> 20
    );
    drop(state);
    let status = log.status();
    println!("        disk {} MiB, live {} MiB", status.disk_bytes >> 20, status.live_bytes >> 20);
}

fn measure(
    name: &str,
    log: &mut Log<RealDisk>,
    mut group: impl FnMut(&mut Log<RealDisk>) -> (u64, [Duration; 3]),
) {
    const WARM: Duration = Duration::from_secs(2);
    const RUN: Duration = Duration::from_secs(4);
    let start = Instant::now();
    while start.elapsed() < WARM {
        group(log);
    }
    let start = Instant::now();
    let (mut records, mut cpu) = (0, [Duration::ZERO; 3]);
    let mut times = Vec::new();
    while start.elapsed() < RUN {
        let begun = Instant::now();
        let (count, spent) = group(log);
        records += count;
        cpu.iter_mut().zip(spent).for_each(|(cpu, spent)| *cpu += spent);
        times.push(begun.elapsed());
    }
    let elapsed = start.elapsed();
    times.sort_unstable();
    let [append, sync, prepare] = cpu.map(|cpu| cpu.as_nanos() as u64 / records);
    println!(
        "{name}: {:.0} k records/s; CPU ns a record: append {append} sync {sync} prepare {prepare}; \
         group p50 {:.0?} p99 {:.0?} max {:.0?}",
        records as f64 / elapsed.as_secs_f64() / 1e3,
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        times[times.len() - 1],
    );
    print_status("  ", &log.status());
}

fn print_status(indent: &str, status: &Status) {
    println!(
        "{indent}disk {} MiB, live {} MiB, {} segments; written {:.2} for each byte appended, of that copied {:.2}",
        status.disk_bytes >> 20,
        status.live_bytes >> 20,
        status.segments,
        status.written_bytes as f64 / status.appended_bytes.max(1) as f64,
        status.copied_bytes as f64 / status.appended_bytes.max(1) as f64,
    );
}

/// What appending, the flush and the rest took of the processor.
fn commit(log: &mut Log<RealDisk>, bytes: &[u8]) -> [Duration; 3] {
    let begun = cpu();
    log.append(&[bytes]).expect("append");
    let appended = cpu();
    log.sync().expect("sync");
    let synced = cpu();
    log.prepare().expect("prepare");
    [appended - begun, synced - appended, cpu() - synced]
}

fn directory(place: &Path) -> tempfile::TempDir {
    tempfile::TempDir::new_in(place).expect("a directory")
}

fn fresh(path: &Path) -> Log<RealDisk> {
    let disk = RealDisk::open(path, true).expect("the directory");
    let (mut log, ..) = Log::open(disk, Options::default()).expect("a store");
    let session = Record::Session {
        number: 1,
        client_id: "client",
        username: None,
        listener: 0,
        expiry: 60,
        will: None,
    };
    log.append(&[&written([session])]).expect("append");
    log
}

fn message<'a>(
    id: u64,
    topic: &'a str,
    payload: &'a [u8],
    numbers: &[u64],
    retained: Option<u64>,
) -> Record<'a> {
    let (qos, retain) = (QoS::AtLeastOnce, false);
    let message =
        StoredMessage { topic, payload, properties: &[], expires: Time::MAX, qos, retain };
    let targets = numbers.iter().copied().map(target).collect();
    let (origin, held, publisher) = (Origin::Client, None, None);
    Record::Message { id, origin, retained, held, publisher, message, targets }
}

fn written<'a>(records: impl IntoIterator<Item = Record<'a>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    records.into_iter().for_each(|record| record.write(&mut bytes));
    bytes
}

/// Processor time of this thread, which is the only one.
fn cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

fn target(number: u64) -> Target {
    let qos = QoS::AtLeastOnce;
    Target { number, qos, retain: false, shared: false, identifier: 0, sent: None }
}
