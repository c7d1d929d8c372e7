//! The secrets of connections, for those who look into them with Wireshark.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustls::KeyLog;

use super::error::TlsError;
use crate::planted::append_to;

/// What is open, for all listeners of the process. A reload goes on with it: whoever the broker has become
/// since could not open a file of root's.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<KeyLogFile>>> = Mutex::new(BTreeMap::new());

/// A file in the format of `SSLKEYLOGFILE`. A lock, since connections of all shards write to it, and
/// only while somebody debugs.
#[derive(Debug)]
pub(super) struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    /// Appends to the file, which only its owner may read.
    pub(super) fn open(path: &Path) -> Result<Arc<Self>, TlsError> {
        let mut open = OPEN.lock();
        if let Some(file) = open.get(path).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let file = append_to(path, 0o600)
            .map_err(|cause| TlsError::Unwritable { path: path.to_owned(), cause })?;
        let file = Arc::new(Self(Mutex::new(file)));
        open.retain(|_, other| other.strong_count() > 0);
        open.insert(path.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        // Debugging that fails must not fail the connection.
        self.0.lock().write_all(line.as_bytes()).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_open_serves_later_listeners_though_it_cannot_be_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let first = KeyLogFile::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let second = KeyLogFile::open(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        let refused = KeyLogFile::open(&path).unwrap_err().to_string();
        assert!(refused.starts_with("cannot write "), "{refused}");
    }
}
