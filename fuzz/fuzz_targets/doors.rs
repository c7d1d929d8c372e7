//! The layers below MQTT, certificates of clients, requests of operators, answers of services. The first byte says which.
#![no_main]

#[path = "../../crates/server/tests/hostile/bodies.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => bodies::proxy(bytes),
        1 => bodies::websocket(bytes, 1 + usize::from(kind / 6)),
        2 => bodies::first_bytes(bytes),
        3 => bodies::certificate(bytes),
        4 => bodies::operator(bytes),
        _ => bodies::answer(&String::from_utf8_lossy(bytes)),
    }
});
