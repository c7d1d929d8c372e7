//! One shard of the broker: what comes in, and where it is dealt with.

use core::hash::BuildHasher;
use core::mem;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_proto::codec::AckKind;
use dunlin_proto::packet::Packet;
use dunlin_proto::property::PropertyBuf;
use dunlin_proto::server::{self, Received};
use dunlin_proto::{Time, Violation};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::commons::{Commons, View};
use crate::connection::{
    CloseCause, ConnId, Connection, Next, Peer, Progress, Question, Stage, Verdict,
};
use crate::entry::{Certified, Entry};
use crate::event::{End, Event};
use crate::fights::Fights;
use crate::guard::{Control, Guarded};
use crate::hub::Hub;
use crate::lifecycle::ReadyWill;
use crate::mail::Mail;
use crate::output::Output;
use crate::pace::Held;
use crate::pending::Pending;
use crate::router::{Index, SessionKey};
use crate::routes::Routes;
use crate::settings::Settings;
use crate::slab::NONE;
use crate::stats::Stats;
use crate::timer::Wheel;
use crate::wills::Lingering;

/// One shard: the sessions whose home it is, and the connections that belong to them.
///
/// Calls go in, and what they cause is collected: bytes per connection ([`Self::output`]), batches for
/// other shards ([`Self::take_mail`]), changes of the shared index ([`Self::commit`]), log events
/// ([`Self::take_events`]), the next deadline. It knows neither clock nor socket: the same calls with
/// the same times give the same bytes.
pub struct Broker {
    pub(crate) hub: Hub,
    pub(crate) routes: Routes,
    /// Session slots by client identifier.
    pub(crate) clients: HashTable<u32>,
    pub(crate) hasher: FixedState,
    pub(crate) pending: Vec<Pending>,
    pub(crate) connection_timers: Wheel,
    pub(crate) session_timers: Wheel,
    pub(crate) questions: Vec<Question>,
    pub(crate) resumed: Vec<ConnId>,
    /// Sessions whose replays gave way to others.
    pub(crate) unfinished: Vec<SessionKey>,
    /// Commands to the broker itself.
    pub(crate) controls: Vec<Control>,
    /// Connections that wait for room on disk.
    pub(crate) parked: Vec<ConnId>,
    pub(crate) random: u64,
    /// Properties of the PUBLISH at hand that travel on.
    pub(crate) forwarded: PropertyBuf,
    /// The topic of the PUBLISH at hand with the mount point of its listener.
    pub(crate) whole_topic: String,
    pub(crate) stopping: bool,
    /// Wills whose time has come.
    pub(crate) wills: Vec<ReadyWill>,
    /// Wills whose sessions are over.
    pub(crate) lingering: Vec<Lingering>,
    /// Sessions with shared subscriptions whose connection is gone.
    pub(crate) leaving: Vec<SessionKey>,
    /// Sessions that ended and were in records, with their numbers there and the hashes of their client
    /// identifiers.
    pub(crate) ended: Vec<(SessionKey, u64, u64)>,
    /// Client identifiers whose session ended, which may come back if the process dies now.
    pub(crate) leaving_home: VecDeque<(u64, Arc<str>)>,
    /// Client identifiers whose session ended.
    pub(crate) left: Vec<Arc<str>>,
    pub(crate) due: Vec<u32>,
    pub(crate) fights: Fights,
    /// Connections that publish faster than they may.
    pub(crate) held: Held,
}

/// What handling one packet means for the rest of the input.
pub(crate) enum Flow {
    /// Go on with the next packet.
    Continue,
    /// Stop here; this packet is dealt with.
    Stop(Next),
    /// Stop here; this packet is to be offered again.
    Again(Next),
}

