//! Configurations in both forms, variables of the environment, command lines. The first byte says which.
#![no_main]

#[path = "../../crates/config/tests/hostile/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match kind % 5 {
        0 => bodies::file("m.conf", &text),
        1 => bodies::file("d.toml", &text),
        2 => bodies::file("config", &text),
        3 => bodies::environment(&text),
        _ => bodies::command_line(&text),
    }
});
