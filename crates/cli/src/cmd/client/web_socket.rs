//! The client's side of WebSocket (RFC 6455): the request that opens it, frames in both directions.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

/// What the answer to a key is made with (section 1.3).
const ANSWER_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The longest answer to the request: brokers say little, proxies in front of them some more.
const ANSWER_LONGEST: usize = 16 * 1024;
/// The longest frame: no packet of MQTT is longer than this, and several seldom share a frame.
const FRAME_LONGEST: u64 = 512 * 1024 * 1024;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const BINARY: u8 = 2;

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct WebSocket {
    random: SystemRandom,
    /// What came and is not a whole frame.
    partial: Vec<u8>,
}

impl WebSocket {
    /// Asks for it over a stream that waits; `host` is what the broker is called.
    pub(super) fn open(stream: &mut (impl Read + Write), host: &str, path: &str) -> Result<Self> {
        let random = SystemRandom::new();
        let mut key = [0; 16];
        fill(&random, &mut key)?;
        let key = STANDARD.encode(key);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        let (head, partial) = read_head(stream)?;
        check(&head, &key)?;
        Ok(Self { random, partial })
    }

    /// Appends a frame with these bytes of MQTT.
    pub(super) fn seal(&self, payload: &[u8], into: &mut Vec<u8>) -> Result<()> {
        self.write(BINARY, payload, into)
    }

    /// Appends the frame that ends it, with the status of a normal end.
    pub(super) fn end(&self, into: &mut Vec<u8>) -> Result<()> {
        self.write(CLOSE, &1000_u16.to_be_bytes(), into)
    }

    /// Takes what came, appends the MQTT in it to `into` and what is to be answered to `out`; true
    /// when the broker ends it.
    pub(super) fn open_frames(
        &mut self,
        bytes: &[u8],
        into: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        self.partial.extend_from_slice(bytes);
        let mut used = 0;
        let mut ended = false;
        while let Some(frame) = next(self.partial.get(used..).unwrap_or_default())? {
            match frame.opcode {
                0 | BINARY => into.extend_from_slice(frame.payload),
                PING => self.write(10, frame.payload, out)?,
                CLOSE => ended = true,
                1 => bail!("the broker sent a text frame, which MQTT must not come in"),
                _ => {}
            }
            used += frame.length;
        }
        self.partial.drain(..used);
        Ok(ended)
    }

    fn write(&self, opcode: u8, payload: &[u8], into: &mut Vec<u8>) -> Result<()> {
        let mut mask = [0; 4];
        fill(&self.random, &mut mask)?;
        into.push(0x80 | opcode);
        match u16::try_from(payload.len()) {
            Ok(short @ ..126) => into.push(0x80 | u8::try_from(short)?),
            Ok(medium) => {
                into.push(0x80 | 126);
                into.extend(medium.to_be_bytes());
            }
            Err(_) => {
                into.push(0x80 | 127);
                into.extend(u64::try_from(payload.len())?.to_be_bytes());
            }
        }
        into.extend(mask);
        into.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        Ok(())
    }
}

fn fill(random: &SystemRandom, bytes: &mut [u8]) -> Result<()> {
    random.fill(bytes).ok().context("the system gives no random numbers")
}

/// The head of the answer, and what came after it.
fn read_head(stream: &mut impl Read) -> Result<(String, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let mut received = Vec::new();
    loop {
        if let Some(at) = received.windows(END.len()).position(|window| window == END) {
            let rest = received.split_off(at + END.len());
            return Ok((String::from_utf8_lossy(&received).into_owned(), rest));
        }
        ensure!(received.len() < ANSWER_LONGEST, "the answer to the WebSocket request has no end");
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece)?;
        ensure!(
            count > 0,
            "closed instead of answering the WebSocket request: is it the port for WebSocket?"
        );
        received.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
}

