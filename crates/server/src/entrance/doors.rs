//! All listeners of a server: opened together, and replaced together while it runs.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use socket2::Socket;

use super::{Entrance, ListenerOptions, Place, Rules};
use crate::error::StartError;
use crate::inherited::Inherited;
use crate::listener::{Bound, Listener};
use crate::planted;
use crate::quic::Plan;

/// The listeners that are open. A lock, since whoever reloads and whoever reports may be several; it is
/// held while files are read, and no shard ever takes it.
pub(crate) struct Doors(Mutex<State>);

struct State {
    open: Vec<Open>,
    inherited: Inherited,
}

/// A listener that is open.
struct Open {
    place: Place,
    entrance: Arc<Entrance>,
    socket: Handhold,
}

/// The way to a socket whose port another one is to share for a moment.
enum Handhold {
    /// Of a shard, for as long as it listens.
    Listening(Weak<Socket>),
    /// Of a gateway: a second descriptor.
    Datagrams(Option<Socket>),
}

/// Listeners that are to be, with everything they need.
pub(crate) struct Planned {
    doors: Vec<Door>,
    inherited: Inherited,
}

struct Door {
    place: Place,
    bound: Bound,
    entrance: Arc<Entrance>,
}

/// What is to be served from now on.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) listeners: Vec<Listener>,
    /// Those of QUIC.
    pub(crate) gateways: Vec<Plan>,
}

/// What is to change while the server runs.
pub(crate) struct Change {
    pub(crate) opened: Opened,
    pub(crate) closed: Vec<Arc<Entrance>>,
}

/// How it goes at a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerReport {
    /// What the log calls it.
    pub label: String,
    /// Connections that are open.
    pub connections: usize,
    /// Those of them that are not through with TLS, WebSocket and proxy.
    pub opening: usize,
    /// Handshakes of TLS from the beginning.
    pub full_handshakes: u64,
    /// Handshakes of TLS that went on from an earlier connection.
    pub resumed_handshakes: u64,
    /// Connections that were turned away or broke below MQTT.
    pub turned_away: u64,
    /// When the first of its certificates expires, in seconds since 1970.
    pub certificate_expires: Option<u64>,
}

impl Planned {
    /// Reads all files and takes all addresses; nobody is served yet.
    pub(crate) fn new(listeners: &[ListenerOptions]) -> Result<Self, StartError> {
        let mut inherited = Inherited::from_environment();
        let doors = listeners.iter().map(|listener| open(listener, &mut inherited));
        let doors = doors.collect::<Result<_, _>>()?;
        Ok(Self { doors, inherited })
    }

    /// Where they can be reached.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().filter_map(|door| door.bound.address()).collect()
    }

    /// The same in words, with the unix sockets.
    pub(crate) fn told(&self) -> Vec<String> {
        let told = |door: &Door| match door.bound.address() {
            Some(address) => address.to_string(),
            None => door.place.to_string(),
        };
        self.doors.iter().map(told).collect()
    }

    /// Their sockets.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.doors.iter().map(|door| door.bound.descriptor()).collect()
    }

    /// Opens them all.
    pub(crate) fn listen(self) -> Result<(Doors, Opened), StartError> {
        let mut opened = Opened::default();
        let mut open = Vec::new();
        for door in self.doors {
            open.push(door.listen(&mut opened)?);
        }
        let state = State { open, inherited: self.inherited };
        Ok((Doors(Mutex::new(state)), opened))
    }
}

impl Door {
    fn listen(self, opened: &mut Opened) -> Result<Open, StartError> {
        let Self { place, bound, entrance } = self;
        if matches!(place, Place::Udp { .. }) {
            let socket = bound.into_socket();
            // Without it the port cannot be taken over, and that is told then.
            let second = Handhold::Datagrams(socket.try_clone().ok());
            let plan = Plan::new(place.clone(), socket, Arc::clone(&entrance));
            opened.gateways.push(plan.map_err(|cause| StartError::listener(&place, cause))?);
            return Ok(Open { place, entrance, socket: second });
        }
        let listener = bound.listen(Arc::clone(&entrance));
        let listener = listener.map_err(|cause| StartError::listener(&place, cause))?;
        let socket = Handhold::Listening(listener.socket());
        opened.listeners.push(listener);
        Ok(Open { place, entrance, socket })
    }
}

impl Doors {
    /// Makes the listeners these: all of them, or none if one of them cannot be. Those at a place where
    /// there is one go on with new rules, and their connections with them.
    pub(crate) fn replace(&self, listeners: &[ListenerOptions]) -> Result<Change, StartError> {
        let mut state = self.0.lock();
        let State { open: before, inherited } = &mut *state;
        let stays =
            |open: &Open| listeners.iter().any(|listener| listener.place.is_where(&open.place));
        let leaving: Vec<&Open> = before.iter().filter(|open| !stays(open)).collect();
        let (mut kept, mut opened, mut after) = (Vec::new(), Opened::default(), Vec::new());
        for listener in listeners {
            let place = &listener.place;
            if let Some(open) = before.iter().find(|open| open.place.is_where(place)) {
                kept.push((open, place, rules(listener)?));
            } else {
                let entrance = Entrance::new(listener.label(), rules(listener)?);
                let (bound, sharing) = take_over(place, inherited, &leaving)?;
                let door = Door { place: place.clone(), bound, entrance };
                let open = door.listen(&mut opened)?;
                if sharing.is_some() {
                    open.share(false);
                }
                after.push(open);
            }
        }
        change_modes(&kept)?;
        // From here on nothing fails.
        let closed = leaving.iter().map(|open| Arc::clone(&open.entrance)).collect();
        let mut staying = Vec::new();
        for (open, place, rules) in kept {
            open.entrance.replace_rules(rules);
            staying.push((Arc::as_ptr(&open.entrance), place.clone()));
        }
        let change = Change { opened, closed };
        before.retain_mut(|open| {
            let found =
                staying.iter().find(|(entrance, _)| *entrance == Arc::as_ptr(&open.entrance));
            if let Some((_, place)) = found {
                open.place.clone_from(place);
            }
            found.is_some()
        });
        before.append(&mut after);
        Ok(change)
    }

