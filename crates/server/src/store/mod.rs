//! The durable store of a server: one thread that owns the log, and what lies between it and the shards.
//!
//! `recovery.rs` opens the log before the server listens, `desk.rs` is where shards hand in what is to be
//! kept, `committer.rs` the thread that makes it durable, `waiting.rs` the side of the shards.

mod committer;
mod desk;
mod gauge;
mod recovery;
mod waiting;

pub(crate) use committer::Committer;
pub(crate) use desk::Desk;
pub(crate) use gauge::{Condition, Gauge};
pub(crate) use recovery::{open, restore};
pub(crate) use waiting::Keeping;
