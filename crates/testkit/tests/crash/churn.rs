//! Sessions that come, go, begin anew and change their subscriptions, and what is known of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_testkit::{
    Connect, Event, Link, Packet, Properties, Publish, Version, property, request,
};

use crate::random::Random;
use crate::world::{Attempt, PATIENCE, Phase, Story, World, brief};

/// Filters that each client subscribes to and unsubscribes from.
const FILTERS: usize = 6;

/// What a client can know of something at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    Yes,
    /// A request about it was never answered.
    Unknown,
}

/// One client identifier.
#[derive(Debug)]
struct Client {
    id: String,
    version: Version,
    session: Known,
    /// The session ends with the connection: Clean Session is for both ends of it, before 5.0.
    short: bool,
    filters: [Known; FILTERS],
}

/// One participant with many client identifiers, one at a time.
#[derive(Debug)]
pub(crate) struct Churn {
    world: Arc<World>,
    clients: Vec<Client>,
    random: Random,
    packet_id: u16,
    /// Tells probes apart.
    probes: u64,
    story: Story,
}

impl Churn {
    pub(crate) fn new(world: &Arc<World>, name: &str, clients: usize, random: Random) -> Self {
        let clients = (0..clients).map(|number| Client {
            id: format!("{name}-{number}"),
            version: Version::OASIS[number % 2],
            session: Known::No,
            short: false,
            filters: [Known::No; FILTERS],
        });
        Self {
            world: world.clone(),
            clients: clients.collect(),
            random,
            packet_id: 0,
            probes: 0,
            story: Story::default(),
        }
    }

    pub(crate) fn run(mut self) -> u64 {
        while self.world.phase() == Phase::Load {
            let at = self.random.below(self.clients.len() as u64) as usize;
            self.visit(at, true);
            std::thread::sleep(self.random.milliseconds(0, 4));
        }
        for at in 0..self.clients.len() {
            while !self.visit(at, false) && !self.world.stopped() {}
        }
        self.world.busy.fetch_sub(1, Ordering::SeqCst);
        0
    }

    /// Connects as one of the clients, checks what is known and, if so wished, changes it. Says whether
    /// the connection lasted.
    fn visit(&mut self, at: usize, changing: bool) -> bool {
        let clean = changing && self.random.percent(12);
        let Some(mut link) = self.arrive(at, clean) else { return false };
        let lasted = self.probe(at, &mut link).is_some()
            && (!changing || self.change(at, &mut link).is_some())
            && self.probe(at, &mut link).is_some();
        self.part(at, &mut link, changing);
        lasted
    }

    fn arrive(&mut self, at: usize, clean: bool) -> Option<Link> {
        let client = &mut self.clients[at];
        let mut connect = Connect::persistent(client.version, &client.id);
        connect.clean_start = clean;
        self.story.note(&self.world, &format!("> CONNECT {} clean {clean}", client.id));
        match self.world.attempt(&connect, &mut self.story) {
            Attempt::Nobody => {
                std::thread::sleep(Duration::from_millis(3));
                None
            }
            Attempt::Unanswered => {
                client.doubt_session(clean);
                None
            }
            Attempt::Accepted(link, answer) => {
                let present = if answer.session_present { Known::Yes } else { Known::No };
                let due = if clean { Known::No } else { client.session };
                if due != Known::Unknown && due != present {
                    let what = format!("{}: session {present:?}, it should be {due:?}", client.id);
                    self.world.wrong("churn", &what, &self.story);
                }
                if present == Known::No {
                    client.filters = [Known::No; FILTERS];
                }
                client.session = Known::Yes;
                client.short = clean && !client.version.is_5();
                Some(link)
            }
        }
    }

    /// Subscribes and unsubscribes at random, several requests at once.
    fn change(&mut self, at: usize, link: &mut Link) -> Option<()> {
        let mut bytes = Vec::new();
        let mut asked = Vec::new();
        for _ in 0..=self.random.below(3) {
            let filter = self.random.below(FILTERS as u64) as usize;
            self.packet_id = self.packet_id % 30_000 + 1;
            let name = self.clients[at].filter(filter);
            let subscribes = self.random.percent(60);
            if subscribes {
                let options = &[(name.as_str(), 1)];
                bytes.extend(request::subscribe(link.version(), self.packet_id, options));
            } else {
                bytes.extend(request::unsubscribe(link.version(), self.packet_id, &[&name]));
            }
            let what = if subscribes { "SUBSCRIBE" } else { "UNSUBSCRIBE" };
            self.story.note(&self.world, &format!("> {what} {} {name}", self.packet_id));
            self.clients[at].filters[filter] = Known::Unknown;
            asked.push((self.packet_id, filter, subscribes));
        }
        link.send(&bytes).ok()?;
        while !asked.is_empty() {
            let (answer, subscribed) = match self.next(link)? {
                Packet::SubAck(answer) => (answer, true),
                Packet::UnsubAck(answer) => (answer, false),
                _ => continue,
            };
            let found = asked.iter().position(|(id, ..)| *id == answer.packet_id);
            let (_, filter, subscribes) = asked.remove(found?);
            let refused = answer.codes.iter().any(|code| *code >= 0x80);
            if subscribes != subscribed || refused {
                self.wrong(&format!("{answer:?}"));
            }
            // A later request about the same filter decides.
            if asked.iter().all(|(_, other, _)| *other != filter) {
                let known = if subscribes { Known::Yes } else { Known::No };
                self.clients[at].filters[filter] = known;
            }
        }
        Some(())
    }

