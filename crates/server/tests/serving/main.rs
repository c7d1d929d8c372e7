//! The whole server over real sockets.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod churn;
mod exchange;
mod keeping;
mod limits;
mod stopping;
mod system;
mod wire;