    pub(crate) fn report(&self) -> Vec<ListenerReport> {
        let state = self.0.lock();
        state.open.iter().map(|open| open.entrance.report()).collect()
    }
}

impl Open {
    /// Lets another socket have the port beside this one, or not any more.
    fn share(&self, shares: bool) {
        let changed = match &self.socket {
            Handhold::Listening(socket) => {
                socket.upgrade().map(|socket| socket.set_reuse_port(shares))
            }
            Handhold::Datagrams(socket) => {
                socket.as_ref().map(|socket| socket.set_reuse_port(shares))
            }
        };
        if let Some(Err(cause)) = changed {
            tracing::debug!("{} keeps its port to itself: {cause}", self.entrance.label);
        }
    }
}

/// Listeners that share their ports for as long as this is there.
struct Sharing<'a>(Vec<&'a Open>);

impl<'a> Sharing<'a> {
    fn begin(those: Vec<&'a Open>) -> Self {
        those.iter().for_each(|open| open.share(true));
        Self(those)
    }
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|open| open.share(false));
    }
}

/// Takes a place, and if its port is that of listeners that are about to leave, beside them: from one to
/// the other there is no moment in which nobody listens. They share it until the new one listens.
fn take_over<'a>(
    place: &Place,
    inherited: &mut Inherited,
    leaving: &[&'a Open],
) -> Result<(Bound, Option<Sharing<'a>>), StartError> {
    let has_port = |open: &&Open| place.port().is_some() && open.place.port() == place.port();
    let before: Vec<&Open> = leaving.iter().copied().filter(has_port).collect();
    let bound = Bound::bind(place, inherited);
    if before.is_empty() || !matches!(bound, Err(StartError::PortInUse { .. })) {
        return Ok((bound?, None));
    }
    let old = before.iter().map(|open| open.entrance.label.clone()).collect();
    let sharing = Sharing::begin(before);
    match Bound::bind_beside(place, inherited, true) {
        Err(StartError::PortInUse { place }) => Err(StartError::PortHeld { place, old }),
        bound => Ok((bound?, Some(sharing))),
    }
}

/// Gives the files of unix sockets the modes that they are to have: all or none.
fn change_modes(kept: &[(&Open, &Place, Rules)]) -> Result<(), StartError> {
    let mut done: Vec<(&Path, Option<u32>)> = Vec::new();
    for (open, place, _) in kept {
        let (Place::Unix { mode: before, .. }, Place::Unix { path, mode }) = (&open.place, place)
        else {
            continue;
        };
        if before == mode {
            continue;
        }
        if let Err(cause) = planted::set_socket_mode(path, *mode) {
            for (path, mode) in done {
                if let Err(cause) = planted::set_socket_mode(path, mode) {
                    tracing::error!("{} has another mode now: {cause}", path.display());
                }
            }
            return Err(StartError::Mode { path: path.clone(), cause });
        }
        done.push((path, *before));
    }
    Ok(())
}

impl Entrance {
    fn report(&self) -> ListenerReport {
        let counters = &self.counters;
        ListenerReport {
            label: self.label.clone(),
            connections: self.connections.load(Ordering::Relaxed),
            opening: self.opening.load(Ordering::Relaxed),
            full_handshakes: counters.full.load(Ordering::Relaxed),
            resumed_handshakes: counters.resumed.load(Ordering::Relaxed),
            turned_away: counters.failed.load(Ordering::Relaxed),
            certificate_expires: self.rules().expires.as_ref().map(|first| first.at),
        }
    }
}

/// Reads all files that listeners need, and takes no address.
pub(crate) fn check_listeners(listeners: &[ListenerOptions]) -> Result<(), StartError> {
    listeners.iter().try_for_each(|listener| rules(listener).map(drop))
}

fn open(listener: &ListenerOptions, inherited: &mut Inherited) -> Result<Door, StartError> {
    // What it needs besides its port, it needs at once.
    let entrance = Entrance::new(listener.label(), rules(listener)?);
    let bound = Bound::bind(&listener.place, inherited)?;
    Ok(Door { place: listener.place.clone(), bound, entrance })
}

fn rules(listener: &ListenerOptions) -> Result<Rules, StartError> {
    Rules::read(listener).map_err(|cause| StartError::Tls {
        place: listener.tls.as_ref().and_then(|tls| tls.place_of(&cause)).cloned(),
        listener: listener.label(),
        cause: Box::new(cause),
    })
}
