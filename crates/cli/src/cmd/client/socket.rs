//! The connection to the broker: opened with a time limit, written and read without waiting.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use dunlin_server::{Dialer, explain_dial};

use super::options::Login;
use super::route::Place;
use super::stream::{Stream, Wire};
use super::web_socket::WebSocket;

/// How long one address may take, and each step after it: what a lost SYN and its repetitions need on a slow path.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a broker may take to read the rest and close after DISCONNECT. The rest may be what
/// its and our socket buffers hold, some megabytes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const READ_SIZE: usize = 64 * 1024;

/// A connected socket with what waits in either direction.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    web_socket: Option<WebSocket>,
    /// To be sent.
    pub(super) output: Vec<u8>,
    /// The same as it goes out over a WebSocket.
    frames: Vec<u8>,
    received: Vec<u8>,
    /// How much of `received` is used.
    used: usize,
    has_ended: bool,
    /// What ended it, if it was not the broker by closing.
    fault: Option<String>,
}

impl Socket {
    /// Connects as the route says. All that comes before MQTT has been done then.
    pub(super) fn connect(login: &Login) -> Result<Self> {
        let route = &login.route;
        let dialer = route.encryption.as_ref();
        let dialer = dialer.map(|encryption| Dialer::new(&encryption.options)).transpose()?;
        let wire = reach(&route.place)?;
        wire.set_read_timeout(CONNECT_TIMEOUT).context("cannot set the socket up")?;
        wire.set_write_timeout(CONNECT_TIMEOUT).context("cannot set the socket up")?;
        let mut stream = match (&route.encryption, dialer) {
            (Some(encryption), Some(dialer)) => {
                let opened = dialer.open(&encryption.name, wire);
                let opened = opened.map_err(|error| anyhow!("{login}: {}", unencrypted(&error)))?;
                Stream::Tls(Box::new(opened))
            }
            _ => Stream::Plain(wire),
        };
        let open = |path: &String| WebSocket::open(&mut stream, &login.to_string(), path);
        let web_socket = route.web_socket.as_ref().map(open).transpose();
        let mut web_socket = web_socket.with_context(|| login.to_string())?;
        let (mut received, mut frames) = (Vec::new(), Vec::new());
        if let Some(web_socket) = &mut web_socket {
            // Frames may have come with the answer.
            web_socket.open_frames(&[], &mut received, &mut frames)?;
        }
        stream.wire().set_nonblocking(true).context("cannot set the socket up")?;
        let output = Vec::new();
        Ok(Self {
            stream,
            web_socket,
            output,
            frames,
            received,
            used: 0,
            has_ended: false,
            fault: None,
        })
    }

    /// Sends as much as the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.frame().map_err(io::Error::other)?;
        let waiting = match &self.web_socket {
            Some(_) => &mut self.frames,
            None => &mut self.output,
        };
        while !waiting.is_empty() {
            match self.stream.write(waiting) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => drop(waiting.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match self.stream.flush() {
            Err(error) if is_for_later(&error) => Ok(()),
            other => other,
        }
    }

    /// Whether all that was to be sent is with the system.
    pub(super) fn is_drained(&self) -> bool {
        self.output.is_empty() && self.frames.is_empty() && !self.stream.wants_write()
    }

    /// Puts the output into a frame, if it goes over a WebSocket.
    fn frame(&mut self) -> Result<()> {
        if let (Some(web_socket), false) = (&self.web_socket, self.output.is_empty()) {
            web_socket.seal(&self.output, &mut self.frames)?;
            self.output.clear();
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

    /// What went wrong, if the broker did not just close.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
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
            Ok(count) => count == 0 || self.take_frames(start),
            Err(error) if is_for_later(&error) => false,
            Err(error) => {
                self.fault = explain_dial(&error);
                true
            }
        };
    }

    /// Takes what was received from `start` on out of its frames; true if the WebSocket is over.
    fn take_frames(&mut self, start: usize) -> bool {
        let Some(web_socket) = &mut self.web_socket else { return false };
        let raw = self.received.split_off(start);
        match web_socket.open_frames(&raw, &mut self.received, &mut self.frames) {
            Ok(ended) => ended,
            Err(error) => {
                self.fault = Some(format!("{error:#}"));
                true
            }
        }
    }

    /// Sends the rest and waits for the broker to close: closing first could take bytes back that
    /// it has not read yet.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        self.frame().map_err(io::Error::other)?;
        if let Some(web_socket) = &self.web_socket {
            web_socket.end(&mut self.frames).map_err(io::Error::other)?;
        }
        self.stream.wire().set_nonblocking(false)?;
        self.stream.wire().set_write_timeout(CLOSE_TIMEOUT)?;
        self.stream.write_all(&self.frames)?;
        self.stream.write_all(&self.output)?;
        self.stream.end()?;
        let mut rest = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.stream.wire().set_read_timeout(left)?;
            match self.stream.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_for_later(&error) => {}
                // The end of TLS is not always said.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Connects to the place; of several addresses, one after the other is tried.
fn reach(place: &Place) -> Result<Wire> {
    let (host, port) = match place {
        Place::Port { host, port } => (host.as_str(), *port),
        Place::Unix(path) => {
            let stream = UnixStream::connect(path);
            return Ok(Wire::Unix(stream.with_context(|| {
                format!("cannot connect to the unix socket {}", path.display())
            })?));
        }
    };
    let addresses = (host, port)
        .to_socket_addrs()
        .with_context(|| format!("cannot find the host {host:?}: check its spelling (-h)"))?;
    let mut refused = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true).context("cannot set the socket up")?;
                return Ok(Wire::Tcp(stream));
            }
            Err(error) => refused = Some((address, error)),
        }
    }
    match refused {
        Some((address, error)) => bail!(unreachable(address, &error)),
        None => bail!("the host {host:?} has no address"),
    }
}

/// Why the handshake of TLS failed.
fn unencrypted(error: &io::Error) -> String {
    match explain_dial(error) {
        Some(why) => why,
        None if is_for_later(error) => {
            "no answer to the handshake of TLS: is it the port with TLS?".to_owned()
        }
        None => match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                "closed in the handshake of TLS: is it the port with TLS?".to_owned()
            }
            _ => format!("{error}"),
        },
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.wire().as_fd()
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
