//! Clients that keep to the rules: whatever is lost, they take up again as section 4.4 wants.

mod act;
mod connect;
mod receive;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dunlin_proto::codec::{self, AckKind};
use dunlin_proto::packet::Packet;
use dunlin_proto::qos::PacketId;
use dunlin_proto::version::Version;

pub(super) use self::act::TOPICS;
use super::oracle::Mark;
use super::plan::Character;
use super::scene::Scene;

/// One client: what it is, what it remembers, and the connection it has.
pub(super) struct Client {
    pub(super) number: usize,
    id: String,
    pub(super) character: Character,
    stage: Stage,
    /// The last connection ended before CONNACK: the next one is not hurried.
    refused: bool,
    /// Its next CONNECT discards the session, as an earlier one may or may not have done.
    must_clean: bool,
    /// Its session ends with its connection.
    fleeting: bool,
    /// Its own unacknowledged messages, in order.
    flights: VecDeque<Flight>,
    /// Packet identifiers of QoS 2 messages that the broker has not released.
    held: BTreeSet<u16>,
    /// SUBSCRIBE and UNSUBSCRIBE without answer.
    requests: BTreeMap<u16, Request>,
    /// Filters it has, or may have, subscribed.
    filters: Vec<String>,
    /// What is to be acknowledged, in order.
    answers: VecDeque<(AckKind, PacketId)>,
    next_id: u16,
    partial: Vec<u8>,
    /// Bytes of the broker's stream that were looked at.
    looked: u64,
    aliases: BTreeMap<u16, String>,
    /// Retained messages that came, for the one who checks them: by topic.
    pub(super) retained: BTreeMap<String, usize>,
}

/// Where a client is with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Down,
    Connecting(usize),
    Up(usize),
}

/// A message on its way to the broker.
#[derive(Debug, Clone, Copy)]
struct Flight {
    packet_id: PacketId,
    message: usize,
    size: usize,
    /// PUBREC came.
    received: bool,
    /// The connection it was first sent on.
    link: usize,
}

/// Something the broker is to do, with the judge's name for it.
#[derive(Debug, Clone)]
enum Request {
    Subscribe(usize),
    Unsubscribe(String, usize),
}

impl Client {
    pub(super) fn new(number: usize, character: Character) -> Self {
        Self {
            number,
            id: format!("c{number}"),
            character,
            stage: Stage::Down,
            refused: false,
            must_clean: true,
            fleeting: true,
            flights: VecDeque::new(),
            held: BTreeSet::new(),
            requests: BTreeMap::new(),
            filters: Vec::new(),
            answers: VecDeque::new(),
            next_id: 0,
            partial: Vec::new(),
            looked: 0,
            aliases: BTreeMap::new(),
            retained: BTreeMap::new(),
        }
    }

    const fn version(&self) -> Version {
        self.character.version
    }

    /// Nothing is on its way from or to this client, as far as it knows.
    pub(super) fn rests(&self) -> bool {
        matches!(self.stage, Stage::Up(_))
            && self.flights.is_empty()
            && self.held.is_empty()
            && self.requests.is_empty()
            && self.answers.is_empty()
    }

    const fn link(&self) -> Option<usize> {
        match self.stage {
            Stage::Down => None,
            Stage::Connecting(link) | Stage::Up(link) => Some(link),
        }
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "client {} {:?}: flights {:?}, held {:?}, requests {:?}, answers {:?}",
            self.number, self.stage, self.flights, self.held, self.requests, self.answers
        )
    }

    /// A packet identifier that is not in use.
    fn fresh_id(&mut self) -> PacketId {
        loop {
            self.next_id = self.next_id.wrapping_add(1);
            let taken = self.requests.contains_key(&self.next_id)
                || self.flights.iter().any(|one| one.packet_id.get() == self.next_id);
            if let Some(id) = PacketId::new(self.next_id).filter(|_| !taken) {
                return id;
            }
        }
    }

    fn send(&self, scene: &mut Scene, packet: &Packet<'_>, mark: Option<Mark>) {
        let Some(link) = self.link() else { return };
        let mut bytes = Vec::new();
        codec::encode(packet, self.version(), &mut bytes).expect("clients send valid packets");
        let number = self.number;
        scene.trace(|| format!("c{number} -> {}", brief(packet)));
        scene.send_up(link, &bytes, mark);
    }
}

/// A packet in a line.
fn brief(packet: &Packet<'_>) -> String {
    let Packet::Publish(publish) = packet else { return format!("{packet:?}") };
    let payload = String::from_utf8_lossy(publish.payload.get(..20).unwrap_or(publish.payload));
    let topic = publish.topic.map_or("-", |topic| topic.as_str());
    let retain = if publish.retain { " retain" } else { "" };
    format!("Publish {topic} {payload:?} {:?}{retain} {:?}", publish.delivery, publish.properties)
}
