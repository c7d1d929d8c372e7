//! Whole connections: both engines are given the bytes, in pieces, over time.
#![no_main]

#[path = "../../crates/proto/tests/harness/mod.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    harness::session::server_input(bytes);
    harness::session::client_input(bytes);
});
