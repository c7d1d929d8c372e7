//! A whole broker of any number of shards on virtual time, with clients that speak packets.
//!
//! What the server does with sockets, locks and clocks is done here by plain calls in a fixed order, so
//! that every test gives the same bytes each time it runs.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses what it needs")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dunlin_broker::{
    Admission, Broker, CloseCause, Commons, ConnId, Cursor, Event, Index, Message, Next, Peer,
    Retained, Settings, Time, View,
};
use dunlin_proto::codec::{self, Framing};
use dunlin_proto::packet::{Ack, Connect, Disconnect, Packet, Publish, Subscribe, Unsubscribe};
use dunlin_proto::packet::{Delivery, RetainHandling, SubscribeOptions};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::{TopicFilter, TopicName};
use dunlin_proto::version::Version;

/// Number of a client in its world.
pub type Client = usize;

pub struct World {
    pub now: Time,
    pub index: Index,
    pub commons: Shared,
    pub brokers: Vec<Broker>,
    clients: Vec<Side>,
}

/// The client's end of a connection.
struct Side {
    shard: usize,
    id: ConnId,
    version: Version,
    unread: Vec<u8>,
    received: Vec<u8>,
    open: bool,
    /// Whether what the broker writes is taken.
    reading: bool,
}

/// What shards share, without locks: there is one thread.
pub struct Shared {
    retained: RefCell<Retained<Arc<Message>>>,
    homes: RefCell<BTreeMap<String, u16>>,
    shards: u16,
}

impl Commons for Shared {
    fn home(&self, client_id: &str, _here: u16) -> u16 {
        let mut homes = self.homes.borrow_mut();
        let next = u16::try_from(homes.len()).expect("few clients") % self.shards;
        *homes.entry(client_id.to_owned()).or_insert(next)
    }

    fn release(&self, client_id: &str) {
        self.homes.borrow_mut().remove(client_id);
    }

    fn retain(&self, topic: TopicName<'_>, message: Arc<Message>) {
        let (expires, bytes) = (message.expires(), message.bytes());
        self.retained.borrow_mut().put(topic, expires, bytes, message);
    }

    fn unretain(&self, topic: TopicName<'_>) {
        self.retained.borrow_mut().remove(topic);
    }

    fn retained_page(
        &self,
        filter: TopicFilter<'_>,
        from: Option<&Cursor>,
        limit: usize,
        now: Time,
        into: &mut Vec<Arc<Message>>,
    ) -> Option<Cursor> {
        self.retained.borrow().page(filter, from, limit, now, into)
    }

    fn retained_count(&self) -> usize {
        self.retained.borrow().count()
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(Settings::default(), 1)
    }

    pub fn with(settings: Settings, shards: u16) -> Self {
        let settings = Arc::new(settings);
        Self {
            now: Time::from_secs(1000),
            index: Index::new(7),
            commons: Shared {
                retained: RefCell::new(Retained::new(7)),
                homes: RefCell::default(),
                shards,
            },
            brokers: (0..shards)
                .map(|shard| Broker::new(Arc::clone(&settings), shard, shards, 7))
                .collect(),
            clients: Vec::new(),
        }
    }

    /// Opens a connection; nothing is sent on it.
    pub fn open(&mut self) -> Client {
        let peer = Peer {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
            admission: Admission::Admit,
        };
        let id = self.brokers[0].open(self.now, &peer);
        self.clients.push(Side {
            shard: 0,
            id,
            version: Version::V5_0,
            unread: Vec::new(),
            received: Vec::new(),
            open: true,
            reading: true,
        });
        self.clients.len() - 1
    }

    /// Connects and checks that it was accepted.
    pub fn connect(&mut self, options: Options<'_>) -> Client {
        let (client, connack) = self.try_connect(options);
        assert!(connack.starts_with("ConnAck"), "{connack}");
        assert!(connack.contains("Success"), "{connack}");
        client
    }

    /// Connects and tells what the answer was.
    pub fn try_connect(&mut self, options: Options<'_>) -> (Client, String) {
        let client = self.open();
        self.clients[client].version = options.version;
        let mut properties = PropertyBuf::new();
        for property in &options.properties {
            properties.push(*property);
        }
        let connect = Connect {
            version: options.version,
            bridge: false,
            clean_start: options.clean,
            keep_alive: options.keep_alive,
            client_id: options.id,
            will: options.will.clone(),
            username: None,
            password: None,
            properties: properties.as_properties(),
        };
        self.send(client, &Packet::Connect(connect));
        let answer = self.next(client).unwrap_or_default();
        (client, answer)
    }

