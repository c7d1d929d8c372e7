//! Where shards leave what is to be kept, and learn what is.
//!
//! A shard hands in one batch a turn at most, and wakes the store thread only if that sleeps and
//! somebody waits for the batch. What is durable comes back as one number for each shard.

use std::collections::VecDeque;
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use dunlin_broker::{Journal, Load, Storage, Time};
use parking_lot::{Condvar, Mutex};

use super::gauge::{Condition, Gauge};
use crate::clock::Clock;

/// Bytes handed in, but not written, from which on shards read no clients: what a slow disk may make
/// the memory grow by.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// How long records that nobody waits for are kept back, so that one sync serves many of them.
const COMPANY: Duration = Duration::from_millis(10);

/// Bytes of such records that are company enough.
const COMPANY_BYTES: usize = 256 * 1024;

/// Buffers kept for shards to write in; more than a few for each are out at once only while the disk is slow.
const SPARES_PER_SHARD: usize = 4;

/// Larger ones are given back to the system.
const SPARE_BYTES: usize = 1024 * 1024;

/// What lies between the shards and the store thread.
pub(crate) struct Desk {
    /// A lock and not a channel: held for one push or one swap, and batches, order and buffers change
    /// hands together.
    tray: Mutex<Tray>,
    /// The store thread sleeps here.
    bell: Condvar,
    waiting_bytes: AtomicUsize,
    /// No room for what is to be kept.
    full: AtomicBool,
    seats: Vec<Seat>,
    gauge: Mutex<Gauge>,
}

/// What one shard is told.
#[derive(Default)]
struct Seat {
    /// All of its batches up to this token are durable.
    durable: AtomicU64,
    /// The shard rests, and has answers that wait for this.
    awaits: AtomicBool,
    /// The shard's thread while it serves, to cut its pauses short.
    thread: OnceLock<Thread>,
}

/// A journal on its way to the disk.
pub(super) struct Batch {
    pub(super) shard: u16,
    pub(super) journal: Journal,
}

/// Everything that was handed in since the store thread looked last.
#[derive(Default)]
pub(super) struct Tray {
    /// In the order they came, which is the order of the log: a shard hands in what it stored before it
    /// hands on mail about it.
    pub(super) batches: Vec<Batch>,
    pub(super) loads: Vec<(u16, Load)>,
    bytes: usize,
    /// Somebody waits for one of the batches.
    urgent: bool,
    asleep: bool,
    spares: Vec<Vec<u8>>,
    /// Shards that may still hand in something.
    shards: usize,
}

impl Desk {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            tray: Mutex::new(Tray { shards, ..Tray::default() }),
            bell: Condvar::new(),
            waiting_bytes: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            seats: (0..shards).map(|_| Seat::default()).collect(),
            // Whoever looks before the store thread has begun sees what it will say.
            gauge: Mutex::new(Gauge { condition: Condition::Ready, ..Gauge::default() }),
        }
    }

    /// A shard hands in a journal; it is given memory for the next one, if there is some.
    pub(crate) fn hand_in(&self, shard: u16, journal: Journal) -> Option<Vec<u8>> {
        let (bytes, urgent) = (journal.records.len(), journal.urgent);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut tray = self.tray.lock();
        // The first batch starts the clock of those that wait for company.
        let first = tray.batches.is_empty();
        tray.batches.push(Batch { shard, journal });
        tray.bytes += bytes;
        tray.urgent |= urgent;
        let spare = tray.spares.pop();
        if first || tray.is_due() {
            self.wake(tray);
        }
        spare
    }

    /// Somebody waits after all for what a shard has handed in.
    pub(crate) fn hurry(&self) {
        let mut tray = self.tray.lock();
        if !tray.batches.is_empty() {
            tray.urgent = true;
            self.wake(tray);
        }
    }

    /// A shard asks for stored messages. They come as a parcel.
    pub(crate) fn ask(&self, shard: u16, loads: &mut Vec<Load>) {
        let mut tray = self.tray.lock();
        tray.loads.extend(loads.drain(..).map(|load| (shard, load)));
        self.wake(tray);
    }

    /// A shard hands in nothing any more. When all have said so, the store thread ends.
    pub(crate) fn leave(&self) {
        let mut tray = self.tray.lock();
        tray.shards = tray.shards.saturating_sub(1);
        self.wake(tray);
    }

    fn wake(&self, mut tray: parking_lot::MutexGuard<'_, Tray>) {
        if mem::take(&mut tray.asleep) {
            drop(tray);
            self.bell.notify_one();
        }
    }

    /// A shard's thread begins to serve.
    pub(crate) fn sit_down(&self, shard: u16) {
        if let Some(seat) = self.seats.get(usize::from(shard)) {
            drop(seat.thread.set(std::thread::current()));
        }
    }

    /// All batches of the shard up to this token are durable.
    #[inline]
    pub(crate) fn durable(&self, shard: u16) -> u64 {
        self.seats.get(usize::from(shard)).map_or(0, |seat| seat.durable.load(Ordering::SeqCst))
    }

    /// The shard is about to rest, and is to be woken when more is durable. It has to look at
    /// [`Self::durable`] once more afterwards.
    pub(crate) fn rest(&self, shard: u16) {
        if let Some(seat) = self.seats.get(usize::from(shard)) {
            seat.awaits.store(true, Ordering::SeqCst);
        }
    }

    pub(crate) fn storage(&self) -> Storage {
        if self.full.load(Ordering::Relaxed) { Storage::Full } else { Storage::Ready }
    }

    /// Whether so much waits for the disk that no client is to be read.
    pub(crate) fn is_congested(&self) -> bool {
        self.waiting_bytes.load(Ordering::Relaxed) >= WAITING_BYTES
    }

    pub(crate) fn gauge(&self) -> Gauge {
        *self.gauge.lock()
    }
}