impl Broker {
    /// A shard with its number, how many there are, and a seed for all that is to be unpredictable.
    #[must_use]
    pub fn new(settings: Arc<Settings>, shard: u16, shards: u16, seed: u64) -> Self {
        let mut routes = Routes::new(shard, seed);
        routes.set_overlapping(settings.overlapping);
        Self {
            hub: Hub::new(settings, shard, shards),
            routes,
            clients: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            pending: Vec::new(),
            connection_timers: Wheel::new(),
            session_timers: Wheel::new(),
            questions: Vec::new(),
            resumed: Vec::new(),
            unfinished: Vec::new(),
            controls: Vec::new(),
            parked: Vec::new(),
            random: seed,
            forwarded: PropertyBuf::new(),
            whole_topic: String::new(),
            stopping: false,
            wills: Vec::new(),
            lingering: Vec::new(),
            leaving: Vec::new(),
            ended: Vec::new(),
            leaving_home: VecDeque::new(),
            left: Vec::new(),
            due: Vec::new(),
            fights: Fights::default(),
            held: Held::default(),
        }
    }

    /// A connection was accepted; its CONNECT is to come.
    pub fn open(&mut self, now: Time, peer: &Peer) -> ConnId {
        let engine = self.engine(now, &peer.entry);
        let (slot, epoch) = self.hub.connections.insert(Connection::new(engine, peer));
        self.hub.stats.connections_opened += 1;
        let timeout = self.hub.settings.connect_timeout;
        self.connection_timers.set(slot, now.saturating_add(timeout));
        ConnId { slot, epoch }
    }

    /// Bytes have come from a connection.
    pub fn input(&mut self, now: Time, id: ConnId, bytes: &[u8], view: &View<'_>) -> Progress {
        if self.hub.connections.get(id.slot, id.epoch).is_none() {
            return Progress { consumed: bytes.len(), next: Next::Close };
        }
        self.hub.rules = view.rules_now();
        self.renew(now, id.slot, view);
        let progress = if self.hub.paced {
            self.take_paced(now, id, bytes, view)
        } else {
            self.take_packets(now, id, bytes, view)
        };
        self.settle(now, view);
        progress
    }

    fn take_packets(&mut self, now: Time, id: ConnId, bytes: &[u8], view: &View<'_>) -> Progress {
        let mut consumed = 0;
        loop {
            consumed += self.burst(now, id.slot, bytes.get(consumed..).unwrap_or(&[]), view);
            let (used, flow) = self.step(now, id.slot, bytes.get(consumed..).unwrap_or(&[]), view);
            match flow {
                Flow::Continue => consumed += used,
                Flow::Stop(next) => return Progress { consumed: consumed + used, next },
                Flow::Again(next) => return Progress { consumed, next },
            }
        }
    }

    /// Deals with the packet at the front of `bytes`.
    #[inline]
    pub(crate) fn step(
        &mut self,
        now: Time,
        slot: u32,
        bytes: &[u8],
        view: &View<'_>,
    ) -> (usize, Flow) {
        let Some(connection) = self.hub.connections.at_mut(slot) else {
            return (bytes.len(), Flow::Stop(Next::Close));
        };
        match connection.stage {
            Stage::Answered(_) if connection.login.is_some() => {
                return (0, self.proceed(now, slot, view));
            }
            Stage::Open | Stage::Unwelcome(_) | Stage::Answered(_) => {}
            Stage::Committing => return (0, Flow::Again(Next::Commit)),
            Stage::Asked | Stage::Parked => return (0, Flow::Again(Next::Wait)),
            Stage::Ended => return (bytes.len(), Flow::Stop(Next::Close)),
        }
        match connection.engine.receive(now, bytes) {
            Ok(Received::Packet { packet, len }) => {
                self.hub.stats.messages_received += 1;
                self.hub.stats.bytes_received += len as u64;
                let frame = bytes.get(..len).unwrap_or(&[]);
                (len, self.packet(now, slot, &packet, frame, view))
            }
            Ok(Received::Incomplete { .. }) => (0, Flow::Stop(Next::Read)),
            Err(violation) => {
                self.violated(now, slot, violation, bytes);
                (bytes.len(), Flow::Stop(Next::Close))
            }
        }
    }

