//! What a listener is told.

use std::net::SocketAddr;
use std::path::PathBuf;

use dunlin_access::ban::Network;
use dunlin_broker::Entry;

use crate::quic::QuicOptions;
use crate::transport::{ProxyVersion, TlsOptions, WebSocketOptions};

/// One way in. Every field but the first has a default that lets everybody in.
#[derive(Debug, Clone)]
pub struct ListenerOptions {
    /// Where it listens.
    pub place: Place,
    /// What the log calls it. Default: its place.
    pub name: Option<String>,
    /// Encryption. Default: none.
    pub tls: Option<TlsOptions>,
    /// MQTT comes in WebSockets. Default: it comes as it is.
    pub websocket: Option<WebSocketOptions>,
    /// How connections of QUIC live; for a place of UDP. Default: as its type says.
    pub quic: QuicOptions,
    /// A proxy before the listener says who the client is. Default: there is none.
    pub proxy: Option<ProxyOptions>,
    /// Networks that may connect. Default: all.
    pub allow_from: Vec<Network>,
    /// Networks that may not. Default: none.
    pub deny_from: Vec<Network>,
    /// Connections at once. Default: as many as the server has room for.
    pub maximum_connections: Option<usize>,
    /// Connections at once that have not got through TLS, WebSocket and the header of a proxy. Default:
    /// 1000: some seconds of full handshakes for one core.
    pub maximum_opening: usize,
    /// Connections at once whose CONNECT is not there. Default: 20 000: what comes back in the time that
    /// a slow network takes for it after everybody was cut off.
    pub maximum_waiting: usize,
    /// The same from one address; of version 6, from one network of 64 bits. Default: 4000: a site with
    /// many devices behind one address comes back at once.
    pub maximum_waiting_from_address: usize,
    /// Bytes that are held of CONNECTs that are not complete. Default: 64 MiB: more than 20 000
    /// connections have with tokens for passwords.
    pub maximum_waiting_bytes: usize,
    /// What the broker is to know about it, and the number that those who answer its questions know
    /// it by.
    pub entry: Entry,
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A port.
    Tcp {
        /// The address of this machine.
        address: SocketAddr,
        /// Only what comes in by this network interface.
        interface: Option<String>,
    },
    /// A port of UDP, for MQTT on QUIC.
    Udp {
        /// The address of this machine.
        address: SocketAddr,
        /// Only what comes in by this network interface.
        interface: Option<String>,
    },
    /// A file that programs of this machine connect to.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Its mode; `None`: what the umask leaves.
        mode: Option<u32>,
    },
    /// A socket that the service manager has opened, by the name that it has there
    /// (`FileDescriptorName=`), or by its number.
    Inherited {
        /// Name or number.
        name: String,
    },
}

/// What is believed of a proxy.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// The header that must come first.
    pub version: ProxyVersion,
    /// The proxies; others are refused. Default: whoever may connect.
    pub from: Vec<Network>,
    /// What it must say of the client. Default: nothing.
    pub requires: Option<ProxyRequires>,
}

/// What a proxy must say of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyRequires {
    /// It came by TLS.
    Tls,
    /// It came by TLS, with a certificate that the proxy found valid.
    Certificate,
}

impl ListenerOptions {
    /// A listener that lets everybody in.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self {
            place,
            name: None,
            tls: None,
            websocket: None,
            quic: QuicOptions::default(),
            proxy: None,
            allow_from: Vec::new(),
            deny_from: Vec::new(),
            maximum_connections: None,
            maximum_opening: 1_000,
            maximum_waiting: 20_000,
            maximum_waiting_from_address: 4_000,
            maximum_waiting_bytes: 64 << 20,
            entry: Entry::default(),
        }
    }

    /// What the log calls it.
    #[must_use]
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.place.to_string())
    }
}

impl From<SocketAddr> for ListenerOptions {
    fn from(address: SocketAddr) -> Self {
        Self::new(Place::Tcp { address, interface: None })
    }
}

impl Place {
    /// Whether both are the same, but perhaps for the mode of a file.
    pub(super) fn is_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix { path, .. }, Self::Unix { path: other, .. }) => path == other,
            (one, other) => one == other,
        }
    }

    /// The port of a protocol, which only one can have, but for other addresses.
    pub(super) const fn port(&self) -> Option<(bool, u16)> {
        match self {
            Self::Tcp { address, .. } => Some((true, address.port())),
            Self::Udp { address, .. } => Some((false, address.port())),
            Self::Unix { .. } | Self::Inherited { .. } => None,
        }
    }
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Tcp { address, interface: None } => write!(f, "{address}"),
            Self::Tcp { address, interface: Some(interface) } => write!(f, "{address}%{interface}"),
            Self::Udp { address, interface: None } => write!(f, "{address} (QUIC)"),
            Self::Udp { address, interface: Some(interface) } => {
                write!(f, "{address}%{interface} (QUIC)")
            }
            Self::Unix { path, .. } => write!(f, "{}", path.display()),
            Self::Inherited { name } => write!(f, "socket {name} of the service manager"),
        }
    }
}
