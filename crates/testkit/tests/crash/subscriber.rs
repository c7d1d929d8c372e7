//! A subscriber that acknowledges as the standard wants and counts what it gets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dunlin_testkit::{Connect, Event, Link, Packet, Publish, request};

use crate::ledger::Book;
use crate::random::Random;
use crate::world::{Group, PATIENCE, Phase, Story, World, brief};

/// How much of the time a subscriber is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Always.
    Online,
    /// Comes and goes, with or without a word.
    Flapping,
    /// Comes when much has gathered, or at the end.
    Offline,
}

/// One subscriber to all topics of a group.
pub(crate) struct Subscriber {
    world: Arc<World>,
    connect: Connect,
    /// The group, and the place in it.
    group: usize,
    place: usize,
    qos: u8,
    habit: Habit,
    random: Random,
    book: Box<dyn Book>,
    /// QoS 2 messages between PUBLISH and PUBREL, by packet identifier.
    held: BTreeMap<u16, Publish>,
    /// Acknowledgements not sent yet.
    owed: Vec<u8>,
    /// The message that is acknowledged and forgotten, to see whether anybody notices.
    swallow: Option<u64>,
    story: Story,
}

impl Subscriber {
    pub(crate) fn new(
        world: &Arc<World>,
        connect: Connect,
        (group, place): (usize, usize),
        (qos, habit): (u8, Habit),
        book: Box<dyn Book>,
        random: Random,
    ) -> Self {
        Self {
            world: world.clone(),
            connect,
            group,
            place,
            qos,
            habit,
            random,
            book,
            held: BTreeMap::new(),
            owed: Vec::new(),
            swallow: None,
            story: Story::default(),
        }
    }

    /// The same, losing one message without a word.
    pub(crate) const fn swallowing(mut self, number: u64) -> Self {
        self.swallow = Some(number);
        self
    }

    /// Subscribes, then receives until the end, which may be long after the publishers'. Hands over
    /// how many messages came again where that is allowed.
    pub(crate) fn run(mut self) -> u64 {
        let world = self.world.clone();
        self.begin();
        world.ready.fetch_add(1, Ordering::SeqCst);
        loop {
            self.stay_away();
            let Some((mut link, answer)) = world.connect(&self.connect, &mut self.story) else {
                break;
            };
            if !answer.session_present {
                self.wrong("the session is gone");
            }
            self.owed.clear();
            let polite = self.serve(&mut link);
            self.story.note(&world, if polite.is_some() { "leaves" } else { "closed" });
        }
        // Of a run that was given up there is nothing more to say.
        let broken = if world.wrongs().is_empty() { self.book.missing() } else { Vec::new() };
        for broken in broken {
            self.wrong(&broken.to_string());
        }
        self.book.repeated()
    }

    fn group(&self) -> &Group {
        &self.world.groups[self.group]
    }

    /// Before the first kill.
    fn begin(&mut self) {
        let world = self.world.clone();
        let Some((mut link, _)) = world.connect(&self.connect, &mut self.story) else { return };
        let filter = self.group().filter();
        let bytes = request::subscribe(link.version(), 1, &[(&filter, self.qos)]);
        drop(link.send(&bytes));
        match link.next(PATIENCE) {
            Event::Packet(Packet::SubAck(answer)) if answer.codes == [self.qos] => {}
            other => self.wrong(&format!("SUBSCRIBE led to {other:?}")),
        }
        drop(link.send(&request::disconnect()));
    }

    fn stay_away(&mut self) {
        let away = match self.habit {
            Habit::Online => Duration::ZERO,
            Habit::Flapping => self.random.milliseconds(0, 200),
            Habit::Offline => Duration::from_secs(3600),
        };
        let until = Instant::now() + away;
        while Instant::now() < until && self.world.phase() == Phase::Load {
            if self.habit == Habit::Offline && self.group().is_behind() {
                break;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Returns `Some` when it leaves by itself.
    fn serve(&mut self, link: &mut Link) -> Option<()> {
        let stays = match self.habit {
            Habit::Online => Duration::from_secs(3600),
            Habit::Flapping => self.random.milliseconds(5, 300),
            Habit::Offline => self.random.milliseconds(50, 400),
        };
        let until = Instant::now() + stays;
        // Acknowledgements are sent together, so that kills find messages in flight.
        let together = 4 * (1 + self.random.below(12) as usize);
        loop {
            let loading = self.world.phase() == Phase::Load;
            if self.world.stopped() || (loading && Instant::now() >= until) {
                return self.leave(link);
            }
            let patience = if self.owed.is_empty() { 20 } else { 2 };
            match link.next(Duration::from_millis(patience)) {
                Event::Packet(packet) => self.handle(&packet)?,
                Event::Closed => return None,
                Event::Nothing => self.acknowledge(link)?,
            }
            if self.owed.len() >= together {
                self.acknowledge(link)?;
            }
        }
    }

    /// With a word or without one.
    fn leave(&mut self, link: &mut Link) -> Option<()> {
        if self.random.percent(50) || self.world.stopped() {
            self.acknowledge(link)?;
            drop(link.send(&request::disconnect()));
            while !matches!(link.next(PATIENCE), Event::Closed | Event::Nothing) {}
        }
        Some(())
    }

    fn acknowledge(&mut self, link: &mut Link) -> Option<()> {
        let owed = std::mem::take(&mut self.owed);
        link.send(&owed).ok()
    }

    fn handle(&mut self, packet: &Packet) -> Option<()> {
        self.story.note(&self.world, &brief(packet));
        match packet {
            Packet::Publish(publish) if publish.qos == 2 => self.hold(publish),
            Packet::Publish(publish) => {
                self.take(publish);
                if publish.qos == 1 {
                    self.owed.extend(request::ack(request::PUBACK, publish.packet_id));
                }
            }
            Packet::PubRel(ack) => {
                self.held.remove(&ack.packet_id);
                self.owed.extend(request::ack(request::PUBCOMP, ack.packet_id));
            }
            Packet::Disconnect(_) => return None,
            other => self.wrong(&format!("{other:?}")),
        }
        Some(())
    }

    /// A packet identifier names one message from its PUBLISH to its PUBREL [MQTT-4.3.3-10].
    fn hold(&mut self, publish: &Publish) {
        self.owed.extend(request::ack(request::PUBREC, publish.packet_id));
        match self.held.get(&publish.packet_id) {
            None => {
                self.held.insert(publish.packet_id, publish.clone());
                self.take(publish);
            }
            Some(held) => {
                if (&held.topic, &held.payload) != (&publish.topic, &publish.payload) {
                    let what = format!("id {} is still {}", publish.packet_id, held.text());
                    self.wrong(&format!("{what}, and now {}", publish.text()));
                } else if !publish.dup {
                    self.wrong(&format!("{} again without DUP", publish.packet_id));
                }
            }
        }
    }

    fn take(&mut self, publish: &Publish) {
        if self.swallow == Some(self.book.count()) {
            self.swallow = None;
            return;
        }
        if let Err(broken) = self.book.take(&publish.topic, &publish.payload) {
            self.wrong(&broken.to_string());
        }
        let count = self.book.count();
        self.group().received[self.place].store(count, Ordering::SeqCst);
    }

    fn wrong(&self, what: &str) {
        self.world.wrong(&self.connect.client_id, what, &self.story);
    }
}
