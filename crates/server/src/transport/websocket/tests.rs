//! Whole WebSockets, fed with bytes in every cut.

use super::*;

const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

const MASK: [u8; 4] = [9, 8, 7, 6];

fn frame_of(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_header(Opcode::Binary, payload.len(), &mut bytes);
    bytes[0] = first;
    bytes[1] |= 0x80;
    bytes.extend(MASK);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    bytes
}

struct Side {
    socket: WebSocket,
    mqtt: Vec<u8>,
    out: Vec<u8>,
}

impl Side {
    fn new() -> Self {
        Self { socket: WebSocket::new(Arc::default()), mqtt: Vec::new(), out: Vec::new() }
    }

    fn open() -> Self {
        let mut side = Self::new();
        side.feed(REQUEST).unwrap();
        assert!(side.out.starts_with(b"HTTP/1.1 101 "));
        side.out.clear();
        side
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Heard, WebSocketFault> {
        self.socket.received(bytes, [127, 0, 0, 1].into(), &mut self.mqtt, &mut self.out)
    }
}

#[test]
fn packets_come_out_however_the_stream_is_cut() {
    let stream = [
        REQUEST,
        &frame_of(0x82, b"whole"),
        &frame_of(0x02, b"first "),
        &frame_of(0x89, b"are you there"),
        &frame_of(0x00, b""),
        &frame_of(0x80, &[7; 300]),
        &frame_of(0x8A, b"unasked"),
        &frame_of(0x82, b"end"),
    ]
    .concat();
    let expected = [b"wholefirst ".as_slice(), &[7; 300], b"end"].concat();
    for step in [1, 2, 3, 5, 7, 64, stream.len()] {
        let mut side = Side::new();
        for part in stream.chunks(step) {
            assert!(!side.feed(part).unwrap().ended);
        }
        assert_eq!(side.mqtt, expected, "in parts of {step}");
        assert!(side.out.ends_with(b"\x8a\x0dare you there"));
        assert_eq!(side.socket.partial.capacity(), 0, "idle, it holds no memory");
    }
}

#[test]
fn a_close_is_answered_with_its_code() {
    for (payload, code) in
        [(&b""[..], 1000u16), (b"\x03\xe9", 1001), (b"\x03\xed", 1002), (b"x", 1002)]
    {
        let mut side = Side::open();
        assert!(side.feed(&frame_of(0x88, payload)).unwrap().ended);
        assert_eq!(side.out, [&[0x88, 2][..], &code.to_be_bytes()].concat());
        side.out.clear();
        side.socket.finish(&mut side.out);
        assert!(side.out.is_empty(), "the end is said once");
    }
}

#[test]
fn frames_against_the_rules_end_the_connection_with_a_code() {
    let table = [
        (frame_of(0x81, b"text"), 1003u16),
        (frame_of(0x80, b"nothing to continue"), 1002),
        ([frame_of(0x02, b"a"), frame_of(0x82, b"b")].concat(), 1002),
        (b"\x82\x01a".to_vec(), 1002),
        (frame_of(0xF2, b"a"), 1002),
    ];
    for (bytes, code) in table {
        let mut side = Side::open();
        side.feed(&bytes).unwrap_err();
        assert!(side.out.ends_with(&code.to_be_bytes()), "{bytes:02x?}");
    }
}

#[test]
fn what_is_no_request_is_answered_with_400_and_a_reason() {
    let mut side = Side::new();
    side.feed(b"\x00\x01\x02garbage").unwrap_err();
    let answer = String::from_utf8(side.out).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("no HTTP request"), "{answer}");
}

#[test]
fn mqtt_and_tls_on_the_port_of_websockets_are_told_apart() {
    for (bytes, spoken) in [
        (&b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"[..], Spoken::Mqtt),
        (b"\x16\x03\x01\x02\0\x01", Spoken::Tls),
    ] {
        let mut side = Side::new();
        assert_eq!(side.feed(bytes).unwrap_err(), WebSocketFault::Spoken(spoken));
        assert!(side.out.is_empty());
    }
}

#[test]
fn a_request_without_end_is_refused_at_its_limit() {
    let mut side = Side::new();
    side.feed(b"GET / HTTP/1.1\r\nX: ").unwrap();
    let mut fed = 0;
    let fault = loop {
        match side.feed(&[b'x'; 1000]) {
            Ok(_) => fed += 1000,
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault, WebSocketFault::Request(RequestFault::TooLarge));
    assert!(fed <= 9_000);
}

#[test]
fn arbitrary_bytes_break_nothing() {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..2_000 {
        let mut side = Side::open();
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                // Often what a header may have, so that some get far.
                if seed.is_multiple_of(3) { 0x82 } else { (seed >> 24) as u8 }
            })
            .collect();
        for part in bytes.chunks(1 + (seed % 9) as usize) {
            if side.feed(part).is_err() {
                break;
            }
        }
        assert!(side.mqtt.len() <= bytes.len() && side.out.len() < 3 * bytes.len());
    }
}
