//! How a server ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dunlin_server::ServerOptions;

use super::wire::{Server, Wire, connect, named_port, publish};

/// Far longer than a stop takes for which there is nothing to wait.
const LONG_GRACE: Duration = Duration::from_secs(120);

/// What a stop may take on a loaded machine if it does not wait for [`LONG_GRACE`].
const QUICK: Duration = Duration::from_secs(60);

fn with_long_grace(shards: usize) -> Server {
    let stop_grace = LONG_GRACE;
    Server::with(ServerOptions {
        shards,
        sessions_ahead: 1,
        stop_grace,
        ..ServerOptions::default()
    })
}

#[test]
fn a_graceful_stop_tells_clients_and_is_quick() {
    let server = with_long_grace(2);
    let mut old = Wire::connect(&server, "old");
    let mut new = Wire::open(&server);
    new.send(&connect(5, "new"));
    assert_eq!(new.packet().0, 0x20);
    let begun = Instant::now();
    server.handle().stop();
    // DISCONNECT, Server shutting down; before 5.0 there is no such packet.
    let (packet, body) = new.packet();
    assert_eq!((packet, body[0]), (0xE0, 0x8B));
    new.expect_end();
    old.expect_end();
    server.join();
    assert!(Instant::now().duration_since(begun) < QUICK);
}

#[test]
fn a_stop_waits_no_longer_than_its_grace_for_a_reader_that_does_not_read() {
    // The reader would have 5 s for its last bytes. Others may hold the machine up, but not every time.
    let is_quick = |_| takes_to_stop(Duration::from_millis(300)) < Duration::from_secs(2);
    assert!((0..5).any(is_quick), "it waits for the reader");
}

/// With a subscriber that has stopped reading.
fn takes_to_stop(stop_grace: Duration) -> Duration {
    let server = Server::with(ServerOptions { stop_grace, ..ServerOptions::default() });
    let mut silent = Wire::connect(&server, "silent");
    silent.subscribe("flood", 0);
    let mut publisher = Wire::connect(&server, "publisher");
    let flood = publish("flood", 0, 0, &[0; 1000]).repeat(1_000);
    for _ in 0..20 {
        publisher.send(&flood);
    }
    publisher.send(&[0xC0, 0]);
    publisher.expect(&[0xD0, 0]);
    let begun = Instant::now();
    server.handle().stop();
    server.join();
    Instant::now().duration_since(begun)
}

#[test]
fn an_idle_server_stops_at_once() {
    let server = with_long_grace(3);
    let begun = Instant::now();
    server.handle().stop();
    server.join();
    assert!(Instant::now().duration_since(begun) < QUICK);
}

#[test]
fn a_stopped_server_frees_its_port() {
    let port = named_port();
    let server =
        Server::with_listeners(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()], 1);
    let address = server.address;
    let _open = Wire::connect(&server, "still here");
    server.handle().stop();
    server.join();
    let again = ServerOptions { listeners: vec![address.into()], ..ServerOptions::default() };
    let handle = dunlin_server::start(again).unwrap();
    handle.stop_now();
    handle.join().unwrap();
}

#[test]
fn the_wills_of_a_stopping_server_reach_subscribers_on_every_shard() {
    let server = Server::with_shards(3);
    let mut clients: Vec<Wire> = (0..6)
        .map(|number| {
            let mut client = Wire::open(&server);
            client.send(&connect_with_will(number));
            client.expect(&[0x20, 2, 0, 0]);
            client.subscribe("wills/#", 0);
            client
        })
        .collect();
    server.handle().stop();
    for client in &mut clients {
        let mut wills: Vec<u8> = (0..6)
            .map(|_| {
                let (packet, body) = client.packet();
                assert_eq!(packet, 0x30);
                body[body.len() - 1]
            })
            .collect();
        wills.sort_unstable();
        assert_eq!(wills, *b"012345");
        client.expect_end();
    }
    server.join();
}

/// CONNECT of 3.1.1, clean session, with a will at QoS 0 on `wills/NUMBER` that says NUMBER.
fn connect_with_will(number: u8) -> Vec<u8> {
    let digit = b'0' + number;
    let mut body = b"\x00\x04MQTT\x04\x06\x00\x3C\x00\x02w".to_vec();
    body.push(digit);
    body.extend_from_slice(b"\x00\x07wills/");
    body.push(digit);
    body.extend_from_slice(&[0, 1, digit]);
    let mut packet = vec![0x10, u8::try_from(body.len()).expect("short")];
    packet.append(&mut body);
    packet
}