/// The side of the store thread.
impl Desk {
    /// Sleeps until there is something to do, or until `wake_at`, and adds what was handed in to
    /// `batches` and `loads`. False when all shards have left.
    pub(super) fn collect(
        &self,
        clock: Clock,
        wake_at: Option<Time>,
        batches: &mut Vec<Batch>,
        loads: &mut VecDeque<(u16, Load)>,
    ) -> bool {
        let mut tray = self.tray.lock();
        let mut company = None;
        while !tray.is_due() && tray.shards > 0 {
            if !tray.batches.is_empty() && company.is_none() {
                company = Some(clock.now().saturating_add(COMPANY));
            }
            tray.asleep = true;
            match company.into_iter().chain(wake_at).min() {
                None => self.bell.wait(&mut tray),
                Some(until) => {
                    let wait = until.since(clock.now());
                    if self.bell.wait_for(&mut tray, wait).timed_out() {
                        break;
                    }
                }
            }
        }
        tray.asleep = false;
        tray.urgent = false;
        tray.bytes = 0;
        // In most cases everything before is done with, and the two lists change places.
        if batches.is_empty() {
            mem::swap(batches, &mut tray.batches);
        } else {
            batches.append(&mut tray.batches);
        }
        loads.extend(tray.loads.drain(..));
        tray.shards > 0
    }

    /// Tells a shard what is durable.
    pub(super) fn tell(&self, shard: u16, token: u64) {
        if let Some(seat) = self.seats.get(usize::from(shard)) {
            seat.durable.store(token, Ordering::SeqCst);
        }
    }

    /// Whether the shard wanted to be woken, which it does not any more.
    pub(super) fn awaits(&self, shard: u16) -> bool {
        self.seats.get(usize::from(shard)).is_some_and(|seat| {
            seat.awaits.load(Ordering::SeqCst) && seat.awaits.swap(false, Ordering::SeqCst)
        })
    }

    /// Cuts the pause of a shard short that was told something; its sleep is the mailbox's.
    pub(super) fn nudge(&self, shard: u16) {
        if let Some(thread) = self.seats.get(usize::from(shard)).and_then(|seat| seat.thread.get())
        {
            thread.unpark();
        }
    }

    pub(super) fn set_storage(&self, storage: Storage) {
        self.full.store(storage == Storage::Full, Ordering::Relaxed);
    }

    /// Batches that are written: their buffers go back to the shards.
    pub(super) fn settle(&self, batches: &mut Vec<Batch>) {
        let bytes = batches.iter().map(|batch| batch.journal.records.len()).sum();
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let mut tray = self.tray.lock();
        let room = (self.seats.len() * SPARES_PER_SHARD).saturating_sub(tray.spares.len());
        let spares = batches.drain(..).map(|batch| batch.journal.records);
        let fit = |spare: &Vec<u8>| (1..=SPARE_BYTES).contains(&spare.capacity());
        tray.spares.extend(spares.filter(fit).take(room));
    }

