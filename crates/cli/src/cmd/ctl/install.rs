//! A new store that appears in its directory when it is whole, or not at all.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dunlin_store::{Disk, Log, Options, RealDisk};

use super::dump::Counts;
use super::open::open;

/// Where the store is made, within the directory it is for.
const WORKSHOP: &str = "import.tmp";

/// What makes a directory a store: moved last.
const VERSION: &str = "VERSION";

/// What the lock is called, which stays where it is.
const LOCK: &str = "LOCK";

/// Bytes of records that are appended at once.
const GROUP: usize = 1 << 19;

/// Takes records for a new store.
pub(super) struct Writer {
    log: Log<RealDisk>,
    pending: Vec<u8>,
}

impl Writer {
    /// Keeps these records.
    pub(super) fn take(&mut self, records: &mut Vec<u8>) -> Result<()> {
        self.pending.append(records);
        if self.pending.len() < GROUP {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.log.append(&[&self.pending])?;
        self.log.sync()?;
        self.log.prepare()?;
        self.pending.clear();
        Ok(())
    }
}

/// Makes a store of what `write` writes; the directory is new or empty. After an error it is as before.
pub(super) fn install(
    directory: &Path,
    counts: Counts,
    write: impl FnOnce(&mut Writer) -> Result<()>,
) -> Result<()> {
    let existed = directory.exists();
    ensure_empty(directory)?;
    let had_lock = directory.join(LOCK).exists();
    let mut disk = RealDisk::open(directory, true)?;
    // Somebody may have been faster than the lock.
    ensure_empty(directory)?;
    let installed =
        build(&directory.join(WORKSHOP), counts, write).and_then(|()| appear(&mut disk, directory));
    if installed.is_err() {
        clear(directory, had_lock)?;
        if !existed {
            fs::remove_dir(directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
    }
    installed.with_context(|| format!("cannot make a store in {}", directory.display()))
}

fn ensure_empty(directory: &Path) -> Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot list {}", directory.display()));
        }
    };
    for entry in entries {
        let name = entry?.file_name();
        if name != LOCK {
            bail!(
                "{} is not empty (it holds {name:?}); import into a directory that is",
                directory.display()
            );
        }
    }
    Ok(())
}

fn build(
    workshop: &Path,
    counts: Counts,
    write: impl FnOnce(&mut Writer) -> Result<()>,
) -> Result<()> {
    let disk = RealDisk::open(workshop, true)?;
    let (log, ..) = Log::open(disk, Options::default())?;
    let mut writer = Writer { log, pending: Vec::with_capacity(GROUP) };
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    // What a broker would find.
    let store = open(workshop)?;
    let sessions = store.state.sessions.len() as u64;
    ensure!(
        sessions == counts.sessions && store.report.damage.is_empty(),
        "the new store reads back as {sessions} sessions instead of {}; please report this",
        counts.sessions
    );
    Ok(())
}

/// Moves the files to their place. The directory is a store from the last one on.
fn appear(disk: &mut RealDisk, directory: &Path) -> Result<()> {
    let workshop = directory.join(WORKSHOP);
    let mut names: Vec<_> = fs::read_dir(&workshop)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<std::io::Result<_>>()?;
    names.retain(|name| name != LOCK && name != VERSION);
    names.sort();
    for name in &names {
        fs::rename(workshop.join(name), directory.join(name))?;
    }
    disk.sync_directory()?;
    fs::rename(workshop.join(VERSION), directory.join(VERSION))?;
    fs::remove_file(workshop.join(LOCK))?;
    fs::remove_dir(&workshop)?;
    disk.sync_directory()?;
    Ok(())
}

/// Removes everything: what an import that failed has made in an empty directory.
fn clear(directory: &Path, but_lock: bool) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if but_lock && entry.file_name() == LOCK {
            continue;
        }
        let path = entry.path();
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}