    fn packet(
        &mut self,
        now: Time,
        slot: u32,
        packet: &Packet<'_>,
        frame: &[u8],
        view: &View<'_>,
    ) -> Flow {
        let done = match packet {
            Packet::Publish(publish) => match self.publish(now, slot, publish, frame, view) {
                Ok(Flow::Continue) => Ok(()),
                Ok(flow) => return flow,
                Err(violation) => Err(violation),
            },
            Packet::PubAck(ack) => {
                self.ack(now, slot, AckKind::PubAck, ack, view);
                Ok(())
            }
            Packet::PubRec(ack) => {
                self.ack(now, slot, AckKind::PubRec, ack, view);
                Ok(())
            }
            Packet::PubRel(ack) => {
                self.ack(now, slot, AckKind::PubRel, ack, view);
                Ok(())
            }
            Packet::PubComp(ack) => {
                self.ack(now, slot, AckKind::PubComp, ack, view);
                Ok(())
            }
            Packet::PingReq => self.ping(slot),
            Packet::Connect(connect) => return self.connect(now, slot, connect, frame, view),
            Packet::Subscribe(subscribe) => return self.subscribe(now, slot, subscribe, view),
            Packet::Unsubscribe(unsubscribe) => {
                return self.unsubscribe(now, slot, unsubscribe, view);
            }
            Packet::Disconnect(disconnect) => return self.leave(now, slot, disconnect),
            Packet::Auth(auth) => return self.auth(now, slot, auth),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                Err(Violation::PacketNotAllowedFromClient { packet_type: packet.packet_type() })
            }
        };
        match done {
            Ok(()) => Flow::Continue,
            Err(violation) => {
                self.violated(now, slot, violation, &[]);
                Flow::Stop(Next::Close)
            }
        }
    }

    /// [MQTT-3.12.4-1]
    fn ping(&mut self, slot: u32) -> Result<(), Violation> {
        if let Some(buffer) = self.hub.buffer(slot) {
            buffer.extend_from_slice(&[0xD0, 0x00]);
            self.hub.stats.messages_sent += 1;
            self.hub.stats.bytes_sent += 2;
        }
        Ok(())
    }

    /// Whether subscription changes wait for [`Self::commit`].
    #[must_use]
    pub const fn needs_commit(&self) -> bool {
        !self.pending.is_empty() || !self.hub.returned.is_empty()
    }

    /// Applies the subscription changes that wait, answers them, begins to send retained messages and
    /// hands on what members of shared subscriptions left behind.
    pub fn commit(
        &mut self,
        now: Time,
        index: &mut Index,
        commons: &dyn Commons,
        guard: Option<Guarded<'_>>,
    ) {
        self.hub.rules = View { index, commons, guard }.rules_now();
        for change in mem::take(&mut self.pending) {
            self.apply(now, change, index, commons, guard);
        }
        self.redistribute(now, &View { index, commons, guard });
    }

    /// Messages from another shard.
    pub fn mail(&mut self, now: Time, mail: &Mail, view: &View<'_>) {
        self.hub.rules = view.rules_now();
        for (index, target) in &mail.targets {
            if let Some(message) = mail.messages.get(*index as usize) {
                self.hub.receive(now, message, target, view);
            }
        }
    }

    /// What there is for another shard.
    pub fn take_mail(&mut self, shard: u16) -> Option<Mail> {
        if self.is_unsettled() {
            return None;
        }
        let mail = self.hub.mails.get_mut(usize::from(shard))?;
        (!mail.is_empty()).then(|| mem::take(mail))
    }

    /// Adds the connections that have something to write, or are to be closed.
    pub fn take_dirty(&mut self, into: &mut Vec<ConnId>) {
        for slot in mem::take(&mut self.hub.dirty) {
            if let Some(connection) = self.hub.connections.at_mut(slot) {
                connection.output.dirty = false;
                if connection.output.is_corked() {
                    continue;
                }
                into.push(self.hub.id(slot));
            }
        }
    }

    /// What is to be written to a connection.
    pub fn output(&mut self, id: ConnId) -> Option<&mut Output> {
        Some(&mut self.hub.connections.get_mut(id.slot, id.epoch)?.output)
    }

    /// Something was written: what waits in the session may follow.
    pub fn sent(&mut self, now: Time, id: ConnId, view: &View<'_>) {
        let Some(connection) = self.hub.connections.get(id.slot, id.epoch) else { return };
        let session = connection.session;
        self.hub.reclaim(id.slot);
        if session != NONE {
            self.go_on(now, session, view);
        }
    }

    /// Whether a connection is to be read: not while too much waits to be written to it.
    #[must_use]
    pub fn should_read(&self, id: ConnId) -> bool {
        self.hub.connections.get(id.slot, id.epoch).is_some_and(|connection| {
            connection.output.pending() < self.hub.settings.maximum_output
        })
    }

    /// More is known about who has connected, before anything was heard of the client itself: a proxy
    /// or a certificate has told.
    pub fn introduce(
        &mut self,
        id: ConnId,
        address: SocketAddr,
        certificate: Option<Arc<Certified>>,
    ) {
        if let Some(connection) = self.hub.connections.get_mut(id.slot, id.epoch) {
            connection.address = address;
            connection.certificate = certificate;
        }
    }

    /// The connection is moved to another shard: who it is, to open it there.
    pub fn abandon(&mut self, id: ConnId) -> Option<Peer> {
        let peer = self.hub.connections.get(id.slot, id.epoch)?.peer();
        self.connection_timers.clear(id.slot);
        self.hub.connections.remove(id.slot);
        self.hub.stats.connections_opened -= 1;
        Some(peer)
    }

    /// The socket of a connection is gone.
    pub fn closed(&mut self, now: Time, id: ConnId, cause: CloseCause, view: &View<'_>) {
        if self.hub.connections.get(id.slot, id.epoch).is_none() {
            return;
        }
        let end = match cause {
            CloseCause::PeerClosed | CloseCause::Finished => End::PeerClosed,
            CloseCause::Error(kind) => End::Broken(kind),
            CloseCause::Shutdown => End::ShuttingDown,
        };
        self.end(now, id.slot, end);
        self.connection_timers.clear(id.slot);
        self.uncount_user(id.slot, view.commons);
        self.hub.connections.remove(id.slot);
        self.settle(now, view);
    }

    /// When to call [`Self::tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let deadlines =
            [self.connection_timers.next(), self.session_timers.next(), self.held.next()];
        if !self.unfinished.is_empty() {
            return Some(Time::ZERO);
        }
        deadlines.into_iter().flatten().min()
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.hub.stats
    }

    /// Adds what is worth a line in the log.
    pub fn take_events(&mut self, into: &mut Vec<Event>) {
        for event in &self.hub.events {
            if !event.tallied() {
                self.hub.stats.causes.add(event.cause(), 1);
            }
        }
        into.append(&mut self.hub.events);
    }

    /// Adds the questions that CONNECTs wait for.
    pub fn take_questions(&mut self, into: &mut Vec<Question>) {
        into.append(&mut self.questions);
    }

    /// Answers a question.
    pub fn answer(&mut self, id: ConnId, verdict: Verdict) {
        if let Some(connection) = self.hub.connections.get_mut(id.slot, id.epoch)
            && matches!(connection.stage, Stage::Asked)
        {
            connection.stage = Stage::Answered(Box::new(verdict));
            self.resumed.push(id);
        } else {
            self.answer_again(id, verdict);
        }
    }

    /// Adds the connections whose unread bytes are to be offered again.
    pub fn take_resumed(&mut self, into: &mut Vec<ConnId>) {
        into.append(&mut self.resumed);
    }

    pub(crate) fn engine(&self, now: Time, entry: &Entry) -> server::Connection {
        let settings = &self.hub.settings;
        let aliases = entry.topic_alias_maximum;
        server::Connection::new(
            server::Limits {
                maximum_packet_size: settings.maximum_packet_size,
                receive_maximum: settings.receive_maximum,
                topic_alias_maximum: aliases.unwrap_or(settings.topic_alias_maximum),
                maximum_qos: entry.maximum_qos,
                retain_available: settings.retain_available,
                ..server::Limits::default()
            },
            now,
        )
    }

    /// Slot of the session of a client identifier.
    pub(crate) fn session_of(&self, client_id: &str) -> Option<u32> {
        let sessions = &self.hub.sessions;
        self.clients
            .find(self.hasher.hash_one(client_id), |slot| {
                sessions.at(*slot).is_some_and(|session| *session.who.client_id == *client_id)
            })
            .copied()
    }

    /// The next number that nobody can guess (SplitMix64).
    pub(crate) const fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
