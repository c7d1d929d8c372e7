//! Certificates, lists of devices and of users as the kit reads them. The first byte says which.
#![no_main]

#[path = "../../crates/kit/tests/hostile/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => bodies::chain(bytes),
        1 => bodies::facts(bytes),
        2 => bodies::devices(&String::from_utf8_lossy(bytes)),
        _ => bodies::users(&String::from_utf8_lossy(bytes)),
    }
});
