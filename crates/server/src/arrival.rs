//! How connections come to a shard and leave it: accepted, moved in, moved away, closed.

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_broker::{Admission, CloseCause, ConnId, Limit, Peer, Reached, Refusal, Time, View};
use mio::Interest;
use mio::net::TcpStream;

use crate::connection::{Connection, Inbound, Moving, Socket};
use crate::entrance::{Change, Entrance, Rules};
use crate::listener::{HERE, Listener};
use crate::log::as_mosquitto;
use crate::shard::{Shard, token_of};
use crate::shared::{Parcel, Shared};
use crate::transport::Transport;

/// How long who wants to connect waits for a reload at most. 250 ms: it takes a few, but for a machine that is
/// busy or a configuration that is large.
const RELOAD_PATIENCE: Duration = Duration::from_millis(250);

/// Bursts of those who wait at a listener that is closed: as many as the system lets wait.
const LAST_BURSTS: usize = 32;

impl Shard<'_> {
    /// Accepts new connections, a bounded number of them.
    pub(crate) fn accept(&mut self, now: Time) {
        let mut listeners = mem::take(&mut self.listeners);
        let waits = self.waits_for_reload(now);
        for listener in listeners.iter_mut().filter(|listener| listener.is_due(now)) {
            if waits {
                listener.put_off(now);
                continue;
            }
            let entrance = Arc::clone(&listener.entrance);
            let (shared, rules) = (self.shared, entrance.rules());
            let is_full = || {
                let before = entrance.connections.load(Ordering::Relaxed);
                let open = shared.connections.load(Ordering::Relaxed);
                limit_reached(shared, &rules, open, before).is_some()
            };
            listener.accept(now, is_full, |stream, address| {
                self.welcome(now, stream, address, &entrance);
            });
        }
        self.listeners = listeners;
    }

    /// Whether who wants to connect waits until a reload is done, which decides whether they may.
    fn waits_for_reload(&mut self, now: Time) -> bool {
        if !self.shared.reloading.is_due() {
            self.reload_awaited = None;
            return false;
        }
        now < *self.reload_awaited.get_or_insert_with(|| now.saturating_add(RELOAD_PATIENCE))
    }

    /// Opens and closes listeners while the server runs.
    pub(crate) fn replace_listeners(&mut self, now: Time, change: Change) {
        if self.stopping.is_some() {
            return;
        }
        let Change { opened, closed } = change;
        let is_closed = |listener: &Listener| {
            closed.iter().any(|entrance| Arc::ptr_eq(entrance, &listener.entrance))
        };
        let closing: Vec<Listener> =
            self.listeners.extract_if(.., |listener| is_closed(listener)).collect();
        for mut listener in closing {
            // Those who are on their way in when another one takes the port over.
            self.take_last(now, &mut listener);
            tracing::info!("no longer listening on {}", listener.entrance.label);
        }
        // Those of QUIC have threads of their own.
        for listener in opened.listeners {
            tracing::info!("listening on {}", listener.entrance.label);
            self.listeners.push(listener);
        }
        // The tokens follow the places in the list.
        if let Err(cause) = self.register_listeners() {
            tracing::error!("the poller refuses a listener: {cause}");
        }
    }

    /// Accepts who has come until now.
    fn take_last(&mut self, now: Time, listener: &mut Listener) {
        let entrance = Arc::clone(&listener.entrance);
        listener.notice();
        for _ in 0..LAST_BURSTS {
            if listener.is_drained() {
                return;
            }
            listener.accept(
                now,
                || false,
                |stream, address| {
                    self.welcome(now, stream, address, &entrance);
                },
            );
        }
    }

    fn welcome(
        &mut self,
        now: Time,
        stream: TcpStream,
        address: SocketAddr,
        entrance: &Arc<Entrance>,
    ) {
        let rules = entrance.rules();
        let before = entrance.connections.load(Ordering::Relaxed);
        let mut pass = match entrance.enter(&rules, address) {
            Ok(pass) => pass,
            Err(why) => return entrance.tell(&self.shared.why, now, address, &why),
        };
        let transport = match rules.layers.is_plain() {
            true => None,
            false => match Transport::new(&rules.layers, address) {
                Ok(transport) => Some(Box::new(transport)),
                Err(fault) => return entrance.tell(&self.shared.why, now, address, &fault),
            },
        };
        let options = self.shared.why.options();
        // Behind a proxy, where it comes from is not known yet.
        pass.is_announced = rules.layers.announces(address.ip());
        let banned = match pass.is_announced {
            false => self.shared.accesses.banned(address.ip()),
            true => None,
        };
        if let Some(banned) = banned.as_ref().filter(|_| rules.layers.tls.is_some()) {
            return entrance.tell(&self.shared.why, now, address, banned);
        }
        let crowded = match pass.is_announced {
            false => self.shared.why.crowd.enter(now, address.ip(), options.bounds()),
            true => Ok(None),
        };
        let crowded = match crowded {
            Ok(counted) => {
                pass.counted = counted;
                None
            }
            // A handshake would cost more than it says.
            Err(reached) if rules.layers.tls.is_some() => {
                return entrance.tell(&self.shared.why, now, address, &reached);
            }
            Err(reached) => Some(reached),
        };
        if as_mosquitto() && !pass.is_announced && address != HERE {
            // What it costs to ask the system is paid by those who want the line.
            let port = stream.local_addr().map_or(0, |local| local.port());
            self.arrivals.tell(now, address, port);
        }
        let admission = admit(self.shared, &rules, before, crowded);
        let admission = banned.map_or(admission, Admission::Refuse);
        let peer = Peer { admission, entry: Arc::clone(&rules.entry), ..Peer::new(address) };
        let socket = Socket { stream, transport, pass };
        if rules.layers.tls.is_none() {
            return self.open(now, socket, &peer);
        }
        // Handshakes of TLS are work: every shard does its part, not only the one that accepts.
        let shard = self.next_shard % self.shared.mailboxes.len();
        self.next_shard += 1;
        if shard == usize::from(self.number) {
            self.open(now, socket, &peer);
        } else {
            let expulsions = self.expulsions;
            self.send_away(shard, Moving { socket, peer, expulsions, unread: Vec::new() });
        }
    }

    fn open(&mut self, now: Time, socket: Socket, peer: &Peer) {
        let id = self.broker.open(now, peer);
        if let Err(cause) = self.watch(id, socket) {
            self.abandon(id, peer.address, &cause);
        }
    }

    /// Takes in a connection that another shard has accepted.
    pub(crate) fn adopt(&mut self, now: Time, moving: Moving, view: &View<'_>) {
        let Moving { socket, mut peer, expulsions, unread } = moving;
        if matches!(peer.admission, Admission::Admitted(_))
            && expulsions != self.shared.accesses.expulsions()
        {
            // Whoever was to be ended meanwhile may be this one, and was not found here yet.
            let by = Some("the rules have changed while it came in: it may try again".into());
            peer.admission = Admission::Refuse(Refusal::Unavailable { by });
        }
        let id = self.broker.open(now, &peer);
        if let Err(cause) = self.watch(id, socket) {
            return self.abandon(id, peer.address, &cause);
        }
        if !self.still_welcome(now, id, view) {
            return;
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        // What else is unread in the kernel, the poller tells again; what was said below MQTT, it
        // does not.
        let has_ended = connection.transport.as_ref().is_some_and(|transport| transport.ended);
        if has_ended {
            connection.inbound = Inbound::Held;
        }
        if !unread.is_empty() || matches!(peer.admission, Admission::Admitted(_)) {
            connection.partial = unread;
            self.offer(now, id, view);
        }
    }

    fn watch(&mut self, id: ConnId, mut socket: Socket) -> io::Result<()> {
        let registered =
            self.poll.registry().register(&mut socket.stream, token_of(id), Interest::READABLE);
        if registered.is_err() {
            self.uncount(socket.pass.counted);
        }
        registered?;
        self.connections.insert(id, socket);
        Ok(())
    }

    fn abandon(&mut self, id: ConnId, address: SocketAddr, cause: &io::Error) {
        tracing::warn!("connection from {address} closed: the poller refused it: {cause}");
        self.broker.abandon(id);
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// A connection from there is gone.
    fn uncount(&self, counted: Option<IpAddr>) {
        if let Some(address) = counted {
            self.shared.why.crowd.leave(self.shared.clock.now(), address);
        }
    }

    /// Sends a connection to the shard where its session is at home.
    pub(crate) fn move_away(&mut self, now: Time, id: ConnId, shard: u16, view: &View<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let Err(cause) = self.poll.registry().deregister(&mut connection.stream) {
            return self.close(now, id, CloseCause::Error(cause.kind()), view);
        }
        let Some(connection) = self.connections.remove(id) else { return };
        let Some(peer) = self.broker.abandon(id) else { return };
        let Connection { stream, transport, pass, partial, .. } = connection;
        let socket = Socket { stream, transport, pass };
        let (shard, expulsions) = (usize::from(shard), self.expulsions);
        self.send_away(shard, Moving { socket, peer, expulsions, unread: partial });
    }

    fn send_away(&mut self, shard: usize, moving: Moving) {
        self.shared.mailboxes[shard].post(Parcel::Connection(Box::new(moving)), 0);
        self.posted[shard] = true;
    }

    /// Removes a connection that is to be closed.
    pub(crate) fn forget(&mut self, id: ConnId) -> Option<Connection> {
        let mut connection = self.connections.remove(id)?;
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.uncount(connection.pass.counted.take());
        Some(connection)
    }
}

/// Counts a connection among all, and says whether there is room for it; `before` it there were so many at
/// its listener, and `crowded` says what is in the way from where it comes.
pub(crate) fn admit(
    shared: &Shared,
    rules: &Rules,
    before: usize,
    crowded: Option<Reached>,
) -> Admission {
    let open = shared.connections.fetch_add(1, Ordering::Relaxed);
    let reached = limit_reached(shared, rules, open, before).or(crowded);
    reached.map_or(Admission::Admit, |reached| Admission::Refuse(Refusal::Limit(reached)))
}

/// The limit of connections that another one would break, where so many are open, and so many at its listener.
fn limit_reached(shared: &Shared, rules: &Rules, open: usize, before: usize) -> Option<Reached> {
    let limits = [
        (Limit::Connections, open, shared.why.options().connections),
        (Limit::ListenerConnections, before, rules.maximum_connections),
    ];
    limits.into_iter().find_map(|(limit, open, allowed)| {
        let allowed = allowed.filter(|allowed| open >= *allowed)?;
        Some(Reached::new(limit, open, allowed))
    })
}
