//! What a message costs inside the broker: bytes in to bytes out, without sockets.
//!
//! `cargo bench -p dunlin-broker --bench deliver` prints nanoseconds per delivered message; under
//! `valgrind --tool=callgrind` with the name of one case and a number of rounds it gives instruction
//! counts that repeat.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use dunlin_broker::{
    Action, Broker, CloseCause, Commons, ConnId, Cursor, Guard, Guarded, Identity, Index, Next,
    Numbers, Peer, Retained, RetainedMessage, Ruling, Settings, Time, View,
};
use dunlin_proto::codec::{self, AckKind};
use dunlin_proto::packet::{Connect, Delivery, Packet, Publish, RetainHandling};
use dunlin_proto::packet::{Subscribe, SubscribeOptions};
use dunlin_proto::property::Properties;
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::topic::{TopicFilter, TopicName};
use dunlin_proto::version::Version;

struct Shared(RefCell<Retained<RetainedMessage>>, Numbers);

impl Commons for Shared {
    fn home(&self, _: &str, here: u16) -> u16 {
        here
    }
    fn release(&self, _: &str) {}
    fn retain(&self, topic: TopicName<'_>, kept: RetainedMessage) -> u64 {
        self.0.borrow_mut().put(topic, None, kept.message.bytes(), kept);
        0
    }
    fn unretain(&self, topic: TopicName<'_>) -> u64 {
        self.0.borrow_mut().remove(topic);
        0
    }
    fn retained_page(
        &self,
        filter: TopicFilter<'_>,
        from: Option<&Cursor>,
        limit: usize,
        now: Time,
        into: &mut Vec<RetainedMessage>,
    ) -> Option<Cursor> {
        self.0.borrow().page(filter, from, limit, now, into)
    }
    fn numbers(&self) -> &Numbers {
        &self.1
    }
    fn retained_count(&self) -> usize {
        0
    }
}

/// One measurement: who publishes how to whom.
struct Case {
    name: &'static str,
    publishers: usize,
    subscribers: usize,
    /// Publisher i sends to subscriber i alone, else all to all.
    pairs: bool,
    qos: QoS,
    version: Version,
    payload: usize,
    /// Messages that a publisher sends at once.
    burst: u16,
    /// Each message goes to another of so many topics, which one filter covers.
    topics: usize,
    /// Whether sessions outlive the process, and their clients are there.
    kept: Kept,
    /// Whether rules are asked.
    guarded: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    Connected,
    Away,
}

const fn case(name: &'static str, publishers: usize, subscribers: usize, qos: QoS) -> Case {
    let burst = if matches!(qos, QoS::AtMostOnce) { 800 } else { 100 };
    let pairs = publishers == subscribers;
    Case {
        name,
        publishers,
        subscribers,
        pairs,
        qos,
        version: Version::V3_1_1,
        payload: 64,
        burst,
        topics: 1,
        kept: Kept::Nothing,
        guarded: false,
    }
}

const CASES: &[Case] = &[
    case("pair-qos0", 1, 1, QoS::AtMostOnce),
    Case { version: Version::V5_0, ..case("pair-qos0-v5", 1, 1, QoS::AtMostOnce) },
    case("pairs-qos0", 10, 10, QoS::AtMostOnce),
    Case { guarded: true, ..case("guarded-qos0", 10, 10, QoS::AtMostOnce) },
    Case { topics: 20_000, ..case("spread-qos0", 1, 1, QoS::AtMostOnce) },
    Case { topics: 20_000, guarded: true, ..case("guarded-spread", 1, 1, QoS::AtMostOnce) },
    case("pairs-qos1", 10, 10, QoS::AtLeastOnce),
    Case { guarded: true, ..case("guarded-qos1", 10, 10, QoS::AtLeastOnce) },
    case("pairs-qos2", 10, 10, QoS::ExactlyOnce),
    Case { kept: Kept::Connected, ..case("kept-qos1", 10, 10, QoS::AtLeastOnce) },
    Case { kept: Kept::Away, ..case("away-qos1", 100, 100, QoS::AtLeastOnce) },
    Case { burst: 80, ..case("fan-out-qos0", 10, 100, QoS::AtMostOnce) },
    Case { burst: 10, ..case("fan-out-qos1", 1, 1000, QoS::AtLeastOnce) },
    Case { burst: 4, payload: 16_384, ..case("fan-out-16k", 1, 100, QoS::AtMostOnce) },
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let only = arguments.next();
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok());
    for case in CASES.iter().filter(|case| only.as_deref().is_none_or(|only| only == case.name)) {
        let mut bench = Bench::new(case);
        if rounds.is_none() && case.kept != Kept::Away {
            bench.run(200);
        }
        let start = Instant::now();
        let delivered =
            bench.run(rounds.unwrap_or(if case.kept == Kept::Away { 100 } else { 2000 }));
        let nanos = Instant::now().duration_since(start).as_nanos();
        println!(
            "{:<14} {:>9} delivered {:>8.1} ns each",
            case.name,
            delivered,
            nanos as f64 / delivered as f64
        );
    }
}

