//! Listening sockets: bound with care, accepted from in bounded bursts.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use dunlin_broker::Time;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use crate::entrance::{Entrance, Place};
use crate::error::StartError;
use crate::inherited::Inherited;
use crate::quic;

/// Connections that may wait to be accepted; the system cuts it to its own limit.
const BACKLOG: i32 = 4096;

/// Connections accepted in one turn, so that a rush of them delays messages by little.
const BURST: usize = 128;

/// How long accepting rests when the system has no descriptor left.
const REST: Duration = Duration::from_millis(100);

/// How often that is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How long whoever comes when there is no room waits for it before being refused: connections that have ended
/// already may be counted until their shard has had its turn. 20 ms: many turns, and no time for a client.
const PATIENCE: Duration = Duration::from_millis(20);

/// How often it is looked whether a reload is done. 1 ms: a fraction of what it takes.
const GLANCE: Duration = Duration::from_millis(1);

/// TCP keep alive: a peer that vanished is noticed after 60 + 6 x 10 s even if it agreed on no
/// MQTT keep alive.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE_PROBES: u32 = 6;

/// The address of those who come by a unix socket: they are on this machine, and have no port.
pub(crate) const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A socket that has its address, but does not listen yet: whoever connects is told so.
pub(crate) struct Bound {
    socket: Socket,
    /// Removed with it.
    file: Option<SocketFile>,
}

/// One listening socket.
pub(crate) struct Listener {
    /// Its entrance knows it, too, for as long as it listens.
    socket: Arc<Socket>,
    pub(crate) entrance: Arc<Entrance>,
    /// Removed with it.
    _file: Option<SocketFile>,
    state: State,
    /// The poller knows it.
    is_watched: bool,
    /// When it was told last that there is no descriptor.
    told: Option<Time>,
}

/// The file of a unix socket, which outlives its socket unless it is removed.
struct SocketFile(PathBuf);

enum State {
    /// Nobody waits; the poller tells when somebody does.
    Drained,
    /// Somebody may wait.
    Ready,
    /// Somebody may wait, but the system had no descriptor left.
    Resting { until: Time },
    /// Somebody may wait, but there is no room.
    Full { until: Time },
}

impl Bound {
    pub(crate) fn bind(place: &Place, inherited: &mut Inherited) -> Result<Self, StartError> {
        Self::bind_beside(place, inherited, false)
    }

    /// The same, beside sockets that have the port and share it for the moment.
    pub(crate) fn bind_beside(
        place: &Place,
        inherited: &mut Inherited,
        shares: bool,
    ) -> Result<Self, StartError> {
        let failed = |cause| StartError::listener(place, cause);
        match place {
            Place::Tcp { address, interface } => {
                let socket = bind(*address, interface.as_deref(), shares).map_err(failed)?;
                Ok(Self { socket, file: None })
            }
            Place::Udp { address, interface } => {
                let socket = quic::bind(*address, interface.as_deref(), shares).map_err(failed)?;
                Ok(Self { socket, file: None })
            }
            Place::Unix { path, mode } => bind_unix(path, *mode).map_err(failed),
            Place::Inherited { name } => {
                let socket = inherited.take(name).map_err(failed)?;
                socket.set_nonblocking(true).map_err(failed)?;
                Ok(Self { socket, file: None })
            }
        }
    }

    /// Where it can be reached, with the port that was chosen; `None` for a unix socket.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }

    /// For who hands it to another user.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The socket itself, for QUIC, which has no connections to accept.
    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }

    pub(crate) fn listen(self, entrance: Arc<Entrance>) -> io::Result<Listener> {
        let Self { socket, file } = self;
        socket.listen(BACKLOG)?;
        let socket = Arc::new(socket);
        let (state, is_watched) = (State::Drained, false);
        Ok(Listener { socket, entrance, _file: file, state, is_watched, told: None })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(cause) = fs::remove_file(&self.0) {
            tracing::debug!("{} stays: {cause}", self.0.display());
        }
    }
}

impl Listener {
    /// Its socket, while it listens.
    pub(crate) fn socket(&self) -> Weak<Socket> {
        Arc::downgrade(&self.socket)
    }

