//! Listeners of every kind, over real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dunlin_broker::{Entry, Versions};
use dunlin_proto::QoS;
use dunlin_proto::version::Version;
use dunlin_server::{
    Handle, ListenerOptions, Place, ProxyOptions, ProxyRequires, ProxyVersion, ServerOptions,
    WebSocketOptions, start,
};

use super::wire::{Server, Wire, connect, named_port, publish, subscribe, wait_until};

/// Any free port of this machine.
pub(crate) fn free_port() -> ListenerOptions {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()
}

fn server(listener: ListenerOptions) -> Server {
    Server::with_listeners(vec![listener], 2)
}

/// Opens a WebSocket and sends MQTT through it.
pub(crate) fn websocket(address: SocketAddr, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = format!(
        "GET /mqtt HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

pub(crate) fn answer_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x80 | u8::try_from(payload.len()).unwrap(), 1, 2, 3, 4];
    bytes.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

#[test]
fn a_unix_socket_serves_as_a_port_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mqtt.sock");
    let place = Place::Unix { path: path.clone(), mode: Some(0o600) };
    let options =
        ServerOptions { listeners: vec![ListenerOptions::new(place)], ..ServerOptions::default() };
    let handle = start(options).unwrap();
    // Enough of them that some move to the other shard.
    for number in 0..8 {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(&connect(4, &format!("unix-{number}"))).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0x20, 2, 0, 0]);
    }
    handle.stop_now();
    handle.join().unwrap();
    assert!(!path.exists());
}

// shows 3.1.1: MQTT-6.0.0-2, MQTT-6.0.0-4
// shows 5.0: MQTT-6.0.0-2, MQTT-6.0.0-4
#[test]
fn a_websocket_carries_mqtt_in_both_directions() {
    let listener = ListenerOptions { websocket: Some(WebSocketOptions::default()), ..free_port() };
    let server = server(listener);
    let mut stream = websocket(server.address, "Sec-WebSocket-Protocol: mqtt\r\n");
    let answer = answer_of(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"), "{answer}");
    // Two packets in one frame, one packet in two.
    let subscription = subscribe(1, "a", 0);
    let (first, second) = subscription.split_at(3);
    stream.write_all(&frame(&[&connect(4, "page"), first].concat())).unwrap();
    stream.write_all(&frame(second)).unwrap();
    stream.write_all(&frame(&publish("a", 0, 0, b"hello"))).unwrap();
    let mut expected = vec![0x20, 2, 0, 0, 0x90, 3, 0, 1, 0];
    expected.extend(publish("a", 0, 0, b"hello"));
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[0], 0x82, "a whole binary frame");
        let from = got.len();
        got.resize(from + usize::from(head[1]), 0);
        stream.read_exact(&mut got[from..]).unwrap();
    }
    assert_eq!(got, expected);
    // A close is answered by one.
    stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
    let mut end = Vec::new();
    stream.read_to_end(&mut end).unwrap();
    assert_eq!(end, [0x88, 2, 0x03, 0xE8]);
}

/// The next frame: its first byte and its payload.
fn next_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let extended: usize = match head[1] {
        126 => 2,
        127 => 8,
        short => {
            let mut payload = vec![0; usize::from(short)];
            stream.read_exact(&mut payload).unwrap();
            return (head[0], payload);
        }
    };
    let mut length = [0; 8];
    stream.read_exact(&mut length[8 - extended..]).unwrap();
    let mut payload = vec![0; usize::try_from(u64::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut payload).unwrap();
    (head[0], payload)
}

