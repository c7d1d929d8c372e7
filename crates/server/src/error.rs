//! Why a server could not be started or went down.

use std::io;
use std::net::SocketAddr;

use dunlin_store::{OpenError, WriteError};

/// A server that could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nothing to listen on.
    #[error("no listener given: name at least one address to listen on")]
    NoListener,
    /// Something else listens there.
    #[error(
        "cannot listen on {address}: the port is in use (see who has it with `ss -ltnp 'sport = :{}'`, or choose another port)",
        address.port()
    )]
    PortInUse {
        /// The listener that failed.
        address: SocketAddr,
    },
    /// Ports under 1024 and some addresses need a privilege.
    #[error(
        "cannot listen on {address}: not permitted (ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a port from 1024 on)"
    )]
    NotPermitted {
        /// The listener that failed.
        address: SocketAddr,
    },
    /// The address belongs to no interface of this machine.
    #[error("cannot listen on {address}: no interface has this address (see `ip address`)")]
    NoSuchAddress {
        /// The listener that failed.
        address: SocketAddr,
    },
    /// Any other failure of a listener.
    #[error("cannot listen on {address}: {cause}")]
    Listener {
        /// The listener that failed.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is no thread for the store.
    #[error("cannot start the thread of the store: {0}")]
    StoreThread(io::Error),
    /// A shard lacks what it needs from the system.
    #[error("cannot start shard {shard}: {cause}")]
    Shard {
        /// The number of the shard.
        shard: usize,
        /// What the system said.
        cause: io::Error,
    },
}

impl StartError {
    /// The error of binding `address`, told apart where there is something to advise.
    pub(crate) fn listener(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { address },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { address },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { address },
            _ => Self::Listener { address, cause },
        }
    }
}

/// A server that went down on its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A defect of ours.
    #[error("shard {shard} panicked: this is a defect, please report it with the log")]
    Panicked {
        /// The number of the shard.
        shard: usize,
    },
    /// A defect of ours.
    #[error("the store thread panicked: this is a defect, please report it with the log")]
    StorePanicked,
    /// What was handed in last is not on the disk. Nothing of it was acknowledged, unless
    /// [`crate::Durability::Interval`] was asked for.
    #[error("the store could not be completed: {0}")]
    Store(WriteError),
    /// The system failed a shard.
    #[error("shard {shard} cannot go on: {cause}")]
    Shard {
        /// The number of the shard.
        shard: usize,
        /// What the system said.
        cause: io::Error,
    },
}