    pub fn send(&mut self, client: Client, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        codec::encode(packet, self.clients[client].version, &mut bytes).expect("valid packet");
        self.send_bytes(client, &bytes);
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
            if !side.open {
                return;
            }
            let unread = std::mem::take(&mut side.unread);
            let view = View { index: &self.index, commons: &self.commons };
            let broker = &mut self.brokers[side.shard];
            let progress = broker.input(self.now, side.id, &unread, &view);
            side.unread = unread[progress.consumed..].to_vec();
            match progress.next {
                Next::Read | Next::Close | Next::Wait => return,
                Next::Commit => broker.commit(self.now, &mut self.index, &self.commons),
                Next::Handover(shard) => {
                    broker.abandon(side.id);
                    let peer = Peer {
                        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
                        admission: Admission::Admit,
                    };
                    side.shard = usize::from(shard);
                    side.id = self.brokers[side.shard].open(self.now, &peer);
                }
            }
        }
    }

    /// Commits, mail and flushes until nothing moves.
    pub fn settle(&mut self) {
        loop {
            let mut moved = false;
            for shard in 0..self.brokers.len() {
                if self.brokers[shard].needs_commit() {
                    self.brokers[shard].commit(self.now, &mut self.index, &self.commons);
                    moved = true;
                }
                for target in 0..self.brokers.len() {
                    let number = u16::try_from(target).expect("few shards");
                    if let Some(mail) = self.brokers[shard].take_mail(number) {
                        let view = View { index: &self.index, commons: &self.commons };
                        self.brokers[target].mail(self.now, &mail, &view);
                        moved = true;
                    }
                }
            }
            moved |= self.flush();
            if !moved {
                return;
            }
        }
    }

    fn flush(&mut self) -> bool {
        let mut moved = false;
        for client in 0..self.clients.len() {
            let side = &mut self.clients[client];
            let broker = &mut self.brokers[side.shard];
            let Some(output) = broker.output(side.id).filter(|_| side.open && side.reading) else {
                continue;
            };
            let mut slices = [IoSlice::new(&[]); 8];
            let filled = output.slices(&mut slices);
            let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            output.advance(bytes.len());
            let finished = output.is_empty() && output.closing();
            side.received.extend_from_slice(&bytes);
            let view = View { index: &self.index, commons: &self.commons };
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
        let side = &mut self.clients[client];
        if std::mem::take(&mut side.open) {
            let view = View { index: &self.index, commons: &self.commons };
            self.brokers[side.shard].closed(self.now, side.id, CloseCause::PeerClosed, &view);
        }
        self.settle();
    }

    /// Time passes, a deadline at a time.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        while self.now < end {
            let next = self.brokers.iter().filter_map(Broker::next_deadline).min();
            self.now = next.map_or(end, |next| next.max(self.now).min(end));
            let view = View { index: &self.index, commons: &self.commons };
            for broker in &mut self.brokers {
                broker.tick(self.now, &view);
            }
            self.settle();
            if next.is_some_and(|next| next <= self.now) && self.now < end {
                self.now = self.now.saturating_add(Duration::from_micros(1));
            }
        }
    }

    pub const fn is_open(&self, client: Client) -> bool {
        self.clients.as_slice()[client].open
    }

    /// The next packet that came to a client, in words.
    pub fn next(&mut self, client: Client) -> Option<String> {
        let side = &mut self.clients[client];
        let Ok(Framing::Complete { len }) = codec::frame(&side.received, u32::MAX) else {
            return None;
        };
        let frame: Vec<u8> = side.received.drain(..len).collect();
        let packet = codec::decode(&frame, side.version).expect("the broker sends valid packets");
        Some(describe(&packet))
    }

    /// All packets that came to a client.
    pub fn take(&mut self, client: Client) -> Vec<String> {
        std::iter::from_fn(|| self.next(client)).collect()
    }

    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for broker in &mut self.brokers {
            broker.take_events(&mut events);
        }
        events
    }

    pub fn publish(&mut self, client: Client, topic: &str, payload: &str, qos: QoS, id: u16) {
        self.publish_with(client, topic, payload, qos, id, &[]);
    }

    pub fn retain(&mut self, client: Client, topic: &str, payload: &str) {
        let publish = Publish {
            delivery: Delivery::AtMostOnce,
            retain: true,
            topic: TopicName::new(topic).ok(),
            properties: Properties::EMPTY,
            payload: payload.as_bytes(),
        };
        self.send(client, &Packet::Publish(publish));
    }

    pub fn publish_with(
        &mut self,
        client: Client,
        topic: &str,
        payload: &str,
        qos: QoS,
        id: u16,
        properties: &[Property<'_>],
    ) {
        let mut buffer = PropertyBuf::new();
        for property in properties {
            buffer.push(*property);
        }
        let publish = Publish {
            delivery: delivery(qos, id),
            retain: false,
            topic: TopicName::new(topic).ok(),
            properties: buffer.as_properties(),
            payload: payload.as_bytes(),
        };
        self.send(client, &Packet::Publish(publish));
    }

    pub fn subscribe(&mut self, client: Client, filter: &str, qos: QoS) {
        self.subscribe_with(client, filter, options(qos), &[]);
        let answer = self.next(client);
        assert!(answer.as_ref().is_some_and(|answer| answer.starts_with("SubAck")), "{answer:?}");
    }

    pub fn subscribe_with(
        &mut self,
        client: Client,
        filter: &str,
        options: SubscribeOptions,
        properties: &[Property<'_>],
    ) {
        let mut buffer = PropertyBuf::new();
        for property in properties {
            buffer.push(*property);
        }
        let subscribe = Subscribe {
            packet_id: packet_id(77),
            properties: buffer.as_properties(),
            filters: vec![(TopicFilter::new(filter).expect("valid filter"), options)],
        };
        self.send(client, &Packet::Subscribe(subscribe));
    }

    pub fn unsubscribe(&mut self, client: Client, filter: &str) {
        let unsubscribe = Unsubscribe {
            packet_id: packet_id(78),
            properties: Properties::EMPTY,
            filters: vec![TopicFilter::new(filter).expect("valid filter")],
        };
        self.send(client, &Packet::Unsubscribe(unsubscribe));
    }

    pub fn puback(&mut self, client: Client, id: u16) {
        self.send(client, &Packet::PubAck(ack(id)));
    }

    pub fn pubrec(&mut self, client: Client, id: u16) {
        self.send(client, &Packet::PubRec(ack(id)));
    }

    pub fn pubrel(&mut self, client: Client, id: u16) {
        self.send(client, &Packet::PubRel(ack(id)));
    }

    pub fn pubcomp(&mut self, client: Client, id: u16) {
        self.send(client, &Packet::PubComp(ack(id)));
    }

    pub fn disconnect(&mut self, client: Client, reason: ReasonCode) {
        let disconnect = Disconnect { reason, properties: Properties::EMPTY };
        self.send(client, &Packet::Disconnect(disconnect));
    }
}

/// How a client connects; `Options::new` is a clean 5.0 client without keep alive.
#[derive(Clone)]
pub struct Options<'a> {
    pub id: &'a str,
    pub version: Version,
    pub clean: bool,
    pub keep_alive: u16,
    pub will: Option<dunlin_proto::packet::Will<'a>>,
    pub properties: Vec<Property<'a>>,
}

