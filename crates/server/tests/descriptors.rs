//! A server that runs out of descriptors. In a process of its own, since the limit is lowered for
//! good.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use dunlin_server::{ServerOptions, start};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// CONNECT of 3.1.1 with an empty client identifier and a clean session.
const CONNECT: &[u8] = b"\x10\x0C\0\x04MQTT\x04\x02\0\0\0\0";

#[test]
fn connections_wait_until_there_is_a_descriptor_again() {
    let limit = Some(80);
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit }).unwrap();
    let handle = start(ServerOptions {
        listeners: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()],
        shards: 1,
        // Only the descriptors are to be short: connections that are gone may still be counted.
        max_connections: Some(1000),
        ..ServerOptions::default()
    })
    .unwrap();
    let address = handle.addresses()[0];
    // Client and server share the limit, so the last ones connect, but cannot be accepted.
    let mut clients = Vec::new();
    while let Ok(stream) = TcpStream::connect(address) {
        clients.push(stream);
    }
    assert!(clients.len() > 20);
    let before = clock_gettime(ClockId::ProcessCPUTime);
    std::thread::park_timeout(Duration::from_millis(500));
    let after = clock_gettime(ClockId::ProcessCPUTime);
    let busy = (after.tv_sec - before.tv_sec) * 1_000_000_000 + after.tv_nsec - before.tv_nsec;
    assert!(busy < 100_000_000, "{busy} ns of CPU in half a second of waiting");

    // The later ones stay: some of them have not been accepted yet.
    clients.drain(..clients.len() - 20);
    for client in &mut clients {
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client.write_all(CONNECT).unwrap();
        let mut connack = [0; 4];
        client.read_exact(&mut connack).unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
    }
    handle.stop_now();
    handle.join().unwrap();
}