    /// Publishes to every filter and sees which are subscribed.
    fn probe(&mut self, at: usize, link: &mut Link) -> Option<()> {
        self.probes += 1;
        let mark = format!("probe {}", self.probes);
        let mut bytes = Vec::new();
        for filter in 0..FILTERS {
            let packet_id = 40_000 + filter as u16;
            let publish = Publish::new(&self.clients[at].topic(filter), &mark).qos(1, packet_id);
            bytes.extend(publish.bytes(link.version()));
        }
        self.story.note(&self.world, &format!("> {mark}"));
        link.send(&bytes).ok()?;
        let mut came = BTreeSet::new();
        let mut acknowledged = 0;
        let mut pinged = false;
        while !pinged || !self.clients[at].misses(&came).is_empty() {
            let packet = match link.next(PATIENCE) {
                Event::Packet(packet) => packet,
                Event::Closed => return None,
                Event::Nothing => {
                    let missing = self.clients[at].misses(&came);
                    let id = &self.clients[at].id;
                    self.wrong(&format!("{id}: {acknowledged} PUBACKs, nothing from {missing:?}"));
                    return None;
                }
            };
            self.story.note(&self.world, &brief(&packet));
            match packet {
                Packet::PubAck(_) => {
                    acknowledged += 1;
                    if acknowledged == FILTERS {
                        link.send(&request::PINGREQ).ok()?;
                    }
                }
                Packet::Publish(publish) => {
                    link.send(&request::ack(request::PUBACK, publish.packet_id)).ok()?;
                    if publish.text() == mark {
                        came.insert(publish.topic);
                    }
                }
                Packet::PingResp => pinged = true,
                _ => return None,
            }
        }
        self.compare(at, &came);
        Some(())
    }

    fn compare(&mut self, at: usize, came: &BTreeSet<String>) {
        for filter in 0..FILTERS {
            let client = &mut self.clients[at];
            let topic = client.topic(filter);
            let found = if came.contains(&topic) { Known::Yes } else { Known::No };
            let due = std::mem::replace(&mut client.filters[filter], found);
            if due != Known::Unknown && due != found {
                self.wrong(&format!("{topic}: subscribed {found:?}, it should be {due:?}"));
            }
        }
    }

    fn part(&mut self, at: usize, link: &mut Link, changing: bool) {
        let client = &mut self.clients[at];
        if client.short {
            (client.session, client.filters) = (Known::No, [Known::No; FILTERS]);
        }
        if client.version.is_5() && changing && self.random.percent(10) {
            let ending = Properties::new().four(property::SESSION_EXPIRY_INTERVAL, 0);
            drop(link.send(&request::disconnect_with(0, &ending)));
            client.session = Known::Unknown;
            while !matches!(link.next(PATIENCE), Event::Closed | Event::Nothing) {}
        } else if self.random.percent(50) {
            drop(link.send(&request::disconnect()));
        }
    }

    /// The next packet that is no message; these are acknowledged.
    fn next(&mut self, link: &mut Link) -> Option<Packet> {
        loop {
            match link.next(PATIENCE) {
                Event::Packet(packet) => {
                    self.story.note(&self.world, &brief(&packet));
                    let Packet::Publish(publish) = packet else { return Some(packet) };
                    link.send(&request::ack(request::PUBACK, publish.packet_id)).ok()?;
                }
                Event::Closed => return None,
                Event::Nothing => {
                    self.wrong("no answer");
                    return None;
                }
            }
        }
    }

    fn wrong(&self, what: &str) {
        self.world.wrong("churn", what, &self.story);
    }
}

impl Client {
    fn topic(&self, filter: usize) -> String {
        format!("churn/{}/{filter}", self.id)
    }

    /// The last one is shared, with nobody else in its group.
    fn filter(&self, filter: usize) -> String {
        let topic = self.topic(filter);
        if filter + 1 == FILTERS { format!("$share/alone/{topic}") } else { topic }
    }

    fn misses(&self, came: &BTreeSet<String>) -> Vec<usize> {
        let due = (0..FILTERS).filter(|filter| self.filters[*filter] == Known::Yes);
        due.filter(|filter| !came.contains(&self.topic(*filter))).collect()
    }

    /// A CONNECT was never answered: unless it was to go on with a session that is there for sure, it
    /// may have begun a new one.
    fn doubt_session(&mut self, clean: bool) {
        if self.session == Known::Yes && !clean {
            return;
        }
        self.session = Known::Unknown;
        for known in &mut self.filters {
            if *known == Known::Yes {
                *known = Known::Unknown;
            }
        }
    }
}
