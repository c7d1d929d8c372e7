//! Where a value comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A line of a file, or something else that gave a value, as the environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as it was named, `command line`, or the variable of the environment.
    pub file: Arc<str>,
    /// Counted from one; zero if there are no lines.
    pub line: u32,
}

impl Place {
    /// A line of a file.
    #[must_use]
    pub fn new(file: &Arc<str>, line: u32) -> Self {
        Self { file: Arc::clone(file), line }
    }

    /// Something without lines.
    #[must_use]
    pub fn whole(file: &str) -> Self {
        Self { file: file.into(), line: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// The places of the values that were given, by key. Two configurations that differ only in their places
/// are the same, so all `Places` are equal.
#[derive(Debug, Clone, Default)]
pub struct Places {
    keys: BTreeMap<String, Place>,
    /// Files that secrets were read from, by the key of the secret, and where they are named.
    files: BTreeMap<String, (Place, String)>,
}

impl PartialEq for Places {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

impl Places {
    /// Where the key was given, if it was.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Place> {
        self.keys.get(key)
    }

    /// Notes where a key was given; a later place replaces an earlier one.
    pub fn set(&mut self, key: &str, place: &Place) {
        self.keys.insert(key.to_owned(), place.clone());
        self.files.remove(key);
    }

    /// The file that the secret of a key was read from, if it was, and where it is named.
    #[must_use]
    pub fn file_of(&self, key: &str) -> Option<(&Place, &str)> {
        self.files.get(key).map(|(place, file)| (place, file.as_str()))
    }

    /// Notes from which file the secret of a key was read.
    pub(crate) fn set_file(&mut self, key: &str, place: &Place, file: String) {
        self.files.insert(key.to_owned(), (place.clone(), file));
    }
}
