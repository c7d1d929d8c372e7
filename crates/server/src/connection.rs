//! The socket side of connections: descriptor, unread bytes, and what the shard waits for.

use dunlin_broker::{ConnId, Peer};
use mio::net::TcpStream;

use crate::entrance::Pass;
use crate::transport::Transport;

/// One connection of a shard. Idle, it owns no memory besides this.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// What lies between the socket and MQTT, if anything does.
    pub(crate) transport: Option<Box<Transport>>,
    pub(crate) pass: Pass,
    epoch: u32,
    /// The beginning of a packet whose rest is still to come.
    pub(crate) partial: Vec<u8>,
    pub(crate) inbound: Inbound,
    pub(crate) phase: Phase,
    pub(crate) outbound: Outbound,
    /// Its last output was written after it was to be closed: words that it should get to read.
    pub(crate) last_words: bool,
    /// The poller has told that the peer closed its side: a short read is then not the last one.
    pub(crate) hung_up: bool,
}

/// What is known about unread bytes in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// There were none; the poller tells when there are some.
    Drained,
    /// There may be some, and the connection is in the list of those to be read.
    Queued,
    /// There may be some, but the connection is not to be read now.
    Held,
}

/// What is known about room for writing in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outbound {
    /// There has always been room, and the poller is not asked about it.
    Unwatched,
    /// There is room again; the poller is asked about it from the first time on that there was none.
    Free,
    /// The socket took less than it was given; the poller tells when it takes more.
    Blocked,
}

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its input is handled as it comes.
    Open,
    /// The rest of its input waits for an answer from outside the shard.
    Waiting,
    /// It is read no more and closed once its output is written.
    Ending,
    /// The same, and the time it has for that is running.
    LastCall,
}

/// A connection on its way to another shard.
pub(crate) struct Moving {
    pub(crate) socket: Socket,
    pub(crate) peer: Peer,
    /// How often connections had been ended before it was judged, if it was.
    pub(crate) expulsions: u64,
    /// Read, but not handled yet.
    pub(crate) unread: Vec<u8>,
}

/// A socket and what belongs to it wherever it goes.
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    pub(crate) transport: Option<Box<Transport>>,
    pub(crate) pass: Pass,
}

impl Connection {
    fn new(socket: Socket, epoch: u32) -> Self {
        let Socket { stream, transport, pass } = socket;
        Self {
            stream,
            transport,
            pass,
            epoch,
            partial: Vec::new(),
            inbound: Inbound::Drained,
            phase: Phase::Open,
            outbound: Outbound::Unwatched,
            last_words: false,
            hung_up: false,
        }
    }

    /// Nothing is read from it any more.
    pub(crate) const fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending | Phase::LastCall)
    }
}

/// The connections of a shard, by the slots that the broker gave them.
#[derive(Default)]
pub(crate) struct Connections {
    slots: Vec<Option<Connection>>,
    count: usize,
}

impl Connections {
    pub(crate) fn insert(&mut self, id: ConnId, socket: Socket) {
        let slot = id.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        if self.slots[slot].replace(Connection::new(socket, id.epoch)).is_none() {
            self.count += 1;
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        let connection = self.slots.get_mut(id.slot as usize)?.as_mut()?;
        (connection.epoch == id.epoch).then_some(connection)
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Connection> {
        self.get_mut(id)?;
        let connection = self.slots[id.slot as usize].take()?;
        self.count -= 1;
        Some(connection)
    }

    /// The first one in this slot or behind it.
    pub(crate) fn from(&self, slot: u32) -> Option<ConnId> {
        let behind = (slot..).zip(self.slots.get(slot as usize..)?);
        let mut there = behind.filter_map(|(slot, connection)| {
            connection.as_ref().map(|connection| ConnId { slot, epoch: connection.epoch })
        });
        there.next()
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// All of them, as they are now.
    pub(crate) fn ids(&self) -> Vec<ConnId> {
        (0u32..)
            .zip(&self.slots)
            .filter_map(|(slot, connection)| {
                connection.as_ref().map(|connection| ConnId { slot, epoch: connection.epoch })
            })
            .collect()
    }
}
