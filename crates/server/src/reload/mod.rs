//! A new configuration for a server that runs: all of it, or nothing.
//!
//! First everything is read and opened that can be wrong: the configuration, rules and passwords, certificates,
//! log files, new listeners. If anything is, the server goes on as it was. What is applied afterwards cannot
//! fail.

mod watch;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use dunlin_config::{Change, Config, Effect, Loaded, What, changes};
use parking_lot::Mutex;

use crate::access::{Missing, World};
use crate::entrance::{ListenerOptions, check_listeners};
use crate::error::StartError;
use crate::log::{Logger, PreparedLog};
use crate::start::Handle;
use crate::why::WhyOptions;
use watch::Watched;

/// Between two looks at the files if they are not watched: how soon a watch begins that a reload has turned on is no matter.
const IDLE: Duration = Duration::from_secs(3_600);

/// What an invalid configuration is called among the alarms.
const ALARM: &str = "configuration";

/// Reads the configuration as it was read at start, with the command line; the text says what is wrong.
type Load = dyn Fn() -> Result<Loaded, String> + Send + Sync;

/// Reloads a server. Copies reload the same one.
#[derive(Clone)]
pub struct Reloader(Arc<Inner>);

struct Inner {
    server: Arc<Handle>,
    logger: Logger,
    load: Box<Load>,
    /// A lock, so that one reload ends before the next begins.
    current: Mutex<Current>,
    requests: SyncSender<()>,
}

struct Current {
    config: Config,
    watched: Watched,
}

impl Reloader {
    /// Watches files, if that is configured, and takes requests, on a thread of its own.
    ///
    /// # Errors
    /// There is no thread.
    pub fn start(
        server: &Arc<Handle>,
        logger: &Logger,
        loaded: Loaded,
        load: impl Fn() -> Result<Loaded, String> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        // One that is waiting will see whatever changes before it begins.
        let (requests, waiting) = sync_channel(1);
        let watched = Watched::new(&loaded);
        let inner = Inner {
            server: Arc::clone(server),
            logger: logger.clone(),
            load: Box::new(load),
            current: Mutex::new(Current { config: loaded.config, watched }),
            requests,
        };
        let reloader = Self(Arc::new(inner));
        let own = reloader.clone();
        thread::Builder::new().name("reload".into()).spawn(move || own.wait(&waiting))?;
        Ok(reloader)
    }

    /// Asks for a reload, and does not wait for it. The log says how it went.
    pub fn request(&self) {
        // If one is asked for already, that is enough.
        let (Ok(()) | Err(_)) = self.0.requests.try_send(());
    }

    /// Reloads, and says what has changed, one line each.
    ///
    /// # Errors
    /// What is wrong. Nothing has changed then, and the log says so too.
    pub fn reload(&self) -> Result<Vec<String>, String> {
        let _running = self.0.server.begin_reload();
        tracing::info!("reloading the configuration");
        let mut current = self.0.current.lock();
        match self.0.apply(&mut current) {
            Ok(lines) => {
                self.0.server.clear_alarm(ALARM);
                if lines.is_empty() {
                    tracing::info!(
                        "nothing is different but, perhaps, what is in the files that are named"
                    );
                }
                lines.iter().for_each(|line| tracing::info!("{line}"));
                Ok(lines)
            }
            Err(what) => {
                for line in what.lines() {
                    tracing::error!("{line}");
                }
                tracing::error!("the configuration was not reloaded: everything stays as it was");
                let text = format!("the configuration was not reloaded, since it is wrong: {what}");
                self.0.server.raise_alarm(ALARM, text.replace('\n', "; "));
                Err(what)
            }
        }
    }

    /// The configuration that is in force.
    #[must_use]
    pub fn config(&self) -> Config {
        self.0.current.lock().config.clone()
    }

    fn wait(&self, requests: &Receiver<()>) {
        loop {
            let watch = self.0.current.lock().config.server.watch;
            match requests.recv_timeout(if watch.is_zero() { IDLE } else { watch }) {
                // The log and the caller of nobody: whoever asked reads the log.
                Ok(()) => drop(self.reload()),
                Err(RecvTimeoutError::Timeout) => {
                    if !watch.is_zero() && self.0.current.lock().watched.has_changed() {
                        drop(self.reload());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if !self.0.server.is_running() {
                return;
            }
        }
    }
}

impl Inner {
    fn apply(&self, current: &mut Current) -> Result<Vec<String>, String> {
        // What is wrong is told once, not every two seconds.
        current.watched = current.watched.again();
        let loaded = (self.load)()?;
        current.watched = Watched::new(&loaded);
        let mut config = loaded.config;
        let changes = changes(&current.config, &config);
        let mut used = None;
        config.follow(&current.config, |number| {
            used.get_or_insert_with(|| self.server.listeners_in_use()).contains(&number)
        });
        let log = PreparedLog::open(&config.log).map_err(|cause| cause.to_string())?;
        let listeners = ListenerOptions::from_config(&config).map_err(|error| error.to_string())?;
        let world = World::load(&config, Missing::Refuse)
            .map_err(|faults| StartError::Access(faults).to_string())?;
        self.server.replace_listeners(&listeners).map_err(|error| error.to_string())?;
        // From here on nothing fails.
        self.server.install_access(world);
        self.server.reconfigure(config.settings());
        self.server.watch_with(WhyOptions::from_config(&config));
        self.logger.replace(log);
        for note in &loaded.notes {
            tracing::info!("{note}");
        }
        current.config = config;
        Ok(changes.iter().map(in_words).collect())
    }
}

/// Whether a server could be started with this configuration, as far as that can be told without taking its
/// ports or its store. The log has what is to be minded.
///
/// # Errors
/// What is wrong.
pub fn check(config: &Config) -> Result<(), StartError> {
    let world = World::load(config, Missing::Expect).map_err(StartError::Access)?;
    for fault in world.warnings() {
        tracing::warn!("{fault}");
    }
    check_listeners(&ListenerOptions::from_config(config)?)
}

fn in_words(change: &Change) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
    let what = match &change.what {
        What::Key { key, from, to } => format!("{key}: {} instead of {}", value(to), value(from)),
        What::ListenerAdded { listener } => format!("listener {listener} is new"),
        What::ListenerRemoved { listener } => {
            format!("listener {listener} is closed; its connections go on")
        }
        What::Listener { listener, key, from, to } => {
            format!("listener {listener}: {key}: {} instead of {}", value(to), value(from))
        }
        What::BridgeAdded { bridge } => format!("bridge {bridge} is new"),
        What::BridgeRemoved { bridge } => format!("bridge {bridge} is gone"),
        What::Bridge { bridge, key, from, to } => {
            format!("bridge {bridge}: {key}: {} instead of {}", value(to), value(from))
        }
        What::Definitions => "users, groups or roles have changed".into(),
    };
    let place = change.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
    match change.effect {
        Effect::AtOnce | Effect::Reopen => format!("{place}{what}"),
        Effect::NewConnections => format!("{place}{what}, for new connections"),
        Effect::Restart => format!("{place}{what}, after a restart only"),
    }
}
