//! What can go wrong, said from the side of who typed the command.

use std::io;
use std::path::{Path, PathBuf};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// The system did not allow it.
    #[error("cannot {doing} {}: {cause}", path.display())]
    System {
        /// What was tried, as in "cannot read".
        doing: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// It would replace a file.
    #[error("{} exists and is not replaced; --force replaces it", .0.display())]
    Exists(PathBuf),
    /// A file is not what it should be.
    #[error("{}: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// What was asked for makes no sense, or must not be.
    #[error("{0}")]
    Refused(String),
}

impl KitError {
    /// For `map_err`.
    pub(crate) fn system(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::System { doing, path, cause }
    }

    pub(crate) fn unusable(path: &Path, what: impl Into<String>) -> Self {
        Self::Unusable { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::Refused(what.into())
    }
}
