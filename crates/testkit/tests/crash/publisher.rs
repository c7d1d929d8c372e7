//! A publisher that repeats what is not acknowledged, as the standard wants.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_testkit::{Ack, Connect, Event, Link, Packet, Publish, request};

use crate::ledger::Stream;
use crate::random::Random;
use crate::world::{Group, PATIENCE, Phase, Story, World, brief};

/// Unacknowledged messages of one publisher; packet identifiers are used again soon, which is where a
/// broker that remembers too long goes wrong.
const WINDOW: usize = 12;
/// Packet identifiers in use.
const PACKET_IDS: u16 = 40;

/// One publisher with the streams it sends.
#[derive(Debug)]
pub(crate) struct Publisher {
    world: Arc<World>,
    connect: Connect,
    group: usize,
    streams: Vec<usize>,
    /// Longest pause after a burst, in milliseconds.
    pause: u64,
    random: Random,
    open: VecDeque<Open>,
    last_packet_id: u16,
    session: bool,
    story: Story,
}

/// A message on its way, oldest first.
#[derive(Debug)]
struct Open {
    publish: Publish,
    stream: usize,
    number: u64,
    /// PUBREC has come: from now on PUBREL is what is repeated.
    released: bool,
    /// It was repeated in a later connection.
    again: bool,
}

impl Publisher {
    pub(crate) fn new(
        world: &Arc<World>,
        connect: Connect,
        (group, streams): (usize, Vec<usize>),
        pause: u64,
        random: Random,
    ) -> Self {
        Self {
            world: world.clone(),
            connect,
            group,
            streams,
            pause,
            random,
            open: VecDeque::new(),
            last_packet_id: 0,
            session: false,
            story: Story::default(),
        }
    }

    /// Publishes until the load ends, then until everything is acknowledged.
    pub(crate) fn run(mut self) -> u64 {
        let world = self.world.clone();
        while let Some((mut link, answer)) = world.connect(&self.connect, &mut self.story) {
            // Before the first CONNACK the session may have begun without a word.
            if self.session && !answer.session_present {
                self.wrong("the session is gone");
            }
            self.session = true;
            if self.repeat(&mut link).is_some() && self.serve(&mut link).is_some() {
                break;
            }
            self.story.note(&world, "closed");
        }
        world.busy.fetch_sub(1, Ordering::SeqCst);
        0
    }

    fn group(&self) -> &Group {
        &self.world.groups[self.group]
    }

    fn stream(&self, place: usize) -> &Stream {
        &self.group().streams.all[place]
    }

    /// Repeats what is open, in its order [MQTT-4.4.0-1].
    fn repeat(&mut self, link: &mut Link) -> Option<()> {
        let mut bytes = Vec::new();
        for open in &mut self.open {
            open.again = true;
            let packet_id = open.publish.packet_id;
            if open.released {
                bytes.extend(request::ack(request::PUBREL, packet_id));
                self.story.note(&self.world, &format!("> PUBREL {packet_id} again"));
            } else {
                bytes.extend(open.publish.clone().dup().bytes(link.version()));
                let what = open.publish.text();
                self.story.note(&self.world, &format!("> PUBLISH {packet_id} again: {what}"));
            }
        }
        link.send(&bytes).ok()
    }

    /// Returns `Some` when everything is done, `None` when the connection has ended.
    fn serve(&mut self, link: &mut Link) -> Option<()> {
        let flaps_after = self.random.percent(15).then(|| self.random.below(60));
        let mut bursts = 0;
        loop {
            let loading = self.world.phase() == Phase::Load;
            let room = self.open.len() < WINDOW && !self.group().is_behind();
            let patience = if !loading && self.open.is_empty() {
                return Some(());
            } else if loading && room {
                self.burst(link)?;
                bursts += 1;
                self.random.milliseconds(0, self.pause)
            } else if self.open.is_empty() {
                Duration::from_millis(5)
            } else {
                PATIENCE
            };
            if flaps_after.is_some_and(|after| bursts > after) {
                return None;
            }
            self.take_acknowledgements(link, patience)?;
            if self.world.stopped() {
                return Some(());
            }
        }
    }

