//! Logins that take a core for a while: hashes and signatures.
//!
//! Many at once are done by threads that yield to the shards, so that messages do not wait for them. On a machine
//! that is busy with something else these threads may not run for seconds, also with a login half done; then, and
//! for a login that comes alone, a spare thread does it, which yields less.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::lane::{Bounds, Lane};
use crate::limits::{BACKGROUND, PROMPT};

/// The spare thread helps if no login was done for so long: ten times what one takes on an idle core.
const STUCK: Duration = Duration::from_millis(200);

/// The threads for such logins, and what waits for them.
pub(super) struct Hashing<T> {
    background: Arc<Lane<Arc<Job<T>>>>,
    spare: Arc<Lane<Arc<Job<T>>>>,
    progress: Arc<Progress>,
}

/// One login. Two threads may work on it; the first to end it tells.
struct Job<T> {
    what: T,
    since: Instant,
    /// Nothing else was under way when it came.
    alone: bool,
    ended: AtomicBool,
}

/// How it goes, for the spare thread.
struct Progress {
    /// A lock and not a message: threads wait for it to change.
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    under_way: usize,
    /// When a thread in the background ended one.
    last: Instant,
}

impl<T: Send + Sync + 'static> Hashing<T> {
    pub(super) fn new(now: Instant) -> Self {
        let state = Mutex::new(State { under_way: 0, last: now });
        Self {
            background: Arc::new(Lane::new("logins", BACKGROUND)),
            spare: Arc::new(Lane::new("login", PROMPT)),
            progress: Arc::new(Progress { state, changed: Condvar::new() }),
        }
    }

    /// Leaves a login; false if as many wait as may. `work` computes, and then asks whether it is to tell: not if
    /// another thread has told already.
    pub(super) fn push<F>(&self, now: Instant, what: T, bounds: Bounds, work: F) -> bool
    where
        F: Fn(&T, &dyn Fn() -> bool) + Clone + Send + 'static,
    {
        let alone = self.progress.begin();
        let job = Arc::new(Job { what, since: now, alone, ended: AtomicBool::new(false) });
        let spare = Bounds { threads: 1, queue: bounds.queue };
        let progress = Arc::clone(&self.progress);
        let compute = work.clone();
        let watch = move |job: Arc<Job<T>>| {
            if progress.is_needed(&job) {
                compute(&job.what, &|| progress.end(&job, None));
            }
        };
        let watched = self.spare.push(Arc::clone(&job), spare, watch).is_ok();
        if alone && watched {
            return true;
        }
        let progress = Arc::clone(&self.progress);
        let taken = self.background.push(job, bounds, move |job| {
            if !job.ended.load(Ordering::Acquire) {
                work(&job.what, &|| progress.end(&job, Some(Instant::now())));
            }
        });
        taken.map_err(|job| self.progress.end(&job, None)).is_ok()
    }

    /// Drops what waits, and ends the threads when they are done with what they do.
    pub(super) fn close(&self) {
        self.background.close();
        self.spare.close();
    }
}

impl Progress {
    /// One more is under way; whether it is the only one.
    fn begin(&self) -> bool {
        let mut state = self.state.lock();
        state.under_way += 1;
        state.under_way == 1
    }

    /// Whether this is who ends a login first; `now` if it was done in the background.
    fn end<T>(&self, job: &Job<T>, now: Option<Instant>) -> bool {
        let first = !job.ended.swap(true, Ordering::AcqRel);
        let mut state = self.state.lock();
        state.last = now.unwrap_or(state.last);
        state.under_way -= usize::from(first);
        if state.under_way == 0 {
            // The spare thread need not wait for it any more.
            self.changed.notify_all();
        }
        first
    }

    /// Waits until the spare thread is needed for a login, or until that is done.
    fn is_needed<T>(&self, job: &Job<T>) -> bool {
        let mut state = self.state.lock();
        loop {
            if job.ended.load(Ordering::Acquire) {
                return false;
            }
            let wait = state.patience(Instant::now(), job);
            if wait.is_zero() {
                return true;
            }
            self.changed.wait_for(&mut state, wait);
        }
    }
}

impl State {
    /// How long the spare thread leaves a login to the others.
    fn patience<T>(&self, now: Instant, job: &Job<T>) -> Duration {
        if job.alone {
            return Duration::ZERO;
        }
        (self.last.max(job.since) + STUCK).saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const BOUNDS: Bounds = Bounds { threads: 1, queue: 100 };
    /// Only a failing test waits it out.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn job(since: Instant, alone: bool) -> Job<()> {
        Job { what: (), since, alone, ended: AtomicBool::new(false) }
    }

    #[test]
    fn the_spare_thread_helps_when_nothing_was_done_for_a_while() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut state = State { under_way: 3, last: start };
        assert_eq!(state.patience(start, &job(start, false)), STUCK);
        assert_eq!(state.patience(after(150), &job(start, false)), STUCK - (after(150) - start));
        assert!(state.patience(after(200), &job(start, false)).is_zero());
        // One that has just come, after a silence.
        assert_eq!(state.patience(after(900), &job(after(900), false)), STUCK);
        // However long it waits, while others get done.
        state.last = after(5_000);
        assert_eq!(state.patience(after(5_000), &job(start, false)), STUCK);
        assert!(state.patience(after(5_300), &job(start, false)).is_zero());
        assert!(state.patience(start, &job(start, true)).is_zero());
    }

    /// A login that got done, and whether in the background.
    type Ended = (u32, bool);

    /// Logins that get done in the background only when they are let go.
    struct Held {
        hashing: Hashing<u32>,
        go: SyncSender<()>,
        wait: Arc<Mutex<Receiver<()>>>,
        ended: (SyncSender<Ended>, Receiver<Ended>),
    }

    impl Held {
        fn new() -> Self {
            let (go, wait) = sync_channel(10);
            let wait = Arc::new(Mutex::new(wait));
            Self { hashing: Hashing::new(Instant::now()), go, wait, ended: sync_channel(100) }
        }

        fn push(&self, number: u32) {
            let (wait, ended) = (Arc::clone(&self.wait), self.ended.0.clone());
            let pushed =
                self.hashing.push(Instant::now(), number, BOUNDS, move |&number, first| {
                    let in_background = std::thread::current().name() == Some("logins");
                    if in_background {
                        wait.lock().recv().unwrap();
                    }
                    if first() {
                        ended.send((number, in_background)).unwrap();
                    }
                });
            assert!(pushed);
        }

        fn ended(&self) -> Ended {
            self.ended.1.recv_timeout(PATIENCE).unwrap()
        }
    }

    #[test]
    fn logins_one_after_the_other_do_not_wait_for_the_background() {
        let held = Held::new();
        for number in 0..5 {
            held.push(number);
            assert_eq!(held.ended(), (number, false));
        }
    }

    #[test]
    fn logins_that_threads_in_the_background_do_not_get_done_are_done_once_by_the_spare_one() {
        let held = Held::new();
        // Another one, so that none of these is alone.
        held.hashing.progress.begin();
        (1..=5).for_each(|number| held.push(number));
        for number in 1..=5 {
            assert_eq!(held.ended(), (number, false));
        }
        // Now the one in the background gets on with what it had, which nobody needs any more.
        held.go.send(()).unwrap();
        held.push(6);
        held.go.send(()).unwrap();
        assert_eq!(held.ended().0, 6);
        assert!(held.ended.1.try_recv().is_err());
    }
}
