//! Clients with a will, and who gets it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dunlin_testkit::{Connect, Event, Packet, Publish, Version, Will, request};

use crate::ledger::{Book, Broken};
use crate::random::Random;
use crate::world::{Attempt, PATIENCE, Phase, Story, World};

/// After this time the broker will have written down that a client has left: ten milliseconds and a
/// sync, on a machine that does much else.
const SETTLES: Duration = Duration::from_millis(500);

/// What is to become of a will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its client has no answer to its CONNECT, or is connected, or left with DISCONNECT a moment
    /// before the broker was killed.
    Open,
    /// Its client was lost.
    Due,
    /// Its client left with DISCONNECT.
    Withdrawn,
}

/// All wills of a run, by payload: their fates and how often they came.
#[derive(Debug, Default)]
pub(crate) struct Wills(Mutex<BTreeMap<String, (Fate, u64)>>);

impl Wills {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, (Fate, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, payload: &str, fate: Fate) {
        self.all().entry(payload.to_owned()).or_insert((Fate::Open, 0)).0 = fate;
    }

    /// Whether all that are due have come.
    pub(crate) fn complete(&self) -> bool {
        self.all().values().all(|(fate, count)| *fate != Fate::Due || *count > 0)
    }
}

/// The book of the one who gets the wills.
#[derive(Debug)]
pub(crate) struct WillBook(pub(crate) Arc<Wills>);

impl Book for WillBook {
    fn take(&mut self, topic: &str, payload: &[u8]) -> Result<(), Broken> {
        let payload = String::from_utf8_lossy(payload).into_owned();
        let mut all = self.0.all();
        let Some((_, count)) = all.get_mut(&payload) else {
            return Err(Broken::Invented { topic: topic.to_owned(), payload });
        };
        *count += 1;
        if *count > 1 {
            return Err(Broken::Again { topic: payload, number: *count });
        }
        Ok(())
    }

    fn count(&self) -> u64 {
        self.0.all().values().map(|(_, count)| *count).sum()
    }

    fn repeated(&self) -> u64 {
        0
    }

    fn missing(&self) -> Vec<Broken> {
        let mut broken = Vec::new();
        for (payload, (fate, count)) in self.0.all().iter() {
            let topic = payload.clone();
            match (fate, count) {
                (Fate::Due, 0) => broken.push(Broken::Missing { topic, from: 1, to: 1 }),
                (Fate::Withdrawn, 1..) => {
                    broken.push(Broken::Invented { topic, payload: "after DISCONNECT".into() });
                }
                _ => {}
            }
        }
        broken
    }
}

/// A client that does nothing but have a will.
#[derive(Debug)]
pub(crate) struct Mortal {
    pub(crate) world: Arc<World>,
    pub(crate) wills: Arc<Wills>,
    pub(crate) name: String,
    pub(crate) version: Version,
    /// Whether the session outlives the connection.
    pub(crate) persistent: bool,
    pub(crate) random: Random,
}

impl Mortal {
    pub(crate) fn run(mut self) -> u64 {
        let mut life = 0;
        let mut story = Story::default();
        while self.world.phase() == Phase::Load {
            life += 1;
            let payload = format!("{} {life}", self.name);
            self.live(&payload, &mut story);
            sleep(self.random.milliseconds(1, 30));
        }
        self.world.busy.fetch_sub(1, Ordering::SeqCst);
        0
    }

    fn live(&mut self, payload: &str, story: &mut Story) {
        let mut connect = Connect::persistent(self.version, &self.name);
        if !self.persistent {
            connect = Connect::new(self.version, &self.name);
        }
        let topic = format!("wills/{}", self.name);
        connect.will = Some(Will::new(&topic, payload).qos(2));
        self.wills.decide(payload, Fate::Open);
        let Attempt::Accepted(mut link, _) = self.world.attempt(&connect, story) else { return };
        let until = Instant::now() + self.random.milliseconds(0, 1500);
        while Instant::now() < until && self.world.phase() == Phase::Load {
            if link.next(Duration::from_millis(20)) == Event::Closed {
                self.wills.decide(payload, Fate::Due);
                return;
            }
        }
        if self.random.percent(50) {
            self.wills.decide(payload, Fate::Due);
            return;
        }
        // The same broker is there when it is asked, when it is told, and long enough after.
        let ends = self.world.ends.load(Ordering::SeqCst);
        drop(link.send(&request::PINGREQ));
        if link.next(PATIENCE) != Event::Packet(Packet::PingResp) {
            self.wills.decide(payload, Fate::Due);
            return;
        }
        drop(link.send(&request::disconnect()));
        while !matches!(link.next(PATIENCE), Event::Closed | Event::Nothing) {}
        sleep(SETTLES);
        // Odd while it ends, which may take longer than that.
        let is_same = || ends.is_multiple_of(2) && self.world.ends.load(Ordering::SeqCst) == ends;
        if is_same() && self.is_written(story) && is_same() {
            self.wills.decide(payload, Fate::Withdrawn);
        }
    }

    /// Whether something that came later is written down for sure.
    fn is_written(&self, story: &mut Story) -> bool {
        let connect = Connect::new(self.version, &format!("{}-later", self.name));
        let Attempt::Accepted(mut link, _) = self.world.attempt(&connect, story) else {
            return false;
        };
        let later = Publish::new("later", &self.name).qos(1, 1).retained();
        drop(link.send(&later.bytes(self.version)));
        let answer = link.next(PATIENCE);
        drop(link.send(&request::disconnect()));
        matches!(answer, Event::Packet(Packet::PubAck(ack)) if ack.reason == 0)
    }
}
