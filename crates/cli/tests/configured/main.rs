//! The broker as Mosquitto's users start it: with their files, their command lines, their signals.

mod admin;
#[allow(dead_code, unreachable_pub, reason = "shared with the conformance tests")]
#[path = "../../../testkit/src/wire.rs"]
mod bytes;
mod command_line;
mod container;
mod files;
mod keeping;
mod keys;
mod process;
mod raw;
mod reload;
mod root;
mod service;
mod ways;
mod wrong_files;
