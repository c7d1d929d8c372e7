//! The counters of all shards, added up.

use dunlin_broker::{Commons, Index, Stats};

use crate::limits;
use crate::pacer::Pacer;
use crate::shared::Shared;
use crate::store::Gauge;
use crate::why::Alarm;

/// The counters of one shard as it left them for others to see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) stats: Stats,
    pub(crate) pacing_interval_us: u64,
    pub(crate) turns_delayed: u64,
    pub(crate) delayed_us: u64,
}

/// The whole broker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) stats: Stats,
    pub(crate) subscriptions: u64,
    pub(crate) shared_subscriptions: u64,
    pub(crate) retained: u64,
    pub(crate) retained_bytes: u64,
    /// Resident memory of the process.
    pub(crate) heap: u64,
    /// The longest of all shards.
    pub(crate) pacing_interval_us: u64,
    pub(crate) turns_delayed: u64,
    pub(crate) delayed_us: u64,
    pub(crate) store: Gauge,
    /// Whether counts of causes are published.
    pub(crate) sys_why: bool,
    pub(crate) alarms: Vec<Alarm>,
}

impl Snapshot {
    pub(crate) fn new(stats: &Stats, pacer: &Pacer) -> Self {
        let paused = pacer.paused();
        Self {
            stats: stats.clone(),
            pacing_interval_us: u64::try_from(pacer.interval().as_micros()).unwrap_or(u64::MAX),
            turns_delayed: paused.turns,
            delayed_us: paused.micros,
        }
    }
}

impl Totals {
    /// Sessions without a connection.
    pub(crate) const fn disconnected(&self) -> u64 {
        self.stats.sessions.saturating_sub(self.stats.clients_connected)
    }

    pub(crate) const fn stored_messages(&self) -> u64 {
        self.stats.queued_messages + self.retained
    }
}

/// Adds up what the shards left last, which is at most a tenth of a second old.
pub(crate) fn collect(shared: &Shared, index: &Index) -> Totals {
    let mut totals = Totals {
        subscriptions: index.subscription_count() as u64,
        shared_subscriptions: index.shared_count() as u64,
        retained: shared.commons.retained_count() as u64,
        retained_bytes: shared.commons.retained_bytes(),
        heap: limits::resident_bytes().unwrap_or(0),
        store: shared.store.as_ref().map(|desk| desk.gauge()).unwrap_or_default(),
        sys_why: shared.why.options().sys_why,
        alarms: shared.why.alarms.list(),
        ..Totals::default()
    };
    for snapshot in &shared.snapshots {
        let snapshot = snapshot.lock();
        add(&mut totals.stats, &snapshot.stats);
        totals.pacing_interval_us = totals.pacing_interval_us.max(snapshot.pacing_interval_us);
        totals.turns_delayed += snapshot.turns_delayed;
        totals.delayed_us += snapshot.delayed_us;
    }
    shared.why.turned.add_to(&mut totals.stats.causes);
    totals
}

/// Adds the counters of one shard. Taken apart by name, so that none can be forgotten.
fn add(sum: &mut Stats, shard: &Stats) {
    macro_rules! add {
        ($($field:ident),+ $(,)?) => {{
            let Stats { $($field),+ } = shard;
            $(sum.$field += *$field;)+
        }};
    }
    add!(
        bytes_received,
        bytes_sent,
        messages_received,
        messages_sent,
        publish_received,
        publish_sent,
        publish_bytes_received,
        publish_bytes_sent,
        publish_dropped,
        dropped_slow_reader,
        dropped_queue_full,
        dropped_too_large,
        dropped_expired,
        retained_refused,
        connections_opened,
        connects_accepted,
        refused,
        takeovers,
        sessions_expired,
        clients_connected,
        sessions,
        queued_messages,
        queued_bytes,
        causes,
    );
}
