//! Starting a server and the handle to it.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use dunlin_broker::{Broker, Numbers, Settings};
use dunlin_store::{Log, RealDisk, WriteError};
use mio::{Poll, Waker};
use parking_lot::Mutex;

use crate::access::Accesses;
use crate::clock::Clock;
use crate::entrance::{Doors, ListenerOptions, ListenerReport, Opened, Planned};
use crate::error::{RunError, StartError};
use crate::limits;
use crate::listener::Listener;
use crate::mailbox::Mailbox;
use crate::notify::Manager;
use crate::options::{Before, Durability, ServerOptions, StoreOptions};
use crate::quic::Plan;
use crate::reloading::Running;
use crate::shard::{MAILBOX, Shard};
use crate::shared::{Parcel, Shared, Stop, Tuning};
use crate::signals::{self, Signals};
use crate::store::{self, Committer, Desk};
use crate::why::{Why, WhyOptions};

/// Far above any machine, and well within the numbers that messages carry.
const MAX_SHARDS: usize = 1024;

/// A server that runs. Dropping the handle does not stop it.
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    pub(crate) doors: Doors,
    /// Behind a lock so that those who operate the server can share the handle with who waits for its end.
    threads: Mutex<Threads>,
}

/// The threads that have to end.
#[derive(Default)]
struct Threads {
    shards: Vec<JoinHandle<io::Result<()>>>,
    store: Option<JoinHandle<Result<(), WriteError>>>,
}

/// Binds the listeners, reads the store and starts the shards. Connections are served from then on.
///
/// # Errors
/// The store cannot be used, a listener cannot be bound, or the system gives no thread or poller.
pub fn start(mut options: ServerOptions) -> Result<Handle, StartError> {
    if options.listeners.is_empty() {
        return Err(StartError::NoListener);
    }
    let planned = Planned::new(&options.listeners)?;
    if let Some(Before(prepare)) = options.before_store.take() {
        prepare(&planned.descriptors()).map_err(StartError::Prepare)?;
    }
    let clock = Clock::start();
    let kept = options.store.as_ref().map(|store| {
        store::open(store, clock).map_err(|source| {
            let directory = store.directory.clone();
            StartError::Store { directory, source }
        })
    });
    let kept = kept.transpose()?;
    let (log, state) = kept.map_or_else(Default::default, |(log, state)| (Some(log), state));
    let tuning = tune(&options);
    let room = tuning.max_connections;
    let count = options.shards.clamp(1, MAX_SHARDS);
    let (polls, mailboxes) = pollers(count, options.mailbox_bytes)?;
    let seed = RandomState::new().hash_one("dunlin");
    options.settings.keep = log.is_some();
    let accesses = Accesses::new(options.access.take(), clock, &mut options.settings)?;
    let numbers = Numbers::after(&state);
    let mut shared = Shared::new(clock, options.settings, tuning, mailboxes, numbers, seed);
    shared.accesses = Arc::new(accesses);
    shared.why = why(mem::take(&mut options.why), options.store.as_ref(), room);
    let shared = Arc::new(shared);
    shared.accesses.begin(&shared);
    let mut brokers = brokers(&shared, seed);
    store::restore(&shared, &mut brokers, state);
    let (addresses, told) = (planned.addresses(), planned.told());
    let (doors, Opened { listeners, gateways }) = planned.listen()?;
    let mut handle = Handle { shared, addresses, doors, threads: Mutex::default() };
    if let (Some(log), Some(store)) = (log, &options.store) {
        let thread = keep(&handle.shared, log, store.durability);
        handle.threads.get_mut().store = Some(thread.map_err(StartError::StoreThread)?);
    }
    handle.serve(polls, brokers, listeners)?;
    handle.open_gateways(gateways)?;
    for place in told {
        tracing::info!("listening on {place}");
    }
    let room = handle.shared.tuning.max_connections;
    tracing::info!("{count} shards, room for {room} connections");
    Ok(handle)
}

impl Handle {
    /// Where it listens, with the ports that were chosen where port 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Makes the listeners these, without a moment in which nobody listens: all of them or, if one
    /// cannot be opened or a file cannot be used, everything stays as it is. Connections go on, unless
    /// they could not come in now; new ones of a listener at the same place meet its new certificates and
    /// rules.
    ///
    /// # Errors
    /// As those of [`start`].
    pub fn replace_listeners(&self, listeners: &[ListenerOptions]) -> Result<(), StartError> {
        let mut change = self.doors.replace(listeners)?;
        self.shared.gateways.close(&change.closed);
        let gateways = mem::take(&mut change.opened.gateways);
        // Shard 0 accepts for all.
        if let Some(mailbox) = self.shared.mailboxes.first() {
            mailbox.post(Parcel::Listeners(Box::new(change)), 0);
            mailbox.rouse();
        }
        for mailbox in &self.shared.mailboxes {
            mailbox.post(Parcel::Review, 0);
            mailbox.ring();
        }
        for plan in &gateways {
            tracing::info!("listening on {}", plan.entrance.label);
        }
        self.open_gateways(gateways)
    }

