//! Who may connect and what they may do: shards leave questions here and get verdicts.
//!
//! A [`World`] is what the configuration and its files say; a [`Book`] is that together with what dynamic
//! security has become, and is what shards ask about topics. [`Accesses`] holds the present book and all
//! that outlives it: bans, logins that are remembered, exchanges that are under way. What takes
//! microseconds is answered at once (`judge.rs`); passwords, signatures and services that have to be asked go
//! to worker threads (`lane.rs`, `hashing.rs`, `work.rs`), and the verdict comes back to the shard as a parcel.

mod answer;
mod bans;
mod book;
mod connected;
mod dynamic;
mod endpoint;
mod exchanges;
mod files;
mod first;
mod handle;
mod hashing;
mod http;
mod judge;
mod lane;
mod later;
mod load;
mod random;
mod remembered;
mod revoked;
mod shard;
mod tokens;
mod work;
mod world;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use dunlin_access::UnixSeconds;
use dunlin_access::dynsec::Dynsec;
use dunlin_broker::{End, Present, Refusal, Settings};
use parking_lot::{Condvar, Mutex, RwLock};

pub use bans::Banned;
pub use dunlin_access::Fault;
pub use first::passwords_of;
pub(crate) use shard::guarded;
pub use world::{Missing, World};

use crate::clock::Clock;
use crate::error::StartError;
use crate::limits;
use crate::shared::{Parcel, Shared};
use bans::Bans;
use book::{Book, Pass, Way};
use exchanges::Exchanges;
use hashing::Hashing;
use lane::Lane;
use later::Later;
use remembered::Remembered;
use tokens::Remote;
use work::{Login, Task};

