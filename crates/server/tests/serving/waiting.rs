//! Connections that say nothing, or begin and do not end: how many of them there may be, and what they hold.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use dunlin_server::{
    ListenerOptions, ProxyOptions, ProxyVersion, ServerOptions, WebSocketOptions, WhyOptions,
};

use super::listeners::{answer_of, frame, free_port, websocket};
use super::wire::{Server, Wire, connect, wait_until};

fn serve(listener: ListenerOptions) -> Server {
    Server::with_listeners(vec![listener], 2)
}

/// Places become free a moment after those who had them are heard or gone.
fn wait_until_somebody_is_let_in(server: &Server) {
    wait_until("somebody is let in", || {
        let (mut wire, mut answer) = (Wire::open(server), [0; 4]);
        let sent = wire.0.write_all(&connect(4, "somebody"));
        sent.and_then(|()| wire.0.read_exact(&mut answer)).is_ok() && answer == [0x20, 2, 0, 0]
    });
}

#[test]
fn a_listener_bears_only_so_many_that_have_not_sent_their_connect() {
    let server = serve(ListenerOptions { maximum_waiting: 3, ..free_port() });
    let mut silent: Vec<Wire> = (0..3).map(|_| Wire::open(&server)).collect();
    Wire::open(&server).expect_end();
    // Half a CONNECT is none.
    silent[0].send(&connect(4, "slow")[..5]);
    Wire::open(&server).expect_end();
    silent[0].send(&connect(4, "slow")[5..]);
    silent[0].expect(&[0x20, 2, 0, 0]);
    // Its place is free, and any number may stay that were heard.
    let mut heard = Vec::new();
    for number in 0..5 {
        heard.push(Wire::connect(&server, &format!("heard-{number}")));
    }
    let _third = Wire::open(&server);
    Wire::open(&server).expect_end();
    drop(silent);
    wait_until_somebody_is_let_in(&server);
}

#[test]
fn an_address_has_only_so_many_of_them_and_a_proxy_is_none() {
    let proxy = ProxyOptions { version: ProxyVersion::V1, from: Vec::new(), requires: None };
    let listener = ListenerOptions { maximum_waiting_from_address: 2, ..free_port() };
    let proxied = serve(ListenerOptions { proxy: Some(proxy), ..listener.clone() });
    let from = |address: &str| {
        let mut wire = Wire::open(&proxied);
        wire.send(format!("PROXY TCP4 {address} 127.0.0.1 4711 1883\r\n\x10").as_bytes());
        wire
    };
    let mut waiting: Vec<Wire> =
        ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3"].map(from).into();
    from("10.0.0.1").expect_end();
    waiting.iter_mut().for_each(Wire::expect_silence);
    let server = serve(listener);
    let _silent = [Wire::open(&server), Wire::open(&server)];
    Wire::open(&server).expect_end();
}

#[test]
fn what_is_held_of_connects_that_are_not_complete_is_bounded() {
    let server = serve(ListenerOptions { maximum_waiting_bytes: 10_000, ..free_port() });
    let begin = |length: usize| {
        let mut wire = Wire::open(&server);
        // A CONNECT of 16 KiB, of which so much comes.
        let mut bytes =
            vec![0x10, 0x80, 0x80, 0x01, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0x3F, 0];
        bytes.resize(length, b'x');
        wire.send(&bytes);
        wire
    };
    let mut first = begin(6_000);
    first.expect_silence();
    begin(6_000).expect_end();
    begin(3_000).expect_silence();
    first.expect_silence();
    drop(first);
    wait_until("there is room", || {
        let wire = begin(6_000);
        wire.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        (&wire.0).read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    });
}

#[test]
fn clients_behind_a_trusted_proxy_are_counted_by_the_address_that_it_names() {
    let trusting = WebSocketOptions {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..WebSocketOptions::default()
    };
    let why = WhyOptions { connections_per_address: Some(1), ..WhyOptions::default() };
    let listener = ListenerOptions { websocket: Some(trusting), ..free_port() };
    let server = Server::with_all(ServerOptions {
        listeners: vec![listener],
        why,
        ..ServerOptions::default()
    });
    let from = |address: &str| -> (TcpStream, u8) {
        let headers = format!("Sec-WebSocket-Protocol: mqtt\r\nX-Forwarded-For: {address}\r\n");
        let mut stream = websocket(server.address, &headers);
        assert!(answer_of(&mut stream).starts_with("HTTP/1.1 101 "));
        stream.write_all(&frame(&connect(4, address))).unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).unwrap();
        (stream, answer[5])
    };
    let open = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(from);
    assert_eq!(open.map(|(_, reason)| reason), [0; 3]);
    let (first, _) = from("10.0.0.4");
    assert_eq!(from("10.0.0.4").1, 3, "server unavailable");
    drop(first);
}
