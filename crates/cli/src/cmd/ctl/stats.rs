//! `dunlin ctl store stats`: how much of what is stored.

use std::collections::HashMap;
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use dunlin_broker::journal::{SessionState, State};
use serde::Serialize;

use super::open::{Store, open};

/// A number of things and their bytes: topic, payload and properties.
#[derive(Debug, Default, Serialize)]
struct Amount {
    count: u64,
    bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

#[derive(Debug, Default, Serialize)]
struct Stats {
    sessions: u64,
    /// Of these, the ones whose clients were connected.
    sessions_connected: u64,
    subscriptions: u64,
    shared_subscriptions: u64,
    retained: Amount,
    /// Each message once.
    queued: Amount,
    /// A message for each session that is to have it.
    deliveries: u64,
    /// Of these, the ones that were sent and not acknowledged.
    deliveries_sent: u64,
    /// QoS 2 messages whose publishers have not released them.
    held: Amount,
    /// PUBRELs that clients have to answer.
    releases: u64,
    wills: Amount,
    longest_queue: u64,
    /// Whose it is.
    longest_queue_client: Option<String>,
    segments: u64,
    segment_files: u64,
    segment_bytes: u64,
    damaged_files: u64,
    /// Bytes of records that are still needed.
    live_bytes: u64,
    /// Of the bytes of all segments.
    live_share: f64,
    frames: u64,
    records: u64,
}

pub(super) fn run(directory: &Path, json: bool) -> Result<ExitCode> {
    let store = open(directory)?;
    let mut stats = Stats::of(&store);
    stats.files(directory).with_context(|| directory.display().to_string())?;
    let mut out = stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &stats)?;
        writeln!(out)?;
    } else {
        stats.print(&mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Stats {
    fn of(store: &Store) -> Self {
        let mut stats = Self {
            segments: store.report.segments,
            frames: store.report.frames,
            records: store.report.records,
            live_bytes: store.log.status().live_bytes,
            ..Self::default()
        };
        stats.count(&store.state);
        stats
    }

    fn count(&mut self, state: &State) {
        for retained in &state.retained {
            self.retained.add(retained.message.bytes() as u64);
        }
        let mut queued = HashMap::new();
        for session in &state.sessions {
            self.session(session);
            for delivery in &session.queue {
                queued.insert(delivery.id, delivery.bytes);
            }
        }
        queued.into_values().for_each(|bytes| self.queued.add(bytes.into()));
    }

    fn session(&mut self, session: &SessionState) {
        self.sessions += 1;
        self.sessions_connected += u64::from(session.ends_at.is_none());
        self.subscriptions += session.subscriptions.len() as u64;
        let shared = |filter: &String| filter.starts_with("$share/");
        let filters = session.subscriptions.iter().map(|subscription| &subscription.filter);
        self.shared_subscriptions += filters.filter(|filter| shared(filter)).count() as u64;
        let sent = session.queue.iter().filter(|delivery| delivery.target.sent.is_some());
        self.deliveries_sent += sent.count() as u64;
        self.releases += session.releases.len() as u64;
        session.held.iter().for_each(|held| self.held.add(held.message.bytes() as u64));
        if let Some(will) = &session.will {
            self.wills.add(will.message.bytes() as u64);
        }
        let length = session.queue.len() as u64;
        self.deliveries += length;
        if length > self.longest_queue {
            self.longest_queue = length;
            self.longest_queue_client = Some(session.client_id.clone());
        }
    }

    /// What lies on the disk.
    fn files(&mut self, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
                Some("seg") => {
                    self.segment_files += 1;
                    self.segment_bytes += entry.metadata()?.len();
                }
                Some("damaged") => self.damaged_files += 1,
                _ => {}
            }
        }
        if self.segment_bytes > 0 {
            self.live_share = self.live_bytes as f64 / self.segment_bytes as f64;
        }
        Ok(())
    }

    fn print(&self, out: &mut impl Write) -> Result<()> {
        let mut line = |name: &str, number: u64, more: String| {
            writeln!(out, "{name:<22}{number:>12}{more}").context("cannot write")
        };
        let bytes = |amount: &Amount| format!("{:>16} bytes", amount.bytes);
        line("sessions", self.sessions, format!("{:>16} connected", self.sessions_connected))?;
        line(
            "subscriptions",
            self.subscriptions,
            format!("{:>16} shared", self.shared_subscriptions),
        )?;
        line("retained messages", self.retained.count, bytes(&self.retained))?;
        line("queued messages", self.queued.count, bytes(&self.queued))?;
        line("deliveries", self.deliveries, format!("{:>16} sent", self.deliveries_sent))?;
        line("held QoS 2 messages", self.held.count, bytes(&self.held))?;
        line("releases", self.releases, String::new())?;
        line("wills", self.wills.count, bytes(&self.wills))?;
        let client = self.longest_queue_client.as_ref();
        let client = client.map_or(String::new(), |client| format!("  of {client:?}"));
        line("longest queue", self.longest_queue, client)?;
        let unused = self.segment_files.saturating_sub(self.segments);
        line("segments", self.segments, format!("{unused:>16} spare"))?;
        line("bytes of segments", self.segment_bytes, String::new())?;
        let share = format!("{:>15.1} %", self.live_share * 100.0);
        line("live bytes", self.live_bytes, share)?;
        line("frames", self.frames, format!("{:>16} records", self.records))?;
        if self.damaged_files > 0 {
            line("damaged, set aside", self.damaged_files, String::new())?;
        }
        Ok(())
    }
}
