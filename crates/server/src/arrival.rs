//! How connections come to a shard and leave it: accepted, moved in, moved away, closed.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use dunlin_broker::{Admission, CloseCause, ConnId, Peer, Refusal, Time, View};
use mio::Interest;
use mio::net::TcpStream;

use crate::connection::{Connection, Moving};
use crate::shard::{Shard, token_of};
use crate::shared::Parcel;

impl Shard<'_> {
    /// Accepts new connections, a bounded number of them.
    pub(crate) fn accept(&mut self, now: Time) {
        let mut listeners = mem::take(&mut self.listeners);
        for listener in &mut listeners {
            listener.accept(now, |stream, address| self.welcome(now, stream, address));
        }
        self.listeners = listeners;
    }

    fn welcome(&mut self, now: Time, stream: TcpStream, address: SocketAddr) {
        let open = self.shared.connections.fetch_add(1, Ordering::Relaxed);
        let limit = self.shared.tuning.max_connections;
        let admission = if open < limit {
            Admission::Admit
        } else {
            Admission::Refuse(Refusal::TooManyConnections { limit })
        };
        let id = self.broker.open(now, &Peer { admission, ..Peer::new(address) });
        if let Err(cause) = self.watch(id, stream) {
            self.abandon(id, address, &cause);
        }
    }

    /// Takes in a connection that another shard has accepted.
    pub(crate) fn adopt(&mut self, now: Time, moving: Moving, view: &View<'_>) {
        let Moving { stream, address, unread } = moving;
        let id = self.broker.open(now, &Peer::new(address));
        if let Err(cause) = self.watch(id, stream) {
            return self.abandon(id, address, &cause);
        }
        if let Some(connection) = self.connections.get_mut(id) {
            connection.partial = unread;
        }
        // What else is unread in the kernel, the poller tells again.
        self.offer(now, id, view);
    }

    fn watch(&mut self, id: ConnId, mut stream: TcpStream) -> io::Result<()> {
        self.poll.registry().register(&mut stream, token_of(id), Interest::READABLE)?;
        self.connections.insert(id, stream);
        Ok(())
    }

    fn abandon(&mut self, id: ConnId, address: SocketAddr, cause: &io::Error) {
        tracing::warn!("connection from {address} closed: the poller refused it: {cause}");
        self.broker.abandon(id);
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sends a connection to the shard where its session is at home.
    pub(crate) fn move_away(&mut self, now: Time, id: ConnId, shard: u16, view: &View<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let moved = connection.stream.peer_addr().and_then(|address| {
            self.poll.registry().deregister(&mut connection.stream).map(|()| address)
        });
        match moved {
            Err(cause) => self.close(now, id, CloseCause::Error(cause.kind()), view),
            Ok(address) => {
                let Some(connection) = self.connections.remove(id) else { return };
                self.broker.abandon(id);
                let Connection { stream, partial, .. } = connection;
                let moving = Box::new(Moving { stream, address, unread: partial });
                let shard = usize::from(shard);
                self.shared.mailboxes[shard].post(Parcel::Connection(moving), 0);
                self.posted[shard] = true;
            }
        }
    }

    /// Removes a connection that is to be closed.
    pub(crate) fn forget(&mut self, id: ConnId) -> Option<Connection> {
        let connection = self.connections.remove(id)?;
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        Some(connection)
    }
}
