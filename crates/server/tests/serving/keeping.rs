//! What a server keeps beyond its end.

use std::path::Path;
use std::time::Duration;

use dunlin_server::{Durability, ServerOptions, StartError, StoreOptions, start};
use tempfile::TempDir;

use super::wire::{Server, Wire, ack, publish};

/// A server of so many shards that keeps its data in `directory`.
fn server(directory: &TempDir, shards: usize) -> Server {
    Server::with(options(directory.path(), shards))
}

fn options(directory: &Path, shards: usize) -> ServerOptions {
    let store = Some(StoreOptions::new(directory));
    ServerOptions { shards, sessions_ahead: 1, store, ..ServerOptions::default() }
}

fn directory() -> TempDir {
    TempDir::new().unwrap()
}

fn stop(server: Server) {
    server.handle().stop();
    server.join();
}

/// Publishes and waits for the last acknowledgement.
fn publish_all(wire: &mut Wire, topic: &str, qos: u8, payload: &[u8]) {
    wire.send(&publish(topic, qos, 7, payload));
    match qos {
        1 => wire.expect(&[0x40, 2, 0, 7]),
        2 => {
            wire.expect(&[0x50, 2, 0, 7]);
            wire.send(&ack(0x62, 7));
            wire.expect(&[0x70, 2, 0, 7]);
        }
        _ => {}
    }
}

/// Receives a message and acknowledges it; returns its first byte and its payload.
fn receive(wire: &mut Wire) -> (u8, Vec<u8>) {
    let (first, body) = wire.packet();
    let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let qos = first >> 1 & 3;
    let rest = &body[2 + topic..];
    if qos == 0 {
        return (first, rest.to_vec());
    }
    let id = u16::from_be_bytes([rest[0], rest[1]]);
    if qos == 1 {
        wire.send(&ack(0x40, id));
    } else {
        wire.send(&ack(0x50, id));
        assert_eq!(wire.packet(), (0x62, id.to_be_bytes().to_vec()));
        wire.send(&ack(0x70, id));
    }
    (first, rest[2..].to_vec())
}

#[test]
fn a_restart_keeps_sessions_subscriptions_messages_and_retained_messages() {
    let directory = directory();
    let first = server(&directory, 2);
    let mut device = Wire::resume(&first, "device", false);
    device.subscribe("a/#", 2);
    device.send(&[0xE0, 0]);
    device.expect_end();
    let mut publisher = Wire::connect(&first, "publisher");
    publish_all(&mut publisher, "a/1", 1, b"one");
    publish_all(&mut publisher, "a/2", 2, b"two");
    publisher.send(&[&[0x33][..], &publish("kept", 1, 7, b"state")[1..]].concat());
    publisher.expect(&[0x40, 2, 0, 7]);
    stop(first);

    let second = server(&directory, 2);
    let mut device = Wire::resume(&second, "device", true);
    assert_eq!(receive(&mut device), (0x32, b"one".to_vec()));
    assert_eq!(receive(&mut device), (0x34, b"two".to_vec()));
    let mut publisher = Wire::connect(&second, "publisher");
    publish_all(&mut publisher, "a/3", 1, b"three");
    assert_eq!(receive(&mut device), (0x32, b"three".to_vec()));
    publisher.subscribe("kept", 0);
    assert_eq!(receive(&mut publisher), (0x31, b"state".to_vec()));
    stop(second);

    // What was acknowledged is not sent again.
    let third = server(&directory, 2);
    let mut device = Wire::resume(&third, "device", true);
    device.expect_silence();
}

#[test]
fn sessions_find_their_messages_whatever_the_number_of_shards() {
    let directory = directory();
    let first = server(&directory, 1);
    for number in 0..20 {
        let mut device = Wire::resume(&first, &format!("device {number}"), false);
        device.subscribe(&format!("to/{number}"), 1);
    }
    let mut publisher = Wire::connect(&first, "publisher");
    for number in 0..20u8 {
        publish_all(&mut publisher, &format!("to/{number}"), 1, &[number]);
    }
    stop(first);
    let second = server(&directory, 3);
    for number in 0..20u8 {
        let mut device = Wire::resume(&second, &format!("device {number}"), true);
        assert_eq!(receive(&mut device), (0x32, vec![number]));
    }
}

#[test]
fn what_was_written_in_intervals_is_kept_by_a_stop() {
    let directory = directory();
    let kept = || {
        let durability = Durability::Interval(Duration::from_secs(3600));
        let store = Some(StoreOptions { durability, ..StoreOptions::new(directory.path()) });
        Server::with(ServerOptions { store, ..ServerOptions::default() })
    };
    let first = kept();
    let mut device = Wire::resume(&first, "device", false);
    device.subscribe("a", 1);
    drop(device);
    publish_all(&mut Wire::connect(&first, "publisher"), "a", 1, b"one");
    stop(first);
    let second = kept();
    let mut device = Wire::resume(&second, "device", true);
    assert_eq!(receive(&mut device), (0x32, b"one".to_vec()));
}

#[test]
fn a_session_that_was_given_up_is_not_there_after_a_restart() {
    let directory = directory();
    let first = server(&directory, 2);
    drop(Wire::resume(&first, "device", false));
    let mut clean = Wire::connect(&first, "device");
    clean.send(&[0xE0, 0]);
    clean.expect_end();
    stop(first);
    let second = server(&directory, 2);
    Wire::resume(&second, "device", false);
}

#[test]
fn a_directory_is_one_servers_alone() {
    let directory = directory();
    let first = server(&directory, 1);
    let refused = start(options(directory.path(), 1)).err().unwrap();
    assert!(matches!(refused, StartError::Store { .. }), "{refused:?}");
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    stop(first);
    stop(server(&directory, 1));
}

#[test]
fn a_store_that_cannot_be_used_stops_the_start() {
    let directory = directory();
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let refused = start(options(&file, 1)).err().unwrap().to_string();
    assert!(refused.contains("not a directory"), "{refused}");
    let refused = start(options(directory.path(), 1)).err().unwrap().to_string();
    assert!(refused.contains("file"), "{refused}");
    assert_eq!(std::fs::read(&file).unwrap(), b"");
}

#[test]
fn without_a_store_nothing_is_kept() {
    let first = Server::with_shards(1);
    drop(Wire::resume(&first, "device", false));
    stop(first);
    Wire::resume(&Server::with_shards(1), "device", false);
}

#[test]
fn a_store_of_a_newer_program_stops_the_start_and_stays_as_it_is() {
    let directory = directory();
    stop(server(&directory, 1));
    let version = directory.path().join("VERSION");
    let newer = std::fs::read_to_string(&version).unwrap().replace("format 1.", "format 9.");
    std::fs::write(&version, &newer).unwrap();
    let refused = start(options(directory.path(), 1)).err().unwrap().to_string();
    assert!(refused.contains("use a newer program"), "{refused}");
    assert_eq!(std::fs::read_to_string(&version).unwrap(), newer);
}

#[test]
fn a_watcher_sees_how_the_store_does() {
    let directory = directory();
    let sys_interval = Duration::from_millis(200);
    let options = ServerOptions { sys_interval, ..options(directory.path(), 2) };
    let server = Server::with(options);
    let mut watcher = Wire::connect(&server, "watcher");
    watcher.subscribe("$SYS/broker/store/state", 0);
    // Live or retained, whichever comes first.
    assert_eq!(receive(&mut watcher).1, b"ready");
}
