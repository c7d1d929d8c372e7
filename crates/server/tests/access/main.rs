//! Who may connect and what they may do, over real sockets: each way in, right and wrong.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bans;
mod client;
mod dynamic;
mod place;
mod reload;
mod services;
mod tokens;
mod ways;
