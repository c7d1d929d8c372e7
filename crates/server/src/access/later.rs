//! Refusals that are said some time after they are certain, so that guessing takes its time.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use dunlin_broker::{ConnId, Refusal, Verdict};
use parking_lot::{Condvar, Mutex};

use super::Accesses;
use super::book::Book;
use crate::shared::Parcel;

/// Refusals that wait at once; further ones are said at once. Some 20 MB, and as many connections that have
/// nothing but a failed login.
const MOST: usize = 100_000;

/// The thread ends when nothing has waited for so long.
const IDLE: Duration = Duration::from_secs(20);

/// What waits, and one thread for all of it, while there is something.
///
/// A lock and not a channel: what is due first is said first, and a reload may shorten the wait.
#[derive(Default)]
pub(super) struct Later {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// What is due first is at the front.
    held: VecDeque<Held>,
    is_served: bool,
    closed: bool,
}

struct Held {
    due: Instant,
    shard: u16,
    connection: ConnId,
    verdict: Verdict,
}

impl Accesses {
    /// Gives a verdict back, unless it is that of a failed login and has to wait. Whether a user is known
    /// makes no difference: both have cost the same until here, and wait as long.
    pub(super) fn hold_back(
        self: &Arc<Self>,
        shard: u16,
        connection: ConnId,
        book: &Book,
        verdict: Verdict,
    ) -> Option<Verdict> {
        // Not until the broker gives the connection up.
        let delay = book.world.logins.delay.min(self.patience / 2);
        if delay.is_zero() || !is_failed_login(&verdict) {
            return Some(verdict);
        }
        let held = Held { due: Instant::now() + delay, shard, connection, verdict };
        self.later.keep(held, self).err()
    }

    /// The server stops.
    pub(super) fn forget_later(&self) {
        let mut waiting = self.later.waiting.lock();
        waiting.closed = true;
        waiting.held.clear();
        drop(waiting);
        self.later.changed.notify_all();
    }

    /// Says what is due, until nothing waits any more.
    fn say_later(this: &Weak<Self>) {
        while let Some(accesses) = this.upgrade() {
            let Some(held) = accesses.later.next() else { return };
            let (connection, verdict) = (held.connection, Box::new(held.verdict));
            accesses.post(held.shard, Parcel::Answer { connection, verdict, asked: None });
        }
    }
}

impl Later {
    fn keep(&self, held: Held, accesses: &Arc<Accesses>) -> Result<(), Verdict> {
        let mut waiting = self.waiting.lock();
        if waiting.closed || waiting.held.len() >= MOST {
            return Err(held.verdict);
        }
        if !waiting.is_served {
            let this = Arc::downgrade(accesses);
            let started = thread::Builder::new().name("refusals".into());
            if let Err(cause) = started.spawn(move || Accesses::say_later(&this)) {
                tracing::warn!("no thread for refusals that wait: {cause}");
                return Err(held.verdict);
            }
            waiting.is_served = true;
        }
        let place = waiting.held.partition_point(|other| other.due <= held.due);
        waiting.held.insert(place, held);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for what is due next; `None` when the thread may end.
    fn next(&self) -> Option<Held> {
        let mut waiting = self.waiting.lock();
        loop {
            let now = Instant::now();
            let due = waiting.held.front().map(|held| held.due);
            if due.is_some_and(|due| due <= now) {
                return waiting.held.pop_front();
            }
            if waiting.closed {
                return None;
            }
            let until = due.unwrap_or(now + IDLE);
            let timed_out = self.changed.wait_until(&mut waiting, until).timed_out();
            if timed_out && waiting.held.is_empty() {
                waiting.is_served = false;
                return None;
            }
        }
    }
}

/// Whether somebody may have guessed.
fn is_failed_login(verdict: &Verdict) -> bool {
    let Verdict::Deny(refusal) = verdict else { return false };
    matches!(
        refusal,
        Refusal::BadUserNameOrPassword { .. }
            | Refusal::Token { .. }
            | Refusal::NotAuthorized { .. }
    )
}
