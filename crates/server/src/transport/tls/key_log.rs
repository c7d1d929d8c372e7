//! The secrets of connections, for those who look into them with Wireshark.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use parking_lot::Mutex;
use rustls::KeyLog;

use super::error::TlsError;

/// A file in the format of `SSLKEYLOGFILE`. A lock, since connections of all shards write to it, and
/// only while somebody debugs.
#[derive(Debug)]
pub(super) struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    /// Appends to the file, which only its owner may read.
    pub(super) fn open(path: &Path) -> Result<Self, TlsError> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        file.map(|file| Self(Mutex::new(file)))
            .map_err(|cause| TlsError::Unreadable { path: path.to_owned(), cause })
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
