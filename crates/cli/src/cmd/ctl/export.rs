//! `dunlin ctl store export`: a store as text.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use dunlin_broker::Message as BrokerMessage;
use dunlin_broker::journal::{SessionState, State, WillState};

use super::DAMAGED;
use super::dump::{
    Body, Counts, Header, Held, Line, Message, Parted, Publisher, Receiver, Session, Subscription,
    VERSION, Will, micros,
};
use super::open::{Store, open};

pub(super) fn run(directory: &Path, output: Option<&Path>) -> Result<ExitCode> {
    if let Some(path) = output.filter(|path| path.exists()) {
        bail!("{} exists; name a file that does not", path.display());
    }
    let mut store = open(directory)?;
    if !store.report.damage.is_empty() {
        eprintln!("dunlin: the store is damaged: what cannot be read is not exported (see check)");
    }
    let left_out = match output {
        Some(path) => to_file(&mut store, path)?,
        None => {
            let mut out = BufWriter::new(stdout().lock());
            let left_out = export(&mut store, &mut out)?;
            out.flush()?;
            left_out
        }
    };
    if left_out > 0 {
        eprintln!("dunlin: {left_out} messages cannot be read and are left out (see check)");
    }
    let sound = left_out == 0 && store.report.damage.is_empty();
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) })
}

/// The file gets its name when it is whole.
fn to_file(store: &mut Store, path: &Path) -> Result<u64> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // What clients publish is nobody else's to read.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let file = opened.with_context(|| format!("cannot create {}", part.display()))?;
    let mut out = BufWriter::with_capacity(1 << 18, &file);
    let written = export(store, &mut out).and_then(|left_out| {
        out.flush()?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        Ok(left_out)
    });
    if written.is_err() {
        fs::remove_file(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// How many messages had to be left out.
fn export(store: &mut Store, out: &mut impl Write) -> Result<u64> {
    let Store { log, state, .. } = store;
    let written_by = concat!("dunlin ", env!("CARGO_PKG_VERSION")).to_owned();
    write(out, &Line::Store(Header { version: VERSION, written_by }))?;
    let (mut counts, mut left_out) = (Counts::default(), 0);
    for session in state.sessions.iter().filter(|session| keeps_something(session)) {
        write(out, &Line::Session(line_of(session)))?;
        counts.sessions += 1;
    }
    for (id, entry) in entries(state) {
        let message = match entry.message {
            Some(message) => Some(message),
            None => log.load(id).ok().flatten().map(Arc::new),
        };
        let Some(message) = message else {
            left_out += 1;
            continue;
        };
        let Entry { retained, publisher, held, receivers, .. } = entry;
        let message = Body::of(&message.stored());
        let line = Message { id, message, retained, publisher, held, receivers };
        write(out, &Line::Message(line))?;
        counts.messages += 1;
    }
    write(out, &Line::End(counts))?;
    Ok(left_out)
}

fn write(out: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Why a message is stored.
#[derive(Default)]
struct Entry {
    /// If it is in memory already.
    message: Option<Arc<BrokerMessage>>,
    retained: Option<u64>,
    publisher: Option<Publisher>,
    held: Option<Held>,
    receivers: Vec<Receiver>,
}

fn entries(state: &State) -> BTreeMap<u64, Entry> {
    let mut entries: BTreeMap<u64, Entry> = BTreeMap::new();
    for session in state.sessions.iter().filter(|session| keeps_something(session)) {
        let number = session.number;
        for queued in &session.queue {
            let entry = entries.entry(queued.id).or_default();
            let target = &queued.target;
            entry.receivers.push(Receiver {
                session: number,
                qos: target.qos.as_u8(),
                retain: target.retain,
                shared: target.shared,
                subscription_identifier: target.identifier,
                packet_id: target.sent.map(dunlin_proto::PacketId::get),
            });
            if entry.message.is_none() {
                entry.message.clone_from(&queued.message);
            }
        }
        for held in &session.held {
            let entry = entries.entry(held.message.id()).or_default();
            entry.held = Some(Held { session: number, packet_id: held.packet_id.get() });
            entry.message = Some(Arc::clone(&held.message));
        }
    }
    for retained in &state.retained {
        let entry = entries.entry(retained.message.id()).or_default();
        entry.retained = Some(retained.stamp);
        entry.publisher = retained.publisher.as_ref().map(|who| Publisher {
            client_id: who.client_id.to_string(),
            username: who.username.as_ref().map(ToString::to_string),
            listener: who.listener,
        });
        entry.message = Some(Arc::clone(&retained.message));
    }
    entries
}

/// A session that ends with its connection is only there for its will.
const fn keeps_something(session: &SessionState) -> bool {
    session.expiry > 0 || session.will.is_some()
}

fn line_of(session: &SessionState) -> Session {
    let parted = session.ends_at.map(|ends_at| Parted {
        ends_at_us: micros(ends_at),
        will_due_us: session.will.as_ref().and_then(|will| Some(will.due?.as_micros())),
    });
    let subscriptions = session.subscriptions.iter().map(|subscription| Subscription {
        topic_filter: subscription.filter.clone(),
        qos: subscription.qos.as_u8(),
        no_local: subscription.no_local,
        retain_as_published: subscription.retain_as_published,
        subscription_identifier: subscription.identifier,
    });
    Session {
        number: session.number,
        client_id: session.client_id.clone(),
        username: session.username.clone(),
        listener: session.listener,
        session_expiry_interval: session.expiry,
        parted,
        will: session.will.as_ref().map(will_of),
        subscriptions: subscriptions.collect(),
        releases: session.releases.iter().map(|packet_id| packet_id.get()).collect(),
    }
}

fn will_of(will: &WillState) -> Will {
    Will {
        message: Body::of(&will.message.stored()),
        will_delay_interval: will.delay,
        message_expiry_interval: will.expiry,
    }
}
