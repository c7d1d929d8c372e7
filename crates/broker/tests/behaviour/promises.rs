//! What was acknowledged arrives: QoS 1 at least once, QoS 2 exactly once, and in order, however often
//! connections break in between. Publishers and subscribers here follow the rules of section 4.3 exactly.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dunlin_broker::Settings;
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::hostile::Random;
use crate::world::{Client, Options, World};

const MESSAGES: u32 = 60;

/// Publishes numbers at one QoS and sends them again until they are acknowledged.
struct Publisher {
    id: String,
    qos: QoS,
    client: Client,
    next: u32,
    /// Packet identifier, number, and whether PUBREC came.
    in_flight: VecDeque<(u16, u32, bool)>,
}

/// Takes everything and acknowledges, sooner or later.
struct Subscriber {
    id: String,
    version: Version,
    receive_maximum: u16,
    client: Client,
    /// QoS 2 identifiers that were not released.
    held: BTreeSet<u16>,
    answers: VecDeque<(Answer, u16)>,
    /// What came, by publisher.
    taken: BTreeMap<String, Vec<u32>>,
}

#[derive(Clone, Copy)]
enum Answer {
    Ack,
    Rec,
    Comp,
}

impl Publisher {
    fn connect(&mut self, world: &mut World) {
        self.client = world.connect(Options::new(&self.id).version(Version::V3_1_1).persistent(0));
        for (id, number, received) in self.in_flight.clone() {
            if received {
                world.pubrel(self.client, id);
            } else {
                let payload = number.to_string();
                world.publish_dup(self.client, &self.id, &payload, self.qos, id);
            }
        }
    }

    fn step(&mut self, world: &mut World) {
        let first = u16::try_from(self.next + 1).expect("below 1000");
        let mut payloads = Vec::new();
        while self.next < MESSAGES && self.in_flight.len() < 5 {
            let id = u16::try_from(self.next + 1).expect("below 1000");
            self.in_flight.push_back((id, self.next, false));
            payloads.push(self.next.to_string());
            self.next += 1;
        }
        world.publish_all(self.client, &self.id, &payloads, self.qos, first);
        while let Some(packet) = world.next(self.client) {
            let id = identifier(&packet);
            if packet.starts_with("PubRec") {
                for entry in self.in_flight.iter_mut().filter(|entry| entry.0 == id) {
                    entry.2 = true;
                }
                world.pubrel(self.client, id);
            } else {
                self.in_flight.retain(|entry| entry.0 != id);
            }
        }
    }
}

impl Subscriber {
    fn connect(&mut self, world: &mut World) {
        let mut options = Options::new(&self.id).version(self.version).persistent(10_000);
        if self.version.is_v5() {
            options = options.property(Property::ReceiveMaximum(self.receive_maximum));
        }
        self.client = world.connect(options);
        self.answers.clear();
    }

    fn step(&mut self, world: &mut World) {
        while let Some(packet) = world.next(self.client) {
            let id = identifier(&packet);
            let words: Vec<&str> = packet.split(' ').collect();
            if packet.starts_with("PubRel") {
                self.held.remove(&id);
                self.answers.push_back((Answer::Comp, id));
                continue;
            }
            let number = words[1].parse().expect("a number");
            let taken = self.taken.entry(words[0].to_owned()).or_default();
            if words[2] == "q1" {
                taken.push(number);
                self.answers.push_back((Answer::Ack, id));
            } else {
                if self.held.insert(id) {
                    taken.push(number);
                }
                self.answers.push_back((Answer::Rec, id));
            }
        }
    }

    fn answer(&mut self, world: &mut World) {
        match self.answers.pop_front() {
            Some((Answer::Ack, id)) => world.puback(self.client, id),
            Some((Answer::Rec, id)) => world.pubrec(self.client, id),
            Some((Answer::Comp, id)) => world.pubcomp(self.client, id),
            None => {}
        }
    }
}

fn identifier(packet: &str) -> u16 {
    let (_, rest) = packet.split_once('#').expect("a packet identifier");
    rest.split(' ').next().and_then(|id| id.parse().ok()).expect("a number")
}

struct Scene {
    world: World,
    random: Random,
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
}

