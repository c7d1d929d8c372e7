//! Clients that hold on to what they can get: half-open, slow, and deaf.

use std::time::{Duration, Instant};

use dunlin_testkit::{Broker, Connect, Event, Publish, RawClient, Version};

use crate::support::{client, connect, open, unique};

/// How long a connection may stay without a complete CONNECT.
const HALF_OPEN: Duration = Duration::from_secs(10);

#[test]
fn a_connection_without_connect_is_closed_in_time() {
    let start = Instant::now();
    let mut silent = open(Version::V5);
    let mut slow = open(Version::V311);
    let bytes = Connect::new(Version::V311, &unique("c")).bytes();
    for byte in bytes.iter().take(bytes.len() - 1) {
        slow.send(&[*byte]);
        if slow.next(Duration::from_secs(1)) == Event::Closed {
            break;
        }
    }
    let waited = Instant::now() - start;
    assert!(waited > HALF_OPEN - Duration::from_secs(1), "closed after {waited:?} already");
    assert!(waited < 3 * HALF_OPEN, "closed only after {waited:?}");
    silent.expect_close();
}

#[test]
fn thousands_of_half_open_connections_keep_nobody_out() {
    let topic = unique("t");
    let mut subscriber = client(Version::V5);
    subscriber.subscribe(&topic, 1);
    let mut publisher = client(Version::V5);
    let mut half_open = Vec::new();
    for number in 0..half_open_count() {
        let mut connection = open(Version::V5);
        if number % 2 == 0 {
            connection.send(&[0x10, 0x20, 0, 4]);
        }
        half_open.push(connection);
        if number % 50 == 0 {
            publisher.publish(&topic, "served", 1);
            assert_eq!(subscriber.receive().text(), "served");
        }
    }
    // Others may hold the machine up, but not every time.
    let is_prompt = |_| {
        let start = Instant::now();
        client(Version::V5).ping();
        Instant::now() - start < Duration::from_secs(2)
    };
    assert!((0..5).any(is_prompt));
}

/// Two thousand, or what the descriptors this process may have allow.
fn half_open_count() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    soft.unwrap_or(1024).saturating_sub(200).min(2000)
}

/// A broker of its own, because its memory is watched.
#[test]
fn a_client_that_does_not_read_slows_nobody_and_costs_little() {
    const MESSAGES: usize = 500;
    const SIZE: usize = 100_000;
    let own = Broker::start();
    let connect = |id: &str| RawClient::connect(own.address(), &Connect::new(Version::V5, id)).0;
    let mut deaf = connect("deaf");
    deaf.subscribe("flood", 0);
    let mut reader = connect("reader");
    reader.subscribe("flood", 0);
    let mut publisher = connect("publisher");
    let before = own.resident_bytes();
    let bytes = Publish::new("flood", &"x".repeat(SIZE)).bytes(Version::V5);
    for _ in 0..MESSAGES {
        publisher.send(&bytes);
        assert_eq!(reader.receive().payload.len(), SIZE);
    }
    if let (Some(before), Some(after)) = (before, own.resident_bytes()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 30_000_000, "{grown} bytes more for a client that does not read");
    }
    // It is still served once it reads on, with whatever was kept for it.
    publisher.publish("end", "", 0);
    assert_eq!(deaf.receive().payload.len(), SIZE);
}

#[test]
fn a_connection_that_is_reset_leaves_no_trace() {
    let topic = unique("t");
    for round in 0..50 {
        let (mut client, _) = connect(&Connect::new(Version::ALL[round % 3], &unique("c")));
        client.subscribe(&topic, 1);
        client.send(&Publish::new(&topic, "p").qos(1, 9).bytes(client.version()));
        // Dropped with unread data: the kernel resets instead of closing.
    }
    client(Version::V5).ping();
}