    fn burst(&mut self, link: &mut Link) -> Option<()> {
        let count = 1 + self.random.below((WINDOW - self.open.len()) as u64);
        let mut bytes = Vec::new();
        for _ in 0..count {
            let stream = self.streams[self.random.below(self.streams.len() as u64) as usize];
            let packet_id = self.free_packet_id();
            let number = self.stream(stream).next();
            let Stream { topic, qos, retain, .. } = self.stream(stream);
            let mut publish = Publish::new(topic, &self.stream(stream).payload(number));
            publish = publish.qos(*qos, packet_id);
            publish.retain = *retain;
            bytes.extend(publish.bytes(link.version()));
            let step = format!("> PUBLISH q{qos} id {packet_id} {topic} {number}");
            self.story.note(&self.world, &step);
            self.open.push_back(Open { publish, stream, number, released: false, again: false });
        }
        link.send(&bytes).ok()
    }

    fn free_packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id % PACKET_IDS + 1;
            let packet_id = self.last_packet_id;
            if self.open.iter().all(|open| open.publish.packet_id != packet_id) {
                return packet_id;
            }
        }
    }

    /// Takes what comes within `patience`, and all that is there already.
    fn take_acknowledgements(&mut self, link: &mut Link, patience: Duration) -> Option<()> {
        let mut patience = patience;
        loop {
            match link.next(patience) {
                Event::Packet(packet) => self.handle(link, &packet)?,
                Event::Nothing if patience == PATIENCE => {
                    self.wrong("no acknowledgement");
                    return None;
                }
                Event::Nothing => return Some(()),
                Event::Closed => return None,
            }
            patience = Duration::from_micros(50);
        }
    }

    fn handle(&mut self, link: &mut Link, packet: &Packet) -> Option<()> {
        self.story.note(&self.world, &brief(packet));
        match packet {
            Packet::PubAck(ack) => self.done(ack, 1),
            Packet::PubRec(ack) => {
                self.release(ack);
                self.story.note(&self.world, &format!("> PUBREL {}", ack.packet_id));
                link.send(&request::ack(request::PUBREL, ack.packet_id)).ok()?;
            }
            Packet::PubComp(ack) => self.done(ack, 2),
            Packet::Disconnect(_) => return None,
            other => self.wrong(&format!("{other:?}")),
        }
        Some(())
    }

    fn release(&mut self, ack: &Ack) {
        let Some(at) = self.find(ack, 2) else { return };
        let due = self.open.iter().position(|open| open.publish.qos == 2 && !open.released);
        // [MQTT-4.6.0-3]
        if due != Some(at) {
            self.wrong(&format!("PUBREC {} is out of order", ack.packet_id));
        }
        self.open[at].released = true;
    }

    fn done(&mut self, ack: &Ack, qos: u8) {
        let Some(at) = self.find(ack, qos) else { return };
        let due = self.open.iter().position(|open| open.publish.qos == 1);
        // [MQTT-4.6.0-2], so that all before it are acknowledged too.
        if qos == 1 && due != Some(at) {
            self.wrong(&format!("PUBACK {} is out of order", ack.packet_id));
        }
        let Some(open) = self.open.remove(at) else { return };
        if qos == 2 && !open.released {
            self.wrong("PUBCOMP without PUBREC");
        }
        self.stream(open.stream).acknowledge(open.number);
    }

    /// The message an acknowledgement is about.
    fn find(&self, ack: &Ack, qos: u8) -> Option<usize> {
        let at = self
            .open
            .iter()
            .position(|open| (open.publish.packet_id, open.publish.qos) == (ack.packet_id, qos));
        // 0x10: nobody is subscribed, which is no failure. 0x92: the broker has seen this PUBREL
        // before, and could not answer it.
        let again = at.is_some_and(|at| self.open[at].released && self.open[at].again);
        if at.is_none() || !(matches!(ack.reason, 0 | 0x10) || ack.reason == 0x92 && again) {
            self.wrong(&format!("not expected: {ack:?}"));
        }
        at
    }

    fn wrong(&self, what: &str) {
        self.world.wrong(&self.connect.client_id, what, &self.story);
    }
}
