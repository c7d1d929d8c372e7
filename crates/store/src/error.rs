//! What can go wrong, seen by who opens, writes and reads.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a store cannot be opened. Nothing was changed on the disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The disk refuses something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, with the name of the file.
        what: String,
        /// What the disk said.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error("{} is in use by another process; stop it, or give this one a directory of its own", .0.display())]
    Locked(PathBuf),
    /// Somebody else could change the store.
    #[error("{} can be written by others (mode {mode:04o}); run: chmod 700 {}", .directory.display(), .directory.display())]
    Permissions {
        /// The directory.
        directory: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The path is there and is no directory.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The directory does not exist and was not to be made.
    #[error("{} does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// The directory holds something else.
    #[error("the directory holds {file:?} and no store; give the store an empty directory")]
    Foreign {
        /// One of the files.
        file: String,
    },
    /// There are segments, but not the file that names the store.
    #[error("VERSION is missing beside the segments; restore the whole directory from a backup")]
    NoVersion,
    /// The file that names the store cannot be understood.
    #[error("VERSION is damaged; restore it from a backup of this store")]
    BadVersion,
    /// A newer program wrote the store.
    #[error(
        "the store has format {major}.{minor}, this program knows up to {known}; use a newer program"
    )]
    Newer {
        /// The store's major version.
        major: u16,
        /// Its minor version.
        minor: u16,
        /// The major version this program writes.
        known: u16,
    },
    /// A segment belongs to another store.
    #[error("{file} belongs to another store; move it elsewhere")]
    OtherStore {
        /// The segment.
        file: String,
    },
    /// A segment in the middle is not there.
    #[error("{file} is missing: the directory is an incomplete copy; restore all of it")]
    Missing {
        /// The segment.
        file: String,
    },
    /// A checksum is right, but not what it covers: a newer program, or a mistake in this one.
    #[error(
        "{file} holds a record at {offset} that this program does not know; use a newer program"
    )]
    Record {
        /// The segment.
        file: String,
        /// Where in it.
        offset: u64,
    },
    /// A segment is damaged and [`OnDamage::Refuse`](crate::OnDamage::Refuse) was chosen.
    #[error(
        "{file} is damaged at {offset}; restore a backup, or start with what can still be read: --on-damage set-aside, `persistence.on_damage`"
    )]
    Damaged {
        /// The segment.
        file: String,
        /// Where in it.
        offset: u64,
    },
}

/// Why records could not be kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is no room, not even in the reserve.
    #[error("the disk is full")]
    Full,
    /// The disk failed. What it failed on is not used any more.
    #[error("the disk failed: {0}")]
    Broken(#[source] io::Error),
}

/// Why a stored message could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The disk refuses to read.
    #[error("message {id} cannot be read: {source}")]
    Io {
        /// The message.
        id: u64,
        /// What the disk said.
        source: io::Error,
    },
    /// What lies at the message's place is something else.
    #[error("message {id} is damaged")]
    Damaged {
        /// The message.
        id: u64,
    },
}

impl OpenError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Broken(error),
        }
    }
}
