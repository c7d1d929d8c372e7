//! Whatever happens in whatever order: nobody is sent what the rules of that moment do not let it read.

use dunlin_broker::Action;
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World};

const USERS: [&str; 4] = ["anna", "bert", "carl", "dora"];
const TOPICS: [&str; 6] = ["a", "a/b", "a/c", "d", "d/e", "f"];
const FILTERS: [&str; 6] = ["#", "a/#", "+/b", "d/#", "$share/g/a/#", "$share/g/#"];
const DENIED: [&str; 5] = ["a", "a/#", "d/#", "+/b", "f"];

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

struct Crowd {
    world: World,
    random: Random,
    /// By client identifier: who is connected with it, as which user.
    clients: [Option<(Client, &'static str)>; 5],
    seed: u64,
    delivered: usize,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut world = World::with_shards(1 + random.below(3) as u16);
        world.rules.allow_all();
        Self { world, random, clients: [None; 5], seed, delivered: 0 }
    }

    fn step(&mut self) {
        let number = self.random.below(self.clients.len());
        match (self.random.below(12), self.clients[number]) {
            (0, _) => {
                let actions = [Action::Deliver, Action::Deliver, Action::Publish];
                let action = self.random.of(&actions);
                let (user, filter) = (self.random.of(&USERS), self.random.of(&DENIED));
                self.world.rules.deny(user, action, filter);
            }
            (1, _) if self.random.below(3) == 0 => self.world.rules.allow_all(),
            (2, Some((client, _))) => {
                self.world.cut(client);
                self.clients[number] = None;
            }
            (3, Some((client, _))) => {
                let filter = self.random.of(&FILTERS);
                self.world.subscribe(client, filter, QoS::ExactlyOnce);
            }
            (_, Some((client, user))) => self.publish(client, user),
            (_, None) => {
                let (id, user) = (["0", "1", "2", "3", "4"][number], self.random.of(&USERS));
                let mut options = Options::new(id).version(Version::V5_0).persistent(1000);
                options.username = Some(user);
                let client = self.world.open();
                self.world.send_connect(client, &options);
                self.clients[number] = Some((client, user));
            }
        }
        self.read_all();
    }

    fn publish(&mut self, client: Client, user: &str) {
        let topic = self.random.of(&TOPICS);
        let qos = self.random.of(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
        if self.random.below(8) == 0 {
            self.world.retain(client, topic, user);
        } else {
            self.world.publish(client, topic, user, qos, 7);
        }
    }

    /// Everybody reads and mostly acknowledges, until nothing comes any more.
    fn read_all(&mut self) {
        let mut again = true;
        while std::mem::take(&mut again) {
            for (client, user) in self.clients.into_iter().flatten() {
                for packet in self.world.take(client) {
                    again = true;
                    self.read(client, user, &packet);
                }
            }
        }
    }

    fn read(&mut self, client: Client, user: &str, packet: &str) {
        let words: Vec<&str> = packet.split(' ').collect();
        let id = words.iter().find_map(|word| word.strip_prefix('#'));
        let id: Option<u16> = id.and_then(|id| id.parse().ok());
        match (words[0], id) {
            ("PubRec", Some(id)) if !packet.contains("NotAuthorized") => {
                self.world.pubrel(client, id);
            }
            ("PubRel", Some(id)) => self.world.pubcomp(client, id),
            (topic, id) if TOPICS.contains(&topic) => {
                let allowed = self.world.rules.allow(user, Action::Deliver, topic);
                assert!(allowed, "seed {}: {user} was sent {packet:?}", self.seed);
                let sender_may = self.world.rules.allow(words[1], Action::Publish, topic);
                let at_once = !packet.contains("retained") && id.is_none();
                assert!(sender_may || !at_once, "seed {}: {packet:?} was let in", self.seed);
                self.delivered += 1;
                // Now and then it is in flight still when the connection ends.
                match id.and_then(PacketId::new).filter(|_| self.random.below(4) > 0) {
                    Some(id) if packet.contains(" q1 ") => self.world.puback(client, id.get()),
                    Some(id) => self.world.pubrec(client, id.get()),
                    None => {}
                }
            }
            _ => {}
        }
    }
}

#[test]
fn nobody_is_ever_sent_what_it_may_not_read() {
    let mut delivered = 0;
    for seed in 1..=60 {
        let mut crowd = Crowd::new(seed);
        for _ in 0..250 {
            crowd.step();
        }
        delivered += crowd.delivered;
    }
    assert!(delivered > 5000, "{delivered} deliveries show little");
}
