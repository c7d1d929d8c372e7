//! The layers below MQTT, certificates of clients, requests of operators. The first byte says which.
#![no_main]

#[path = "../../crates/server/tests/hostile/bodies.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => bodies::proxy(bytes),
        1 => bodies::websocket(bytes, 1 + usize::from(kind / 5)),
        2 => bodies::first_bytes(bytes),
        3 => bodies::certificate(bytes),
        _ => bodies::operator(bytes),
    }
});
