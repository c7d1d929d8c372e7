//! Who may connect and what they may do, over real sockets: each way in, right and wrong.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bans;
#[allow(dead_code, unreachable_pub, reason = "shared with the conformance tests")]
#[path = "../../../testkit/src/wire.rs"]
mod bytes;
mod certificates;
mod client;
mod delay;
mod dynamic;
#[allow(dead_code, reason = "shared with the tests of the transports, which need more of it")]
#[path = "../../src/transport/pki.rs"]
mod pki;
mod place;
mod reload;
mod scram;
mod services;
mod together;
mod tokens;
mod ways;
