//! What the broker does, on virtual time and without sockets. Each file is one subject.
#![allow(unreachable_pub, reason = "the whole crate is private")]

mod aliases;
mod auth;
mod choices;
mod control;
mod delivery;
mod durable;
mod expiry;
mod flow;
mod fuzz;
mod guard;
mod guard_random;
mod hostile;
mod limits;
mod mounts;
mod promises;
mod qos2;
mod quotas;
mod rates;
mod refusals;
mod retained;
mod sessions;
mod shared;
mod shutdown;
mod sources;
mod takeover;
mod telling;
mod wills;
mod world;
