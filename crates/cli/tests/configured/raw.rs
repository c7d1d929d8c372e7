//! A client that speaks bytes, for what shows only in them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::bytes::frame;

/// How long is waited for a packet that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long is waited for one that must not.
const SILENCE: Duration = Duration::from_millis(300);

pub(crate) struct Raw(pub(crate) TcpStream);

/// What of CONNECT differs from one test to the next.
#[derive(Clone, Copy)]
pub(crate) struct Connect<'a> {
    pub(crate) level: u8,
    pub(crate) id: &'a str,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) username: Option<&'a str>,
    /// In 5.0.
    pub(crate) session_expiry: u32,
}

/// CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) reason: u8,
    /// Identifier and value, numbers as they are, texts by their bytes.
    pub(crate) properties: Vec<(u8, Vec<u8>)>,
}

impl<'a> Connect<'a> {
    pub(crate) const fn new(level: u8, id: &'a str) -> Self {
        Self { level, id, clean: true, keep_alive: 0, username: None, session_expiry: 0 }
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        let flags = u8::from(self.clean) << 1 | u8::from(self.username.is_some()) << 7;
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', self.level, flags];
        body.extend(self.keep_alive.to_be_bytes());
        if self.level == 5 {
            body.extend([5, 0x11]);
            body.extend(self.session_expiry.to_be_bytes());
        }
        text(&mut body, self.id);
        self.username.iter().for_each(|name| text(&mut body, name));
        frame(0x10, &body)
    }
}

impl Raw {
    pub(crate) fn open(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the port is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        Self(stream)
    }

    /// Opens and sends CONNECT; none if the answer is the end.
    pub(crate) fn connect(port: u16, connect: &Connect<'_>) -> (Self, Option<Answer>) {
        let mut raw = Self::open(port);
        raw.send(&connect.packet());
        let answer = raw.packet().map(|(first, body)| {
            assert_eq!(first, 0x20, "CONNACK");
            let properties = if connect.level == 5 { properties(&body[2..]) } else { Vec::new() };
            Answer { reason: body[1], properties }
        });
        (raw, answer)
    }

    /// The same, and it is let in.
    pub(crate) fn connected(port: u16, connect: &Connect<'_>) -> Self {
        let (raw, answer) = Self::connect(port, connect);
        assert_eq!(answer.map(|answer| answer.reason), Some(0));
        raw
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("it is open");
    }

    /// The next packet: its first byte and what follows the length. None at the end.
    pub(crate) fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.byte()?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((first, body))
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).ok()?;
        Some(byte[0])
    }

    /// Nothing comes for a while.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.0.set_read_timeout(Some(SILENCE)).expect("it is not zero");
        let peeked = self.0.peek(&mut [0]);
        let nothing = peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.0.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        nothing
    }

    /// Subscribes before 5.0, and is granted it.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        let mut body = vec![0, 9];
        text(&mut body, filter);
        body.push(qos);
        self.send(&frame(0x82, &body));
        assert_eq!(self.packet(), Some((0x90, vec![0, 9, qos])));
    }

    /// Publishes before 5.0 with QoS 1, and waits for the PUBACK.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.send(&publish(topic, 1, payload));
        assert_eq!(self.packet(), Some((0x40, vec![0, 7])));
    }

    /// The messages that come until the one with this payload.
    pub(crate) fn until(&mut self, last: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut got = Vec::new();
        while let Some((first, body)) = self.packet() {
            if body.ends_with(last) {
                return got;
            }
            got.push((first, body));
        }
        panic!("the last message does not come, but {got:?}");
    }
}

/// PUBLISH before 5.0.
pub(crate) fn publish(topic: &str, qos: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    if qos > 0 {
        body.extend([0, 7]);
    }
    body.extend(payload);
    frame(0x30 | qos << 1, &body)
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).expect("it is short").to_be_bytes());
    body.extend(text.as_bytes());
}

/// Those that a CONNACK has.
fn properties(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rest = &bytes[1..];
    let mut found = Vec::new();
    while let Some((&id, value)) = rest.split_first() {
        let prefixed = || 2 + usize::from(u16::from_be_bytes([value[0], value[1]]));
        let length = match id {
            0x24 | 0x25 | 0x28..=0x2A => 1,
            0x13 | 0x21 | 0x22 => 2,
            0x11 | 0x27 => 4,
            0x26 => {
                let name = prefixed();
                name + 2 + usize::from(u16::from_be_bytes([value[name], value[name + 1]]))
            }
            _ => prefixed(),
        };
        found.push((id, value[..length].to_vec()));
        rest = &value[length..];
    }
    found
}
