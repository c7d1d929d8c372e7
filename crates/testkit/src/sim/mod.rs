//! The simulator: whole brokers, their clients, connections and disks on virtual time, all from one seed.
//!
//! A run is a number. From it follow the broker's settings, the clients and what they do, how long bytes
//! are on their way, when connections break, the process dies, the power fails or the disk is full
//! (`plan.rs`, `world.rs`). The broker and the store are those of production; the server's part, turns
//! of shards, mail, the store thread, is played step by step (`server/`), and death may come between any
//! two steps. Clients (`client/`) keep to the rules of all three versions and are as unreliable as their
//! connections. A judge (`oracle/`) hears what they send and receive.
//!
//! # What is checked
//!
//! All the time:
//! - Packets are valid, CONNACK is first, aliases are set before use, answers belong to requests.
//! - Nobody gets what was not sent, under another topic, at another QoS than granted, after its expiry,
//!   or with RETAIN without reason; nobody gets QoS 0 or QoS 2 twice for one subscription of one session,
//!   and QoS 1 without DUP only as often as it was sent or the broker died.
//! - Nobody gets what the rules keep from them, from the moment on from which they do.
//! - What comes for the first time comes in the order of one publisher, topic and QoS.
//! - A retained message that is sent for a subscription was not overwritten before it.
//! - A session that CONNACK had confirmed is present within its expiry interval, absent after it, and
//!   after a clean start.
//!
//! When everything was healed and has come to rest, and again after a last death:
//! - What was acknowledged to its publisher came to every session that had its SUBACK before the message
//!   was sent, and still is: QoS 1 at least, QoS 2 exactly once. A group whose members' sessions lasted
//!   got it likewise.
//! - The retained message of a topic is the last write: if several overlap, one of them.
//! - Wills were published if their connection broke, in time, and not if they were taken back.
//! - Nothing waits: queues are empty, no answer is held back, the store keeps sessions and retained
//!   messages and no more, in a bounded number of segments.
//! - What everybody has acknowledged does not come again after a restart.
//!
//! # What may happen
//!
//! - A message that was not acknowledged may be lost, or not, or be routed when it is sent again.
//! - QoS 0 may be lost at any time; a write of a retained message at QoS 0 may be undone by a death.
//! - While the disk is full, messages may be refused or not be answered until it has room.
//! - What nobody waits for (DISCONNECT, the end of a connection) may be forgotten in a death shortly
//!   after; a will then fires that was taken back, and an expiry interval starts anew.
//! - Sessions that end with their connection lose what was on its way.

mod client;
mod finish;
mod link;
mod oracle;
mod plan;
mod random;
mod rules;
mod scene;
mod schedule;
mod server;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::world::World;

/// What is simulated besides the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The broker has a store, and may die.
    pub keep: bool,
    /// What happens is written down.
    pub trace: bool,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The promise that was broken.
    pub failure: Option<String>,
    /// What happened, if that was wanted.
    pub trace: Vec<String>,
    /// How much virtual time passed, in seconds.
    pub seconds: u64,
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: Options) -> Outcome {
    let mut world = World::new(seed, options);
    let begun = world.scene.schedule.now;
    let done = catch_unwind(AssertUnwindSafe(|| world.live()));
    let failure = match done {
        Ok(()) => world.scene.oracle.failure().map(str::to_owned),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Some(format!("panic: {}", text.unwrap_or("without words")))
        }
    };
    let seconds = world.scene.schedule.now.since(begun).as_secs();
    Outcome { failure, trace: world.scene.trace.into_lines(), seconds }
}
