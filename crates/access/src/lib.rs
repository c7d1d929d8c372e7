//! Who may connect and what they may do.
//!
//! Pure logic: files come as text with a name, time and randomness as arguments, and nothing here
//! opens a socket or reads a clock. What is slow by design says so ([`password::Cost`]), so that the
//! caller can move it to a worker thread.

#![forbid(unsafe_code)]

pub mod acl;
pub mod ban;
pub mod control;
pub mod dynsec;
pub mod identifier;
pub mod jwt;
pub mod password;
pub mod scram;

mod fault;
mod secret;

pub use fault::{Fault, Severity};
pub use secret::Secret;

/// Where randomness comes from: it fills the bytes it is given.
pub type Random<'a> = dyn FnMut(&mut [u8]) + 'a;

/// Seconds since 1970-01-01 00:00 UTC, as tokens, bans and certificates count them.
pub type UnixSeconds = u64;
