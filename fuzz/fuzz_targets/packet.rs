//! Packets: bytes as they are, and packets made from them, there and back.
#![no_main]

#[path = "../../crates/proto/tests/harness/mod.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    harness::any_bytes(bytes);
    harness::made_packet(bytes);
});