    pub(super) fn show(&self, gauge: Gauge) {
        *self.gauge.lock() = gauge;
    }
}

impl Tray {
    /// Whether the store thread is to take what is here without waiting for more.
    fn is_due(&self) -> bool {
        self.urgent || self.bytes >= COMPANY_BYTES || !self.loads.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the store thread gets when it looks, and how long it waited for that.
    fn collect(desk: &Desk, wake_in: Option<Duration>) -> (Vec<u64>, Duration, bool) {
        let clock = Clock::start();
        let begun = clock.now();
        let (mut batches, mut loads) = (Vec::new(), VecDeque::new());
        let wake_at = wake_in.map(|wake_in| begun.saturating_add(wake_in));
        let open = desk.collect(clock, wake_at, &mut batches, &mut loads);
        let tokens = batches.iter().map(|batch| batch.journal.token).collect();
        desk.settle(&mut batches);
        (tokens, clock.now().since(begun), open)
    }

    fn journal(token: u64, urgent: bool) -> Journal {
        Journal { records: vec![0; 100], token, urgent }
    }

    /// Whether there was no waiting for company. Others may hold the machine up for as long, but not every time.
    fn is_prompt(mut waited: impl FnMut() -> Duration) -> bool {
        (0..100).any(|_| waited() < COMPANY)
    }

    #[test]
    fn what_somebody_waits_for_is_taken_at_once_with_all_that_is_there() {
        assert!(is_prompt(|| {
            let desk = Desk::new(1);
            desk.hand_in(0, journal(1, false));
            desk.hand_in(0, journal(2, true));
            let (tokens, waited, open) = collect(&desk, None);
            assert_eq!((tokens, open), (vec![1, 2], true));
            waited
        }));
    }

    #[test]
    fn what_nobody_waits_for_waits_for_company() {
        let desk = Desk::new(1);
        desk.hand_in(0, journal(1, false));
        let (tokens, waited, _) = collect(&desk, None);
        assert_eq!(tokens, [1]);
        assert!(waited >= COMPANY, "{waited:?}");
    }

    #[test]
    fn somebody_may_wait_for_it_later() {
        assert!(is_prompt(|| {
            let desk = Desk::new(1);
            desk.hand_in(0, journal(1, false));
            desk.hurry();
            let (tokens, waited, _) = collect(&desk, None);
            assert_eq!(tokens, [1]);
            waited
        }));
    }

    #[test]
    fn a_sleeping_store_thread_is_woken() {
        let desk = Desk::new(2);
        std::thread::scope(|scope| {
            let store = scope.spawn(|| collect(&desk, None));
            while !desk.tray.lock().asleep {
                std::thread::yield_now();
            }
            desk.hand_in(1, journal(1, true));
            assert_eq!(store.join().unwrap().0, [1]);
        });
    }

    #[test]
    fn it_wakes_for_its_own_reasons_too() {
        let desk = Desk::new(1);
        let (tokens, _, open) = collect(&desk, Some(Duration::from_millis(5)));
        assert_eq!((tokens, open), (vec![], true));
    }

    #[test]
    fn it_ends_with_the_last_shard() {
        let desk = Desk::new(2);
        desk.leave();
        desk.hand_in(1, journal(1, false));
        desk.leave();
        let (tokens, _, open) = collect(&desk, None);
        assert_eq!((tokens, open), (vec![1], false));
    }

    #[test]
    fn buffers_come_back_and_large_ones_do_not() {
        let desk = Desk::new(1);
        assert!(desk.hand_in(0, journal(1, true)).is_none());
        let large = Journal { records: vec![0; SPARE_BYTES + 1], token: 2, urgent: true };
        desk.hand_in(0, large);
        collect(&desk, None);
        assert_eq!(desk.hand_in(0, journal(3, true)).unwrap().capacity(), 100);
        assert!(desk.hand_in(0, journal(4, true)).is_none());
    }

    #[test]
    fn too_much_waiting_for_the_disk_is_congestion() {
        let desk = Desk::new(1);
        desk.hand_in(0, Journal { records: vec![0; WAITING_BYTES], token: 1, urgent: true });
        assert!(desk.is_congested());
        collect(&desk, None);
        assert!(!desk.is_congested());
    }

    #[test]
    fn a_shard_that_rests_is_to_be_woken_once() {
        let desk = Desk::new(2);
        desk.rest(1);
        assert_eq!([desk.awaits(0), desk.awaits(1), desk.awaits(1)], [false, true, false]);
    }
}
