//! The whole server over real sockets.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, unreachable_pub, reason = "shared with the conformance tests")]
#[path = "../../../testkit/src/wire.rs"]
mod bytes;
mod churn;
mod encrypted;
mod exchange;
mod keeping;
mod limits;
mod listeners;
#[allow(dead_code, reason = "shared with the tests of the transports, which need more of it")]
#[path = "../../src/transport/pki.rs"]
mod pki;
mod stopping;
mod system;
mod waiting;
mod why;
mod wire;
