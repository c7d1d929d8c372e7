//! Why a server could not be started or went down.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use dunlin_access::Fault;
use dunlin_store::{OpenError, WriteError};
use rustix::io::Errno;

use crate::entrance::Place;
use crate::transport::TlsError;

/// A server that could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nothing to listen on.
    #[error("no listener given: name at least one address to listen on")]
    NoListener,
    /// Something else listens there.
    #[error("cannot listen on {place}: {}", in_use(place))]
    PortInUse {
        /// The listener that failed.
        place: Place,
    },
    /// A listener that is about to leave has the port, and does not let go of it.
    #[error(
        "cannot listen on {place}: {} has the port until it is closed, and cannot share it (root has opened it, or the system does not let it); take it out in one reload and put the new one in with the next, or restart",
        old.join(", ")
    )]
    PortHeld {
        /// The listener that failed.
        place: Place,
        /// Those that have the port.
        old: Vec<String>,
    },
    /// The file of a unix socket keeps its mode.
    #[error(
        "cannot change the mode of {} (unix_mode): {cause}; if another user has made it, only a restart can", path.display()
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Ports under 1024 and some addresses need a privilege.
    #[error(
        "cannot listen on {place}: not permitted (ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a port from 1024 on; a unix socket needs a directory that the broker may write to)"
    )]
    NotPermitted {
        /// The listener that failed.
        place: Place,
    },
    /// The address belongs to no interface of this machine.
    #[error("cannot listen on {place}: no interface has this address (see `ip address`)")]
    NoSuchAddress {
        /// The listener that failed.
        place: Place,
    },
    /// The interface is not there.
    #[error("cannot listen on {place}: there is no interface of this name (see `ip link`)")]
    NoSuchInterface {
        /// The listener that failed.
        place: Place,
    },
    /// Any other failure of a listener.
    #[error("cannot listen on {place}: {cause}")]
    Listener {
        /// The listener that failed.
        place: Place,
        /// What the system said.
        cause: io::Error,
    },
    /// A listener cannot encrypt.
    #[error("{}listener {listener}: {cause}", at(place.as_ref()))]
    Tls {
        /// Where the configuration names what is wrong.
        place: Option<dunlin_config::Place>,
        /// The listener that failed.
        listener: String,
        /// Which file, and what is wrong with it.
        cause: Box<TlsError>,
    },
    /// A listener is asked for something that it cannot do.
    #[error("{}listener {listener}: {what}", at(place.as_ref()))]
    Setting {
        /// Where the configuration asks for it.
        place: Option<dunlin_config::Place>,
        /// The listener that failed.
        listener: String,
        /// What cannot be done.
        what: String,
    },
    /// What was to be done before the store is opened failed.
    #[error("{0}")]
    Prepare(io::Error),
    /// Files that say who may connect and what they may do cannot be used.
    #[error("{}", lines(.0))]
    Access(Vec<Fault>),
    /// The store cannot be used.
    #[error("store {}: {source}", directory.display())]
    Store {
        /// Its directory.
        directory: PathBuf,
        /// What is wrong with it.
        source: OpenError,
    },
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
    /// Whether the configuration is wrong, or a file that it names: then a change of it helps, and
    /// nothing else does.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        matches!(self, Self::NoListener | Self::Tls { .. } | Self::Setting { .. } | Self::Access(_))
    }

    /// The error of binding `place`, told apart where there is something to advise.
    pub(crate) fn listener(place: &Place, cause: io::Error) -> Self {
        let place = place.clone();
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { place },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { place },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { place },
            _ if cause.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => {
                Self::NoSuchInterface { place }
            }
            _ => Self::Listener { place, cause },
        }
    }
}

/// What comes before the words of an error that is about a line of the configuration.
fn at(place: Option<&dunlin_config::Place>) -> String {
    place.map_or_else(String::new, |place| format!("{place}: "))
}

/// All that is wrong, a line each.
fn lines(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn in_use(place: &Place) -> String {
    match place {
        Place::Tcp { address, .. } => format!(
            "the port is in use (see who has it with `ss -ltnp 'sport = :{}'`, or choose another port)",
            address.port()
        ),
        Place::Udp { address, .. } => format!(
            "the port of UDP is in use (see who has it with `ss -lunp 'sport = :{}'`, or choose another port)",
            address.port()
        ),
        Place::Unix { path, .. } if !is_socket(path) => {
            "there is a file that is no socket; take it away, or choose another path".into()
        }
        Place::Unix { .. } | Place::Inherited { .. } => "another process serves it".into(),
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket())
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
    /// The system failed the listener of QUIC, or a defect of ours did.
    #[error("MQTT on QUIC cannot go on: {}", .0.as_ref().map_or_else(|| "its thread panicked".to_owned(), ToString::to_string))]
    Quic(Option<io::Error>),
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
