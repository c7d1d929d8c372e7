//! CONNECT and SUBSCRIBE over a blocking socket, before the load starts.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::net::{AddressFamily, SocketType};

use super::frames::{self, Credentials, SessionKind, Version};
use super::nats;
use super::via::{Channel, Opener};

/// Patience with a broker that does not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest packet accepted while connecting; CONNACK and SUBACK are far smaller.
const MAX_ANSWER: usize = 256 * 1024;

/// Filters in one SUBSCRIBE.
const FILTERS_PER_SUBSCRIBE: usize = 200;

/// Filters asked for before the answers are read.
pub(super) const FILTERS_UNDER_WAY: usize = 8 * FILTERS_PER_SUBSCRIBE;

/// In flight allowed by a CONNACK that does not say.
const DEFAULT_RECEIVE_MAXIMUM: u16 = u16::MAX;

/// What CONNACK said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    /// In flight the broker allows this client.
    pub(super) receive_maximum: u16,
    /// Whether the broker still had the session.
    pub(super) session_present: bool,
}

/// One connection that speaks packet by packet.
#[derive(Debug)]
pub(super) struct Handshake {
    stream: Channel<TcpStream>,
    version: Version,
}

impl Handshake {
    /// Opens the socket, from `source` if one is given, and sends CONNECT.
    pub(super) fn open(
        broker: SocketAddr,
        source: Option<SocketAddr>,
        opener: &Opener,
        version: Version,
        connect: &[u8],
    ) -> Result<Self> {
        let stream = match source {
            None => TcpStream::connect_timeout(&broker, ANSWER_TIMEOUT),
            Some(source) => connect_from(source, broker).map_err(io::Error::from),
        }
        .with_context(|| format!("connecting to {broker}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let mut stream = opener.open(stream)?;
        stream.write_all(connect).context("sending CONNECT")?;
        Ok(Self { stream, version })
    }

    /// Waits for CONNACK.
    pub(super) fn connected(&mut self) -> Result<Accepted> {
        if self.version == Version::Nats {
            nats::connected(&mut self.stream)?;
            let receive_maximum = DEFAULT_RECEIVE_MAXIMUM;
            return Ok(Accepted { receive_maximum, session_present: false });
        }
        let (first, body) = read_packet(&mut self.stream).context("waiting for CONNACK")?;
        let (0x20, Some(reason)) = (first, body.get(1)) else {
            bail!("the broker answered CONNECT with packet 0x{first:02x}, not with CONNACK");
        };
        if *reason != 0 {
            bail!("the broker refused the connection with code 0x{reason:02x}");
        }
        let said = match self.version {
            Version::V5 => receive_maximum(body.get(2..).unwrap_or_default()),
            Version::V311 | Version::Nats => None,
        };
        Ok(Accepted {
            receive_maximum: said.unwrap_or(DEFAULT_RECEIVE_MAXIMUM),
            session_present: body[0] & 1 != 0,
        })
    }

    /// Asks for filters, at most `FILTERS_UNDER_WAY` of them before `granted`.
    pub(super) fn subscribe(&mut self, filters: &[String], qos: u8) -> Result<()> {
        for (packet_id, part) in (1..).zip(filters.chunks(FILTERS_PER_SUBSCRIBE)) {
            let bytes = frames::subscribe(self.version, packet_id, part, qos);
            self.stream.write_all(&bytes).context("sending SUBSCRIBE")?;
        }
        Ok(())
    }

    /// Waits until the broker granted what was asked for.
    pub(super) fn granted(&mut self, filters: &[String]) -> Result<()> {
        filters.chunks(FILTERS_PER_SUBSCRIBE).try_for_each(|part| self.granted_part(part))
    }

    /// Sends DISCONNECT.
    pub(super) fn disconnect(&mut self) -> Result<()> {
        self.stream.write_all(&frames::DISCONNECT).context("sending DISCONNECT")
    }

    /// Waits until the broker closes, so that the closing state of the connection stays there.
    pub(super) fn closed(mut self) -> Result<()> {
        let mut rest = [0; 64];
        while self.stream.read(&mut rest).context("waiting for the broker to close")? > 0 {}
        Ok(())
    }

    /// Asks a NATS server something and waits for its answer.
    pub(super) fn request(&mut self, subject: &str, body: &str) -> Result<()> {
        nats::request(&mut self.stream, subject, body)
    }

    /// What the load goes through.
    pub(super) fn into_channel(self) -> Channel<TcpStream> {
        self.stream
    }

    /// The bare socket.
    pub(super) fn into_stream(self) -> Result<TcpStream> {
        self.stream.into_plain()
    }

    fn granted_part(&mut self, filters: &[String]) -> Result<()> {
        let (first, body) = read_packet(&mut self.stream).context("waiting for SUBACK")?;
        if first != 0x90 {
            bail!("the broker answered SUBSCRIBE with packet 0x{first:02x}, not with SUBACK");
        }
        let codes = body.len().checked_sub(filters.len()).and_then(|at| body.get(at..));
        let Some(codes) = codes else { bail!("SUBACK has too few codes") };
        match codes.iter().zip(filters).find(|(code, _)| **code >= 0x80) {
            Some((code, filter)) => bail!("SUBACK refused {filter} with code 0x{code:02x}"),
            None => Ok(()),
        }
    }
}

fn connect_from(source: SocketAddr, broker: SocketAddr) -> rustix::io::Result<TcpStream> {
    let family = if broker.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &source)?;
    rustix::net::connect(&socket, &broker)?;
    Ok(TcpStream::from(socket))
}

/// First byte and body of the next packet.
fn read_packet(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    let first = byte[0];
    let mut remaining = 0;
    for digit in 0..4 {
        stream.read_exact(&mut byte)?;
        remaining |= usize::from(byte[0] & 0x7f) << (7 * digit);
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    if remaining > MAX_ANSWER {
        return Err(io::Error::other(format!("a packet of {remaining} bytes")));
    }
    let mut body = vec![0; remaining];
    stream.read_exact(&mut body)?;
    Ok((first, body))
}

/// Receive Maximum among the properties of a CONNACK, if it is there.
fn receive_maximum(properties: &[u8]) -> Option<u16> {
    // A CONNACK's property list is short; a length of two digits leaves room for 16 KiB.
    let skip = if properties.first()? & 0x80 == 0 { 1 } else { 2 };
    let mut rest = properties.get(skip..)?;
    while let Some((&id, value)) = rest.split_first() {
        let string = |at: usize| {
            let len = value.get(at..at + 2)?;
            Some(at + 2 + usize::from(u16::from_be_bytes([len[0], len[1]])))
        };
        let len = match id {
            0x21 => return Some(u16::from_be_bytes([*value.first()?, *value.get(1)?])),
            0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
            0x13 | 0x22 => 2,
            0x11 | 0x27 => 4,
            0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => string(0)?,
            0x26 => string(string(0)?)?,
            _ => return None,
        };
        rest = value.get(len..)?;
    }
    None
}

/// CONNECT for connection `name` of a run.
pub(super) fn connect_packet(
    version: Version,
    run: u32,
    name: &str,
    credentials: &Credentials,
    keep_alive_seconds: u16,
    session: SessionKind,
) -> Vec<u8> {
    if version == Version::Nats {
        return nats::connect(run, name);
    }
    let client_id = format!("bench-{run:08x}-{name}");
    frames::connect(version, &client_id, credentials, keep_alive_seconds, session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receive_maximum_is_found_behind_other_properties() {
        let properties =
            b"\x15\x22\x00\x0a\x26\x00\x01k\x00\x02vv\x24\x01\x12\x00\x01c\x21\x00\x14";
        assert_eq!(receive_maximum(properties), Some(20));
        assert_eq!(receive_maximum(b"\x03\x22\x00\x0a"), None);
        assert_eq!(receive_maximum(b"\x03\x99\x00\x0a"), None);
        assert_eq!(receive_maximum(b""), None);
    }

    #[test]
    fn a_packet_is_read_whole() {
        let mut bytes: &[u8] = b"\x90\x03\x00\x01\x02rest";
        assert_eq!(read_packet(&mut bytes).unwrap(), (0x90, vec![0, 1, 2]));
        assert!(read_packet(&mut &b"\x20\xff\xff\xff\x7f"[..]).is_err());
    }
}
