//! What other threads leave for a shard, and how they wake it.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mio::Waker;
use parking_lot::Mutex;

/// The mailbox of one shard: parcels in the order they came, with a limit in bytes.
///
/// A lock and not a channel: it is held for one push or one swap, whole batches change hands, and
/// the memory of both lists is used again and again.
pub(crate) struct Mailbox<T> {
    parcels: Mutex<Vec<T>>,
    /// Spares the owner the lock in turns without mail.
    filled: AtomicBool,
    bytes: AtomicUsize,
    limit: usize,
    /// The owner is blocked, or about to be, and wants to be woken.
    asleep: AtomicBool,
    waker: Waker,
}

impl<T> Mailbox<T> {
    /// A mailbox that counts as full from `limit` bytes on; `waker` ends the owner's sleep.
    pub(crate) const fn new(waker: Waker, limit: usize) -> Self {
        Self {
            parcels: Mutex::new(Vec::new()),
            filled: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
            limit,
            asleep: AtomicBool::new(false),
            waker,
        }
    }

    /// Leaves a parcel. Follow the last one of a batch with [`Self::ring`].
    pub(crate) fn post(&self, parcel: T, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut parcels = self.parcels.lock();
        parcels.push(parcel);
        self.filled.store(true, Ordering::Release);
    }

    /// Wakes the owner if it sleeps. Only the first of several callers pays for the wake-up.
    pub(crate) fn ring(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.rouse();
        }
    }

    /// Wakes the owner whether it sleeps or not, for what is not in the mailbox.
    pub(crate) fn rouse(&self) {
        if let Err(cause) = self.waker.wake() {
            tracing::error!("a shard cannot be woken: {cause}");
        }
    }

    /// Whether more waits than the limit allows. Senders then stop reading what would add to it;
    /// the owner goes on taking mail, so two shards never wait for each other.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.limit
    }

    /// The owner takes everything. `into` must be empty; its memory is left for the next parcels.
    pub(crate) fn collect(&self, into: &mut Vec<T>) {
        debug_assert!(into.is_empty());
        if self.filled.load(Ordering::Acquire) {
            let mut parcels = self.parcels.lock();
            mem::swap(&mut *parcels, into);
            self.filled.store(false, Ordering::Relaxed);
        }
    }

    /// The owner has dealt with parcels of so many bytes.
    pub(crate) fn settle(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The owner is about to sleep; false if there is mail and it must not.
    ///
    /// Announced before looking: whoever posts after the look finds the announcement, because
    /// both looked and posted under the lock.
    pub(crate) fn doze(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        let empty = self.parcels.lock().is_empty();
        if !empty {
            self.asleep.store(false, Ordering::Relaxed);
        }
        empty
    }

    /// The owner is awake and looks into the mailbox before it sleeps again.
    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    fn mailbox(limit: usize) -> (Mailbox<u32>, Poll) {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        (Mailbox::new(waker, limit), poll)
    }

    fn woken(poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        !events.is_empty()
    }

    #[test]
    fn parcels_come_out_in_order_and_once() {
        let (mailbox, _poll) = mailbox(100);
        mailbox.post(1, 0);
        mailbox.post(2, 0);
        let mut taken = Vec::new();
        mailbox.collect(&mut taken);
        assert_eq!(taken, [1, 2]);
        taken.clear();
        mailbox.collect(&mut taken);
        assert!(taken.is_empty());
    }

    #[test]
    fn only_a_sleeping_owner_is_woken_and_only_once() {
        let (mailbox, mut poll) = mailbox(100);
        mailbox.post(1, 0);
        mailbox.ring();
        assert!(!woken(&mut poll));
        mailbox.collect(&mut Vec::new());
        assert!(mailbox.doze());
        mailbox.post(2, 0);
        mailbox.ring();
        assert!(woken(&mut poll));
        mailbox.ring();
        assert!(!woken(&mut poll));
    }

    #[test]
    fn an_owner_with_mail_does_not_fall_asleep() {
        let (mailbox, _poll) = mailbox(100);
        mailbox.post(1, 0);
        assert!(!mailbox.doze());
    }

    #[test]
    fn is_full_until_the_owner_has_dealt_with_it() {
        let (mailbox, _poll) = mailbox(100);
        mailbox.post(1, 60);
        assert!(!mailbox.is_full());
        mailbox.post(2, 60);
        assert!(mailbox.is_full());
        mailbox.collect(&mut Vec::new());
        assert!(mailbox.is_full());
        mailbox.settle(120);
        assert!(!mailbox.is_full());
    }

    #[test]
    fn no_wake_up_is_lost_between_two_threads() {
        const PARCELS: u32 = 20_000;
        let (mailbox, mut poll) = mailbox(100);
        let mailbox = Arc::new(mailbox);
        let sender = Arc::clone(&mailbox);
        let posting = std::thread::spawn(move || {
            for number in 0..PARCELS {
                sender.post(number, 0);
                sender.ring();
            }
        });
        let (mut seen, mut taken) = (0, Vec::new());
        let mut events = Events::with_capacity(4);
        while seen < PARCELS {
            if mailbox.doze() {
                // A lost wake-up would end in this timeout.
                poll.poll(&mut events, Some(Duration::from_secs(60))).unwrap();
                assert!(!events.is_empty(), "woken after {seen} parcels");
            }
            mailbox.awake();
            mailbox.collect(&mut taken);
            seen += u32::try_from(taken.len()).unwrap();
            taken.clear();
        }
        posting.join().unwrap();
    }
}
