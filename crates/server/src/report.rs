//! What a shard tells: its counters to the others, `$SYS` to subscribers, events to the log.

use std::mem;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_broker::{Event, Level, Stats, Time, View};

use crate::hush::Withheld;
use crate::log;
use crate::mailbox::Mailbox;
use crate::pacer::Pacer;
use crate::shard::Shard;
use crate::shared::Shared;
use crate::sys::{Snapshot, Sys, collect};
use crate::transport::Expires;
use crate::why::{Seen, Watcher, Why};

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
    watcher: Option<Watcher>,
    /// Whether the broker was told that there is no memory.
    pressed: bool,
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
            watcher: (number == PUBLISHER).then(|| Watcher::new(now)),
            pressed: false,
        }
    }

    /// When there is something to tell even if nothing happens until then.
    pub(crate) fn due(&self) -> Option<Time> {
        let counters = self.changed.then(|| self.told.saturating_add(FRESH));
        let sys = self.sys.as_ref().map(Sys::due);
        let watcher = self.watcher.as_ref().map(Watcher::due);
        [counters, sys, watcher].into_iter().flatten().min()
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
        if shared.why.memory.look(now) {
            // Also those that sleep, since some of their clients may be read on.
            shared.mailboxes.iter().for_each(Mailbox::rouse);
        }
        shared.commons.loads().report(self.number, now, busy);
        *shared.snapshots[usize::from(self.number)].lock() = Snapshot::new(stats, pacer);
        true
    }
}

impl Shard<'_> {
    /// Refreshes `$SYS` if it is time and this shard is the one to do it.
    pub(crate) fn publish_sys(&mut self, now: Time, view: &View<'_>) {
        self.look_at_limits(now, view);
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

    /// Looks how near the limits are if it is time and this shard is the one to do it.
    fn look_at_limits(&mut self, now: Time, view: &View<'_>) {
        let Some(watcher) = self.reporter.watcher.as_mut().filter(|held| held.due() <= now) else {
            return;
        };
        let why = &self.shared.why;
        tell_withheld(why, now);
        self.listeners.iter().for_each(|listener| listener.entrance.tell_withheld(now));
        let certificates: Vec<(String, Expires)> = self
            .listeners
            .iter()
            .filter_map(|listener| {
                let expires = listener.entrance.rules().expires.clone()?;
                Some((listener.entrance.label.clone(), expires))
            })
            .collect();
        let open = self.shared.connections.load(Ordering::Relaxed);
        let seen = Seen {
            totals: &collect(self.shared, view.index),
            settings: self.broker.settings(),
            shards: self.shared.mailboxes.len() as u64,
            connections: (open as u64, why.options().connections.map_or(u64::MAX, |at| at as u64)),
            disk: why.disk(),
            certificates: &certificates,
        };
        watcher.look(now, why, &seen);
    }

    /// Tells the broker when the process has as much memory as it may, and when it has less again.
    pub(crate) fn heed_memory(&mut self) {
        let reached = self.shared.why.memory.reached();
        if reached.is_some() != self.reporter.pressed {
            self.reporter.pressed = reached.is_some();
            self.broker.set_memory(reached);
        }
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
        if self.lists.log.is_empty() {
            return;
        }
        let (now, why) = (self.shared.clock.now(), &self.shared.why);
        self.lists.log.iter().filter(|event| is_told(why, now, event)).for_each(log::tell);
        for event in &self.lists.log {
            if let Event::Fight { client, one, other, .. } = event {
                self.shared.accesses.note_fight(client, [*one, *other]);
            }
        }
        why.note(now, self.lists.log.drain(..));
    }
}

/// Whether the log tells of it: whoever is refused may come again and again, to fill it.
fn is_told(why: &Why, now: Time, event: &Event) -> bool {
    match event {
        Event::Refused { address, .. } if event.level() == Level::Warn => {
            why.hush.admits(now, event.cause().as_str(), address.ip())
        }
        _ => true,
    }
}

/// How often those were refused of whom no line was written.
fn tell_withheld(why: &Why, now: Time) {
    for Withheld { cause, from, count } in why.hush.overdue(now) {
        tracing::warn!(
            "{count} more from {from} were refused, for the same cause ({cause}); `dunlin ctl why` knows the latest"
        );
    }
}
