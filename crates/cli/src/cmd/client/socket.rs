//! The TCP connection to the broker: opened with a time limit, written and read without waiting.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::options::Login;

/// How long one address may take: what a lost SYN and its repetitions need on a slow path.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a broker may take to read the rest and close after DISCONNECT. The rest may be what
/// its and our socket buffers hold, some megabytes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const READ_SIZE: usize = 64 * 1024;

/// A connected socket with what waits in either direction.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// To be sent.
    pub(super) output: Vec<u8>,
    received: Vec<u8>,
    /// How much of `received` is used.
    used: usize,
    has_ended: bool,
}

impl Socket {
    /// Tries the addresses of the host one after the other.
    pub(super) fn connect(login: &Login) -> Result<Self> {
        let host_and_port = (login.host.as_str(), login.port);
        let addresses = host_and_port.to_socket_addrs().with_context(|| {
            format!("cannot find the host {:?}: check its spelling (-h)", login.host)
        })?;
        let mut refused = None;
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => return Self::new(stream).context("cannot set the socket up"),
                Err(error) => refused = Some((address, error)),
            }
        }
        match refused {
            Some((address, error)) => bail!(unreachable(address, &error)),
            None => bail!("the host {:?} has no address", login.host),
        }
    }

    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, output: Vec::new(), received: Vec::new(), used: 0, has_ended: false })
    }

    /// Sends as much as the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => drop(self.output.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What was received and not used.
    pub(super) fn input(&self) -> &[u8] {
        self.received.get(self.used..).unwrap_or_default()
    }

    /// So many bytes of the input are used.
    pub(super) fn use_input(&mut self, len: usize) {
        self.used += len;
    }

    /// Whether nothing more will be received.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Reads what has come.
    pub(super) fn fill(&mut self) {
        self.received.drain(..self.used);
        self.used = 0;
        let start = self.received.len();
        self.received.resize(start + READ_SIZE, 0);
        let result = self.stream.read(self.received.get_mut(start..).unwrap_or_default());
        self.received.truncate(start + result.as_ref().copied().unwrap_or(0));
        self.has_ended = match result {
            Ok(received) => received == 0,
            Err(error) => !is_for_later(&error),
        };
    }

    /// Sends the rest and waits for the broker to close: closing first could take bytes back that
    /// it has not read yet.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        self.stream.set_nonblocking(false)?;
        self.stream.set_write_timeout(Some(CLOSE_TIMEOUT))?;
        self.stream.write_all(&self.output)?;
        self.stream.shutdown(Shutdown::Write)?;
        let mut rest = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_for_later(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Whether the same may succeed when tried again.
fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Says what failed, where, and what to look at.
fn unreachable(address: SocketAddr, error: &io::Error) -> String {
    let hint = match error.kind() {
        ErrorKind::ConnectionRefused if address.ip().is_loopback() => format!(
            "connection refused. No broker listens there: start one with `dunlin -p {}`, or name \
             another with -h and -p",
            address.port()
        ),
        ErrorKind::ConnectionRefused => {
            "connection refused. The host is up, but no broker listens on that port: check -p, and \
             that the broker listens on this address"
                .to_owned()
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            "no answer. Check the address (-h), and firewalls on the way".to_owned()
        }
        _ => format!("{error}"),
    };
    format!("cannot connect to {address}: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_address_and_what_to_do() {
        let refused = io::Error::from(ErrorKind::ConnectionRefused);
        let local = unreachable(SocketAddr::from(([127, 0, 0, 1], 1884)), &refused);
        assert!(local.contains("127.0.0.1:1884") && local.contains("dunlin -p 1884"), "{local}");
        let remote = unreachable(SocketAddr::from(([192, 0, 2, 1], 1883)), &refused);
        assert!(remote.contains("192.0.2.1:1883") && remote.contains("-p"), "{remote}");
    }
}