impl<'a> Options<'a> {
    pub const fn new(id: &'a str) -> Self {
        Self {
            id,
            version: Version::V5_0,
            clean: true,
            keep_alive: 0,
            will: None,
            properties: Vec::new(),
        }
    }

    pub const fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// A session that outlives the connection by this many seconds (5.0) or for ever (before).
    pub fn persistent(mut self, seconds: u32) -> Self {
        self.clean = false;
        if self.version == Version::V5_0 {
            self.properties.push(Property::SessionExpiryInterval(seconds));
        }
        self
    }

    pub fn property(mut self, property: Property<'a>) -> Self {
        self.properties.push(property);
        self
    }

    pub const fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    pub fn will(mut self, topic: &'a str, payload: &'a str, properties: Properties<'a>) -> Self {
        self.will = Some(dunlin_proto::packet::Will {
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: TopicName::new(topic).expect("valid topic"),
            payload: payload.as_bytes(),
            properties,
        });
        self
    }
}

pub const fn options(qos: QoS) -> SubscribeOptions {
    SubscribeOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Always,
    }
}

pub const fn delivery(qos: QoS, id: u16) -> Delivery {
    match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: packet_id(id), dup: false },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: packet_id(id), dup: false },
    }
}

pub const fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("not zero")
}

const fn ack(id: u16) -> Ack<'static> {
    Ack { packet_id: packet_id(id), reason: ReasonCode::Success, properties: Properties::EMPTY }
}

/// A packet in words: what tests compare.
fn describe(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Publish(publish) => {
            let mut text = format!(
                "{} {}",
                publish.topic.map_or("-", |topic| topic.as_str()),
                String::from_utf8_lossy(publish.payload)
            );
            match publish.delivery {
                Delivery::AtMostOnce => {}
                Delivery::AtLeastOnce { packet_id, dup } => {
                    text += &format!(" q1 #{}{}", packet_id.get(), if dup { " dup" } else { "" });
                }
                Delivery::ExactlyOnce { packet_id, dup } => {
                    text += &format!(" q2 #{}{}", packet_id.get(), if dup { " dup" } else { "" });
                }
            }
            if publish.retain {
                text += " retained";
            }
            for property in publish.properties.iter() {
                text += &format!(" {property:?}");
            }
            text
        }
        Packet::PubAck(ack) => describe_ack("PubAck", ack),
        Packet::PubRec(ack) => describe_ack("PubRec", ack),
        Packet::PubRel(ack) => describe_ack("PubRel", ack),
        Packet::PubComp(ack) => describe_ack("PubComp", ack),
        other => format!("{other:?}").replacen('(', " ", 1),
    }
}

fn describe_ack(name: &str, ack: &Ack<'_>) -> String {
    match ack.reason {
        ReasonCode::Success => format!("{name} #{}", ack.packet_id.get()),
        reason => format!("{name} #{} {reason:?}", ack.packet_id.get()),
    }
}