/// As many rules as a large site has: each asks for a look-up by client and a few comparisons of filters.
const RULES: usize = 10_000;

/// Rules by client, as an ACL file gives them.
struct Rules(BTreeMap<String, Vec<String>>);

impl Rules {
    fn new() -> Self {
        let filters = |number: usize| {
            let own = number % 20;
            ["sites/+/state", "$SYS/#", "config/+/+/set"]
                .into_iter()
                .map(String::from)
                .chain([format!("bench/pair/{own}"), format!("bench/pair/{own}/+")])
                .collect()
        };
        let clients = (0..RULES / 10).flat_map(|number| {
            [(format!("p{number}"), filters(number)), (format!("s{number}"), filters(number))]
        });
        Self(clients.collect())
    }
}

impl Guard for Rules {
    fn check(&self, who: &Identity, _: Action, topic: &str) -> Ruling {
        let topic = TopicName::new(topic).expect("a topic");
        let rules = self.0.get(&*who.client_id);
        let matches =
            |filter: &String| TopicFilter::new(filter).is_ok_and(|filter| filter.matches(topic));
        match rules.is_some_and(|rules| rules.iter().any(matches)) {
            true => Ruling::ALLOWED,
            false => Ruling::denied(None),
        }
    }
}

fn guard(rules: &Option<Rules>) -> Option<Guarded<'_>> {
    rules.as_ref().map(|rules| Guarded { rules, generation: 1 })
}

struct Bench<'a> {
    case: &'a Case,
    rules: Option<Rules>,
    broker: Broker,
    index: Index,
    shared: Shared,
    now: Time,
    publishers: Vec<ConnId>,
    dirty: Vec<ConnId>,
    input: Vec<u8>,
    next: u16,
    /// Which of its topics comes next.
    place: usize,
}

impl<'a> Bench<'a> {
    fn new(case: &'a Case) -> Self {
        let settings = Settings {
            keep: case.kept != Kept::Nothing,
            maximum_queued_messages: usize::MAX,
            maximum_queued_bytes: usize::MAX,
            ..Settings::default()
        };
        let mut bench = Self {
            case,
            rules: None,
            broker: Broker::new(Arc::new(settings), 0, 1, 1),
            index: Index::new(1),
            shared: Shared(RefCell::new(Retained::new(1)), Numbers::default()),
            now: Time::from_secs(1),
            publishers: Vec::new(),
            dirty: Vec::new(),
            input: Vec::new(),
            next: 1,
            place: 0,
        };
        for number in 0..case.subscribers {
            let id = bench.connect(&format!("s{number}"), case.kept == Kept::Nothing);
            let filter = bench.filter(number);
            let options = SubscribeOptions {
                qos: case.qos,
                no_local: false,
                retain_as_published: false,
                retain_handling: RetainHandling::Always,
            };
            let subscribe = Packet::Subscribe(Subscribe {
                packet_id: PacketId::new(1).expect("not zero"),
                properties: Properties::EMPTY,
                filters: vec![(TopicFilter::new(&filter).expect("valid"), options)],
            });
            bench.offer(id, &bench.encoded(&subscribe));
            bench.flush();
            if case.kept == Kept::Away {
                let view = View::new(&bench.index, &bench.shared).guarded(guard(&bench.rules));
                bench.broker.closed(bench.now, id, CloseCause::PeerClosed, &view);
            }
        }
        for number in 0..case.publishers {
            let id = bench.connect(&format!("p{number}"), true);
            bench.publishers.push(id);
        }
        bench.rules = case.guarded.then(Rules::new);
        bench.flush();
        bench
    }

    /// What a subscriber asks for.
    fn filter(&self, number: usize) -> String {
        let all = if self.case.topics > 1 { "/+" } else { "" };
        self.topic(number) + all
    }

    fn topic(&self, number: usize) -> String {
        if self.case.pairs { format!("bench/pair/{number}") } else { "bench/all".into() }
    }

    fn encoded(&self, packet: &Packet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode(packet, self.case.version, &mut bytes).expect("valid packet");
        bytes
    }

    fn connect(&mut self, client_id: &str, clean_start: bool) -> ConnId {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let id = self.broker.open(self.now, &Peer::new(address));
        let connect = Packet::Connect(Connect {
            version: self.case.version,
            bridge: false,
            clean_start,
            keep_alive: 0,
            client_id,
            will: None,
            username: None,
            password: None,
            properties: Properties::EMPTY,
        });
        self.offer(id, &self.encoded(&connect));
        id
    }

