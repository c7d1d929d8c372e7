//! Where lines go.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use dunlin_config::model::{Log, LogType, SyslogFacility};

use super::stamp::Stamp;
use crate::planted;
use crate::start::Handle;

/// Where the system log of all Unixes listens.
const SYSLOG: &str = "/dev/log";

/// Mode of a new log file: it names clients and topics, which not everybody is to know.
const MODE: u32 = 0o640;

/// All places that a log goes to.
pub(super) struct Outlets {
    pub(super) stamp: Stamp,
    outlets: Vec<Outlet>,
}

enum Outlet {
    Stderr,
    Stdout,
    File(File),
    Syslog { socket: UnixDatagram, facility: u8 },
    Topic,
}

impl Outlets {
    pub(super) fn open(log: &Log) -> io::Result<Self> {
        let mut outlets = Vec::new();
        for destination in &log.destinations {
            match (destination.as_str(), &log.file) {
                ("stdout", _) => outlets.push(Outlet::Stdout),
                ("topic", _) => outlets.push(Outlet::Topic),
                ("syslog", _) => {
                    let facility = facility(log.syslog_facility);
                    outlets.push(Outlet::Syslog { socket: UnixDatagram::unbound()?, facility });
                }
                ("file", Some(path)) => {
                    let file = planted::append_to(path, MODE).map_err(|cause| {
                        let text = format!("cannot open the log file {}: {cause}", path.display());
                        io::Error::new(cause.kind(), text)
                    })?;
                    outlets.push(Outlet::File(file));
                }
                _ => outlets.push(Outlet::Stderr),
            }
        }
        Ok(Self { stamp: Stamp::of(log)?, outlets })
    }

    /// Writes several lines at once, for those outlets that are streams. What cannot be written is lost: there
    /// is nobody left to tell.
    pub(super) fn write(&mut self, lines: &str) {
        for outlet in &mut self.outlets {
            let (Ok(()) | Err(_)) = match outlet {
                Outlet::Stderr => io::stderr().lock().write_all(lines.as_bytes()),
                Outlet::Stdout => {
                    let mut stdout = io::stdout().lock();
                    stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush())
                }
                Outlet::File(file) => file.write_all(lines.as_bytes()),
                Outlet::Syslog { .. } | Outlet::Topic => Ok(()),
            };
        }
    }

    /// Gives one line to those outlets that take each alone: `text` is without time and end.
    pub(super) fn send(&self, kind: LogType, line: &str, text: &str, server: Option<&Arc<Handle>>) {
        for outlet in &self.outlets {
            match outlet {
                Outlet::Syslog { socket, facility } => {
                    let priority = facility << 3 | severity(kind);
                    let process = std::process::id();
                    let message = format!("<{priority}>dunlin[{process}]: {text}");
                    drop(socket.send_to(message.as_bytes(), SYSLOG));
                }
                Outlet::Topic => {
                    if let Some(server) = server {
                        server.publish_system(topic(kind), line.trim_end().as_bytes());
                    }
                }
                Outlet::Stderr | Outlet::Stdout | Outlet::File(_) => {}
            }
        }
    }
}

/// As Mosquitto names them.
const fn topic(kind: LogType) -> &'static str {
    match kind {
        LogType::Error => "$SYS/broker/log/E",
        LogType::Warning => "$SYS/broker/log/W",
        LogType::Notice => "$SYS/broker/log/N",
        LogType::Information => "$SYS/broker/log/I",
        LogType::Debug | LogType::Internal => "$SYS/broker/log/D",
        LogType::Subscribe => "$SYS/broker/log/M/subscribe",
        LogType::Unsubscribe => "$SYS/broker/log/M/unsubscribe",
        LogType::WebSockets => "$SYS/broker/log/WS",
    }
}

/// Numbers of RFC 5424.
const fn severity(kind: LogType) -> u8 {
    match kind {
        LogType::Error => 3,
        LogType::Warning => 4,
        LogType::Notice | LogType::Subscribe | LogType::Unsubscribe => 5,
        LogType::Information => 6,
        LogType::Debug | LogType::Internal | LogType::WebSockets => 7,
    }
}

const fn facility(facility: SyslogFacility) -> u8 {
    match facility {
        SyslogFacility::Daemon => 3,
        SyslogFacility::Local0 => 16,
        SyslogFacility::Local1 => 17,
        SyslogFacility::Local2 => 18,
        SyslogFacility::Local3 => 19,
        SyslogFacility::Local4 => 20,
        SyslogFacility::Local5 => 21,
        SyslogFacility::Local6 => 22,
        SyslogFacility::Local7 => 23,
    }
}
