//! Sockets that the service manager has opened for us (systemd's socket activation).

use std::env;
use std::io;

use listenfd::ListenFd;
use socket2::Socket;

/// The sockets that were handed over and not taken yet.
pub(crate) struct Inherited {
    sockets: ListenFd,
    /// Their names, in their order.
    names: Vec<String>,
}

impl Inherited {
    /// What the environment says. It says so once: a second call finds nothing.
    pub(crate) fn from_environment() -> Self {
        // Before they are taken, since their names tell which is which.
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names = names.split(':').map(str::to_owned).collect();
        Self { sockets: ListenFd::from_env(), names }
    }

    /// Takes the socket of this name, or of this number counted from 0.
    pub(crate) fn take(&mut self, name: &str) -> io::Result<Socket> {
        let count = self.sockets.len();
        let named = (0..count).find(|at| self.names.get(*at).is_some_and(|known| known == name));
        let numbered = name.parse().ok().filter(|number| *number < count);
        let missing = || {
            let names = self.names.join(", ");
            let text = format!(
                "the service manager has opened no socket of this name: it handed over {count} ({names})"
            );
            io::Error::new(io::ErrorKind::NotFound, text)
        };
        let number = named.or(numbered).ok_or_else(missing)?;
        // Whether it is TCP or unix, the socket itself tells.
        if let Ok(Some(tcp)) = self.sockets.take_tcp_listener(number) {
            return Ok(tcp.into());
        }
        let unix = self.sockets.take_unix_listener(number)?;
        unix.map(Socket::from).ok_or_else(missing)
    }
}
