//! What a shard tells: its counters to the others, `$SYS` to subscribers, events to the log.

use std::mem;
use std::time::Duration;

use dunlin_broker::{Stats, Time, View};

use crate::log;
use crate::pacer::Pacer;
use crate::shard::Shard;
use crate::shared::Shared;
use crate::sys::{Snapshot, Sys, collect};

/// How old the counters that others see may be.
const FRESH: Duration = Duration::from_millis(100);

/// The shard that publishes `$SYS` and drops expired retained messages.
const PUBLISHER: u16 = 0;

/// When a shard last told what.
pub(crate) struct Reporter {
    number: u16,
    told: Time,
    /// There have been turns since.
    changed: bool,
    /// Time spent in these turns.
    busy: Duration,
    sys: Option<Sys>,
}

impl Reporter {
    pub(crate) fn new(number: u16, now: Time, sys_interval: Duration) -> Self {
        let publishes = number == PUBLISHER && !sys_interval.is_zero();
        Self {
            number,
            told: now,
            changed: false,
            busy: Duration::ZERO,
            sys: publishes.then(|| Sys::new(now, sys_interval)),
        }
    }

    /// When there is something to tell even if nothing happens until then.
    pub(crate) fn due(&self) -> Option<Time> {
        let counters = self.changed.then(|| self.told.saturating_add(FRESH));
        counters.into_iter().chain(self.sys.as_ref().map(Sys::due)).min()
    }

    /// Leaves the counters for the others after a turn, if the last ones are old enough; true if so.
    pub(crate) fn turn(
        &mut self,
        shared: &Shared,
        started: Time,
        now: Time,
        stats: &Stats,
        pacer: &Pacer,
    ) -> bool {
        self.busy += now.since(started);
        self.changed = now.since(self.told) < FRESH;
        if self.changed {
            return false;
        }
        self.told = now;
        let busy = mem::take(&mut self.busy);
        shared.commons.loads().report(self.number, now, busy);
        *shared.snapshots[usize::from(self.number)].lock() = Snapshot::new(stats, pacer);
        true
    }
}

impl Shard<'_> {
    /// Refreshes `$SYS` if it is time and this shard is the one to do it.
    pub(crate) fn publish_sys(&mut self, now: Time, view: &View<'_>) {
        let Some(sys) = &mut self.reporter.sys else { return };
        if sys.due() > now {
            return;
        }
        let totals = collect(self.shared, view.index);
        let broker = &mut self.broker;
        sys.refresh(now, &totals, |topic, payload| {
            broker.publish_system(now, topic, payload, view);
        });
    }

    /// Drops expired retained messages if this shard is the one to do it.
    pub(crate) fn expire_retained(&mut self, now: Time) {
        if self.number == PUBLISHER {
            let broker = &mut self.broker;
            self.shared.commons.expire_retained(now, |message, stamp| {
                broker.unretained(message.topic().as_str(), stamp);
            });
        }
    }

    pub(crate) fn log_events(&mut self) {
        self.broker.take_events(&mut self.lists.log);
        self.lists.log.drain(..).for_each(|event| log::tell(&event));
    }
}
