//! Listening sockets: bound with care, accepted from in bounded bursts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use dunlin_broker::Time;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use crate::error::StartError;

/// Connections that may wait to be accepted; the system cuts it to its own limit.
const BACKLOG: i32 = 4096;

/// Connections accepted in one turn, so that a rush of them delays messages by little.
const BURST: usize = 128;

/// How long accepting rests when the system has no descriptor left.
const REST: Duration = Duration::from_millis(100);

/// TCP keep alive: a peer that vanished is noticed after 60 + 6 x 10 s even if it agreed on no
/// MQTT keep alive.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE_PROBES: u32 = 6;

/// A socket that has its address, but does not listen yet: whoever connects is told so.
pub(crate) struct Bound {
    socket: Socket,
    address: SocketAddr,
}

/// One listening socket.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) address: SocketAddr,
    state: State,
}

enum State {
    /// Nobody waits; the poller tells when somebody does.
    Drained,
    /// Somebody may wait.
    Ready,
    /// Somebody may wait, but the system had no descriptor left.
    Resting { until: Time },
}

impl Bound {
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, StartError> {
        let failed = |cause| StartError::listener(address, cause);
        let socket = bind(address).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?.as_socket();
        Ok(Self { socket, address: local.unwrap_or(address) })
    }

    pub(crate) fn listen(self) -> Result<Listener, StartError> {
        let Self { socket, address } = self;
        socket.listen(BACKLOG).map_err(|cause| StartError::listener(address, cause))?;
        let socket = TcpListener::from_std(socket.into());
        Ok(Listener { socket, address, state: State::Drained })
    }
}

impl Listener {
    /// The poller says that somebody waits.
    pub(crate) fn notice(&mut self) {
        if matches!(self.state, State::Drained) {
            self.state = State::Ready;
        }
    }

    /// When there is something to do without the poller saying so.
    pub(crate) const fn due(&self) -> Option<Time> {
        match self.state {
            State::Drained => None,
            State::Ready => Some(Time::ZERO),
            State::Resting { until } => Some(until),
        }
    }

    /// Accepts a bounded number of connections.
    pub(crate) fn accept(&mut self, now: Time, mut take: impl FnMut(TcpStream, SocketAddr)) {
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        for _ in 0..BURST {
            match self.socket.accept() {
                Ok((stream, address)) => {
                    self.state = State::Ready;
                    take(stream, address);
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.state = State::Drained;
                    return;
                }
                Err(cause) if out_of_resources(&cause) => return self.rest(now, &cause),
                // That connection is gone; the next may be fine.
                Err(cause) => tracing::debug!("accepting on {}: {cause}", self.address),
            }
        }
    }

    /// One line for each episode: it ends with the first connection accepted.
    fn rest(&mut self, now: Time, cause: &io::Error) {
        if !matches!(self.state, State::Resting { .. }) {
            tracing::warn!(
                "cannot accept on {}: {cause}; trying again every {} ms (raise the descriptor limit: LimitNOFILE, ulimit -n)",
                self.address,
                REST.as_millis()
            );
        }
        self.state = State::Resting { until: now.saturating_add(REST) };
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that the same port can be bound for IPv4, too.
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for connections of the previous run to time out.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit these, which spares system calls for each of them.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEP_ALIVE_AFTER)
            .with_interval(KEEP_ALIVE_EVERY)
            .with_retries(KEEP_ALIVE_PROBES),
    )?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// EMFILE, ENFILE, ENOBUFS, ENOMEM: waiting helps, trying again at once does not.
fn out_of_resources(cause: &io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(cause).is_some_and(|errno| {
        matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

    use super::*;

    fn loopback() -> Listener {
        Bound::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap().listen().unwrap()
    }

    #[test]
    fn a_port_in_use_is_told_as_such() {
        let first = loopback();
        let second = Bound::bind(first.address).and_then(Bound::listen);
        assert!(
            matches!(second, Err(StartError::PortInUse { address }) if address == first.address)
        );
    }

    #[test]
    fn the_same_port_serves_both_address_families() {
        let v4 = loopback();
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, v4.address.port()));
        let v6 = Bound::bind(address).and_then(Bound::listen);
        // A machine without IPv6 has nothing to show here.
        assert!(!matches!(v6, Err(StartError::PortInUse { .. })));
    }

    #[test]
    fn a_rush_is_accepted_in_bounded_bursts() {
        let mut listener = loopback();
        let clients: Vec<_> =
            (0..BURST + 10).map(|_| TcpStream::connect(listener.address).unwrap()).collect();
        listener.notice();
        let mut accepted = Vec::new();
        listener.accept(Time::ZERO, |stream, _| accepted.push(stream));
        assert_eq!(accepted.len(), BURST);
        assert_eq!(listener.due(), Some(Time::ZERO));
        listener.accept(Time::ZERO, |stream, _| accepted.push(stream));
        assert_eq!(accepted.len(), clients.len());
        assert_eq!(listener.due(), None);
    }

    #[test]
    fn accepted_sockets_inherit_the_options() {
        let mut listener = loopback();
        let _client = TcpStream::connect(listener.address).unwrap();
        listener.notice();
        let mut accepted = Vec::new();
        listener.accept(Time::ZERO, |stream, _| accepted.push(stream));
        let socket = socket2::SockRef::from(&accepted[0]);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    }

    #[test]
    fn rests_without_a_descriptor_instead_of_spinning() {
        let mut listener = loopback();
        listener.notice();
        let now = Time::from_secs(1);
        listener.rest(now, &io::Error::from(rustix::io::Errno::MFILE));
        listener.notice();
        assert_eq!(listener.due(), Some(now.saturating_add(REST)));
    }
}
