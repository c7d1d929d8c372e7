//! The client's end of a connection, which checks that the broker keeps to the client's limits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dunlin_broker::ConnId;
use dunlin_proto::codec::{self, Framing};
use dunlin_proto::packet::{Ack, Connect, Packet};
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use super::words::describe;

pub struct Side {
    pub shard: usize,
    pub id: ConnId,
    pub version: Version,
    pub unread: Vec<u8>,
    /// Whole packets that came and were not looked at.
    pub inbox: VecDeque<Vec<u8>>,
    pub open: bool,
    /// Whether what the broker writes is taken.
    pub reading: bool,
    /// Whether the broker waits for an answer before it goes on with what is unread.
    pub waiting: bool,
    /// QoS 1 and 2 messages that were not acknowledged, by packet identifier.
    pub outstanding: BTreeMap<u16, QoS>,
    /// Those whose PUBREC went out on this connection.
    received: BTreeSet<u16>,
    partial: Vec<u8>,
    receive_maximum: u16,
    maximum_packet_size: u32,
    alias_maximum: u16,
    aliases: BTreeMap<u16, String>,
}

impl Side {
    pub const fn new(shard: usize, id: ConnId) -> Self {
        Self {
            shard,
            id,
            version: Version::V5_0,
            unread: Vec::new(),
            inbox: VecDeque::new(),
            open: true,
            reading: true,
            waiting: false,
            outstanding: BTreeMap::new(),
            received: BTreeSet::new(),
            partial: Vec::new(),
            receive_maximum: u16::MAX,
            maximum_packet_size: u32::MAX,
            alias_maximum: 0,
            aliases: BTreeMap::new(),
        }
    }

    /// Notes what the client asks for, and what it acknowledges.
    pub fn sends(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Connect(connect) => self.asks(connect),
            Packet::PubAck(ack) => self.done(ack, QoS::AtLeastOnce),
            Packet::PubComp(ack) => self.done(ack, QoS::ExactlyOnce),
            Packet::PubRec(ack) if ack.reason.is_error() => self.done(ack, QoS::ExactlyOnce),
            Packet::PubRec(ack) => {
                self.received.insert(ack.packet_id.get());
            }
            _ => {}
        }
    }

    fn done(&mut self, ack: &Ack<'_>, qos: QoS) {
        if self.outstanding.get(&ack.packet_id.get()) == Some(&qos) {
            self.outstanding.remove(&ack.packet_id.get());
        }
    }

    fn asks(&mut self, connect: &Connect<'_>) {
        self.version = connect.version;
        self.receive_maximum = connect.properties.receive_maximum().unwrap_or(u16::MAX);
        self.maximum_packet_size = connect.properties.maximum_packet_size().unwrap_or(u32::MAX);
        self.alias_maximum = connect.properties.topic_alias_maximum().unwrap_or(0);
    }

    /// Takes what the broker wrote.
    pub fn receives(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let mut from = 0;
        while let Ok(Framing::Complete { len }) =
            codec::frame(&self.partial[from..], self.maximum_packet_size)
        {
            let frame = self.partial[from..from + len].to_vec();
            self.check(&frame);
            self.inbox.push_back(frame);
            from += len;
        }
        self.partial.drain(..from);
        assert!(
            codec::frame(&self.partial, self.maximum_packet_size).is_ok(),
            "the broker sends whole packets that the client takes: {:?}",
            &self.partial[..self.partial.len().min(20)]
        );
    }

    /// The limits of the client, and that aliases are set before they are used.
    fn check(&mut self, frame: &[u8]) {
        let packet = codec::decode(frame, self.version).expect("the broker sends valid packets");
        match &packet {
            Packet::Publish(publish) => {
                if let Some(packet_id) = publish.delivery.packet_id() {
                    self.outstanding.insert(packet_id.get(), publish.delivery.qos());
                    let (count, allowed) = (self.outstanding.len(), self.receive_maximum);
                    assert!(
                        count <= usize::from(allowed),
                        "{count} on their way, {allowed} allowed"
                    );
                }
                let alias = publish.properties.topic_alias();
                assert!(alias.unwrap_or(0) <= self.alias_maximum, "alias {alias:?}");
                match (publish.topic, alias) {
                    (Some(topic), Some(alias)) => {
                        self.aliases.insert(alias, topic.as_str().to_owned());
                    }
                    (None, alias) => {
                        let alias = alias.expect("a topic or an alias");
                        assert!(self.aliases.contains_key(&alias), "alias {alias} was never set");
                    }
                    (Some(_), None) => {}
                }
            }
            // One that nothing on this connection asked for goes on with an earlier exchange.
            Packet::PubRel(ack) if !self.received.contains(&ack.packet_id.get()) => {
                self.outstanding.insert(ack.packet_id.get(), QoS::ExactlyOnce);
            }
            _ => {}
        }
    }

    /// The next packet in words.
    pub fn next(&mut self) -> Option<String> {
        let frame = self.inbox.pop_front()?;
        Some(describe(&codec::decode(&frame, self.version).expect("checked when it came")))
    }
}
