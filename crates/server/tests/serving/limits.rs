//! What happens at the limits of the server.

use dunlin_server::{ServerOptions, StartError, start};

use super::wire::{Server, Wire, connect, publish, wait_until};

#[test]
fn one_connection_too_many_is_told_so() {
    let options = ServerOptions { max_connections: Some(1), ..ServerOptions::default() };
    let server = Server::with(options);
    let first = Wire::connect(&server, "first");
    let mut second = Wire::open(&server);
    second.send(&connect(5, "second"));
    let (packet, body) = second.packet();
    // CONNACK with 0x97, Quota exceeded.
    assert_eq!((packet, body[1]), (0x20, 0x97));
    second.expect_end();
    drop((first, second));
    // Room again.
    Wire::connect(&server, "third");
}

#[test]
fn who_comes_as_another_leaves_has_its_place() {
    let options = ServerOptions { max_connections: Some(4), ..ServerOptions::default() };
    let server = Server::with(options);
    for round in 0..20 {
        let names: Vec<_> = (0..4).map(|number| format!("{round} {number}")).collect();
        // All that hold a place end their connections just before the next ones come.
        let held: Vec<_> = names.iter().map(|name| Wire::connect(&server, name)).collect();
        drop(held);
    }
}

#[test]
fn a_violation_can_be_read_although_more_was_sent() {
    let server = Server::with_shards(1);
    let mut wire = Wire::open(&server);
    wire.send(&connect(5, "rude"));
    assert_eq!(wire.packet().0, 0x20);
    // A second CONNECT, and a lot behind it that nobody reads.
    let mut bytes = connect(5, "rude");
    bytes.resize(200_000, 0);
    wire.send(&bytes);
    assert_eq!(wire.packet().0, 0xE0);
    wire.expect_end();
}

#[test]
fn garbage_closes_only_its_own_connection() {
    let server = Server::with_shards(2);
    let mut good = Wire::connect(&server, "good");
    let mut bad = Wire::open(&server);
    bad.send(b"GET / HTTP/1.1\r\n\r\n");
    bad.expect_end();
    good.send(&[0xC0, 0]);
    good.expect(&[0xD0, 0]);
}

#[test]
fn a_server_without_a_listener_does_not_start() {
    let nowhere = ServerOptions { listeners: Vec::new(), ..ServerOptions::default() };
    assert!(matches!(start(nowhere), Err(StartError::NoListener)));
}

#[test]
fn a_port_in_use_is_told_by_address() {
    let server = Server::with_shards(1);
    let same = ServerOptions { listeners: vec![server.address.into()], ..ServerOptions::default() };
    let Err(error) = start(same) else { panic!("the port is in use") };
    assert!(error.to_string().contains(&server.address.to_string()), "{error}");
}

#[test]
fn a_connection_that_takes_nothing_any_more_is_closed_after_a_takeover() {
    let options = ServerOptions { max_connections: Some(3), ..ServerOptions::default() };
    let server = Server::with(options);
    let mut silent = Wire::connect(&server, "silent");
    silent.subscribe("flood", 0);
    let mut publisher = Wire::connect(&server, "publisher");
    let flood = publish("flood", 0, 0, &[0; 1000]).repeat(1_000);
    for _ in 0..20 {
        publisher.send(&flood);
    }
    publisher.send(&[0xC0, 0]);
    publisher.expect(&[0xD0, 0]);
    let _newer = Wire::connect(&server, "silent");
    // The third place is free again once the silent one is given up, which takes its last call.
    wait_until("the place is free", || {
        let mut next = Wire::open(&server);
        next.send(&connect(4, "next"));
        next.packet() == (0x20, vec![0, 0])
    });
    drop(silent);
}
