//! The way to the broker.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use dunlin_config::{Disk, Loader};
use serde_json::{Value, json};

use super::Reach;

/// The version that is spoken here.
const VERSION: u64 = 1;

/// How long an answer may take: a reload reads files, and may ask a service for keys.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of an answer. 256 MiB: the longest list of clients.
const LONGEST: u64 = 256 << 20;

impl Reach {
    /// The answer to a request, or what the broker says is wrong.
    pub(super) fn ask(&self, request: &Value) -> Result<Result<Value, String>> {
        let path = self.path()?;
        let stream = connect(&path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = request.clone();
        request["version"] = json!(VERSION);
        let lost = || format!("the broker does not answer on {}", path.display());
        (&stream).write_all(format!("{request}\n").as_bytes()).with_context(lost)?;
        let mut line = String::new();
        BufReader::new((&stream).take(LONGEST)).read_line(&mut line).with_context(lost)?;
        if line.is_empty() {
            bail!(
                "the broker has closed {}: it may belong to another user, or serve too many operators",
                path.display()
            );
        }
        let answer: Value = serde_json::from_str(&line).with_context(lost)?;
        if let Some(what) = answer.get("error").and_then(Value::as_str) {
            return Ok(Err(what.to_owned()));
        }
        answer.get("result").cloned().map(Ok).ok_or_else(|| anyhow!(lost()))
    }

    fn path(&self) -> Result<PathBuf> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        if let Some(file) = &self.config_file {
            let (socket, problems) = Loader::new(&Disk)
                .with_environment(std::env::vars_os().filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                }))
                .admin_socket(file)?;
            let none = || {
                anyhow!(
                    "{file} names no admin socket and keeps nothing: set persistence, or `admin_socket` in [server] (beside a mosquitto.conf: DUNLIN_SERVER_ADMIN_SOCKET=PATH for the broker, and --socket PATH here)"
                )
            };
            let socket = socket.ok_or_else(none)?;
            // Whoever has broken the file asks the broker what it says of it.
            for problem in &problems {
                eprintln!("Warning: {problem}");
            }
            return Ok(socket);
        }
        let directory = self.data_dir.as_deref().unwrap_or_else(|| Path::new("dunlin-data"));
        Ok(directory.join("admin.sock"))
    }
}

fn connect(path: &Path) -> Result<UnixStream> {
    UnixStream::connect(path).map_err(|cause| match cause.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => anyhow!(
            "no broker answers on {}; name its data directory (--data-dir), its configuration (-c) or its socket (--socket)",
            path.display()
        ),
        ErrorKind::PermissionDenied => anyhow!(
            "{}: only root and the user of the broker may use it",
            path.display()
        ),
        _ => anyhow!("{}: {cause}", path.display()),
    })
}