    fn offer(&mut self, id: ConnId, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let view = View::new(&self.index, &self.shared).guarded(guard(&self.rules));
            let progress = self.broker.input(self.now, id, bytes, &view);
            bytes = &bytes[progress.consumed..];
            match progress.next {
                Next::Commit => {
                    let guard = guard(&self.rules);
                    self.broker.commit(self.now, &mut self.index, &self.shared, guard);
                }
                Next::Read if bytes.is_empty() => {}
                next => panic!("{next:?} with {} bytes left", bytes.len()),
            }
        }
    }

    /// Publishes bursts from everybody, as many rounds as asked; returns the deliveries.
    fn run(&mut self, rounds: usize) -> u64 {
        let before = self.done();
        let payload = vec![b'x'; self.case.payload];
        for _ in 0..rounds {
            for number in 0..self.publishers.len() {
                let mut input = std::mem::take(&mut self.input);
                let same = self.case.qos == QoS::AtMostOnce && self.case.topics == 1;
                let again = same && !input.is_empty();
                if !(again && self.publishers.len() == 1) {
                    input.clear();
                    self.fill(&mut input, number, &payload);
                }
                self.offer(self.publishers[number], &input);
                self.input = input;
                self.flush();
            }
        }
        self.done() - before
    }

    /// Messages delivered, or taken where nobody is there.
    fn done(&self) -> u64 {
        let stats = self.broker.stats();
        if self.case.kept == Kept::Away { stats.publish_received } else { stats.publish_sent }
    }

    fn fill(&mut self, input: &mut Vec<u8>, number: usize, payload: &[u8]) {
        let mut topic = self.topic(number);
        let below = topic.len();
        let first = self.next;
        for offset in 0..self.case.burst {
            if self.case.topics > 1 {
                self.place = (self.place + 1) % self.case.topics;
                topic.truncate(below);
                write!(topic, "/{}", self.place).expect("a string takes all");
            }
            let packet_id = PacketId::new(first + offset).expect("not zero");
            let delivery = match self.case.qos {
                QoS::AtMostOnce => Delivery::AtMostOnce,
                QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup: false },
                QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup: false },
            };
            let publish = Publish {
                delivery,
                retain: false,
                topic: TopicName::new(&topic).ok(),
                properties: Properties::EMPTY,
                payload,
            };
            codec::encode(&Packet::Publish(publish), self.case.version, input).expect("valid");
        }
        if self.case.qos == QoS::ExactlyOnce {
            for offset in 0..self.case.burst {
                let packet_id = PacketId::new(first + offset).expect("not zero");
                codec::encode_ack(AckKind::PubRel, packet_id, input);
            }
        }
        self.next = if first > 60_000 { 1 } else { first + self.case.burst };
    }

    /// Takes what was written, and answers it as a client does.
    fn flush(&mut self) {
        loop {
            let mut dirty = std::mem::take(&mut self.dirty);
            if let Some(journal) = self.broker.take_journal() {
                let view = View::new(&self.index, &self.shared).guarded(guard(&self.rules));
                black_box(&journal.records);
                self.broker.lend(journal.records);
                self.broker.persisted(self.now, journal.token, &view);
            }
            self.broker.take_dirty(&mut dirty);
            if dirty.is_empty() {
                self.dirty = dirty;
                return;
            }
            for id in dirty.drain(..) {
                let answer = self.read(id);
                let view = View::new(&self.index, &self.shared).guarded(guard(&self.rules));
                self.broker.sent(self.now, id, &view);
                self.offer(id, &answer);
            }
            self.dirty = dirty;
        }
    }

    /// Takes what was written to one connection; returns the answer.
    fn read(&mut self, id: ConnId) -> Vec<u8> {
        let mut answer = Vec::new();
        let Some(output) = self.broker.output(id) else { return answer };
        let mut slices = [std::io::IoSlice::new(&[]); 64];
        let filled = output.slices(&mut slices);
        let mut written = 0;
        for slice in &slices[..filled] {
            written += slice.len();
            if self.case.qos != QoS::AtMostOnce {
                acknowledge(slice, &mut answer);
            }
        }
        black_box(&slices);
        output.advance(written);
        answer
    }
}

/// The acknowledgements that a client answers these bytes with.
fn acknowledge(mut bytes: &[u8], answer: &mut Vec<u8>) {
    while let Ok(codec::Framing::Complete { len }) = codec::frame(bytes, u32::MAX) {
        match codec::decode(&bytes[..len], Version::V3_1_1) {
            Ok(Packet::Publish(publish)) => match publish.delivery {
                Delivery::AtMostOnce => {}
                Delivery::AtLeastOnce { packet_id, .. } => {
                    codec::encode_ack(AckKind::PubAck, packet_id, answer);
                }
                Delivery::ExactlyOnce { packet_id, .. } => {
                    codec::encode_ack(AckKind::PubRec, packet_id, answer);
                }
            },
            Ok(Packet::PubRel(ack)) => codec::encode_ack(AckKind::PubComp, ack.packet_id, answer),
            _ => {}
        }
        bytes = &bytes[len..];
    }
}
