//! What the shards of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dunlin_broker::{
    Broker, ConnId, Index, Mail, Message, Numbers, SessionKey, Settings, Time, Verdict,
};
use parking_lot::{Mutex, RwLock};

use crate::access::{Accesses, Expulsion};
use crate::clock::Clock;
use crate::commons::{Loads, SharedCommons};
use crate::connection::Moving;
use crate::entrance::Change;
use crate::mailbox::Mailbox;
use crate::quic::Gateways;
use crate::reloading::Reloading;
use crate::store::Desk;
use crate::sys::Snapshot;
use crate::why::{Why, WhyOptions};

/// Everything that more than one thread touches.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) settings: Arc<Settings>,
    pub(crate) tuning: Tuning,
    /// A lock and not messages: a million filters must exist once, not once for each shard, and a
    /// SUBACK promises that every shard sees the subscription. Taken once a turn, never for each
    /// message.
    pub(crate) index: RwLock<Index>,
    pub(crate) commons: SharedCommons,
    pub(crate) mailboxes: Vec<Mailbox<Parcel>>,
    /// The way to the store; `None` if nothing is kept.
    pub(crate) store: Option<Desk>,
    /// Who may connect and what they may do.
    pub(crate) accesses: Arc<Accesses>,
    /// What was told and why, and the limits that no shard can keep alone.
    pub(crate) why: Why,
    /// Counters of each shard as it last left them here.
    pub(crate) snapshots: Vec<Mutex<Snapshot>>,
    /// Open sockets of clients.
    pub(crate) connections: AtomicUsize,
    /// Turns that each shard has taken, for who watches whether it still does.
    pub(crate) turns: Vec<AtomicU64>,
    /// The threads of QUIC.
    pub(crate) gateways: Gateways,
    /// Whether the configuration is about to change.
    pub(crate) reloading: Reloading,
    stop: AtomicU8,
    /// Shards that have published their wills before they stop.
    wills_published: AtomicUsize,
}

/// The settings of the shell.
#[derive(Debug, Clone)]
pub(crate) struct Tuning {
    pub(crate) max_connections: usize,
    pub(crate) sessions_ahead: u32,
    pub(crate) pacing_cap: Duration,
    pub(crate) sys_interval: Duration,
    pub(crate) stop_grace: Duration,
}

/// What one shard leaves in the mailbox of another.
pub(crate) enum Parcel {
    /// Messages for its sessions.
    Mail(Mail),
    /// Listeners to open and to close.
    Listeners(Box<Change>),
    /// Something to publish below `$SYS`.
    System {
        /// Where.
        topic: Box<str>,
        /// What.
        payload: Box<[u8]>,
    },
    /// Settings that hold from now on.
    Settings(Arc<Settings>),
    /// A question to its broker, which answers by itself.
    Ask(Question),
    /// A connection whose session is at home there.
    Connection(Box<Moving>),
    /// From now on it is asked who clients are before they come in.
    Authenticate,
    /// Whether one of its connections may come in.
    Answer {
        /// Which.
        connection: ConnId,
        /// Whether.
        verdict: Box<Verdict>,
        /// For when that has to be judged anew; `None` for what stays as it is.
        asked: Option<Box<Asked>>,
    },
    /// The answer to a command of one of its connections.
    Reply {
        /// Which.
        connection: ConnId,
        /// Where it expects the answer.
        topic: Arc<str>,
        /// The answer.
        payload: Vec<u8>,
    },
    /// The rules of listeners have changed: its connections are to be judged by them.
    Review,
    /// Connections to end.
    Expel(Expulsion),
    /// Stored messages that one of its sessions has waited for, from the store thread.
    Loaded {
        /// Whose they are.
        session: SessionKey,
        /// As they were asked for; `None` for one that cannot be read.
        messages: Vec<(u64, Option<Arc<Message>>)>,
        /// What they count for in the limit of the mailbox.
        bytes: usize,
    },
}

/// What a verdict is about, and when it was asked for.
pub(crate) struct Asked {
    pub(crate) question: dunlin_broker::Question,
    /// How often connections had been ended by then.
    pub(crate) expulsions: u64,
}

/// A question to every shard, from who operates the server.
pub(crate) type Question = Arc<dyn Fn(&Broker, Time) + Send + Sync>;

/// How far a stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stop {
    /// Nobody asked for it.
    Running,
    /// Tell clients, write what is pending, then end.
    Graceful,
    /// End at once.
    Now,
}

impl Shared {
    pub(crate) fn new(
        clock: Clock,
        settings: Settings,
        tuning: Tuning,
        mailboxes: Vec<Mailbox<Parcel>>,
        numbers: Numbers,
        seed: u64,
    ) -> Self {
        let patience = settings.connect_timeout;
        let shards = mailboxes.len();
        let loads = Loads::new(u16::try_from(shards).unwrap_or(u16::MAX), tuning.sessions_ahead);
        Self {
            clock,
            store: settings.keep.then(|| Desk::new(shards)),
            settings: Arc::new(settings),
            accesses: Arc::new(Accesses::open(clock, patience)),
            tuning,
            index: RwLock::new(Index::new(seed)),
            why: Why::new(WhyOptions::default()),
            commons: SharedCommons::new(loads, clock, numbers, seed),
            snapshots: (0..shards).map(|_| Mutex::default()).collect(),
            mailboxes,
            connections: AtomicUsize::new(0),
            turns: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            gateways: Gateways::default(),
            reloading: Reloading::default(),
            stop: AtomicU8::new(Stop::Running as u8),
            wills_published: AtomicUsize::new(0),
        }
    }

    pub(crate) fn stop_state(&self) -> Stop {
        match self.stop.load(Ordering::Acquire) {
            running if running == Stop::Running as u8 => Stop::Running,
            graceful if graceful == Stop::Graceful as u8 => Stop::Graceful,
            _ => Stop::Now,
        }
    }

    /// A shard has left its wills in the mailboxes of those that are to receive them.
    pub(crate) fn note_wills(&self) {
        self.wills_published.fetch_add(1, Ordering::AcqRel);
        for mailbox in &self.mailboxes {
            mailbox.rouse();
        }
    }

    /// All shards have.
    pub(crate) fn wills_are_out(&self) -> bool {
        self.wills_published.load(Ordering::Acquire) >= self.mailboxes.len()
    }

    /// Goes on to this state of a stop, or stays if it is further already.
    pub(crate) fn stop(&self, wanted: Stop) {
        self.stop.fetch_max(wanted as u8, Ordering::AcqRel);
        if wanted != Stop::Running {
            self.accesses.close();
        }
        for mailbox in &self.mailboxes {
            mailbox.rouse();
        }
        self.gateways.rouse();
    }
}
