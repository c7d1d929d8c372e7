use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::packet::Packet;
use crate::version::Version;

/// How long a peer may take to accept, or to read what is written.
const PATIENCE: Duration = Duration::from_secs(60);

/// One TCP connection that reads strictly and may end at any moment: nothing here panics but for
/// bytes that are no packet.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    version: Version,
    received: Vec<u8>,
    largest: usize,
}

/// What reading led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A packet.
    Packet(Packet),
    /// The connection is closed.
    Closed,
    /// Nothing, for as long as was waited.
    Nothing,
}

impl Link {
    /// A connection on which nothing was sent yet.
    ///
    /// # Errors
    /// When nobody accepts.
    pub fn open(address: SocketAddr, version: Version) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, version, received: Vec::new(), largest: 0 })
    }

    /// The version this link reads by.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The size of the largest packet that came so far.
    #[must_use]
    pub const fn largest_packet(&self) -> usize {
        self.largest
    }

    /// What came of a packet that is not complete.
    #[must_use]
    pub fn unfinished(&self) -> &[u8] {
        &self.received
    }

    /// The socket.
    #[must_use]
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the peer has closed, or does not read.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one packet.
    ///
    /// # Panics
    /// When what comes is not a packet.
    pub fn next(&mut self, patience: Duration) -> Event {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(packet) = self.take_packet() {
                return Event::Packet(packet);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Event::Nothing;
            }
            self.stream.set_read_timeout(Some(left)).expect("the time left is not zero");
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Event::Closed,
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Event::Nothing,
                    ErrorKind::Interrupted => {}
                    _ => return Event::Closed,
                },
            }
        }
    }

    fn take_packet(&mut self) -> Option<Packet> {
        let mut length = 0;
        for position in 0..4 {
            let byte = *self.received.get(1 + position)?;
            length |= usize::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                let start = position + 2;
                let body = self.received.get(start..start + length)?;
                let packet = Packet::parse(self.received[0], body, self.version);
                let packet = packet.unwrap_or_else(|why| {
                    panic!("not a packet: {why}; {:02x?}", &self.received[..start + length])
                });
                self.largest = self.largest.max(start + length);
                self.received.drain(..start + length);
                return Some(packet);
            }
        }
        panic!("remaining length over four bytes: {:02x?}", self.received);
    }
}
