//! `dunlin ctl store check`: whether everything can be read.

use std::collections::BTreeSet;
use std::io::{Write, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use super::DAMAGED;
use super::open::{Store, open};

/// Messages that are named one by one when they cannot be read; the others are counted.
const NAMED: usize = 20;

pub(super) fn run(directory: &Path) -> Result<ExitCode> {
    let mut store = open(directory)?;
    let wrong = unreadable(&mut store);
    let Store { state, report, .. } = &store;
    let mut out = stdout().lock();
    writeln!(
        out,
        "{}: {} segments, {} frames, {} records",
        directory.display(),
        report.segments,
        report.frames,
        report.records
    )?;
    let subscriptions: usize =
        state.sessions.iter().map(|session| session.subscriptions.len()).sum();
    writeln!(
        out,
        "{} sessions, {subscriptions} subscriptions, {} retained messages, {} messages for sessions",
        state.sessions.len(),
        state.retained.len(),
        queued(&store).len(),
    )?;
    if let Some(torn) = &report.torn {
        writeln!(
            out,
            "{}: unfinished records from byte {} on; no harm: nobody was told of them, and the next \
             start cuts them off",
            torn.file, torn.offset
        )?;
    }
    for damage in &report.damage {
        writeln!(
            out,
            "DAMAGED {}: bytes {} to {}, {} records; at least {} sessions and {} topics",
            damage.file,
            damage.offset,
            damage.end,
            damage.next.saturating_sub(damage.first),
            damage.sessions,
            damage.topics
        )?;
    }
    for why in wrong.iter().take(NAMED) {
        writeln!(out, "DAMAGED {why}")?;
    }
    if wrong.len() > NAMED {
        writeln!(out, "DAMAGED {} more messages", wrong.len() - NAMED)?;
    }
    if report.damage.is_empty() && wrong.is_empty() {
        writeln!(out, "sound")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        out,
        "a start keeps a copy of damaged segments and goes on with the rest; a backup has all"
    )?;
    Ok(ExitCode::from(DAMAGED))
}

fn queued(store: &Store) -> BTreeSet<u64> {
    let sessions = store.state.sessions.iter();
    sessions.flat_map(|session| &session.queue).map(|queued| queued.id).collect()
}

/// Why each message that somebody is to have cannot be had.
fn unreadable(store: &mut Store) -> Vec<String> {
    let mut wrong = Vec::new();
    for id in queued(store) {
        match store.log.load(id) {
            Ok(Some(_)) => {}
            Ok(None) => wrong.push(format!("message {id} is not there")),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    wrong
}
