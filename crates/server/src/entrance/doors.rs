//! All listeners of a server: opened together, and replaced together while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::{Entrance, ListenerOptions, Place, Rules};
use crate::error::StartError;
use crate::inherited::Inherited;
use crate::listener::{Bound, Listener};
use crate::quic::Plan;

/// The listeners that are open. A lock, since whoever reloads and whoever reports may be several; it is
/// held while files are read, and no shard ever takes it.
pub(crate) struct Doors(Mutex<State>);

struct State {
    open: Vec<(Place, Arc<Entrance>)>,
    inherited: Inherited,
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

    /// Opens them all.
    pub(crate) fn listen(self) -> Result<(Doors, Opened), StartError> {
        let mut opened = Opened::default();
        let mut open = Vec::new();
        for door in self.doors {
            open.push((door.place.clone(), Arc::clone(&door.entrance)));
            door.listen(&mut opened)?;
        }
        let state = State { open, inherited: self.inherited };
        Ok((Doors(Mutex::new(state)), opened))
    }
}

impl Door {
    fn listen(self, opened: &mut Opened) -> Result<(), StartError> {
        let Self { place, bound, entrance } = self;
        if matches!(place, Place::Udp { .. }) {
            opened.gateways.push(Plan { place, socket: bound.into_socket(), entrance });
            return Ok(());
        }
        let listener = bound.listen(entrance);
        opened.listeners.push(listener.map_err(|cause| StartError::listener(&place, cause))?);
        Ok(())
    }
}

impl Doors {
    /// Makes the listeners these: all of them, or none if one of them cannot be. Those at a place where
    /// there is one go on with new rules, and their connections with them.
    pub(crate) fn replace(&self, listeners: &[ListenerOptions]) -> Result<Change, StartError> {
        let mut state = self.0.lock();
        let State { open: before, inherited } = &mut *state;
        let (mut kept, mut opened, mut after) = (Vec::new(), Opened::default(), Vec::new());
        for listener in listeners {
            if let Some((place, entrance)) = before.iter().find(|(at, _)| *at == listener.place) {
                kept.push((Arc::clone(entrance), rules(listener)?));
                after.push((place.clone(), Arc::clone(entrance)));
            } else {
                let door = open(listener, inherited)?;
                after.push((door.place.clone(), Arc::clone(&door.entrance)));
                door.listen(&mut opened)?;
            }
        }
        // From here on nothing fails.
        for (entrance, rules) in kept {
            entrance.replace_rules(rules);
        }
        let stays = |entrance| after.iter().any(|(_, kept)| Arc::ptr_eq(kept, entrance));
        let closed =
            before.iter().map(|(_, entrance)| entrance).filter(|entrance| !stays(*entrance));
        let change = Change { opened, closed: closed.cloned().collect() };
        *before = after;
        Ok(change)
    }

    pub(crate) fn report(&self) -> Vec<ListenerReport> {
        let state = self.0.lock();
        let entrances = state.open.iter().map(|(_, entrance)| entrance);
        entrances.map(|entrance| entrance.report()).collect()
    }
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
            certificate_expires: self.rules().expires,
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
    Rules::read(listener)
        .map_err(|cause| StartError::Tls { listener: listener.label(), cause: Box::new(cause) })
}