/// A page that reads late: what the socket has no room for goes on where it stopped, and answers to pings
/// never come into the middle of a frame.
#[test]
fn a_websocket_that_reads_slowly_gets_whole_frames() {
    let pages = ListenerOptions { websocket: Some(WebSocketOptions::default()), ..free_port() };
    let server = Server::with_listeners(vec![pages, free_port()], 1);
    let mut page = websocket(server.address, "Sec-WebSocket-Protocol: mqtt\r\n");
    answer_of(&mut page);
    page.write_all(&frame(&[connect(4, "page"), subscribe(1, "#", 1)].concat())).unwrap();
    let mut plain = TcpStream::connect(server.handle().addresses()[1]).unwrap();
    plain.write_all(&connect(4, "plain")).unwrap();
    let mut answer = [0; 4];
    plain.read_exact(&mut answer).unwrap();
    let mut expected = vec![0x20, 2, 0, 0, 0x90, 3, 0, 1, 1];
    let (mut got, mut pongs, mut frames) = (Vec::new(), 0, 0);
    while got.len() < expected.len() {
        got.extend(next_frame(&mut page).1);
    }
    for number in 1..=40u16 {
        // Small ones are copied, large ones are not.
        let size = if number % 2 == 0 { 1_000_003 } else { 1_003 };
        let payload: Vec<u8> = (0..size).map(|at: u32| (at ^ u32::from(number)) as u8).collect();
        plain.write_all(&publish("t", 1, number, &payload)).unwrap();
        plain.read_exact(&mut answer).unwrap();
        assert_eq!(answer[0], 0x40);
        expected.extend(publish("t", 1, number, &payload));
        page.write_all(&[0x89, 0x81, 0, 0, 0, 0, b'?']).unwrap();
    }
    while got.len() < expected.len() || pongs < 40 {
        match next_frame(&mut page) {
            (0x82, payload) => {
                got.extend(payload);
                frames += 1;
            }
            pong => {
                assert_eq!(pong, (0x8A, b"?".to_vec()));
                pongs += 1;
            }
        }
    }
    assert!(got == expected, "the messages as they were sent");
    assert!(frames < 400, "{frames} frames");
}

// shows 3.1.1: MQTT-6.0.0-1
// shows 5.0: MQTT-6.0.0-1
#[test]
fn mqtt_in_a_frame_of_text_ends_the_connection() {
    let listener = ListenerOptions { websocket: Some(WebSocketOptions::default()), ..free_port() };
    let server = server(listener);
    let mut stream = websocket(server.address, "Sec-WebSocket-Protocol: mqtt\r\n");
    answer_of(&mut stream);
    let mut text = frame(&connect(4, "text"));
    text[0] = 0x81;
    stream.write_all(&text).unwrap();
    let mut end = Vec::new();
    stream.read_to_end(&mut end).unwrap();
    // Unsupported data.
    assert_eq!(end, [0x88, 2, 0x03, 0xEB]);
}

