//! Why a client was refused, what somebody has to look after, and the limits that all shards share.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use dunlin_server::{
    Handle, ListenerOptions, ProxyOptions, ProxyVersion, Rate, ServerOptions, WhyOptions,
};

use super::listeners::free_port;
use super::wire::{Server, Wire, connect, publish, wait_until};

fn watched(why: WhyOptions) -> Server {
    let sys_interval = Duration::from_millis(100);
    Server::with(ServerOptions { shards: 2, why, sys_interval, ..ServerOptions::default() })
}

#[test]
fn whoever_asks_why_a_client_was_refused_is_told() {
    let server = watched(WhyOptions { connections: Some(1), ..WhyOptions::default() });
    let _first = Wire::connect(&server, "first");
    let mut second = Wire::open(&server);
    second.send(&connect(4, "second"));
    // Return code 3 before 5.0.
    assert_eq!(second.packet(), (0x20, vec![0, 3]));
    wait_until("it is told", || !server.handle().why("second").is_empty());
    let told = server.handle().why("second");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].cause, "too-many-connections");
    assert_eq!(told[0].rule.as_deref(), Some("limits.connections"));
    assert!(told[0].text.contains("1 connections, 1 allowed (setting limits.connections"));
    let told = server.handle().why("first");
    assert_eq!(told.iter().map(|told| told.cause).collect::<Vec<_>>(), ["connected"]);
    assert!(server.handle().told_lately(10).len() >= 2);
}

/// Each cause that has occurred, with how often, but for those whom somebody let in.
fn counted(handle: &Handle) -> Vec<(&'static str, u64)> {
    let causes = handle.causes();
    let counts = causes.iter().map(|(cause, count)| (cause.as_str(), count));
    counts.filter(|(cause, count)| *count > 0 && *cause != "connected").collect()
}

/// Connects, says this and waits for the end, whichever way it comes.
fn knock(server: &Server, bytes: &[u8]) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // It may be closed already.
    let _sent = stream.write_all(bytes);
    let mut rest = Vec::new();
    let _ended = stream.read_to_end(&mut rest);
}

