//! A connection under load: never blocks, keeps what the kernel would not take.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::crowd::Connected;
use super::via::Channel;

/// Who a connection is, in error messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    /// Publisher of this index.
    Publisher(u32),
    /// Subscriber of this index.
    Subscriber(u32),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publisher(index) => write!(f, "publisher {index}"),
            Self::Subscriber(index) => write!(f, "subscriber {index}"),
        }
    }
}

/// Socket of one client.
#[derive(Debug)]
pub(super) struct Link {
    channel: Channel<TcpStream>,
    who: Who,
    /// Bytes written but not taken by the kernel yet.
    pending: Vec<u8>,
}

impl Link {
    /// Takes over a connected client.
    pub(super) fn new(connected: Connected, who: Who) -> Result<Self> {
        let mut channel = connected.handshake.into_channel();
        channel.stream().set_nonblocking(true).with_context(|| who.to_string())?;
        Ok(Self { channel: channel.map(TcpStream::from_std), who, pending: Vec::new() })
    }

    /// Adds the socket to a poll, both directions.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> Result<()> {
        registry
            .register(self.channel.stream(), token, Interest::READABLE | Interest::WRITABLE)
            .with_context(|| self.who.to_string())
    }

    /// Whether the kernel has refused bytes: the caller should hold back.
    pub(super) fn is_blocked(&self) -> bool {
        !self.pending.is_empty() || self.channel.is_holding()
    }

    /// Reads once; `None` when nothing is there.
    #[inline]
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        loop {
            match self.channel.read(buffer) {
                Ok(0) => bail!("{}: the broker closed the connection", self.who),
                Ok(len) => return Ok(Some(len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error, "reading")),
            }
        }
    }

    /// Writes everything, or keeps the rest for `flush`.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let taken = if self.is_blocked() { 0 } else { self.write_some(bytes)? };
        self.pending.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Tries the kept bytes again.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.channel.is_holding() {
            self.channel.flush().map_err(|error| self.failed(error, "writing"))?;
        }
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            let taken = self.write_some(&pending)?;
            self.pending = pending;
            self.pending.drain(..taken);
        }
        Ok(())
    }

    /// An error that names this client.
    pub(super) fn failed(&self, error: impl Into<anyhow::Error>, doing: &str) -> anyhow::Error {
        error.into().context(format!("{}: {doing}", self.who))
    }

    fn write_some(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.channel.write(&bytes[taken..]) {
                Ok(0) => return Err(self.failed(io::Error::from(ErrorKind::WriteZero), "writing")),
                Ok(len) => taken += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error, "writing")),
            }
        }
        Ok(taken)
    }
}
