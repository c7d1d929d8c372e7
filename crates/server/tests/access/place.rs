//! A directory with a configuration and what it names, and a server that runs by it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use dunlin_access::password::{Hash, Kind};
use dunlin_config::{Config, Disk, Loader};
use dunlin_server::{Handle, ListenerOptions, Place as Door, ServerOptions, start};
use tempfile::TempDir;

/// What passwords, secrets and tokens of these tests hold: the log must not.
pub(crate) const HUSH: &str = "hush-";

/// What all servers of this process have logged.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that is logged is kept, the faintest included.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log);
        subscriber.with_max_level(tracing::Level::TRACE).init();
    });
}

/// What was logged until now.
pub(crate) fn logged() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

/// Waits until it is so, on a machine that may have other things to do.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A directory for a test.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        listen();
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A password file; `weak` kinds are quick.
    pub(crate) fn passwords(&self, name: &str, users: &[(&str, &str, Kind)]) {
        let mut next = 0;
        let mut random = |bytes: &mut [u8]| {
            next += 1;
            bytes.fill(next);
        };
        let lines = users.iter().map(|(user, password, kind)| {
            let hash = Hash::create(*kind, password.as_bytes(), &mut random);
            format!("{user}:{}\n", hash.encode())
        });
        self.write(name, &lines.collect::<String>());
    }

    /// Reads a configuration, in which `DIR` stands for this directory.
    pub(crate) fn config(&self, toml: &str) -> Config {
        let directory = self.directory.path().display().to_string();
        self.write("dunlin.toml", &toml.replace("DIR", &directory));
        let path = self.path("dunlin.toml").display().to_string();
        Loader::new(&Disk).load(Some(&path)).unwrap().config
    }

    /// Starts a server by a configuration, on free ports.
    pub(crate) fn serve(&self, toml: &str) -> Server {
        Server::start(&self.config(&format!("persistence.enabled = false\n{toml}")))
    }
}

/// A server that ends with the test.
pub(crate) struct Server {
    handle: Option<Handle>,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Server {
    pub(crate) fn start(config: &Config) -> Self {
        let mut options = ServerOptions::from_config(config).unwrap();
        options.shards = 2;
        options.sessions_ahead = 1;
        options.listeners = on_free_ports(options.listeners);
        // Hashes take long in a build that is not optimised, on a machine that has other things to do.
        options.settings.connect_timeout = Duration::from_secs(300);
        let handle = start(options).unwrap();
        let addresses = handle.addresses().to_vec();
        Self { handle: Some(handle), addresses }
    }

    /// Listeners, users and rules as another configuration has them.
    pub(crate) fn reload(&self, config: &Config) {
        let listeners = on_free_ports(ListenerOptions::from_config(config).unwrap());
        self.handle().replace_listeners(&listeners).unwrap();
        self.handle().replace_access(config).unwrap();
    }

    /// Why a client was let go: the cause, and all of it. It is told a moment after the client hears it.
    pub(crate) fn why(&self, client: &str) -> (&'static str, String) {
        let mut last = None;
        wait_until(&format!("something is told of {client}"), || {
            last = self.handle().why(client).pop().filter(|told| told.cause != "connected");
            last.is_some()
        });
        let told = last.expect("it was waited for");
        (told.cause, told.text)
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.handle.as_ref().unwrap()
    }
}

/// One place for each listener, which the system chooses.
fn on_free_ports(mut listeners: Vec<ListenerOptions>) -> Vec<ListenerOptions> {
    let mut last = None;
    listeners.retain(|listener| last.replace(listener.entry.number) != last);
    for listener in &mut listeners {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.place = Door::Tcp { address, interface: None };
    }
    listeners
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        handle.stop_now();
        handle.join().unwrap();
        let log = logged();
        let told = log.lines().find(|line| line.contains(HUSH));
        assert!(told.is_none() || thread::panicking(), "in the log: {told:?}");
    }
}
