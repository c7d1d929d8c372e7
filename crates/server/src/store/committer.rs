//! The store thread: makes groups of batches durable, one after the other, and reads stored messages
//! in between.
//!
//! There is no timer: a group is what was handed in during the sync of the one before. What cannot
//! be written is kept and tried again, so the memory it takes is what `desk.rs` lets shards hand in.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use dunlin_broker::{Load, Message, Storage, Time};
use dunlin_store::{Disk, Log, Room, WriteError};

use super::desk::{Batch, Desk};
use super::gauge::{Condition, Gauge};
use crate::clock::Clock;
use crate::mailbox::Mailbox;
use crate::options::Durability;
use crate::shared::Parcel;

/// How often a disk is tried that was full or refused to be written.
const RETRY: Duration = Duration::from_secs(1);

/// Bytes of stored messages read before the next group is written.
const LOAD_SLICE: usize = 1024 * 1024;

/// Bytes written and not synced from which on [`Durability::Interval`] syncs before its time.
const UNSYNCED_BYTES: usize = 16 * 1024 * 1024;

/// What the store thread works with.
pub(crate) struct Committer<'s, D: Disk> {
    log: Log<D>,
    clock: Clock,
    mailboxes: &'s [Mailbox<Parcel>],
    desk: &'s Desk,
    durability: Durability,
    /// Handed in, and not written.
    pending: Vec<Batch>,
    /// Written, and not told to be durable.
    written: Vec<Batch>,
    /// Bytes that were told to be, but are not synced.
    unsynced: usize,
    /// When what is written is to be synced.
    sync_at: Option<Time>,
    loads: VecDeque<(u16, Load)>,
    /// The last attempt to write failed.
    failing: bool,
    /// When the disk is tried again.
    retry_at: Option<Time>,
    gauge: Gauge,
}

impl<'s, D: Disk> Committer<'s, D> {
    pub(crate) fn new(
        log: Log<D>,
        clock: Clock,
        mailboxes: &'s [Mailbox<Parcel>],
        desk: &'s Desk,
        durability: Durability,
    ) -> Self {
        let gauge = desk.gauge();
        let mut committer = Self {
            log,
            clock,
            mailboxes,
            desk,
            durability,
            pending: Vec::new(),
            written: Vec::new(),
            unsynced: 0,
            sync_at: None,
            loads: VecDeque::new(),
            failing: false,
            retry_at: None,
            gauge,
        };
        committer.show();
        committer
    }

    /// Works until all shards have left.
    ///
    /// # Errors
    /// What was handed in last could not be made durable.
    pub(crate) fn run(mut self) -> Result<(), WriteError> {
        let clock = self.clock;
        loop {
            let wake_at = self.wake_at();
            let (batches, loads) = (&mut self.pending, &mut self.loads);
            let open = self.desk.collect(clock, wake_at, batches, loads);
            self.step(clock.now());
            if !open {
                // Only what has failed is left to be tried, once more.
                self.sync_at = Some(Time::ZERO);
                return self.commit(clock.now());
            }
        }
    }

    /// When there is something to do though nothing is handed in.
    fn wake_at(&self) -> Option<Time> {
        // Loads wait for the disk as well while it refuses the messages they are about.
        let loads = !self.loads.is_empty() && !self.failing;
        let tidying = self.retry_at.is_none() && self.log.has_more();
        let at_once = (loads || tidying).then_some(Time::ZERO);
        [self.sync_at.filter(|_| !self.failing), self.retry_at, at_once].into_iter().flatten().min()
    }

    fn step(&mut self, now: Time) {
        let retry = self.retry_at.is_none_or(|at| at <= now);
        if retry || !self.failing {
            let committed = self.commit(now);
            self.failing = committed.is_err();
            let prepared = if retry { self.log.prepare() } else { Ok(()) };
            self.note(now, &committed.and(prepared));
        }
        self.serve_loads();
        self.show();
    }