    /// Tells the service manager that the server is ready and, if it wants to know, in its intervals
    /// that the shards turn. Without one (`NOTIFY_SOCKET`) there is nobody to tell.
    ///
    /// # Errors
    /// The socket that it named cannot be reached.
    pub fn tell_service_manager(&self) -> io::Result<()> {
        let Some(manager) = Manager::from_environment()? else { return Ok(()) };
        manager.tell("READY=1");
        match Manager::watchdog() {
            Some(interval) => manager.keep_alive(interval, Arc::clone(&self.shared)),
            None => Ok(()),
        }
    }

    /// How it goes at each listener.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerReport> {
        self.doors.report()
    }

    /// Shard threads.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shared.mailboxes.len()
    }

    /// Connections it has room for.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.shared.tuning.max_connections
    }

    /// Stops gracefully: accepts no more, publishes wills, tells clients, writes what is pending
    /// for at most `stop_grace`.
    pub fn stop(&self) {
        self.shared.stop(Stop::Graceful);
    }

    /// Stops at once.
    pub fn stop_now(&self) {
        self.shared.stop(Stop::Now);
    }

    /// Makes SIGTERM and SIGINT stop the server: the first gracefully, the second at once.
    ///
    /// # Errors
    /// The system refuses the handlers or the thread that waits for them.
    pub fn stop_on_signals(&self) -> io::Result<()> {
        signals::watch(Arc::clone(&self.shared), Signals::catch()?, None)
    }

    /// The same with signals that were caught from an earlier moment on, and SIGHUP calls `reload`, which is
    /// to return soon.
    ///
    /// # Errors
    /// There is no thread that waits for them.
    pub fn obey_signals(
        &self,
        signals: Signals,
        reload: impl FnMut() + Send + 'static,
    ) -> io::Result<()> {
        signals::watch(Arc::clone(&self.shared), signals, Some(Box::new(reload)))
    }

    /// From now on, and until what is returned is dropped, who wants to connect waits a moment.
    pub(crate) fn begin_reload(&self) -> Running<'_> {
        self.shared.reloading.begin()
    }

    /// Goes on with other settings, as [`Broker::reconfigure`] says.
    pub fn reconfigure(&self, settings: Settings) {
        let settings = Arc::new(settings);
        for mailbox in &self.shared.mailboxes {
            mailbox.post(Parcel::Settings(Arc::clone(&settings)), 0);
            mailbox.ring();
        }
    }

    /// Publishes to a topic below `$SYS`, for those who are subscribed at this moment. While shards are
    /// behind with their mail it is left out.
    pub fn publish_system(&self, topic: &str, payload: &[u8]) {
        let Some(mailbox) = self.shared.mailboxes.first().filter(|mailbox| !mailbox.is_full())
        else {
            return;
        };
        let bytes = topic.len() + payload.len();
        mailbox.post(Parcel::System { topic: topic.into(), payload: payload.into() }, bytes);
        mailbox.ring();
    }

    /// Whether nobody has asked for a stop yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.stop_state() == Stop::Running
    }

    /// Waits until the server has stopped.
    ///
    /// # Errors
    /// It did not stop because it was asked to. A second call finds nothing to wait for.
    pub fn join(&self) -> Result<(), RunError> {
        let Threads { shards, store } = mem::take(&mut *self.threads.lock());
        let mut result = Ok(());
        for (shard, thread) in shards.into_iter().enumerate() {
            let ended = match thread.join() {
                Ok(ended) => ended.map_err(|cause| RunError::Shard { shard, cause }),
                Err(_) => Err(RunError::Panicked { shard }),
            };
            result = result.and(ended);
        }
        // Clients of theirs hear what the shards said last.
        let gateways = self.shared.gateways.join().map_err(RunError::Quic);
        result = result.and(gateways);
        let kept = match store.map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(cause))) => Err(RunError::Store(cause)),
            Some(Err(_)) => Err(RunError::StorePanicked),
        };
        result.and(kept)
    }

    fn open_gateways(&self, plans: Vec<Plan>) -> Result<(), StartError> {
        for plan in plans {
            let place = plan.place.clone();
            let opened = self.shared.gateways.open(&self.shared, plan);
            opened.map_err(|cause| StartError::listener(&place, cause))?;
        }
        Ok(())
    }

    /// Starts the shards.
    fn serve(
        &mut self,
        polls: Vec<Poll>,
        brokers: Vec<Broker>,
        mut listeners: Vec<Listener>,
    ) -> Result<(), StartError> {
        for ((number, poll), broker) in (0u16..).zip(polls).zip(brokers) {
            // Shard 0 accepts for all.
            let listeners = mem::take(&mut listeners);
            let started = spawn(Arc::clone(&self.shared), number, poll, listeners, broker);
            match started {
                Ok(thread) => self.threads.get_mut().shards.push(thread),
                Err(cause) => {
                    self.shared.stop(Stop::Now);
                    self.leave_from(usize::from(number));
                    return Err(StartError::Shard { shard: usize::from(number), cause });
                }
            }
        }
        Ok(())
    }

    /// Says on behalf of the shards that were not started that they hand in nothing: the store thread
    /// would wait for them.
    fn leave_from(&self, number: usize) {
        if let Some(desk) = &self.shared.store {
            (number..self.shared.mailboxes.len()).for_each(|_| desk.leave());
        }
    }
}