#[test]
fn requests_for_something_else_are_answered_with_why() {
    let options = WebSocketOptions {
        path: Some("/mqtt".into()),
        origins: vec!["https://here.example".into()],
        ..WebSocketOptions::default()
    };
    let server = server(ListenerOptions { websocket: Some(options), ..free_port() });
    for (headers, status) in [
        ("Origin: https://here.example\r\n", "400"),
        ("Origin: https://evil.example\r\nSec-WebSocket-Protocol: mqtt\r\n", "403"),
        // Who names no page is none.
        ("Sec-WebSocket-Protocol: mqtt\r\n", "101"),
    ] {
        let mut stream = websocket(server.address, headers);
        let answer = answer_of(&mut stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let mut wire = Wire::open(&server);
    wire.send(&connect(4, "no page"));
    wire.expect_end();
    assert_eq!(server.handle().listeners()[0].turned_away, 3);
}

#[test]
fn a_page_that_may_not_connect_is_told_nothing_if_so_configured() {
    let options = WebSocketOptions {
        origins: vec!["https://here.example".into()],
        answers_origins: false,
        ..WebSocketOptions::default()
    };
    let server = server(ListenerOptions { websocket: Some(options), ..free_port() });
    let request = |page: &str| {
        let headers = format!("Origin: https://{page}.example\r\nSec-WebSocket-Protocol: mqtt\r\n");
        answer_of(&mut websocket(server.address, &headers))
    };
    assert_eq!(request("evil"), "");
    assert!(request("here").starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_proxy_says_who_the_client_is_and_nobody_else_may() {
    let proxied = |from: &str| ListenerOptions {
        proxy: Some(ProxyOptions {
            version: ProxyVersion::V1,
            from: vec![from.parse().unwrap()],
            requires: None,
        }),
        deny_from: vec!["192.0.2.0/24".parse().unwrap()],
        ..free_port()
    };
    let server = server(proxied("127.0.0.0/8"));
    let header = |address: &str| format!("PROXY TCP4 {address} 127.0.0.1 4711 1883\r\n");
    let mut good = Wire::open(&server);
    good.send(header("198.51.100.7").as_bytes());
    good.send(&connect(4, "behind"));
    good.expect(&[0x20, 2, 0, 0]);
    // One whose own network is denied, one without a header, and one that is no proxy.
    for bytes in [[header("192.0.2.7").into_bytes(), connect(4, "x")].concat(), connect(4, "y")] {
        let mut bad = Wire::open(&server);
        bad.send(&bytes);
        bad.expect_end();
    }
    let elsewhere = Server::with_listeners(vec![proxied("203.0.113.0/24")], 1);
    Wire::open(&elsewhere).expect_end();
}

/// The header of version 2 for 192.0.2.5:6275, of a client that came by TLS or not.
fn header_of_v2(tls: Option<u8>) -> Vec<u8> {
    let mut body = vec![192, 0, 2, 5, 0, 0, 0, 0, 0x18, 0x83, 0, 0];
    // Flags, and that the certificate, if there is one, was found valid.
    body.extend(tls.iter().flat_map(|flags| [0x20, 0, 5, *flags, 0, 0, 0, 0]));
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0".to_vec();
    header.push(u8::try_from(body.len()).unwrap());
    [header, body].concat()
}

#[test]
fn a_client_that_a_proxy_does_not_vouch_for_is_turned_away_before_it_says_anything() {
    const TLS: Option<u8> = Some(1);
    const CERTIFICATE: Option<u8> = Some(5);
    for (requires, good, bad) in [
        (ProxyRequires::Tls, &[TLS, CERTIFICATE][..], &[None][..]),
        (ProxyRequires::Certificate, &[CERTIFICATE], &[None, TLS]),
    ] {
        let proxy =
            ProxyOptions { version: ProxyVersion::V2, from: Vec::new(), requires: Some(requires) };
        let server = server(ListenerOptions { proxy: Some(proxy), ..free_port() });
        for tls in good {
            let mut wire = Wire::open(&server);
            wire.send(&header_of_v2(*tls));
            wire.send(&connect(4, "vouched"));
            wire.expect(&[0x20, 2, 0, 0]);
        }
        for tls in bad {
            let mut wire = Wire::open(&server);
            wire.send(&header_of_v2(*tls));
            wire.expect_end();
        }
    }
}

#[test]
fn the_header_of_a_proxy_is_no_mqtt_where_none_is_expected() {
    let server = server(free_port());
    let mut liar = Wire::open(&server);
    // At once: what would come after the server has given up would be answered by a reset.
    liar.send(&[b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", &*connect(4, "liar")].concat());
    liar.expect_end();
}

#[test]
fn networks_that_may_not_connect_are_turned_away() {
    let denied = ListenerOptions { deny_from: vec!["127.0.0.0/8".parse().unwrap()], ..free_port() };
    let other =
        ListenerOptions { allow_from: vec!["192.0.2.0/24".parse().unwrap()], ..free_port() };
    let allowed = ListenerOptions { allow_from: vec!["127.0.0.1".parse().unwrap()], ..free_port() };
    for listener in [denied, other] {
        let server = server(listener);
        Wire::open(&server).expect_end();
    }
    Wire::connect(&server(allowed), "neighbour");
}

// shows 5.0: MQTT-3.2.2-9, MQTT-3.2.2-10
#[test]
fn a_listener_has_limits_and_versions_of_its_own() {
    let entry = Entry {
        versions: Versions::NONE.with(Version::V5_0),
        maximum_qos: QoS::AtLeastOnce,
        topic_alias_maximum: Some(3),
        ..Entry::default()
    };
    let narrow = ListenerOptions { maximum_connections: Some(1), entry, ..free_port() };
    let server = server(narrow);
    let mut old = Wire::open(&server);
    old.send(&connect(4, "old"));
    // Unacceptable protocol version.
    old.expect(&[0x20, 2, 0, 1]);
    old.expect_end();
    let mut first = None;
    wait_until("the place of the old one is free", || {
        let mut wire = Wire::open(&server);
        wire.send(&connect(5, "first"));
        let (_, body) = wire.packet();
        first = (body[1] == 0).then_some((wire, body));
        first.is_some()
    });
    let (first, connack) = first.as_mut().unwrap();
    // Maximum QoS 1, and three aliases.
    assert!(connack.windows(2).any(|pair| pair == [0x24, 1]), "{connack:02x?}");
    assert!(connack.windows(3).any(|triple| triple == [0x22, 0, 3]), "{connack:02x?}");
    let mut second = Wire::open(&server);
    second.send(&connect(5, "second"));
    assert_eq!(second.packet().1[1], 0x97, "quota exceeded");
    second.expect_end();
    // SUBSCRIBE asks for 2 and is given 1.
    first.send(&[0x82, 7, 0, 1, 0, 0, 1, b'a', 2]);
    first.expect(&[0x90, 4, 0, 1, 0, 1]);
}

#[test]
fn listeners_are_replaced_while_connections_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mqtt.sock");
    let unix = || ListenerOptions::new(Place::Unix { path: path.clone(), mode: None });
    let server = Server::with_listeners(vec![free_port()], 2);
    let kept = |address: SocketAddr| ListenerOptions::from(address);
    let mut old = Wire::connect(&server, "old");
    let handle: &Handle = server.handle();
    // It is known by the port that was asked for, so a fixed one is another listener.
    handle.replace_listeners(&[free_port(), unix()]).unwrap();
    let answers = || {
        let mut stream = UnixStream::connect(&path).ok()?;
        stream.write_all(&connect(4, "new")).ok()?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).ok()?;
        Some(answer)
    };
    assert_eq!(answers(), Some([0x20, 2, 0, 0]));
    Wire::connect(&server, "still there");
    // One of the new ones cannot be opened: everything stays.
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let impossible = kept(taken.local_addr().unwrap());
    assert!(handle.replace_listeners(&[impossible]).is_err());
    Wire::connect(&server, "as before");
    // Only the socket is left; who came by the port stays connected.
    handle.replace_listeners(&[unix()]).unwrap();
    wait_until("the port is closed", || TcpStream::connect(server.address).is_err());
    assert_eq!(answers(), Some([0x20, 2, 0, 0]));
    old.send(&[0xC0, 0]);
    old.expect(&[0xD0, 0]);
}

/// Connects as a client of MQTT 3.1.1 and reads what it is answered.
fn knock(address: SocketAddr) -> std::io::Result<[u8; 4]> {
    let mut stream = TcpStream::connect(address)?;
    let mut answer = [0; 4];
    stream.write_all(&connect(4, "knocks"))?;
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_port_goes_from_one_address_to_all_and_back_without_a_gap() {
    let port = named_port();
    let at = |address: Ipv4Addr| ListenerOptions::from(SocketAddr::from((address, port)));
    let server = server(at(Ipv4Addr::LOCALHOST));
    let mut old = Wire::connect(&server, "old");
    let ended = AtomicBool::new(false);
    let mut results = Vec::new();
    std::thread::scope(|scope| {
        let knocking = scope.spawn(|| {
            let (mut served, patience) = (0, Instant::now() + Duration::from_secs(60));
            // Until somebody was served, on a machine that has other things to do.
            while !ended.load(Ordering::Relaxed) || served == 0 && Instant::now() < patience {
                match knock(server.address) {
                    Ok(answer) => {
                        assert_eq!(answer, [0x20, 2, 0, 0]);
                        served += 1;
                    }
                    // One that waits at the old one in the moment of its end is reset, perhaps before
                    // it knows that it is connected; none is refused.
                    Err(error) => assert_ne!(error.kind(), ErrorKind::ConnectionRefused),
                }
            }
            served
        });
        for address in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST].repeat(5) {
            results.push(server.handle().replace_listeners(&[at(address)]));
            std::thread::sleep(Duration::from_millis(20));
        }
        ended.store(true, Ordering::Relaxed);
        assert!(knocking.join().unwrap() > 0);
        results.into_iter().for_each(Result::unwrap);
    });
    old.send(&[0xC0, 0]);
    old.expect(&[0xD0, 0]);
    // The port is nobody else's meanwhile.
    assert!(std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err());
    let other =
        ServerOptions { listeners: vec![at(Ipv4Addr::LOCALHOST)], ..ServerOptions::default() };
    assert!(start(other).is_err());
}

#[test]
fn the_mode_of_a_unix_socket_changes_while_it_serves() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mqtt.sock");
    let unix = |mode| ListenerOptions::new(Place::Unix { path: path.clone(), mode });
    let server = Server::with_listeners(vec![free_port(), unix(Some(0o600))], 2);
    let mut stream = UnixStream::connect(&path).unwrap();
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let mut seen = vec![mode()];
    for wanted in [Some(0o660), None, Some(0o606)] {
        server.handle().replace_listeners(&[free_port(), unix(wanted)]).unwrap();
        seen.push(mode());
    }
    assert_eq!([seen[0], seen[1], seen[3]], [0o600, 0o660, 0o606]);
    assert_ne!(seen[2], 0o660);
    stream.write_all(&connect(4, "unix")).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    // Somebody has put something else there.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    let told = server.handle().replace_listeners(&[free_port(), unix(None)]).unwrap_err();
    assert!(told.to_string().contains("unix_mode"), "{told}");
}
