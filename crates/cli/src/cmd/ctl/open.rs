//! Opening a store to look at it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use dunlin_broker::journal::State;
use dunlin_store::{Log, Options, RealDisk, Report};

use super::overlay::Overlay;

/// A store as it was found; nothing on the disk changes while it is looked at.
pub(super) struct Store {
    pub(super) log: Log<Overlay<RealDisk>>,
    pub(super) state: State,
    pub(super) report: Report,
}

/// Reads all of the store in `directory`, which no broker may be using.
pub(super) fn open(directory: &Path) -> Result<Store> {
    let name = || directory.display().to_string();
    // A directory of somebody else is not even locked.
    if directory.is_dir() && !holds_a_store(directory).with_context(name)? {
        bail!("{}: there is no store in it", name());
    }
    let disk = RealDisk::open(directory, false)?;
    let overlay = Overlay::new(disk).with_context(name)?;
    let (log, state, report) = Log::open(overlay, Options::default()).with_context(name)?;
    Ok(Store { log, state, report })
}

/// Whether any of a store's files is there; what is missing then is for the log to say.
fn holds_a_store(directory: &Path) -> Result<bool> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if name == "VERSION" || Path::new(&name).extension().is_some_and(|end| end == "seg") {
            return Ok(true);
        }
    }
    Ok(false)
}