#[test]
fn whoever_is_turned_away_below_mqtt_is_one_event_with_its_cause() {
    let proxy = ProxyOptions { version: ProxyVersion::V1, from: Vec::new(), requires: None };
    let denied = vec!["127.0.0.0/8".parse().unwrap()];
    let get = &b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"[..];
    for (listener, bytes, cause, rule) in [
        (
            ListenerOptions { deny_from: denied, ..free_port() },
            &b""[..],
            "network",
            Some("allow_from, deny_from"),
        ),
        (
            ListenerOptions { maximum_waiting: 0, ..free_port() },
            b"",
            "before-connect",
            Some("limits.before_connect"),
        ),
        (
            ListenerOptions { proxy: Some(proxy), ..free_port() },
            b"no header, but something else",
            "proxy",
            Some("proxy_protocol"),
        ),
        (
            ListenerOptions { websocket: Some(Default::default()), ..free_port() },
            get,
            "websocket",
            None,
        ),
        (free_port(), get, "wrong-protocol", None),
        (free_port(), b"\x16\x03\x01\x02\0\x01", "wrong-protocol", None),
        (free_port(), b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", "wrong-protocol", None),
    ] {
        let server = Server::with_listeners(vec![listener], 2);
        let handle = server.handle();
        for times in 1..=3 {
            knock(&server, bytes);
            // One event, not the end of the connection as well.
            wait_until(cause, || counted(handle) == [(cause, times)]);
        }
        // The same again from there is counted only.
        let told = handle.told_lately(10);
        assert_eq!(told.iter().map(|told| told.cause).collect::<Vec<_>>(), [cause]);
        assert_eq!(told[0].rule.as_deref(), rule);
        assert!(told[0].text.contains("connection from 127.0.0.1:"), "{}", told[0].text);
    }
}

#[test]
fn those_who_are_turned_away_are_counted_below_sys() {
    let why = WhyOptions { sys_why: true, ..WhyOptions::default() };
    let server = watched(why);
    knock(&server, b"GET / HTTP/1.1\r\n\r\n");
    wait_until("it is counted", || counted(server.handle()) == [("wrong-protocol", 1)]);
    let mut watcher = Wire::connect(&server, "watcher");
    watcher.subscribe("$SYS/broker/why/wrong-protocol", 0);
    let (_, body) = watcher.packet();
    assert!(body.ends_with(b"wrong-protocol1"), "{}", String::from_utf8_lossy(&body));
}

#[test]
fn one_address_has_so_many_connections_and_then_room_again() {
    let why = WhyOptions { connections_per_address: Some(2), ..WhyOptions::default() };
    let server = watched(why);
    let first = Wire::connect(&server, "first");
    let _second = Wire::connect(&server, "second");
    let mut third = Wire::open(&server);
    third.send(&connect(5, "third"));
    assert_eq!(third.packet().1[1], 0x97);
    third.expect_end();
    drop(first);
    wait_until("there is room", || {
        let mut next = Wire::open(&server);
        next.send(&connect(5, "next"));
        next.packet().1[1] == 0
    });
}

#[test]
fn connections_that_come_too_fast_are_refused() {
    let rate = Rate { per_second: 1, burst: 2 };
    let server = watched(WhyOptions { connect_rate: Some(rate), ..WhyOptions::default() });
    // Nothing is waited for in between.
    let mut wires: Vec<Wire> = (0..20)
        .map(|number: u8| {
            let mut wire = Wire::open(&server);
            wire.send(&connect(5, &number.to_string()));
            wire
        })
        .collect();
    let codes: Vec<u8> = wires.iter_mut().map(|wire| wire.packet().1[1]).collect();
    assert_eq!(codes[..2], [0, 0]);
    // Connection rate exceeded.
    assert!(codes.contains(&0x9F), "{codes:x?}");
}

#[test]
fn an_alarm_is_retained_below_sys_while_it_lasts() {
    let why = WhyOptions { connections: Some(5), sys_why: true, ..WhyOptions::default() };
    let server = watched(why);
    let mut watcher = Wire::connect(&server, "watcher");
    assert!(server.handle().alarms().is_empty());
    let others: Vec<Wire> =
        ["a", "b", "c"].into_iter().map(|id| Wire::connect(&server, id)).collect();
    wait_until("an alarm", || !server.handle().alarms().is_empty());
    let alarms = server.handle().alarms();
    assert_eq!(alarms[0].name, "connections");
    assert!(alarms[0].text.starts_with("4 connections, 80 % of 5 allowed"), "{}", alarms[0].text);
    watcher.subscribe("$SYS/broker/alarms/#", 0);
    let (_, body) = watcher.packet();
    assert!(body[2..].starts_with(b"$SYS/broker/alarms/connections4 connections"));
    drop(others);
    wait_until("it is over", || server.handle().alarms().is_empty());
    let (_, body) = watcher.packet();
    assert_eq!(&body[2..], b"$SYS/broker/alarms/connections");
    watcher.subscribe("$SYS/broker/why/connected", 0);
    let (_, body) = watcher.packet();
    assert_eq!(&body[2..], b"$SYS/broker/why/connected4");
}

#[test]
fn without_memory_what_would_wait_is_refused_until_there_is_some() {
    let server = watched(WhyOptions { memory: Some(1), ..WhyOptions::default() });
    let mut wire = Wire::open(&server);
    wire.send(&connect(5, "c"));
    assert_eq!(wire.packet().1[1], 0);
    wire.send(&[0x82, 7, 0, 1, 0, 0, 1, b't', 1]);
    wire.expect(&[0x90, 4, 0, 1, 0, 1]);
    let mut publish_v5 = publish("t", 1, 7, b"\0x");
    wait_until("it is refused", || {
        wire.send(&publish_v5);
        loop {
            match wire.packet() {
                (0x40, body) => break body.get(2) == Some(&0x97),
                (_, body) => wire.send(&[0x40, 2, body[3], body[4]]),
            }
        }
    });
    wait_until("it is counted", || {
        let causes = server.handle().causes();
        causes.iter().any(|(cause, count)| cause.as_str() == "memory-full" && count > 0)
    });
    server.handle().watch_with(WhyOptions::default());
    publish_v5[6] = 9;
    wait_until("it is taken", || {
        wire.send(&publish_v5);
        loop {
            match wire.packet() {
                (0x40, body) => break body.get(2).is_none(),
                (_, body) => wire.send(&[0x40, 2, body[3], body[4]]),
            }
        }
    });
}

#[test]
fn a_topic_that_nobody_gets_shows_what_was_meant() {
    let server = watched(WhyOptions::default());
    let mut wire = Wire::connect(&server, "c");
    wire.subscribe("home/Kitchen/+", 0);
    let explained = server.handle().explain_topic("home/kitchen/lamp").expect("a topic");
    assert_eq!((explained.subscriptions, explained.retained), (0, false));
    assert_eq!(explained.nearest, ["home/Kitchen/+"]);
    let explained = server.handle().explain_topic("home/Kitchen/lamp").expect("a topic");
    assert_eq!((explained.subscriptions, explained.nearest.len()), (1, 0));
    assert_eq!(server.handle().explain_topic("a/#"), None);
}
