//! What all participants of a run share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dunlin_testkit::{ConnAck, Connect, Event, Link, Packet};

use crate::ledger::Streams;

/// How long a broker that is there may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How far the slowest subscriber of a group may be behind its publishers: below the 1000 messages
/// that a session may have waiting, by as much as repeated messages may add.
const LAG: u64 = 500;
/// Steps a participant remembers, to be told when it finds something wrong.
const STORY: usize = 60;

/// What participants do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// New messages.
    Load,
    /// No new messages; everything open comes to its end.
    Drain,
    /// All leave.
    Stop,
}

/// Streams, who sends them and who gets them.
#[derive(Debug)]
pub(crate) struct Group {
    /// The first level of its topics.
    pub(crate) name: &'static str,
    /// Its subscribers share one subscription.
    pub(crate) shared: bool,
    pub(crate) streams: Arc<Streams>,
    /// How many messages each subscriber has.
    pub(crate) received: Vec<AtomicU64>,
}

impl Group {
    /// Whether publishers should wait, lest messages are dropped from full queues.
    pub(crate) fn is_behind(&self) -> bool {
        let slowest = self.received.iter().map(|count| count.load(Ordering::SeqCst)).min();
        slowest.is_some_and(|slowest| self.streams.sent().saturating_sub(slowest) > LAG)
    }

    pub(crate) fn filter(&self) -> String {
        let filter = format!("{}/#", self.name);
        if self.shared { format!("$share/all/{filter}") } else { filter }
    }

    /// How far it is.
    pub(crate) fn tell(&self) -> String {
        format!("{}: {} sent, {:?} received", self.name, self.streams.sent(), self.received)
    }
}

#[derive(Debug)]
pub(crate) struct World {
    address: SocketAddr,
    phase: AtomicU8,
    pub(crate) groups: Vec<Group>,
    /// Participants that have begun: subscribers with their subscription, clients with a session.
    pub(crate) ready: AtomicUsize,
    /// Participants with something open.
    pub(crate) busy: AtomicUsize,
    /// Checks of the retained messages that came to their end.
    pub(crate) checked: AtomicU64,
    /// Changes when the broker ends.
    pub(crate) ends: AtomicU64,
    began: Instant,
    wrongs: Mutex<Vec<String>>,
}

impl World {
    pub(crate) fn new(address: SocketAddr, groups: Vec<Group>) -> Self {
        Self {
            address,
            phase: AtomicU8::new(Phase::Load as u8),
            groups,
            ready: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            checked: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            began: Instant::now(),
            wrongs: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Load,
            1 => Phase::Drain,
            _ => Phase::Stop,
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.phase() == Phase::Stop
    }

    /// Since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        Instant::now() - self.began
    }

    /// Something is not as promised.
    pub(crate) fn wrong(&self, who: &str, what: &str, story: &Story) {
        let at = self.elapsed().as_millis();
        let told = format!("{at} ms, {who}: {what}\n{}", story.tell());
        self.wrongs.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }

    pub(crate) fn wrongs(&self) -> Vec<String> {
        self.wrongs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connects, again and again while nobody answers; `None` when all is over.
    pub(crate) fn connect(&self, connect: &Connect, story: &mut Story) -> Option<(Link, ConnAck)> {
        while !self.stopped() {
            match self.attempt(connect, story) {
                Attempt::Accepted(link, answer) => return Some((link, answer)),
                Attempt::Nobody | Attempt::Unanswered => sleep(Duration::from_millis(3)),
            }
        }
        None
    }

    /// Tries to connect once.
    pub(crate) fn attempt(&self, connect: &Connect, story: &mut Story) -> Attempt {
        let Ok(mut link) = Link::open(self.address, connect.version) else {
            return Attempt::Nobody;
        };
        if link.send(&connect.bytes()).is_err() {
            return Attempt::Unanswered;
        }
        match link.next(PATIENCE) {
            Event::Packet(Packet::ConnAck(answer)) if answer.code == 0 => {
                story.note(self, &format!("connected, session {}", answer.session_present));
                Attempt::Accepted(link, answer)
            }
            // The broker is about to stop.
            Event::Packet(Packet::ConnAck(answer)) if matches!(answer.code, 3 | 0x88 | 0x8b) => {
                Attempt::Nobody
            }
            Event::Closed => {
                story.note(self, "no CONNACK");
                Attempt::Unanswered
            }
            other => {
                self.wrong(&connect.client_id, &format!("CONNECT led to {other:?}"), story);
                Attempt::Unanswered
            }
        }
    }
}

/// What became of a CONNECT.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// Nobody listens, or comes in any more: nothing has changed.
    Nobody,
    /// The broker may or may not have seen it.
    Unanswered,
    Accepted(Link, ConnAck),
}

/// The last steps of one participant.
#[derive(Debug, Default)]
pub(crate) struct Story(VecDeque<String>);

impl Story {
    pub(crate) fn note(&mut self, world: &World, step: &str) {
        if self.0.len() == STORY {
            self.0.pop_front();
        }
        self.0.push_back(format!("{:>10.3} {step}", world.elapsed().as_secs_f64() * 1000.0));
    }

    fn tell(&self) -> String {
        self.0.iter().map(|step| format!("    {step}\n")).collect()
    }
}

/// A packet in few words.
pub(crate) fn brief(packet: &Packet) -> String {
    match packet {
        Packet::Publish(p) => {
            let dup = if p.dup { " dup" } else { "" };
            format!("< PUBLISH q{} id {}{dup} {}: {}", p.qos, p.packet_id, p.topic, p.text())
        }
        Packet::PubAck(ack) => format!("< PUBACK {} 0x{:02x}", ack.packet_id, ack.reason),
        Packet::PubRec(ack) => format!("< PUBREC {} 0x{:02x}", ack.packet_id, ack.reason),
        Packet::PubRel(ack) => format!("< PUBREL {} 0x{:02x}", ack.packet_id, ack.reason),
        Packet::PubComp(ack) => format!("< PUBCOMP {} 0x{:02x}", ack.packet_id, ack.reason),
        other => format!("< {other:?}"),
    }
}
