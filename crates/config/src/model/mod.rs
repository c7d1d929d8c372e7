//! What can be configured: one model for both formats.
//!
//! Every field has a key in [`crate::keys`], which says its unit, its default and the reason.

mod access;
mod ages;
mod bridge;
mod limits;
mod listener;
mod log;
mod settings;

use std::path::PathBuf;
use std::time::Duration;

pub use access::{
    Access, Bans, ClientIdUser, DeniedPublish, DeniedSubscribe, HttpHook, Jwt, Logins, Security,
};
pub use ages::Ages;
pub use bridge::{
    AddressChoice, Bridge, BridgeBounds, BridgeTls, BridgeTopic, BridgeVersion, Direction, Habits,
    Login, Notify, Reconnect, ReloadType, StartType,
};
pub use limits::{
    Delivery, Limits, OverlappingSubscriptions, QueueFullPolicy, ReasonStringPolicy,
    RefusalCodePolicy, Retained, WillDelayPolicy,
};
pub use listener::{
    Address, CheckDates, ClientCertificate, Identity, IpVersion, Listener, OriginRefusal, Protocol,
    ProxyProtocol, Quic, Tls, TlsVersion, Versions, WebSocket,
};
pub use log::{Log, LogType, LogTypes, SyslogFacility, Timestamps, Wording};

use crate::changes;
use crate::place::Places;
use crate::value::{Secret, words};

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where clients come in. Never empty when it comes from [`crate::Loader`].
    pub listeners: Vec<Listener>,
    /// The process.
    pub server: Server,
    /// What outlives the process.
    pub persistence: Persistence,
    /// The bounds.
    pub limits: Limits,
    /// Retained messages.
    pub retained: Retained,
    /// How messages are delivered.
    pub delivery: Delivery,
    /// Who may connect and what they may do, on all listeners that do not say otherwise.
    pub security: Security,
    /// The log.
    pub log: Log,
    /// When an alarm is raised.
    pub alarms: Alarms,
    /// Connections to other brokers.
    pub bridges: Vec<Bridge>,
    /// Users, groups and roles of `dunlin.toml`, which the access rules are made of.
    pub definitions: Option<Definitions>,
    /// Where the values come from.
    pub places: Places,
}

impl Default for Config {
    /// What holds without a file, but for the listener, which [`crate::Loader`] adds.
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            server: Server::default(),
            persistence: Persistence::default(),
            limits: Limits::default(),
            retained: Retained::default(),
            delivery: Delivery::default(),
            security: Security::default(),
            log: Log::default(),
            alarms: Alarms::default(),
            bridges: Vec::new(),
            definitions: None,
            places: Places::default(),
        }
    }
}

impl Config {
    /// Whether only this machine can connect, because no listener was configured.
    #[must_use]
    pub fn is_local_only(&self) -> bool {
        let mut open = self.listeners.iter().filter(|listener| !listener.is_retired());
        open.all(Listener::is_implied)
    }

    /// Where `dunlin ctl` reaches the broker; nowhere if nothing is configured and nothing is kept.
    #[must_use]
    pub fn admin_socket(&self) -> Option<PathBuf> {
        let kept = self.persistence.enabled.then(|| self.persistence.directory.join("admin.sock"));
        self.server.admin_socket.clone().or(kept).filter(|path| !path.as_os_str().is_empty())
    }

    /// Puts the listeners into the order in which `before` had them, since what a running broker knows about
    /// them goes by their number. Those that are gone stay in their place, retired: nobody listens there, but
    /// clients that came in by them are still judged by their rules. When there are none any more, as
    /// `is_used` says of a number, another listener has the place.
    pub fn follow(&mut self, before: &Self, mut is_used: impl FnMut(u16) -> bool) {
        let mut new = std::mem::take(&mut self.listeners);
        let mut free = Vec::new();
        for (number, old) in (0..).zip(&before.listeners) {
            let stays = new.iter().position(|listener| changes::same_socket(old, listener));
            // Somebody may be coming in by one that was open until now.
            if stays.is_none() && old.is_retired() && !is_used(number) {
                free.push(usize::from(number));
            }
            self.listeners.push(match stays {
                Some(place) => new.remove(place),
                None => Listener { standing: listener::Standing::Retired, ..old.clone() },
            });
        }
        let taken = free.len().min(new.len());
        for (place, listener) in free.iter().zip(new.drain(..taken)) {
            if let Some(slot) = self.listeners.get_mut(*place) {
                *slot = listener;
            }
        }
        self.listeners.append(&mut new);
        while let Some(last) = self.listeners.len().checked_sub(1)
            && free.contains(&last)
            && self.listeners.last().is_some_and(Listener::is_retired)
        {
            self.listeners.pop();
        }
    }