    /// Whether nobody is known to wait.
    pub(crate) const fn is_drained(&self) -> bool {
        matches!(self.state, State::Drained)
    }

    /// Lets the poller tell when somebody waits.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let descriptor = self.socket.as_raw_fd();
        let mut source = SourceFd(&descriptor);
        match std::mem::replace(&mut self.is_watched, true) {
            false => registry.register(&mut source, token, Interest::READABLE),
            true => registry.reregister(&mut source, token, Interest::READABLE),
        }
    }

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
            State::Resting { until } | State::Full { until } => Some(until),
        }
    }

    /// Whether that is now.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// Accepts nobody for a moment.
    pub(crate) fn put_off(&mut self, now: Time) {
        self.state = State::Full { until: now.saturating_add(GLANCE) };
    }

    /// Accepts a bounded number of connections. Where there is no room for one, it waits a moment before it is
    /// taken nevertheless, to be refused.
    pub(crate) fn accept(
        &mut self,
        now: Time,
        is_full: impl Fn() -> bool,
        mut take: impl FnMut(TcpStream, SocketAddr),
    ) {
        if !self.is_due(now) {
            return;
        }
        let has_waited = matches!(self.state, State::Full { .. });
        for _ in 0..BURST {
            if !has_waited && is_full() {
                self.state = State::Full { until: now.saturating_add(PATIENCE) };
                return;
            }
            match accept(&self.socket) {
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
                Err(cause) => tracing::debug!("accepting on {}: {cause}", self.entrance.label),
            }
        }
    }

    fn rest(&mut self, now: Time, cause: &io::Error) {
        if self.is_to_tell(now) {
            tracing::warn!(
                "cannot accept on {}: {cause}; trying again every {} ms (raise the descriptor limit: LimitNOFILE, ulimit -n)",
                self.entrance.label,
                REST.as_millis()
            );
        }
        self.state = State::Resting { until: now.saturating_add(REST) };
    }

    /// Descriptors come and go one by one while clients wait for them: that is no news each time.
    fn is_to_tell(&mut self, now: Time) -> bool {
        let is_due = self.told.is_none_or(|told| now >= told.saturating_add(TOLD_EVERY));
        if is_due {
            self.told = Some(now);
        }
        is_due
    }
}

/// One system call. The sockets of both families are read and written alike, so the rest of the
/// server knows one type only.
fn accept(socket: &Socket) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, address) = acceptfrom_with(socket, flags)?;
    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
    Ok((TcpStream::from_std(socket.into()), address.unwrap_or(HERE)))
}