/// Whose connections end, and why.
pub(crate) type Expulsion = Arc<dyn Fn(&Present<'_>) -> Option<End> + Send + Sync>;

/// What all shards and workers share about clients.
pub(crate) struct Accesses {
    clock: Clock,
    /// Where verdicts go.
    shared: OnceLock<Weak<Shared>>,
    /// A lock and not a message: it is read once a turn, and written by a reload or a command.
    book: RwLock<Arc<Book>>,
    /// Whether the book forbids anything.
    guards: AtomicBool,
    /// Whether shards ask who clients are. Once they do, they go on.
    asks: AtomicBool,
    generations: AtomicU64,
    /// How often connections were ended that may not be there any more. Counted before they are: a verdict that
    /// was asked for before is too old.
    expulsions: AtomicU64,
    /// Held while a book is made from the one before.
    changing: Mutex<()>,
    /// A lock and not a message: a CONNECT looks into it for a moment.
    bans: Mutex<Bans>,
    remembered: Remembered,
    exchanges: Exchanges,
    /// Clients without anything of their own share these.
    passes: [Arc<Pass>; 4],
    /// For what takes processor time.
    logins: Hashing<Login>,
    /// For what waits for others.
    hooks: Arc<Lane<Login>>,
    /// For changes, one after the other.
    desk: Arc<Lane<Task>>,
    /// For refusals that are not said at once.
    later: Later,
    /// Whether the server stops, for who sleeps.
    ending: Mutex<bool>,
    ended: Condvar,
    /// How long the broker waits for a login.
    patience: Duration,
}

impl Accesses {
    /// What decides; without a world everybody may do everything, and nobody is asked who it is.
    ///
    /// # Errors
    /// The file of bans cannot be used.
    pub(crate) fn new(
        world: Option<World>,
        clock: Clock,
        settings: &mut Settings,
    ) -> Result<Self, StartError> {
        let world = world.unwrap_or_else(World::open);
        let bans = Bans::load(world.bans.clone(), unix_now());
        let bans = bans.map_err(|fault| StartError::Access(vec![fault]))?;
        settings.authenticate |= world.asks() || !bans.is_empty();
        Ok(Self::with(world, bans, clock, settings.connect_timeout))
    }

    /// Everybody may do everything.
    pub(crate) fn open(clock: Clock, patience: Duration) -> Self {
        Self::with(World::open(), Bans::default(), clock, patience)
    }

    fn with(world: World, mut bans: Bans, clock: Clock, patience: Duration) -> Self {
        bans.set_limits(world.flapping);
        let (restricts, asks) = (world.restricts(), world.asks() || !bans.is_empty());
        let dynamics = world.dynamics.iter().map(|file| Arc::clone(&file.state)).collect();
        let book = Book { world: Arc::new(world), dynamics, generation: 1 };
        Self {
            clock,
            shared: OnceLock::new(),
            book: RwLock::new(Arc::new(book)),
            guards: AtomicBool::new(restricts),
            asks: AtomicBool::new(asks),
            generations: AtomicU64::new(1),
            expulsions: AtomicU64::new(0),
            changing: Mutex::default(),
            bans: Mutex::new(bans),
            remembered: Remembered::new(),
            exchanges: Exchanges::new(),
            passes: [Way::Open, Way::Password, Way::Dynamic, Way::Certificate]
                .map(|way| Arc::new(Pass { way, ..Pass::default() })),
            logins: Hashing::new(Instant::now()),
            hooks: Arc::new(Lane::new("hooks", limits::PROMPT)),
            desk: Arc::new(Lane::new("access", limits::PROMPT)),
            later: Later::default(),
            ending: Mutex::new(false),
            ended: Condvar::new(),
            patience,
        }
    }

    /// The shards are there: verdicts can be sent.
    pub(crate) fn begin(self: &Arc<Self>, shared: &Arc<Shared>) {
        if self.shared.set(Arc::downgrade(shared)).is_err() {
            tracing::error!("a server was begun twice");
        }
        let book = self.book();
        for fault in book.world.warnings() {
            tracing::warn!("{fault}");
        }
        self.fetch_keys(&book.world);
    }

    /// The server stops: what waits is dropped.
    pub(crate) fn close(&self) {
        self.logins.close();
        self.hooks.close();
        self.desk.close();
        self.forget_later();
        *self.ending.lock() = true;
        self.ended.notify_all();
    }

    /// The rules of the moment, if there are any.
    pub(crate) fn guard(&self) -> Option<Arc<Book>> {
        self.guards.load(Ordering::Acquire).then(|| self.book())
    }

    fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book.read())
    }

    /// Makes another book the present one. The caller holds `changing`.
    fn turn_page(&self, world: Arc<World>, dynamics: Vec<Arc<Dynsec>>) {
        let generation = self.generations.fetch_add(1, Ordering::AcqRel) + 1;
        let restricts = world.restricts();
        *self.book.write() = Arc::new(Book { world, dynamics, generation });
        self.guards.store(restricts, Ordering::Release);
    }

    /// Lets shards ask that did not until now, because there was nothing to ask about.
    fn begin_asking(&self) {
        if !self.asks.swap(true, Ordering::AcqRel) {
            self.post_all(|| Parcel::Authenticate);
        }
    }

    /// Leaves something for a shard, and wakes it.
    fn post(&self, shard: u16, parcel: Parcel) {
        let Some(shared) = self.shared.get().and_then(Weak::upgrade) else { return };
        if let Some(mailbox) = shared.mailboxes.get(usize::from(shard)) {
            mailbox.post(parcel, 0);
            mailbox.ring();
        }
    }

    /// Whether an address is kept out, before anything is read from there.
    pub(crate) fn banned(&self, address: IpAddr) -> Option<Refusal> {
        // Who has a ban asks; most have none, and connections are not to queue for a lock then.
        let may_be = self.asks.load(Ordering::Acquire);
        may_be.then(|| self.bans.lock().check(Some(address), "", None, unix_now())).flatten()
    }

    /// Counts how often [`Self::expel`] was called, for whoever wants to know whether it was since.
    pub(crate) fn expulsions(&self) -> u64 {
        self.expulsions.load(Ordering::Acquire)
    }

    /// Ends connections on all shards; whoever is about to come in is judged anew.
    pub(crate) fn expel(&self, whom: &Expulsion) {
        self.expulsions.fetch_add(1, Ordering::AcqRel);
        self.post_all(|| Parcel::Expel(Arc::clone(whom)));
    }

    fn post_all(&self, parcel: impl Fn() -> Parcel) {
        let Some(shared) = self.shared.get().and_then(Weak::upgrade) else { return };
        for mailbox in &shared.mailboxes {
            mailbox.post(parcel(), 0);
            mailbox.ring();
        }
    }

    /// What a client is given that has nothing of its own.
    fn pass(&self, way: Way) -> Arc<Pass> {
        let known = self.passes.iter().find(|pass| pass.way == way);
        known.map_or_else(|| Arc::new(Pass { way, ..Pass::default() }), Arc::clone)
    }

    /// Keeps the keys of tokens fresh for as long as the world holds that wants them.
    fn fetch_keys(self: &Arc<Self>, world: &World) {
        let Some(remote) = world.tokens.as_ref().and_then(|tokens| tokens.remote.as_ref()) else {
            return;
        };
        let (remote, this) = (Arc::downgrade(remote), Arc::clone(self));
        let started = thread::Builder::new().name("keys".into()).spawn(move || {
            while let Some(wait) = remote.upgrade().map(|remote| Remote::fetch(&remote)) {
                let mut ending = this.ending.lock();
                if !*ending {
                    this.ended.wait_for(&mut ending, wait);
                }
                if *ending {
                    return;
                }
            }
        });
        if let Err(cause) = started {
            tracing::error!("the keys of tokens are not fetched, for want of a thread: {cause}");
        }
    }
}

/// The time as tokens and bans count it: it follows the clock of the machine when that is set.
fn unix_now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