/// Whether the answer to the request with this key agrees to it.
fn check(head: &str, key: &str) -> Result<()> {
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    ensure!(
        status.split(' ').nth(1) == Some("101"),
        "the broker refused the WebSocket: {status:?}; check the path (--ws-path)"
    );
    let header = |wanted: &str| {
        let mut headers = head.lines().filter_map(|line| line.split_once(':'));
        let found = headers.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim())
    };
    let mut salted = key.as_bytes().to_vec();
    salted.extend_from_slice(ANSWER_SALT);
    let answer =
        STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &salted).as_ref());
    ensure!(
        header("sec-websocket-accept") == Some(answer.as_str()),
        "the answer to the WebSocket request belongs to another one"
    );
    ensure!(
        header("sec-websocket-protocol") == Some("mqtt"),
        "the server speaks WebSocket, but not MQTT over it"
    );
    Ok(())
}

/// A whole frame of the broker.
struct Frame<'a> {
    opcode: u8,
    payload: &'a [u8],
    /// With its header.
    length: usize,
}

/// The frame at the start of `bytes`, if all of it is there.
fn next(bytes: &[u8]) -> Result<Option<Frame<'_>>> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    ensure!(
        first & 0x70 == 0 && second & 0x80 == 0,
        "the broker sent a frame that is no WebSocket"
    );
    let (length, start) = match second {
        126 => match bytes.get(2..).and_then(<[u8]>::first_chunk) {
            Some(&length) => (u64::from(u16::from_be_bytes(length)), 4),
            None => return Ok(None),
        },
        127 => match bytes.get(2..).and_then(<[u8]>::first_chunk) {
            Some(&length) => (u64::from_be_bytes(length), 10),
            None => return Ok(None),
        },
        short => (u64::from(short), 2),
    };
    ensure!(length <= FRAME_LONGEST, "the broker sent a frame of {length} bytes");
    let end = start + usize::try_from(length)?;
    let payload = bytes.get(start..end);
    Ok(payload.map(|payload| Frame { opcode: first & 0x0F, payload, length: end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> WebSocket {
        WebSocket { random: SystemRandom::new(), partial: Vec::new() }
    }

    #[test]
    fn an_answer_must_belong_to_the_request() {
        // Key and answer of the example in section 1.3.
        let head = "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-protocol: mqtt\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert!(check(head, "dGhlIHNhbXBsZSBub25jZQ==").is_ok());
        assert!(check(head, "AAAAIHNhbXBsZSBub25jZQ==").is_err());
        let refused = check("HTTP/1.1 404 Not Found\r\n\r\n", "x").unwrap_err().to_string();
        assert!(refused.contains("404") && refused.contains("--ws-path"), "{refused}");
    }

    #[test]
    fn frames_come_in_whatever_pieces() {
        let long = vec![7; 70_000];
        let mut bytes = vec![0x82, 2, 1, 2, 0x89, 1, 9, 0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70];
        bytes.extend(&long);
        bytes.extend([0x88, 0]);
        for size in [1, 3, 1_000, bytes.len()] {
            let (mut socket, mut into, mut out) = (opened(), Vec::new(), Vec::new());
            let mut ended = false;
            for piece in bytes.chunks(size) {
                assert!(!ended);
                ended = socket.open_frames(piece, &mut into, &mut out).unwrap();
            }
            assert!(ended && into.len() == 70_002 && out.len() == 7, "{size}");
        }
        let text = opened().open_frames(&[0x81, 0], &mut Vec::new(), &mut Vec::new());
        assert!(text.is_err());
    }

    #[test]
    fn what_is_sent_is_masked() {
        let mut bytes = Vec::new();
        opened().seal(b"mqtt", &mut bytes).unwrap();
        let [0x82, 0x84, mask @ .., a, b, c, d] = bytes.as_slice() else { panic!("{bytes:?}") };
        let clear: Vec<u8> =
            [a, b, c, d].iter().zip(mask).map(|(byte, mask)| *byte ^ mask).collect();
        assert_eq!(clear, b"mqtt");
    }
}
