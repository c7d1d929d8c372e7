//! What the broker tells about itself.

use std::time::Duration;

use dunlin_server::ServerOptions;

use super::wire::{Server, Wire};

/// The next value of a topic.
fn value(wire: &mut Wire, topic: &str) -> String {
    loop {
        let (first, body) = wire.packet();
        assert_eq!(first & 0xF0, 0x30);
        let length = usize::from(body[1]);
        if &body[2..2 + length] == topic.as_bytes() {
            return String::from_utf8(body[2 + length..].to_vec()).unwrap();
        }
    }
}

#[test]
fn counters_of_all_shards_are_published_retained_and_live() {
    let sys_interval = Duration::from_millis(200);
    let options =
        ServerOptions { shards: 2, sessions_ahead: 1, sys_interval, ..ServerOptions::default() };
    let server = Server::with(options);
    let mut watcher = Wire::connect(&server, "watcher");
    let _other = Wire::connect(&server, "other");
    watcher.subscribe("$SYS/broker/#", 0);
    let version = value(&mut watcher, "$SYS/broker/version");
    assert!(version.starts_with("dunlin version "), "{version}");
    while value(&mut watcher, "$SYS/broker/clients/connected") != "2" {}
}

#[test]
fn nothing_is_published_when_it_is_off() {
    let sys_interval = Duration::ZERO;
    let server = Server::with(ServerOptions { sys_interval, ..ServerOptions::default() });
    let mut watcher = Wire::connect(&server, "watcher");
    watcher.subscribe("$SYS/#", 0);
    watcher.expect_silence();
}