    /// Writes what is pending, and tells the shards once it is durable. After an error it is to be called
    /// again: nothing is forgotten.
    fn commit(&mut self, now: Time) -> Result<(), WriteError> {
        if !self.pending.is_empty() {
            self.append()?;
            match self.durability {
                Durability::Always => {
                    self.written.append(&mut self.pending);
                    self.sync_at = Some(Time::ZERO);
                }
                Durability::Interval(every) => {
                    self.tell(&self.pending);
                    self.unsynced += bytes_of(&self.pending);
                    self.desk.settle(&mut self.pending);
                    self.sync_at.get_or_insert_with(|| now.saturating_add(every));
                }
            }
        }
        if self.sync_at.is_some_and(|at| at <= now) || self.unsynced >= UNSYNCED_BYTES {
            self.log.sync()?;
            self.sync_at = None;
            self.unsynced = 0;
            self.gauge.note_commit(self.clock.now().since(now));
            self.tell(&self.written);
            self.desk.settle(&mut self.written);
        }
        Ok(())
    }

    fn append(&mut self) -> Result<(), WriteError> {
        let records = self.pending.iter().map(|batch| batch.journal.records.as_slice());
        // Some say only that a shard waits for what others have handed in before.
        let batches: Vec<&[u8]> = records.filter(|records| !records.is_empty()).collect();
        if batches.is_empty() { Ok(()) } else { self.log.append(&batches) }
    }

    /// Tells the shards what is durable, and wakes those that wait for it.
    fn tell(&self, batches: &[Batch]) {
        for batch in batches {
            self.desk.tell(batch.shard, batch.journal.token);
        }
        for (shard, mailbox) in (0u16..).zip(self.mailboxes) {
            if self.desk.awaits(shard) {
                mailbox.ring();
                self.desk.nudge(shard);
            }
        }
    }

    /// Draws the consequences of how writing went; one line in the log for each change.
    fn note(&mut self, now: Time, done: &Result<(), WriteError>) {
        let condition = match done {
            Ok(()) if self.log.status().room == Room::Ready => Condition::Ready,
            Ok(()) | Err(WriteError::Full) => Condition::Full,
            Err(_) => Condition::Broken,
        };
        self.retry_at = (condition != Condition::Ready).then(|| now.saturating_add(RETRY));
        if mem::replace(&mut self.gauge.condition, condition) == condition {
            return;
        }
        match (condition, done) {
            (Condition::Ready | Condition::Off, _) => {
                tracing::info!("store: writing again; what has to be kept is accepted");
            }
            (Condition::Broken, Err(cause)) => tracing::error!(
                "store: {cause}; trying again every second, QoS 0 goes on, nothing new that has to be kept is accepted"
            ),
            (Condition::Full | Condition::Broken, _) => tracing::error!(
                "store: the disk is full (a store without messages needs {} MiB); trying again every second, QoS 0 and deliveries go on, nothing new that has to be kept is accepted",
                self.log.least_bytes() >> 20
            ),
        }
        let ready = condition == Condition::Ready;
        self.desk.set_storage(if ready { Storage::Ready } else { Storage::Full });
        for (shard, mailbox) in (0u16..).zip(self.mailboxes) {
            mailbox.rouse();
            self.desk.nudge(shard);
        }
    }

    /// Reads what shards have asked for, up to a limit; the rest follows the next group.
    fn serve_loads(&mut self) {
        let mut budget = LOAD_SLICE;
        while budget > 0
            && let Some((shard, load)) = self.loads.pop_front()
        {
            let Some((messages, bytes)) = self.read(&load) else {
                self.loads.push_front((shard, load));
                return;
            };
            budget = budget.saturating_sub(bytes);
            if let Some(mailbox) = self.mailboxes.get(usize::from(shard)) {
                mailbox.post(Parcel::Loaded { session: load.session, messages, bytes }, bytes);
                mailbox.ring();
            }
        }
    }

    /// The messages of a load and their bytes; `None` if they may be among what is still to be written.
    fn read(&mut self, load: &Load) -> Option<(Messages, usize)> {
        let mut messages = Vec::with_capacity(load.ids.len());
        let mut bytes = 0;
        for id in &load.ids {
            let message = match self.log.load(*id) {
                Ok(None) if !self.pending.is_empty() => return None,
                Ok(message) => message.map(Arc::new),
                Err(cause) => {
                    tracing::error!("store: message {id} is lost: {cause}");
                    None
                }
            };
            bytes += message.as_ref().map_or(0, |message| message.bytes()) + 64;
            messages.push((*id, message));
        }
        Some((messages, bytes))
    }

    fn show(&mut self) {
        let status = self.log.status();
        self.gauge.segments = status.segments;
        self.gauge.bytes = status.disk_bytes;
        self.gauge.live_bytes = status.live_bytes;
        self.desk.show(self.gauge);
    }
}