fn tune(options: &ServerOptions) -> Tuning {
    let room = limits::raise_descriptor_limit();
    let max_connections = options.max_connections.unwrap_or(room);
    if max_connections > room {
        tracing::warn!(
            "max_connections is {max_connections}, but the descriptor limit has room for {room} only"
        );
    }
    Tuning {
        max_connections,
        sessions_ahead: options.sessions_ahead.max(1),
        pacing_cap: options.pacing_cap,
        sys_interval: options.sys_interval,
        stop_grace: options.stop_grace,
    }
}

/// What is watched over all shards.
fn why(mut options: WhyOptions, store: Option<&StoreOptions>, room: usize) -> Why {
    options.connections = Some(options.connections.unwrap_or(room));
    Why::new(options).beside(store.map(|store| store.directory.clone()))
}

/// A poller for each shard, and the mailbox that can wake it.
fn pollers(count: usize, limit: usize) -> Result<(Vec<Poll>, Vec<Mailbox<Parcel>>), StartError> {
    let mut made = (Vec::new(), Vec::new());
    for shard in 0..count {
        let failed = |cause| StartError::Shard { shard, cause };
        let poll = Poll::new().map_err(failed)?;
        let waker = Waker::new(poll.registry(), MAILBOX).map_err(failed)?;
        made.0.push(poll);
        made.1.push(Mailbox::new(waker, limit));
    }
    Ok(made)
}

/// The part of the broker of each shard.
fn brokers(shared: &Shared, seed: u64) -> Vec<Broker> {
    let count = u16::try_from(shared.mailboxes.len()).unwrap_or(u16::MAX);
    (0..count)
        .map(|number| {
            // Each shard makes its own unpredictable numbers.
            let seed = seed.wrapping_add(u64::from(number) << 32);
            Broker::new(shared.settings.clone(), number, count, seed)
        })
        .collect()
}

fn spawn(
    shared: Arc<Shared>,
    number: u16,
    poll: Poll,
    listeners: Vec<Listener>,
    broker: Broker,
) -> io::Result<JoinHandle<io::Result<()>>> {
    thread::Builder::new().name(format!("shard-{number}")).spawn(move || {
        let _end = EndTogether(&shared, shared.store.as_ref());
        if number == 0 {
            signals::take_reloads();
        }
        Shard::new(&shared, number, poll, listeners, broker).run()
    })
}

/// Starts the store thread. It ends when all shards have.
fn keep(
    shared: &Arc<Shared>,
    log: Log<RealDisk>,
    durability: Durability,
) -> io::Result<JoinHandle<Result<(), WriteError>>> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name("store".into()).spawn(move || {
        let _end = EndTogether(&shared, None);
        let Some(desk) = &shared.store else { return Ok(()) };
        limits::sharpen_thread();
        Committer::new(log, shared.clock, &shared.mailboxes, desk, durability).run()
    })
}

/// A shard that ends, for whatever reason, ends the server: the sessions of others are of little
/// use while some are silent. So does the store thread, and that ends only when all shards have left.
struct EndTogether<'s>(&'s Shared, Option<&'s Desk>);

impl Drop for EndTogether<'_> {
    fn drop(&mut self) {
        if self.0.stop_state() == Stop::Running {
            self.0.stop(Stop::Now);
        }
        if let Some(desk) = self.1 {
            desk.leave();
        }
    }
}
