//! SIGTERM and SIGINT: the first asks for a graceful stop, the second ends at once. SIGHUP reloads, if
//! there is something to reload.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::shared::{Shared, Stop};

/// The first signal that is free for programs: musl keeps one more for itself. Mosquitto writes a report for its
/// developers then, if it was built to.
const SIGRTMIN: i32 = if cfg!(target_env = "musl") { 35 } else { 34 };

/// What is done for SIGHUP.
pub(crate) type Reload = Box<dyn FnMut() + Send>;

/// Signals that no longer do what they do to a process that says nothing about them: what comes from now on
/// waits for the server.
#[derive(Debug)]
pub struct Signals {
    all: signal_hook::iterator::Signals,
    /// SIGHUP has come.
    hung_up: Arc<AtomicBool>,
}

impl Signals {
    /// Catches what a server obeys. Whoever does this before the start loses none, and is not ended by one
    /// that comes early.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub fn catch() -> io::Result<Self> {
        // Scripts made for Mosquitto send the last three, and nobody wants to die of them.
        let all = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN];
        let hung_up = Arc::default();
        signal_hook::flag::register(SIGHUP, Arc::clone(&hung_up))?;
        Ok(Self { all: signal_hook::iterator::Signals::new(all)?, hung_up })
    }

    /// Lets SIGHUP interrupt only the thread that accepts connections: on any other, the one that accepts could
    /// be faster, and let somebody in by the rules that were. For the threads that this one starts from now on.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn leave_reloads_to_who_accepts() -> io::Result<()> {
        Ok(hangup().thread_block()?)
    }
}

/// This is the thread that accepts connections. What it accepts after a SIGHUP, it has seen that first.
pub(crate) fn take_reloads() {
    if let Err(cause) = hangup().thread_unblock() {
        tracing::warn!("SIGHUP cannot be heard: {cause}");
    }
}

fn hangup() -> SigSet {
    SigSet::from(Signal::SIGHUP)
}

/// Watches for signals on a thread of its own, which sleeps until one comes. (SIGPIPE needs no
/// care: Rust programs ignore it from the start.)
pub(crate) fn watch(
    shared: Arc<Shared>,
    Signals { all: mut signals, hung_up }: Signals,
    mut reload: Option<Reload>,
) -> io::Result<()> {
    if reload.is_some() {
        shared.reloading.watch(hung_up);
    }
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in &mut signals {
            match signal {
                SIGHUP => match &mut reload {
                    Some(reload) => reload(),
                    None => tracing::warn!("SIGHUP: there is no configuration to reload"),
                },
                SIGUSR1 if shared.store.is_some() => {
                    tracing::info!(
                        "SIGUSR1: nothing to save, since what counts as kept is written already"
                    );
                }
                SIGUSR1 => tracing::warn!("SIGUSR1: nothing is saved, since persistence is off"),
                SIGUSR2 => tracing::info!(
                    "SIGUSR2: {} connections",
                    shared.connections.load(Ordering::Relaxed)
                ),
                SIGRTMIN => tracing::info!("SIGRTMIN: there is no report to write"),
                signal => stop(&shared, if signal == SIGINT { "SIGINT" } else { "SIGTERM" }),
            }
        }
    })?;
    Ok(())
}

fn stop(shared: &Shared, name: &str) {
    match shared.stop_state() {
        Stop::Running => {
            tracing::info!("{name}: stopping; once more to stop at once");
            shared.stop(Stop::Graceful);
        }
        Stop::Graceful | Stop::Now => {
            tracing::info!("{name}: stopping at once");
            shared.stop(Stop::Now);
        }
    }
}
