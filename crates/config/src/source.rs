//! Where files come from: the disk, or a table in tests.

use std::collections::BTreeMap;
use std::io::{self, Read};

/// What reading a configuration asks of the outside.
pub trait Source {
    /// The text of a file.
    ///
    /// # Errors
    ///
    /// If there is no such file, it cannot be read, is larger than [`LARGEST_FILE`] or no UTF-8.
    fn read(&self, path: &str) -> io::Result<String>;

    /// The names of the entries of a directory, in any order.
    ///
    /// # Errors
    ///
    /// If there is no such directory or it cannot be read.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;
}

/// Bytes that a file may have. 16 MiB: far more than any configuration, and a mistaken `-c /dev/zero`
/// ends with a message.
pub const LARGEST_FILE: u64 = 16 << 20;

/// The file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Source for Disk {
    fn read(&self, path: &str) -> io::Result<String> {
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
        }
        let length = file.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
        if length as u64 > LARGEST_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
        }
        Ok(text)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        std::fs::read_dir(directory)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }
}

/// Files that are only in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: BTreeMap<String, String>,
}

impl Memory {
    /// These files, each a path and its text.
    #[must_use]
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files = files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned()));
        Self { files: files.collect() }
    }
}

impl Source for Memory {
    fn read(&self, path: &str) -> io::Result<String> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no such file");
        self.files.get(path).cloned().ok_or_else(missing)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let directory = format!("{}/", directory.trim_end_matches('/'));
        let names = self.files.keys().filter_map(|path| path.strip_prefix(&directory));
        let names: Vec<_> =
            names.filter(|name| !name.contains('/')).map(ToOwned::to_owned).collect();
        if names.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such directory"));
        }
        Ok(names)
    }
}
