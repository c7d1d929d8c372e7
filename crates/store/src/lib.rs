//! The durable store: everything the broker wants kept, in one log of segments.
//!
//! A [`Log`] takes the [records](dunlin_broker::journal) of all shards, appends them in groups, and makes a
//! group durable with one flush. What is still needed is known to an index in memory; the oldest segment
//! is freed again and again, after what lives in it was copied to the end. At start the log is read once
//! and becomes the [`State`](dunlin_broker::journal::State) from which the broker goes on.
//!
//! There are no threads and no clock in here. The disk is behind [`Disk`]: [`RealDisk`] is a directory,
//! [`FaultyDisk`] one in memory that loses power, fills up and breaks as a seed says. The format is
//! described in `docs/store-format.md`.

mod chain;
mod clean;
mod damage;
mod disk;
mod error;
mod faulty;
mod format;
mod group;
mod index;
mod log;
mod open;
mod options;
mod publishers;
mod reader;
mod real;
mod restore;
#[cfg(test)]
mod samples;
mod segment;
mod urgency;
mod version;
mod view;
mod write;

pub use disk::Disk;
pub use error::{OpenError, ReadError, WriteError};
pub use faulty::{FaultyDisk, Operation};
pub use log::Log;
pub use options::{Damage, OnDamage, Options, Report, Room, Status, Torn};
pub use real::RealDisk;
pub use urgency::{sharpen, step_back};