    /// What holds for the clients of a listener: its own settings, and those of all for the rest.
    #[must_use]
    pub fn access_of(&self, listener: &Listener) -> Access {
        listener.access.or(&self.security.access)
    }

    /// Whether clients without a user name may use the listener. Without any word about it, they may
    /// only if no listener was configured at all.
    #[must_use]
    pub fn allows_anonymous(&self, listener: &Listener) -> bool {
        self.access_of(listener).allow_anonymous.unwrap_or_else(|| listener.is_implied())
    }
}

/// The process.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Threads that serve clients; none for one on each core.
    pub shards: Option<u16>,
    /// The longest that a turn is put off to gather input.
    pub pacing_cap: Duration,
    /// How long a stop waits for output to be taken.
    pub stop_grace: Duration,
    /// Between refreshes of `$SYS/broker/...`; zero turns it off.
    pub sys_interval: Duration,
    /// Where the process identifier is written.
    pub pid_file: Option<PathBuf>,
    /// Who the process becomes when it is started as root.
    pub user: Option<String>,
    /// Whether the process leaves the terminal once it listens.
    pub daemon: bool,
    /// Where the secrets of TLS connections are written for debugging.
    pub tls_keylog: Option<PathBuf>,
    /// Whether administrators may use `$CONTROL/broker/v1`.
    pub control_api: bool,
    /// Whether small writes leave at once, `TCP_NODELAY`.
    pub tcp_nodelay: bool,
    /// Between two looks at the files of the configuration, whose change is a reason to reload; zero for none.
    pub watch: Duration,
    /// The unix socket of `dunlin ctl`; none for `admin.sock` in the data directory.
    pub admin_socket: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            shards: None,
            pacing_cap: Duration::from_micros(600),
            stop_grace: Duration::from_secs(2),
            sys_interval: Duration::from_secs(10),
            pid_file: None,
            user: None,
            daemon: false,
            tls_keylog: None,
            control_api: false,
            tcp_nodelay: true,
            watch: Duration::ZERO,
            admin_socket: None,
        }
    }
}

/// What outlives the process.
#[derive(Debug, Clone, PartialEq)]
pub struct Persistence {
    /// Whether anything does.
    pub enabled: bool,
    /// The directory of the store.
    pub directory: PathBuf,
    /// When something counts as kept.
    pub durability: DurabilityPolicy,
    /// Between syncs when `durability` is [`DurabilityPolicy::Interval`].
    pub sync_interval: Duration,
    /// What to do with parts of the store that cannot be read.
    pub on_damage: DamagePolicy,
    /// The database of Mosquitto: what it holds is taken over when the store is new.
    pub mosquitto_file: Option<PathBuf>,
}

impl Default for Persistence {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: "dunlin-data".into(),
            durability: DurabilityPolicy::Always,
            sync_interval: Duration::from_millis(100),
            on_damage: DamagePolicy::SetAside,
            mosquitto_file: None,
        }
    }
}

words! {
    /// When something counts as kept, and is acknowledged.
    DurabilityPolicy {
        /// Once it is on the disk.
        Always = "always",
        /// Once it is written; the disk is asked in intervals.
        Interval = "interval",
        /// At once: nothing is kept.
        Off = "off",
    }
}

words! {
    /// What to do with parts of the store that cannot be read.
    DamagePolicy {
        /// Start with what can be read and keep a copy of the rest.
        SetAside = "set-aside",
        /// Do not start.
        Refuse = "refuse",
    }
}

/// When an alarm is raised.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarms {
    /// Percent of a limit.
    pub capacity_percent: u8,
    /// Before a certificate expires.
    pub certificate_expiry: Duration,
    /// Growth of the retained messages in an hour, in percent.
    pub retained_growth_percent: u16,
    /// Whether events are counted by cause below `$SYS`.
    pub sys_why: bool,
}

impl Default for Alarms {
    fn default() -> Self {
        Self {
            capacity_percent: 80,
            certificate_expiry: Duration::from_secs(30 * 86_400),
            retained_growth_percent: 100,
            sys_why: false,
        }
    }
}

/// The tables of `dunlin.toml` that name users, groups and roles. They are read by who compiles the rules;
/// here they are only known to be there.
#[derive(Debug, Clone)]
pub struct Definitions {
    /// The file.
    pub file: String,
    /// Its whole text, so that the lines of the rules can be told.
    pub text: Secret,
    /// What the tables say, without places, spaces and comments.
    pub(crate) content: Secret,
}

impl PartialEq for Definitions {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}
