//! What Mosquitto has stored, as lines of an export.
//!
//! Both of its formats are read: the snapshot `mosquitto.db` of 1.6 and later (`db.rs`), and the
//! database of the SQLite plugin of 2.1 (`sqlite/`).

mod convert;
mod db;
mod snapshot;
mod sqlite;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

pub(super) use convert::{Converted, LeftOut, Listeners};

/// Whether the file is a `mosquitto.db`.
pub(super) fn is_snapshot(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    read.is_ok() && db::is_one(&start)
}

/// Reads a file of Mosquitto; `now` is in seconds since 1970.
pub(super) fn read(path: &Path, now: u64, listeners: Listeners) -> Result<Converted> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let snapshot = if db::is_one(&bytes) {
        db::read(&bytes)
    } else if sqlite::is_one(&bytes) {
        sqlite::ensure_whole(path)?;
        sqlite::read(&bytes)
    } else {
        bail!("{} is neither a mosquitto.db nor an SQLite database", path.display());
    };
    Ok(convert::convert(snapshot.with_context(|| path.display().to_string())?, now, listeners))
}
