//! What a server does with its store before it listens: opens it, tells what was found, and gives the
//! shards their sessions back.

use std::thread;

use dunlin_broker::Broker;
use dunlin_broker::journal::{SessionState, State};
use dunlin_store::{Log, OpenError, Options, RealDisk, Report};

use crate::clock::Clock;
use crate::options::StoreOptions;
use crate::shared::Shared;

/// Sessions taken in under one guard of the index.
const SESSIONS_AT_ONCE: usize = 64;

/// Opens the store of a directory and reads what it holds.
pub(crate) fn open(
    options: &StoreOptions,
    clock: Clock,
) -> Result<(Log<RealDisk>, State), OpenError> {
    let begun = clock.now();
    let disk = RealDisk::open(&options.directory, true)?;
    let log = Options { on_damage: options.on_damage, ..Options::default() };
    let (log, state, report) = Log::open(disk, log)?;
    tell(&report);
    let directory = options.directory.display();
    if report.created {
        tracing::info!("store {directory}: new");
    } else {
        let queued: usize = state.sessions.iter().map(|session| session.queue.len()).sum();
        tracing::info!(
            "store {directory}: {} sessions, {queued} messages for them and {} retained messages, read in {} ms",
            state.sessions.len(),
            state.retained.len(),
            clock.now().since(begun).as_millis()
        );
    }
    Ok((log, state))
}

fn tell(report: &Report) {
    if let Some(torn) = &report.torn {
        tracing::info!("store: {torn}");
    }
    for damage in &report.damage {
        tracing::error!("store: {damage}");
    }
}

/// Gives every session that was kept a home and takes it in there; shards do so side by side, while
/// retained messages are taken in, too.
pub(crate) fn restore(shared: &Shared, brokers: &mut [Broker], state: State) {
    let now = shared.clock.now();
    let mut homes: Vec<Vec<SessionState>> = brokers.iter().map(|_| Vec::new()).collect();
    for session in state.sessions {
        homes[usize::from(shared.commons.place(&session.client_id))].push(session);
    }
    thread::scope(|scope| {
        for (broker, sessions) in brokers.iter_mut().zip(homes) {
            scope.spawn(move || take_in(shared, broker, sessions));
        }
        shared.commons.restore_retained(state.retained);
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
