//! The socket on which an operator asks the broker things, and tells it others: `dunlin ctl`.
//!
//! A unix socket for the user of the broker and root. A request is a line of JSON with `version` and `command`
//! (`request.rs`), and so is the answer, with `result` or `error`. Everything here happens on threads of its own;
//! shards are asked by parcels (`ask.rs`), which cost them as much as a message.

mod answer;
mod ask;
mod request;

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

use crate::log::Logger;
use crate::reload::Reloader;
use crate::start::Handle;

/// Bytes of a request. 64 KiB: the longest client identifier fits into it.
const LONGEST_REQUEST: u64 = 64 << 10;

/// Operators at once. 8: people and a script or two.
const OPERATORS: usize = 8;

/// How long an operator may be silent, or not read.
const PATIENCE: Duration = Duration::from_secs(30);

/// Mode of the socket.
const MODE: u32 = 0o600;

/// What the threads of the socket need.
struct Desk {
    server: Arc<Handle>,
    reloader: Reloader,
    logger: Logger,
    started: Instant,
    operators: AtomicUsize,
}

/// Serves operators at this path for as long as the process lives.
///
/// # Errors
/// The socket cannot be made there, or another process serves it.
pub fn serve_admin(
    path: &Path,
    server: &Arc<Handle>,
    reloader: &Reloader,
    logger: &Logger,
) -> io::Result<()> {
    let listener = bind(path)?;
    let desk = Arc::new(Desk {
        server: Arc::clone(server),
        reloader: reloader.clone(),
        logger: logger.clone(),
        started: Instant::now(),
        operators: AtomicUsize::new(0),
    });
    thread::Builder::new().name("admin".into()).spawn(move || desk.accept(&listener)).map(drop)
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // One that nobody serves is left over from a process that was killed. Anything else than a socket is not
    // ours to remove.
    let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    Ok(listener)
}

impl Desk {
    fn accept(self: &Arc<Self>, listener: &UnixListener) {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of descriptors, perhaps: not at full speed.
                thread::park_timeout(Duration::from_millis(100));
                continue;
            };
            if !is_allowed(&stream) {
                tracing::warn!("the admin socket was opened by another user, who got no answer");
                continue;
            }
            if self.operators.fetch_add(1, Ordering::AcqRel) >= OPERATORS {
                self.operators.fetch_sub(1, Ordering::AcqRel);
                tracing::warn!("more than {OPERATORS} operators at once: one was turned away");
                continue;
            }
            let desk = Arc::clone(self);
            let serve = move || {
                // Whoever hangs up has no question any more.
                drop(desk.serve(&stream));
                desk.operators.fetch_sub(1, Ordering::AcqRel);
            };
            if let Err(cause) = thread::Builder::new().name("operator".into()).spawn(serve) {
                self.operators.fetch_sub(1, Ordering::AcqRel);
                tracing::warn!("no thread for an operator: {cause}");
            }
        }
    }

    fn serve(&self, stream: &UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            let length = reader.by_ref().take(LONGEST_REQUEST).read_until(b'\n', &mut line)?;
            if length == 0 {
                return Ok(());
            }
            let whole = line.ends_with(b"\n");
            let answer = if whole { self.answer(&line) } else { answer::too_long(LONGEST_REQUEST) };
            let mut writer = stream;
            writer.write_all(format!("{answer}\n").as_bytes())?;
            if !whole {
                return Ok(());
            }
        }
    }
}

/// The mode says so too, but not everywhere, and not between the making of the socket and its mode.
fn is_allowed(stream: &UnixStream) -> bool {
    let ours = geteuid();
    socket_peercred(stream).is_ok_and(|peer| peer.uid == ours || peer.uid.is_root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_left_over_is_replaced_and_other_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        drop(bind(&path).unwrap());
        drop(bind(&path).unwrap());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(bind(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
