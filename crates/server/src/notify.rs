//! What a service manager is told (systemd's `sd_notify`): that the server is ready, reloads, stops,
//! and that its shards still turn.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::shared::{Shared, Stop};

/// The way to a service manager that wants to be told.
pub(crate) struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// What the environment names; `None` if nobody wants to be told.
    pub(crate) fn from_environment() -> io::Result<Option<Self>> {
        match env::var("NOTIFY_SOCKET") {
            Ok(name) => Self::at(&name).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn at(name: &str) -> io::Result<Self> {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        Ok(Self { socket })
    }

    /// Tells something; a manager that is gone is no reason to stop serving.
    pub(crate) fn tell(&self, what: &str) {
        if let Err(cause) = self.socket.send(what.as_bytes()) {
            tracing::debug!("the service manager does not hear: {cause}");
        }
    }

    /// How often it wants to hear that the server lives, if it does.
    pub(crate) fn watchdog() -> Option<Duration> {
        if let Ok(process) = env::var("WATCHDOG_PID")
            && process.parse() != Ok(std::process::id())
        {
            return None;
        }
        let micros: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    /// Tells in these intervals that all shards turn, as long as they do: each is woken and has to have
    /// taken a turn when it is looked at again.
    pub(crate) fn keep_alive(self, interval: Duration, shared: Arc<Shared>) -> io::Result<()> {
        let watch = move || {
            let turns = || -> Vec<u64> {
                shared.turns.iter().map(|turns| turns.load(Ordering::Relaxed)).collect()
            };
            while shared.stop_state() == Stop::Running {
                let before = turns();
                shared.mailboxes.iter().for_each(|mailbox| mailbox.rouse());
                thread::park_timeout(interval / 2);
                if before.iter().zip(turns()).all(|(before, now)| *before != now) {
                    self.tell("WATCHDOG=1");
                } else {
                    tracing::error!(
                        "a shard has not taken a turn in {} ms",
                        interval.as_millis() / 2
                    );
                }
            }
        };
        thread::Builder::new().name("watchdog".into()).spawn(watch).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_manager_hears_by_path_and_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("dunlin-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        for (socket, name) in [(by_path, path.display().to_string()), (by_name, format!("@{name}"))]
        {
            Manager::at(&name).unwrap().tell("READY=1");
            let mut heard = [0; 20];
            let length = socket.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"READY=1");
        }
    }

    #[test]
    fn a_service_manager_that_is_gone_stops_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        assert!(Manager::at(&path.display().to_string()).is_err());
        drop(UnixDatagram::bind(&path).unwrap());
        assert!(Manager::at(&path.display().to_string()).is_err());
    }
}