fn bind_unix(path: &Path, mode: Option<u32>) -> io::Result<Bound> {
    // Left over from a run that was killed. Anything else than a socket is not ours to remove, nor is
    // one where somebody answers.
    let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    if is_socket {
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        if probe.connect(&SockAddr::unix(path)?).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = Some(SocketFile(path.to_owned()));
    if let Some(mode) = mode {
        // Nobody can connect before it listens.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(Bound { socket, file })
}

fn bind(address: SocketAddr, interface: Option<&str>, shares: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that the same port can be bound for IPv4, too.
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for connections of the previous run to time out.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shares)?;
    // Accepted sockets inherit these, which spares system calls for each of them.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEP_ALIVE_AFTER)
            .with_interval(KEEP_ALIVE_EVERY)
            .with_retries(KEEP_ALIVE_PROBES),
    )?;
    socket.set_nonblocking(true)?;
    if let Some(interface) = interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
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
    use std::net::{Ipv6Addr, TcpStream};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::entrance::{ListenerOptions, Rules};

    fn try_listen(place: &Place) -> Result<(Listener, Option<SocketAddr>), StartError> {
        let bound = Bound::bind(place, &mut Inherited::from_environment())?;
        let address = bound.address();
        let rules = Rules::read(&ListenerOptions::new(place.clone())).unwrap();
        let listening = bound.listen(Entrance::new(place.to_string(), rules));
        listening
            .map(|listener| (listener, address))
            .map_err(|cause| StartError::listener(place, cause))
    }

    fn tcp(address: SocketAddr) -> Place {
        Place::Tcp { address, interface: None }
    }

    fn loopback() -> (Listener, SocketAddr) {
        let (listener, address) = try_listen(&tcp(HERE)).unwrap();
        (listener, address.unwrap())
    }

    fn accept_all(listener: &mut Listener) -> Vec<mio::net::TcpStream> {
        let mut accepted = Vec::new();
        listener.notice();
        listener.accept(Time::ZERO, || false, |stream, _| accepted.push(stream));
        accepted
    }

    #[test]
    fn a_port_in_use_is_told_as_such() {
        let (_first, address) = loopback();
        let second = try_listen(&tcp(address));
        assert!(matches!(second, Err(StartError::PortInUse { place }) if place == tcp(address)));
    }

    #[test]
    fn the_same_port_serves_both_address_families() {
        let (_v4, address) = loopback();
        let v6 = try_listen(&tcp(SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()))));
        // A machine without IPv6 has nothing to show here.
        assert!(!matches!(v6, Err(StartError::PortInUse { .. })));
    }

    #[test]
    fn a_rush_is_accepted_in_bounded_bursts() {
        let (mut listener, address) = loopback();
        let clients: Vec<_> =
            (0..BURST + 10).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut accepted = accept_all(&mut listener);
        assert_eq!(accepted.len(), BURST);
        assert_eq!(listener.due(), Some(Time::ZERO));
        accepted.extend(accept_all(&mut listener));
        assert_eq!(accepted.len(), clients.len());
        assert_eq!(listener.due(), None);
    }

    #[test]
    fn accepted_sockets_inherit_the_options() {
        let (mut listener, address) = loopback();
        let _client = TcpStream::connect(address).unwrap();
        let accepted = accept_all(&mut listener);
        let socket = socket2::SockRef::from(&accepted[0]);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    }

    #[test]
    fn rests_without_a_descriptor_instead_of_spinning() {
        let (mut listener, _) = loopback();
        listener.notice();
        let now = Time::from_secs(1);
        listener.rest(now, &io::Error::from(rustix::io::Errno::MFILE));
        listener.notice();
        assert_eq!(listener.due(), Some(now.saturating_add(REST)));
    }

    #[test]
    fn a_lack_of_descriptors_is_told_once_in_a_while() {
        let (mut listener, _) = loopback();
        let at = |seconds: u64| Time::from_secs(100 + seconds);
        let told: Vec<bool> = [0, 1, 59, 60, 61].map(|s| listener.is_to_tell(at(s))).to_vec();
        assert_eq!(told, [true, false, false, true, false]);
    }

    #[test]
    fn a_unix_socket_has_its_mode_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mqtt.sock");
        let place = Place::Unix { path: path.clone(), mode: Some(0o660) };
        let (mut listener, _) = try_listen(&place).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let _client = UnixStream::connect(&path).unwrap();
        assert_eq!(accept_all(&mut listener).len(), 1);
        // Somebody answers there.
        assert!(matches!(try_listen(&place), Err(StartError::PortInUse { .. })));
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_unix_socket_left_over_is_replaced_and_other_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mqtt.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let place = Place::Unix { path: path.clone(), mode: None };
        drop(try_listen(&place).unwrap());
        fs::write(&path, "precious").unwrap();
        let told = try_listen(&place).err().unwrap().to_string();
        assert!(told.contains("there is a file that is no socket"), "{told}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let place = Place::Tcp { address: HERE, interface: Some("nowhere7".into()) };
        let told = try_listen(&place).err().unwrap().to_string();
        // Before 5.7 Linux lets only root choose an interface.
        assert!(
            told.contains("no interface of this name") || told.contains("not permitted"),
            "{told}"
        );
    }

    #[test]
    fn a_socket_that_nobody_handed_over_is_told_as_such() {
        let told = try_listen(&Place::Inherited { name: "mqtt".into() }).err().unwrap();
        assert!(told.to_string().contains("no socket of this name"), "{told}");
    }
}
