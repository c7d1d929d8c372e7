//! A whole broker of any number of shards on virtual time, with clients that speak packets.
//!
//! What the server does with sockets, locks and clocks is done here by plain calls in a fixed order, so
//! that every test gives the same bytes each time it runs. All clients check that the broker keeps to
//! their limits (`side.rs`).

mod actions;
mod commons;
mod disk;
mod operator;
mod options;
mod rules;
mod side;
mod words;

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dunlin_broker::{
    Admission, Broker, CloseCause, Entry, Event, Index, Next, Peer, Question, Settings, Stats,
    Time, Verdict, View,
};
use dunlin_proto::codec;
use dunlin_proto::packet::Packet;
pub use options::{Options, buffer, options, packet_id};

use commons::Shared;
use rules::Rules;
use side::Side;

/// Number of a client in its world.
pub type Client = usize;

pub struct World {
    pub now: Time,
    pub index: Index,
    pub commons: Shared,
    /// What clients may not do; nothing at first, and nobody is asked then.
    pub rules: Rules,
    pub brokers: Vec<Broker>,
    /// Bytes that come in at once; all of a packet by default.
    pub slice: usize,
    /// What brokers want kept is durable at once.
    pub disk: bool,
    /// Of each broker's last journal.
    tokens: Vec<u64>,
    /// What they wanted kept, from the beginning.
    records: Vec<u8>,
    /// How much of it was asked for.
    told: usize,
    clients: Vec<Side>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Settings::default(), 1)
    }

    /// New sessions go to the shards in turn.
    pub fn with_shards(shards: u16) -> Self {
        Self::with(Settings::default(), shards)
    }

    /// Nothing is kept.
    pub fn forgetful(settings: Settings, shards: u16) -> Self {
        Self::new_with(Settings { keep: false, ..settings }, shards)
    }

    /// Everything is kept, on a disk that takes no time, so that what holds in memory holds with it.
    pub fn with(settings: Settings, shards: u16) -> Self {
        Self::new_with(Settings { keep: true, ..settings }, shards)
    }

    fn new_with(settings: Settings, shards: u16) -> Self {
        let settings = Arc::new(settings);
        Self {
            now: Time::from_secs(1000),
            index: Index::new(7),
            commons: Shared::new(shards),
            rules: Rules::default(),
            brokers: (0..shards)
                .map(|shard| Broker::new(Arc::clone(&settings), shard, shards, 7))
                .collect(),
            slice: usize::MAX,
            disk: true,
            tokens: vec![0; usize::from(shards)],
            records: Vec::new(),
            told: 0,
            clients: Vec::new(),
        }
    }

    /// Opens a connection; nothing is sent on it.
    pub fn open(&mut self) -> Client {
        self.open_as(Admission::Admit)
    }

    pub fn open_as(&mut self, admission: Admission) -> Client {
        self.open_peer(&peer(admission))
    }

    /// Connects by a listener with rules of its own, and checks that it was accepted.
    pub fn connect_by(&mut self, entry: &Arc<Entry>, options: &Options<'_>) -> Client {
        let (client, connack) = self.try_connect_by(entry, options);
        assert!(connack.starts_with("ConnAck Success"), "{connack}");
        client
    }

    /// The same, and tells what the answer was.
    pub fn try_connect_by(
        &mut self,
        entry: &Arc<Entry>,
        options: &Options<'_>,
    ) -> (Client, String) {
        let entry = Arc::clone(entry);
        let client = self.open_peer(&Peer { entry, ..peer(Admission::Admit) });
        self.send_connect(client, options);
        let answer = self.next(client).unwrap_or_default();
        (client, answer)
    }

    fn open_peer(&mut self, peer: &Peer) -> Client {
        let id = self.brokers[0].open(self.now, peer);
        self.clients.push(Side::new(0, id));
        self.clients.len() - 1
    }

    /// Connects and checks that it was accepted.
    #[allow(clippy::needless_pass_by_value, reason = "most are made for the call")]
    pub fn connect(&mut self, options: Options<'_>) -> Client {
        let (client, connack) = self.try_connect(options);
        assert!(connack.starts_with("ConnAck Success"), "{connack}");
        client
    }

    /// Connects and tells what the answer was.
    #[allow(clippy::needless_pass_by_value, reason = "most are made for the call")]
    pub fn try_connect(&mut self, options: Options<'_>) -> (Client, String) {
        let client = self.open();
        self.send_connect(client, &options);
        let answer = self.next(client).unwrap_or_default();
        (client, answer)
    }

    pub fn send_connect(&mut self, client: Client, options: &Options<'_>) {
        options.packet(|packet| {
            // The codec writes what the version has: the rest of the connection speaks it too.
            self.clients[client].version = options.version;
            self.send(client, packet);
        });
    }

    pub fn send(&mut self, client: Client, packet: &Packet<'_>) {
        self.send_unsettled(client, packet);
        self.settle();
    }

    /// A packet is handled, but what it causes is neither committed nor carried to other shards nor
    /// written yet: as when more comes in the same turn.
    pub fn send_unsettled(&mut self, client: Client, packet: &Packet<'_>) {
        let side = &mut self.clients[client];
        side.sends(packet);
        let mut bytes = Vec::new();
        codec::encode(packet, side.version, &mut bytes).expect("valid packet");
        for slice in bytes.chunks(self.slice) {
            self.clients[client].unread.extend_from_slice(slice);
            self.offer(client);
        }
    }

    /// Several packets come in at once.
    pub fn send_all(&mut self, client: Client, packets: &[Packet<'_>]) {
        let side = &mut self.clients[client];
        for packet in packets {
            side.sends(packet);
            codec::encode(packet, side.version, &mut side.unread).expect("valid packet");
        }
        self.offer(client);
        self.settle();
    }

    /// Bytes come in; all turns that follow from it are run.
    pub fn send_bytes(&mut self, client: Client, bytes: &[u8]) {
        self.clients[client].unread.extend_from_slice(bytes);
        self.offer(client);
        self.settle();
    }

    fn offer(&mut self, client: Client) {
        loop {
            let side = &mut self.clients[client];
            let broker = &mut self.brokers[side.shard];
            if !side.open || side.waiting || !broker.should_read(side.id) {
                return;
            }
            let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
            let progress = broker.input(self.now, side.id, &side.unread, &view);
            side.unread.drain(..progress.consumed);
            match progress.next {
                Next::Read | Next::Close => return,
                Next::Wait => side.waiting = true,
                Next::Commit => {
                    broker.commit(self.now, &mut self.index, &self.commons, self.rules.guard())
                }
                Next::Handover(shard) => {
                    let peer = broker.abandon(side.id).expect("it is there");
                    side.shard = usize::from(shard);
                    side.id = self.brokers[side.shard].open(self.now, &peer);
                }
            }
        }
    }

    /// Commits, mail and flushes until nothing moves.
    pub fn settle(&mut self) {
        while self.commit()
            | self.keep()
            | self.load()
            | self.carry_mail()
            | self.resume()
            | self.flush()
        {}
    }

    fn commit(&mut self) -> bool {
        let mut moved = false;
        for broker in self.brokers.iter_mut().filter(|broker| broker.needs_commit()) {
            broker.commit(self.now, &mut self.index, &self.commons, self.rules.guard());
            moved = true;
        }
        moved
    }

    fn carry_mail(&mut self) -> bool {
        let mut moved = false;
        for from in 0..self.brokers.len() {
            for (to, number) in (0..self.brokers.len()).zip(0u16..) {
                if let Some(mail) = self.brokers[from].take_mail(number) {
                    let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
                    self.brokers[to].mail(self.now, &mail, &view);
                    moved = true;
                }
            }
        }
        moved
    }

    /// Offers again what waits: for an answer that is there now, or for output that was written.
    fn resume(&mut self) -> bool {
        let mut moved = false;
        for shard in 0..self.brokers.len() {
            let mut resumed = Vec::new();
            self.brokers[shard].take_resumed(&mut resumed);
            for client in 0..self.clients.len() {
                let side = &mut self.clients[client];
                if side.shard == shard && resumed.contains(&side.id) {
                    side.waiting = false;
                    self.offer(client);
                }
            }
            moved |= !resumed.is_empty();
        }
        for client in 0..self.clients.len() {
            let before = self.clients[client].unread.len();
            if before > 0 {
                self.offer(client);
                moved |= self.clients[client].unread.len() != before;
            }
        }
        moved
    }

    fn flush(&mut self) -> bool {
        let mut moved = false;
        for side in &mut self.clients {
            let broker = &mut self.brokers[side.shard];
            let Some(output) = broker.output(side.id).filter(|_| side.open && side.reading) else {
                continue;
            };
            let mut slices = [IoSlice::new(&[]); 8];
            let filled = output.slices(&mut slices);
            let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            output.advance(bytes.len());
            let finished = output.is_empty() && output.closing();
            side.receives(&bytes);
            let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
            if !bytes.is_empty() {
                broker.sent(self.now, side.id, &view);
                moved = true;
            }
            if finished {
                broker.closed(self.now, side.id, CloseCause::Finished, &view);
                side.open = false;
                moved = true;
            }
        }
        for broker in &mut self.brokers {
            broker.take_dirty(&mut Vec::new());
        }
        moved
    }

    /// The client stops, or begins again, to take what is written to it.
    pub fn set_reading(&mut self, client: Client, reading: bool) {
        self.clients[client].reading = reading;
        self.settle();
    }

    /// The connection breaks.
    pub fn cut(&mut self, client: Client) {
        self.cut_unsettled(client);
        self.settle();
    }

    pub fn cut_unsettled(&mut self, client: Client) {
        let side = &mut self.clients[client];
        if std::mem::take(&mut side.open) {
            let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
            self.brokers[side.shard].closed(self.now, side.id, CloseCause::PeerClosed, &view);
        }
    }

    /// Time passes, a deadline at a time.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        loop {
            let next = self.brokers.iter().filter_map(Broker::next_deadline).min();
            self.now = next.map_or(end, |next| next.max(self.now).min(end));
            let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
            for broker in &mut self.brokers {
                broker.tick(self.now, &view);
            }
            self.settle();
            if self.now == end {
                return;
            }
            self.now = self.now.saturating_add(Duration::from_micros(1));
        }
    }

    pub fn wait_seconds(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    pub fn is_open(&self, client: Client) -> bool {
        self.clients[client].open
    }

    /// Number of the shard that has the client's session.
    pub fn shard(&self, client: Client) -> usize {
        self.clients[client].shard
    }

    /// Messages that the client has not acknowledged.
    pub fn outstanding(&self, client: Client) -> Vec<u16> {
        self.clients[client].outstanding.keys().copied().collect()
    }

    /// The next packet that came to a client, in words.
    pub fn next(&mut self, client: Client) -> Option<String> {
        self.clients[client].next()
    }

    /// All packets that came to a client.
    pub fn take(&mut self, client: Client) -> Vec<String> {
        std::iter::from_fn(|| self.next(client)).collect()
    }

    /// All packets that came to a client, as they were on the wire.
    pub fn take_frames(&mut self, client: Client) -> Vec<Vec<u8>> {
        self.clients[client].inbox.drain(..).collect()
    }

    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for broker in &mut self.brokers {
            broker.take_events(&mut events);
        }
        events
    }

    pub fn questions(&mut self) -> Vec<Question> {
        let mut questions = Vec::new();
        for broker in &mut self.brokers {
            broker.take_questions(&mut questions);
        }
        questions
    }

    /// Answers the question that a client's CONNECT raised.
    pub fn answer(&mut self, client: Client, verdict: Verdict) {
        let side = &self.clients[client];
        self.brokers[side.shard].answer(side.id, verdict);
        self.settle();
    }

    /// A counter, over all shards.
    pub fn sum(&self, counter: impl Fn(&Stats) -> u64) -> u64 {
        self.brokers.iter().map(|broker| counter(broker.stats())).sum()
    }

    /// Whether nothing is left of any session.
    pub fn assert_empty(&self) {
        assert_eq!(self.sum(|stats| stats.sessions), 0, "sessions");
        assert_eq!(self.sum(|stats| stats.clients_connected), 0, "clients connected");
        assert_eq!(self.sum(|stats| stats.queued_messages), 0, "queued messages");
        assert_eq!(self.sum(|stats| stats.queued_bytes), 0, "queued bytes");
        assert!(self.brokers.iter().all(|broker| broker.waiting() == 0), "waiting answers");
        assert_eq!(self.index.subscription_count(), 0, "subscriptions");
        assert_eq!(self.index.filter_count(), 0, "filters");
        assert_eq!(*self.commons.homes.borrow(), [].into(), "homes");
    }
}

fn peer(admission: Admission) -> Peer {
    Peer { admission, ..Peer::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000))) }
}
