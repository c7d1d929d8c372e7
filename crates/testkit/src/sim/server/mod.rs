//! A broker process as the server wires it: shards, what they share, mail between them, and the store.
//!
//! A turn is cut into the steps between which another shard, the store or death may come in.

mod commons;
mod keeper;
mod shard;
mod turn;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use core::time::Duration;

use dunlin_broker::journal::State;
use dunlin_broker::{Broker, ConnId, Index, Peer, Stats, Time};
use dunlin_store::{FaultyDisk, Log, Status};

use self::commons::Shared;
use self::keeper::Keeper;
use self::shard::{Parcel, Shard};
use super::scene::Scene;
use super::schedule::Event;

/// Longer than any turn takes, from input to the journal.
const TURN: Duration = Duration::from_millis(20);

/// One life of a broker.
pub(super) struct Process {
    epoch: u32,
    index: Index,
    commons: Shared,
    shards: Vec<Shard>,
    /// By link.
    connections: BTreeMap<usize, Connection>,
    keeper: Option<Keeper>,
}

/// The broker's end of a link.
struct Connection {
    shard: usize,
    id: ConnId,
    /// Read and not dealt with.
    unread: Vec<u8>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// It waits for something, or is on its way to another shard.
    Waiting,
    /// Closed when everything is written.
    Ending,
}

impl Process {
    /// Starts a broker, with what an earlier one has left.
    pub(super) fn start(
        scene: &mut Scene,
        epoch: u32,
        shards: u16,
        kept: Option<(Log<FaultyDisk>, State)>,
    ) -> Self {
        let settings = Arc::new(scene.plan.settings.clone());
        let (log, state) = kept.map_or((None, None), |(log, state)| (Some(log), Some(state)));
        let state = state.unwrap_or_default();
        let commons = Shared::new(shards, &state);
        let seed = scene.random.next();
        let brokers = (0..shards).map(|shard| Broker::new(settings.clone(), shard, shards, seed));
        let mut process = Self {
            epoch,
            index: Index::new(seed),
            commons,
            shards: brokers.map(Shard::new).collect(),
            connections: BTreeMap::new(),
            keeper: log.map(|log| Keeper::new(log, usize::from(shards))),
        };
        process.restore(scene, state);
        process
    }

    fn restore(&mut self, scene: &mut Scene, state: State) {
        let now = scene.schedule.now;
        for session in state.sessions {
            let shard = scene.random.index(self.shards.len());
            self.commons.place(&session.client_id, shard);
            let broker = &mut self.shards[shard].broker;
            broker.restore(now, session, &mut self.index, &self.commons);
        }
        self.commons.restore(state.retained);
        for shard in 0..self.shards.len() {
            self.rouse(scene, shard);
        }
    }

    /// A connection has reached the listener, which the first shard serves.
    pub(super) fn accept(&mut self, scene: &mut Scene, link: usize) {
        scene.links[link].broker_open = true;
        scene.oracle.arrived(link);
        self.adopt(scene, link, 0, Vec::new());
        self.readable(scene, link);
    }

    /// A shard takes a connection.
    fn adopt(&mut self, scene: &mut Scene, link: usize, shard: usize, unread: Vec<u8>) {
        let now = scene.schedule.now;
        let id = self.shards[shard].broker.open(now, &peer());
        self.shards[shard].links.insert((id.slot, id.epoch), link);
        self.connections.insert(link, Connection { shard, id, unread, phase: Phase::Open });
        self.shards[shard].readable.insert(link);
    }

    /// Bytes have arrived.
    pub(super) fn readable(&mut self, scene: &mut Scene, link: usize) {
        if let Some(connection) = self.connections.get(&link) {
            let shard = connection.shard;
            self.shards[shard].readable.insert(link);
            self.rouse(scene, shard);
        }
    }

    /// There is room again for what is to be written.
    pub(super) fn writable(&mut self, scene: &mut Scene, link: usize) {
        if let Some(connection) = self.connections.get(&link) {
            let (shard, id) = (connection.shard, connection.id);
            self.shards[shard].dirty.push(id);
            self.rouse(scene, shard);
        }
    }

    /// A connection is gone.
    pub(super) fn hung_up(&mut self, scene: &mut Scene, link: usize) {
        if let Some(connection) = self.connections.get(&link) {
            let shard = connection.shard;
            self.shards[shard].mailbox.push_back(Parcel::HungUp(link));
            self.rouse(scene, shard);
        }
    }

    /// A shard is to look around.
    pub(super) fn rouse(&mut self, scene: &mut Scene, shard: usize) {
        if !core::mem::replace(&mut self.shards[shard].awake, true) {
            let delay = scene.random.delay(Duration::from_micros(20));
            scene.schedule.after(delay, Event::Turn { epoch: self.epoch, shard });
        }
    }

    pub(super) fn rouse_all(&mut self, scene: &mut Scene) {
        for shard in 0..self.shards.len() {
            self.rouse(scene, shard);
        }
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// A counter, over all shards.
    pub(super) fn sum(&self, counter: impl Fn(&Stats) -> u64) -> u64 {
        self.shards.iter().map(|shard| counter(shard.broker.stats())).sum()
    }

    /// Answers that wait for the disk.
    pub(super) fn waiting(&self) -> usize {
        self.shards.iter().map(|shard| shard.broker.waiting()).sum()
    }

    /// Topics with a retained message.
    pub(super) fn retained(&self) -> usize {
        self.commons.count()
    }

    pub(super) fn status(&self) -> Option<Status> {
        self.keeper.as_ref().map(Keeper::status)
    }

    /// Everything done before this moment is durable.
    pub(super) fn durable(&self, now: Time) -> Time {
        let oldest = self.keeper.as_ref().map_or(now, |keeper| keeper.oldest(now));
        oldest.saturating_sub(TURN)
    }

    /// Everything handed to the store is durable.
    pub(super) fn is_durable(&self) -> bool {
        self.keeper.as_ref().is_none_or(Keeper::is_idle)
    }
}

fn peer() -> Peer {
    Peer::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)))
}
