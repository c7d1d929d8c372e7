//! The socket of a gateway: many datagrams in one system call where the system can.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Buffers that one system call fills, each with datagrams of one sender.
const BATCH: usize = 8;

/// The largest datagram that is taken: what fits a frame of Ethernet.
pub(super) const DATAGRAM: usize = 1472;

/// What the system may keep of each direction while the gateway is busy; it cuts this to its own limit
/// (`net.core.rmem_max`). A datagram beyond it is lost, and QUIC sends it again.
const BUFFER: usize = 2 * 1024 * 1024;

/// Takes a port. Nobody is answered yet.
pub(crate) fn bind(
    address: SocketAddr,
    interface: Option<&str>,
    shares: bool,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // So that the same port can be bound for IPv4, too.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.set_reuse_port(shares)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)?;
    if let Some(interface) = interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

pub(super) struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<u8>,
    /// The size of one of them.
    size: usize,
}

/// One datagram.
pub(super) struct Datagram<'b> {
    pub(super) from: SocketAddr,
    /// The address of ours that it came to.
    pub(super) meta: RecvMeta,
    pub(super) bytes: &'b [u8],
}

impl Datagram<'_> {
    pub(super) fn ecn(&self) -> Option<EcnCodepoint> {
        self.meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8))
    }
}

impl Udp {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let size = DATAGRAM * state.gro_segments();
        Ok(Self { socket, state, buffers: vec![0; size * BATCH], size })
    }

    pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, Interest::READABLE)
    }

    /// How many datagrams of one connection may be sent at once.
    pub(super) fn segments(&self) -> usize {
        self.state.max_gso_segments().max(1)
    }

    /// Takes what one system call gives; false if there is no more of it.
    pub(super) fn receive(&mut self, mut take: impl FnMut(&Datagram<'_>)) -> io::Result<bool> {
        let mut metas = [RecvMeta::default(); BATCH];
        let mut slices = self.buffers.chunks_exact_mut(self.size).map(IoSliceMut::new);
        let mut slices: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| slices.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let received = self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas);
        let count = match received {
            Ok(count) => count,
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            // What a router says about a datagram of ours: QUIC notices by itself.
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionReset => return Ok(true),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(cause) => return Err(cause),
        };
        for (meta, slice) in metas.iter().zip(&slices).take(count) {
            let whole = slice.get(..meta.len).unwrap_or_default();
            for bytes in whole.chunks(meta.stride.max(1)) {
                take(&Datagram { from: meta.addr, meta: *meta, bytes });
            }
        }
        // Fewer than there was room for: asking again would tell no more than that.
        Ok(count == BATCH)
    }

    /// Sends datagrams. One that the system has no room for is lost, as it may be on any link.
    pub(super) fn send(&self, transmit: &Transmit, bytes: &[u8]) {
        let transmit = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
            contents: bytes.get(..transmit.size).unwrap_or(bytes),
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        if let Err(cause) = self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
            tracing::debug!("a datagram to {} is lost: {cause}", transmit.destination);
        }
    }
}
