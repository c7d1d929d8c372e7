//! What a server does with its store before it listens: opens it, tells what was found, and gives the
//! shards their sessions back.

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::ops::Deref;
use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};
use std::thread;

use dunlin_broker::journal::{RetainedState, SessionState, State};
use dunlin_broker::{Broker, Retained, RetainedMessage};
use dunlin_store::{Log, OpenError, Options, RealDisk, Report};

use crate::clock::Clock;
use crate::options::StoreOptions;
use crate::shared::Shared;

/// Sessions taken in under one guard of the index.
const SESSIONS_AT_ONCE: usize = 64;

/// Retained messages handed over at once, on their way into the table.
const RETAINED_AT_ONCE: usize = 1024;

/// Such batches on their way: reading is not to be far ahead.
const BATCHES: usize = 16;

/// What a store held.
pub(crate) struct Found {
    state: State,
    retained: Retained<RetainedMessage>,
}

impl Default for Found {
    fn default() -> Self {
        Self { state: State::default(), retained: empty() }
    }
}

impl Deref for Found {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

/// Opens the store of a directory and reads what it holds. Retained messages go into their table on
/// another thread meanwhile.
pub(crate) fn open(
    options: &StoreOptions,
    clock: Clock,
) -> Result<(Log<RealDisk>, Found), OpenError> {
    let begun = clock.now();
    let disk = RealDisk::open(&options.directory, true)?;
    let log = Options { on_damage: options.on_damage, ..Options::default() };
    let (opened, retained) = thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(BATCHES);
        let table = scope.spawn(move || fill(&receiver));
        let mut batch = Vec::with_capacity(RETAINED_AT_ONCE);
        let opened = Log::open_each(disk, log, &mut |message| {
            batch.push(message);
            if batch.len() == RETAINED_AT_ONCE {
                // It is there until the sender is gone.
                drop(sender.send(mem::take(&mut batch)));
            }
        });
        drop(sender.send(batch));
        drop(sender);
        (opened, table.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let (log, state, report) = opened?;
    tell(&report);
    let directory = options.directory.display();
    if report.created {
        tracing::info!("store {directory}: new");
    } else {
        let queued: usize = state.sessions.iter().map(|session| session.queue.len()).sum();
        tracing::info!(
            "store {directory}: {} sessions, {queued} messages for them and {} retained messages, read in {} ms",
            state.sessions.len(),
            retained.count(),
            clock.now().since(begun).as_millis()
        );
    }
    Ok((log, Found { state, retained }))
}

fn empty() -> Retained<RetainedMessage> {
    Retained::new(RandomState::new().hash_one("retained"))
}

fn fill(messages: &mpsc::Receiver<Vec<RetainedState>>) -> Retained<RetainedMessage> {
    let mut retained = empty();
    for RetainedState { message, publisher, .. } in messages.iter().flatten() {
        let (expires, bytes) = (message.expires(), message.bytes());
        let topic = Arc::clone(&message);
        retained.put(topic.topic(), expires, bytes, RetainedMessage { message, publisher });
    }
    retained
}

fn tell(report: &Report) {
    if let Some(torn) = &report.torn {
        tracing::info!("store: {torn}");
    }
    for damage in &report.damage {
        tracing::error!("store: {damage}");
    }
}

/// Gives every session that was kept a home and takes it in there; shards do so side by side.
pub(crate) fn restore(shared: &Shared, brokers: &mut [Broker], found: Found) {
    let Found { state, retained } = found;
    shared.commons.restore_retained(retained);
    let now = shared.clock.now();
    let mut homes: Vec<Vec<SessionState>> = brokers.iter().map(|_| Vec::new()).collect();
    for session in state.sessions {
        homes[usize::from(shared.commons.place(&session.client_id))].push(session);
    }
    thread::scope(|scope| {
        for (broker, sessions) in brokers.iter_mut().zip(homes) {
            scope.spawn(move || take_in(shared, broker, sessions));
        }
    });
    let took = shared.clock.now().since(now);
    tracing::debug!("store: taken in within {} ms", took.as_millis());
}

fn take_in(shared: &Shared, broker: &mut Broker, sessions: Vec<SessionState>) {
    let now = shared.clock.now();
    let mut sessions = sessions.into_iter().peekable();
    while sessions.peek().is_some() {
        let mut index = shared.index.write();
        for session in sessions.by_ref().take(SESSIONS_AT_ONCE) {
            broker.restore(now, session, &mut index, &shared.commons);
        }
    }
}
