//! What a server is started with.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use dunlin_broker::Settings;
use dunlin_config::Config;
use dunlin_config::model::{DamagePolicy, DurabilityPolicy, Persistence};
pub use dunlin_store::OnDamage;

use crate::access::{Missing, World};
use crate::entrance::ListenerOptions;
use crate::error::StartError;
use crate::why::WhyOptions;

/// Everything [`crate::start`] needs to know. Every field has a default that works.
#[derive(Debug)]
pub struct ServerOptions {
    /// Where to listen. Default: loopback, port 1883, since nothing authenticates yet.
    pub listeners: Vec<ListenerOptions>,
    /// Shard threads. Default: the cores this process may use.
    pub shards: usize,
    /// Limits and features of the broker itself.
    pub settings: Settings,
    /// Connections held at once; further ones are refused with a reason code. Default: as many
    /// as the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// Sessions a shard may have more than the emptiest one. Sessions are packed onto few shards,
    /// since a message that crosses shards costs a wake-up, but they do not move later. Default:
    /// 1000: at 20 messages a second each they keep a core about a third busy.
    pub sessions_ahead: u32,
    /// The longest a turn is put off so that more input comes together. Zero turns pacing off.
    /// Default: 600 us, which halves the CPU per message of many sparse senders.
    pub pacing_cap: Duration,
    /// How often `$SYS/broker/...` is refreshed. Zero turns it off. Default: 10 s.
    pub sys_interval: Duration,
    /// Bytes that may wait in one shard's mailbox before the other shards stop reading their
    /// sockets. Default: 16 MiB: some milliseconds of work, and bounded memory.
    pub mailbox_bytes: usize,
    /// Where sessions and retained messages are kept. Default: nowhere, they end with the process.
    pub store: Option<StoreOptions>,
    /// How long a graceful stop waits for output to be taken by its readers. Default: 2 s.
    pub stop_grace: Duration,
    /// The limits that all shards share, and when somebody is to hear of them.
    pub why: WhyOptions,
    /// Who may connect and what they may do. Default: everybody, everything.
    pub access: Option<World>,
    /// What is done when all addresses are taken and all files of the listeners read, before the store
    /// is opened and before there are threads: to become another user, for example. Default: nothing.
    pub before_store: Option<Before>,
}

/// Something to be done once.
pub struct Before(pub Box<Preparation>);

/// What is done with the sockets that listeners have, which another user has to own to replace them.
pub type Preparation = dyn FnOnce(&[BorrowedFd<'_>]) -> io::Result<()> + Send;

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Before(..)")
    }
}

impl ServerOptions {
    /// What is configured.
    ///
    /// # Errors
    /// A file of users or rules cannot be used, something that is asked for is not served, or a host name
    /// stands for no address.
    pub fn from_config(config: &Config) -> Result<Self, StartError> {
        let server = &config.server;
        let defaults = Self::default();
        Ok(Self {
            listeners: ListenerOptions::from_config(config)?,
            shards: server.shards.map_or(defaults.shards, usize::from),
            settings: config.settings(),
            max_connections: config.limits.connections.get().map(to_usize),
            pacing_cap: server.pacing_cap,
            sys_interval: server.sys_interval,
            store: config
                .persistence
                .enabled
                .then(|| StoreOptions::from_config(&config.persistence)),
            stop_grace: server.stop_grace,
            why: WhyOptions::from_config(config),
            access: Some(World::load(config, Missing::Make).map_err(StartError::Access)?),
            ..defaults
        })
    }
}

fn to_usize(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            listeners: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)).into()],
            shards: crate::limits::usable_cores(),
            settings: Settings::default(),
            max_connections: None,
            sessions_ahead: 1_000,
            pacing_cap: Duration::from_micros(600),
            sys_interval: Duration::from_secs(10),
            mailbox_bytes: 16 * 1024 * 1024,
            store: None,
            stop_grace: Duration::from_secs(2),
            why: WhyOptions::default(),
            access: None,
            before_store: None,
        }
    }
}

/// How a server keeps what is to survive it.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The directory, made if there is none. One server at a time.
    pub directory: PathBuf,
    /// When something counts as kept.
    pub durability: Durability,
    /// What to do with parts of it that cannot be read.
    pub on_damage: OnDamage,
}

/// When something counts as kept, and is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When the disk says that it is: nothing acknowledged is lost when the power fails.
    Always,
    /// When it is written; the disk is asked in these intervals. What was acknowledged in the last of
    /// them is lost when the power fails, but not when the process dies.
    Interval(Duration),
}

impl StoreOptions {
    fn from_config(persistence: &Persistence) -> Self {
        Self {
            directory: persistence.directory.clone(),
            durability: match persistence.durability {
                // Who keeps nothing has no store.
                DurabilityPolicy::Always | DurabilityPolicy::Off => Durability::Always,
                DurabilityPolicy::Interval => Durability::Interval(persistence.sync_interval),
            },
            on_damage: match persistence.on_damage {
                DamagePolicy::SetAside => OnDamage::SetAside,
                DamagePolicy::Refuse => OnDamage::Refuse,
            },
        }
    }

    /// Everything is on the disk when it is acknowledged, and what cannot be read is set aside.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            durability: Durability::Always,
            on_damage: OnDamage::SetAside,
        }
    }
}
