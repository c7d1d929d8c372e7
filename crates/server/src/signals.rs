//! SIGTERM and SIGINT: the first asks for a graceful stop, the second ends at once.

use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::shared::{Shared, Stop};

/// Watches for signals on a thread of its own, which sleeps until one comes. (SIGPIPE needs no
/// care: Rust programs ignore it from the start.)
pub(crate) fn watch(shared: Arc<Shared>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in &mut signals {
            let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
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
    })?;
    Ok(())
}
