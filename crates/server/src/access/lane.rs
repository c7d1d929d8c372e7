//! Worker threads for what a shard must not wait for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::limits;

/// A thread that finds nothing to do for so long ends; the next job starts another.
const IDLE: Duration = Duration::from_secs(20);

/// A queue of jobs and the threads that do them, started as they are needed.
///
/// A lock and not a channel: threads come and go, and the queue has a limit that a reload may change.
pub(super) struct Lane<T> {
    name: &'static str,
    niceness: i32,
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    jobs: VecDeque<T>,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// What a lane may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) threads: usize,
    pub(super) queue: usize,
}

impl<T: Send + 'static> Lane<T> {
    /// `niceness` says how much its threads yield to the shards.
    pub(super) const fn new(name: &'static str, niceness: i32) -> Self {
        let state = State { jobs: VecDeque::new(), threads: 0, idle: 0, closed: false };
        Self { name, niceness, state: Mutex::new(state), filled: Condvar::new() }
    }

    /// Leaves a job; gives it back if as many wait as may, or no thread can be had. Threads that have to be
    /// started run `work`.
    pub(super) fn push<F>(self: &Arc<Self>, job: T, bounds: Bounds, work: F) -> Result<(), T>
    where
        F: Fn(T) + Send + 'static,
    {
        let mut state = self.state.lock();
        if state.closed || state.jobs.len() >= bounds.queue {
            return Err(job);
        }
        if state.idle <= state.jobs.len() && state.threads < bounds.threads {
            let lane = Arc::clone(self);
            let started = thread::Builder::new().name(self.name.into()).spawn(move || {
                limits::step_back(lane.niceness);
                lane.serve(work);
            });
            match started {
                Ok(_) => state.threads += 1,
                Err(cause) => {
                    tracing::warn!("no thread for {}: {cause}", self.name);
                    if state.threads == 0 {
                        return Err(job);
                    }
                }
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Drops what waits, and ends the threads when they are done with what they do.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.jobs.clear();
        drop(state);
        self.filled.notify_all();
    }

    fn serve(&self, work: impl Fn(T)) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                work(job);
                state = self.state.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let timed_out = self.filled.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if timed_out && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn jobs_are_done_by_no_more_threads_than_allowed() {
        let lane = Arc::new(Lane::new("test", limits::PROMPT));
        let (done, results) = sync_channel(100);
        let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for number in 0..50 {
            let (done, busy, most) = (done.clone(), Arc::clone(&busy), Arc::clone(&most));
            let bounds = Bounds { threads: 2, queue: 100 };
            let pushed = lane.push(number, bounds, move |number| {
                most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                busy.fetch_sub(1, Ordering::SeqCst);
                done.send(number).unwrap();
            });
            assert!(pushed.is_ok());
        }
        let mut numbers: Vec<i32> = results.iter().take(50).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..50).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    /// A shard that is woken does not wait for the slice of a worker to end, and a worker does not wait for
    /// ever: no idle class.
    #[cfg(target_os = "linux")]
    #[test]
    fn workers_yield_to_shards_and_are_not_starved() {
        let lane = Arc::new(Lane::new("test", limits::BACKGROUND));
        let (done, results) = sync_channel(1);
        let pushed = lane.push((), Bounds { threads: 1, queue: 1 }, move |()| {
            done.send(std::fs::read_to_string("/proc/thread-self/stat").unwrap()).unwrap();
        });
        assert!(pushed.is_ok());
        let stat = results.recv().unwrap();
        // After the name, which ends with the last bracket, comes the third field of proc(5).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let (nice, policy) = (fields[19 - 3], fields[41 - 3]);
        assert_eq!((nice, policy), ("19", "0"));
    }

    #[test]
    fn a_full_queue_and_a_closed_lane_take_nothing() {
        let lane = Arc::new(Lane::new("test", limits::PROMPT));
        let (go, wait) = sync_channel::<()>(0);
        let (begun, first) = sync_channel::<()>(1);
        let wait = Arc::new(Mutex::new(wait));
        let bounds = Bounds { threads: 1, queue: 1 };
        let push = |number: i32| {
            let (wait, begun) = (Arc::clone(&wait), begun.clone());
            lane.push(number, bounds, move |_| {
                begun.send(()).unwrap();
                wait.lock().recv().unwrap();
            })
        };
        assert!(push(1).is_ok());
        first.recv().unwrap();
        assert!(push(2).is_ok());
        assert_eq!(push(3), Err(3));
        lane.close();
        go.send(()).unwrap();
        assert_eq!(push(4), Err(4));
    }
}
