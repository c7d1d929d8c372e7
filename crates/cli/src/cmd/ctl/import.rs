//! `dunlin ctl store import`: a store from text, or from what Mosquitto has stored.

use std::fs::File;
use std::io::{BufReader, Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::Format;
use super::dump::{Checker, Counts, Reader};
use super::install::{Writer, install};
use super::mosquitto::{self, Converted, LeftOut, Listeners};

pub(super) fn run(directory: &Path, from: Format, file: &Path) -> Result<ExitCode> {
    let counts = match from {
        Format::Dunlin => from_dunlin(directory, file)?,
        Format::Mosquitto => from_mosquitto(directory, file)?,
    };
    writeln!(
        stdout(),
        "{}: {} sessions, {} messages",
        directory.display(),
        counts.sessions,
        counts.messages
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Read twice: the first time nothing is written, so that a bad file leaves nothing behind.
fn from_dunlin(directory: &Path, file: &Path) -> Result<Counts> {
    let counts = read_dunlin(file, |_| Ok(()))?;
    install(directory, counts, |writer| {
        let again = read_dunlin(file, |records| writer.take(records))?;
        anyhow::ensure!(again == counts, "{} changes while it is read", file.display());
        Ok(())
    })?;
    Ok(counts)
}

/// Gives the records of each line to `sink`, which empties them or lets them grow.
fn read_dunlin(file: &Path, mut sink: impl FnMut(&mut Vec<u8>) -> Result<()>) -> Result<Counts> {
    let name = || file.display().to_string();
    let opened = File::open(file).with_context(|| format!("cannot open {}", name()))?;
    let mut reader = Reader::new(BufReader::with_capacity(1 << 18, opened));
    let mut records = Vec::new();
    while reader.read(&mut records).with_context(name)? {
        sink(&mut records)?;
        records.clear();
    }
    Ok(reader.checker().counts())
}

fn from_mosquitto(directory: &Path, file: &Path) -> Result<Counts> {
    let (counts, left_out) = take_over(directory, file, Listeners::new())?;
    for (count, what) in left_out.told() {
        eprintln!("dunlin: left out: {count} {what}");
    }
    Ok(counts)
}

/// Makes a store of what Mosquitto has kept; its file stays as it is. The directory is new or empty.
pub(super) fn take_over(
    directory: &Path,
    file: &Path,
    listeners: Listeners,
) -> Result<(Counts, LeftOut)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let converted = mosquitto::read(file, now.as_secs(), listeners)?;
    let name = || file.display().to_string();
    let counts = write_converted(&converted, |_| Ok(())).with_context(name)?;
    install(directory, counts, |writer: &mut Writer| {
        write_converted(&converted, |records| writer.take(records)).map(drop)
    })?;
    Ok((counts, converted.left_out))
}

fn write_converted(
    converted: &Converted,
    mut sink: impl FnMut(&mut Vec<u8>) -> Result<()>,
) -> Result<Counts> {
    let (mut checker, mut records) = (Checker::default(), Vec::new());
    for session in &converted.sessions {
        checker.session(session, &mut records)?;
        sink(&mut records)?;
        records.clear();
    }
    for message in &converted.messages {
        checker.message(message, &mut records)?;
        sink(&mut records)?;
        records.clear();
    }
    checker.finish(&mut records);
    sink(&mut records)?;
    Ok(checker.counts())
}

impl LeftOut {
    /// What there was of it, in words.
    pub(super) fn told(&self) -> impl Iterator<Item = (u64, &'static str)> {
        let Self { sessions, qos0, strays, malformed } = *self;
        let all = [
            (sessions, "sessions that ended with their connections"),
            (qos0, "QoS 0 messages that waited in queues"),
            (strays, "entries of clients or messages that are not in the file (expired, perhaps)"),
            (malformed, "entries that MQTT does not allow"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0)
    }
}