impl Scene {
    fn new(seed: u64, filters: [&str; 3]) -> Self {
        let mut random = Random(seed);
        let settings = Settings {
            maximum_inflight: random.pick(&[1, 4, 1000]),
            maximum_output: random.pick(&[40, 400, 1 << 20]),
            ..Settings::default()
        };
        let mut world = World::with(settings, random.pick(&[1, 2, 3]));
        let mut subscribers = Vec::new();
        for (number, filter) in filters.into_iter().enumerate() {
            let mut subscriber = Subscriber {
                id: format!("s{number}"),
                version: random.pick(&[Version::V3_1, Version::V3_1_1, Version::V5_0]),
                receive_maximum: random.pick(&[1, 3, 50]),
                client: 0,
                held: BTreeSet::new(),
                answers: VecDeque::new(),
                taken: BTreeMap::new(),
            };
            subscriber.connect(&mut world);
            world.subscribe(subscriber.client, filter, QoS::ExactlyOnce);
            subscribers.push(subscriber);
        }
        let publishers = [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce, QoS::AtLeastOnce];
        let publishers = publishers.into_iter().enumerate().map(|(number, qos)| Publisher {
            id: format!("p{number}"),
            qos,
            client: 0,
            next: 0,
            in_flight: VecDeque::new(),
        });
        let mut publishers: Vec<Publisher> = publishers.collect();
        for publisher in &mut publishers {
            publisher.connect(&mut world);
        }
        Self { world, random, publishers, subscribers }
    }

    fn step(&mut self) {
        let Self { world, random, publishers, subscribers } = self;
        let publisher = usize::try_from(random.below(publishers.len() as u64)).unwrap_or(0);
        let subscriber = usize::try_from(random.below(subscribers.len() as u64)).unwrap_or(0);
        let publisher = &mut publishers[publisher];
        let subscriber = &mut subscribers[subscriber];
        match random.below(40) {
            0..15 => publisher.step(world),
            15..20 => subscriber.step(world),
            20..33 => subscriber.answer(world),
            33 => {
                world.cut(publisher.client);
                publisher.connect(world);
            }
            34 => {
                world.cut(subscriber.client);
                subscriber.connect(world);
            }
            // A takeover.
            35 => subscriber.connect(world),
            36 => world.set_reading(subscriber.client, false),
            37 => world.set_reading(subscriber.client, true),
            // What was just sent is lost with the connection.
            38 => {
                world.set_reading(publisher.client, false);
                publisher.step(world);
                world.cut(publisher.client);
                publisher.connect(world);
            }
            _ => world.wait_seconds(1),
        }
    }

    /// Everybody stays connected and answers, until nothing is on its way.
    fn finish(&mut self) {
        for _ in 0..3 * MESSAGES {
            for publisher in &mut self.publishers {
                publisher.step(&mut self.world);
            }
            for subscriber in &mut self.subscribers {
                self.world.set_reading(subscriber.client, true);
                for _ in 0..20 {
                    subscriber.step(&mut self.world);
                    subscriber.answer(&mut self.world);
                }
            }
        }
    }

    fn check(&self) {
        let all: Vec<u32> = (0..MESSAGES).collect();
        for publisher in &self.publishers {
            assert!(publisher.in_flight.is_empty(), "{} waits", publisher.id);
            for subscriber in &self.subscribers {
                let taken = subscriber.taken.get(&publisher.id).cloned().unwrap_or_default();
                if publisher.qos == QoS::ExactlyOnce {
                    assert_eq!(taken, all, "{} from {}", subscriber.id, publisher.id);
                    continue;
                }
                // Repetitions aside, the first of each comes in order.
                let mut seen = BTreeSet::new();
                let first: Vec<u32> = taken.into_iter().filter(|n| seen.insert(*n)).collect();
                assert_eq!(first, all, "{} from {}", subscriber.id, publisher.id);
            }
        }
        self.check_counters();
    }

    /// Each message came to one of the subscribers.
    fn check_shared(&self) {
        let all: Vec<u32> = (0..MESSAGES).collect();
        for publisher in &self.publishers {
            let taken = self.subscribers.iter().filter_map(|one| one.taken.get(&publisher.id));
            let mut taken: Vec<u32> = taken.flatten().copied().collect();
            taken.sort_unstable();
            if publisher.qos == QoS::AtLeastOnce {
                taken.dedup();
            }
            assert_eq!(taken, all, "from {}", publisher.id);
        }
        self.check_counters();
    }

    fn check_counters(&self) {
        assert_eq!(self.world.sum(|stats| stats.publish_dropped), 0);
        assert_eq!(self.world.sum(|stats| stats.queued_messages), 0);
        assert_eq!(self.world.sum(|stats| stats.queued_bytes), 0);
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_qos_2_comes_exactly_once() {
    crate::fuzz::for_seeds(40, |seed| {
        let mut scene = Scene::new(seed, ["#", "+", "#"]);
        for _ in 0..1500 {
            scene.step();
        }
        scene.finish();
        scene.check();
    });
}

#[test]
fn a_group_gets_every_message_and_qos_2_only_once() {
    crate::fuzz::for_seeds(40, |seed| {
        let mut scene = Scene::new(seed, ["$share/g/+"; 3]);
        for _ in 0..1500 {
            scene.step();
        }
        scene.finish();
        scene.check_shared();
    });
}