/// Identifiers and what was stored under them.
type Messages = Vec<(u64, Option<Arc<Message>>)>;

fn bytes_of(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.journal.records.len()).sum()
}

#[cfg(test)]
mod tests {
    use dunlin_broker::Journal;
    use dunlin_broker::journal::Record;
    use dunlin_store::{FaultyDisk, Operation, Options};
    use mio::{Poll, Token, Waker};

    use super::*;

    /// Longer than a disk is left alone after an error, on a loaded machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn options() -> Options {
        Options { segment_bytes: 1 << 20, ..Options::default() }
    }

    /// Runs a store thread on `disk` beside `shard`, which then leaves; returns how the thread ended.
    fn run(
        disk: &FaultyDisk,
        durability: Durability,
        shard: impl FnOnce(&Desk),
    ) -> Result<(), WriteError> {
        let (log, ..) = Log::open(disk.clone(), options()).unwrap();
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        let (desk, mailboxes) = (Desk::new(1), [Mailbox::new(waker, 1)]);
        std::thread::scope(|scope| {
            let committer = Committer::new(log, Clock::start(), &mailboxes, &desk, durability);
            let thread = scope.spawn(|| committer.run());
            shard(&desk);
            desk.leave();
            thread.join().unwrap()
        })
    }

    fn hand_in(desk: &Desk, token: u64) {
        let mut records = Vec::new();
        let client_id = "device";
        Record::Session {
            number: token,
            client_id,
            username: None,
            listener: 0,
            expiry: 60,
            will: None,
        }
        .write(&mut records);
        desk.hand_in(0, Journal { records, token, urgent: true });
    }

    /// Waits until `there` is so.
    fn until(what: &str, there: impl Fn() -> bool) {
        let clock = Clock::start();
        let late = clock.now().saturating_add(PATIENCE);
        while !there() {
            assert!(clock.now() < late, "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sessions on the disk after the power has failed.
    fn kept(disk: &mut FaultyDisk) -> usize {
        disk.crash();
        Log::open(disk.clone(), options()).unwrap().1.sessions.len()
    }

    #[test]
    fn what_is_told_to_be_durable_is() {
        let disk = FaultyDisk::new(1);
        let mut after = disk.clone();
        run(&disk, Durability::Always, |desk| {
            hand_in(desk, 1);
            until("told", || desk.durable(0) == 1);
            assert_eq!(desk.gauge().condition, Condition::Ready);
        })
        .unwrap();
        assert_eq!(kept(&mut after), 1);
    }

    #[test]
    fn a_disk_that_fails_is_tried_again_until_it_works() {
        for operation in [Operation::Write, Operation::Sync] {
            let mut disk = FaultyDisk::new(1);
            let mut broken = disk.clone();
            run(&disk, Durability::Always, |desk| {
                hand_in(desk, 1);
                until("told", || desk.durable(0) == 1);
                broken.fail(operation, u32::MAX);
                hand_in(desk, 2);
                until("full", || desk.storage() == Storage::Full);
                assert_eq!(desk.gauge().condition, Condition::Broken);
                assert_eq!(desk.durable(0), 1);
                broken.fail(operation, 0);
                until("told after all", || desk.durable(0) == 2);
                until("ready", || desk.storage() == Storage::Ready);
            })
            .unwrap();
            assert_eq!(kept(&mut disk), 2);
        }
    }

    #[test]
    fn the_end_says_so_if_something_could_not_be_kept() {
        let disk = FaultyDisk::new(1);
        let mut broken = disk.clone();
        let ended = run(&disk, Durability::Always, |desk| {
            broken.fail(Operation::Sync, u32::MAX);
            hand_in(desk, 1);
        });
        assert!(ended.is_err());
    }

    #[test]
    fn in_intervals_it_is_told_before_the_sync_which_the_end_does_not_forget() {
        let disk = FaultyDisk::new(1);
        let mut after = disk.clone();
        run(&disk, Durability::Interval(Duration::from_secs(3600)), |desk| {
            hand_in(desk, 1);
            until("told", || desk.durable(0) == 1);
            assert_eq!(desk.gauge().commits, 0);
        })
        .unwrap();
        assert_eq!(kept(&mut after), 1);
    }
}
