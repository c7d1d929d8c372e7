//! The judge: what clients were promised, and whether it was kept.
//!
//! It hears what clients send and receive, and a little of what only the simulator knows: when the
//! broker dealt with which bytes, when it closed a connection, when it died. What it cannot know it
//! takes for possible, so that everything it complains of is a defect.

mod check;
mod connections;
mod message;
mod receipt;
mod retained;
mod session;
mod wills;

use core::time::Duration;
use std::collections::BTreeMap;

use dunlin_broker::Time;
use dunlin_proto::topic::{TopicFilter, TopicName};

use super::plan::Plan;
use super::rules::{Reading, Rules};

pub(super) use connections::{Attempt, Connecting};
pub(super) use message::{Message, MessageKind};
pub(super) use receipt::Receipt;
use session::Session;
pub(super) use session::Wanted;

/// What ends at some place in a client's stream of bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    /// A CONNECT.
    Connect,
    /// A PUBLISH of this message.
    Publish(usize),
    /// The PUBREL of this message.
    Release(usize),
    /// A DISCONNECT that takes the will back.
    Disconnect,
}

/// A death of the broker.
#[derive(Debug, Clone, Copy)]
struct Death {
    at: Time,
    /// What happened before is not forgotten.
    durable: Time,
    /// When the next one was there.
    back: Time,
}

/// Everything that is known.
#[derive(Default)]
pub(super) struct Oracle {
    messages: Vec<Message>,
    sessions: Vec<Session>,
    /// The session a client has, by its number.
    current: BTreeMap<usize, usize>,
    /// One for each link: each carries one CONNECT.
    attempts: Vec<Attempt>,
    deaths: Vec<Death>,
    /// When a client's last connection ended at the broker, at the latest.
    gone: BTreeMap<usize, Time>,
    /// Queues may drop messages.
    lossy: bool,
    /// There is a store.
    keeps: bool,
    /// Until when the store refuses what is to be kept.
    troubled_until: Time,
    /// Everything sent before was acknowledged by everybody.
    settled: Option<Time>,
    /// What clients may read.
    pub(super) rules: Option<Rules>,
    failure: Option<String>,
}

impl Oracle {
    pub(super) fn new(plan: &Plan, rules: Option<Rules>) -> Self {
        Self { lossy: plan.lossy, keeps: plan.settings.keep, rules, ..Self::default() }
    }

    /// The first promise that was broken.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    /// The broker died; what it did before `durable` is known to the next one.
    pub(super) fn died(&mut self, now: Time, durable: Time) {
        self.deaths.push(Death { at: now, durable, back: Time::MAX });
        self.troubled_until = Time::ZERO;
        for attempt in self.attempts.iter_mut().filter(|one| one.open && one.arrived) {
            attempt.open = false;
            attempt.died = true;
            attempt.closed = Some(Time::MAX);
        }
        for session in self.sessions.iter_mut().filter(|session| !session.persistent) {
            session.over = true;
        }
    }

    /// It is there again.
    pub(super) fn restarted(&mut self, now: Time) {
        if let Some(last) = self.deaths.last_mut() {
            last.back = now;
        }
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.closed == Some(Time::MAX))
        {
            attempt.closed = Some(now);
        }
        // Ends of connections shortly before may not have been stored.
        for client in self.current.keys() {
            self.gone.insert(*client, now);
        }
    }

    /// The store refuses what is to be kept, or takes it again; shards learn it a little later.
    pub(super) fn troubled(&mut self, now: Time, troubled: bool) {
        let until = now.saturating_add(Duration::from_millis(10));
        self.troubled_until = if troubled { Time::MAX } else { until };
    }

    /// Everything sent so far has come and was acknowledged: nothing of it may come again.
    pub(super) const fn settle(&mut self, now: Time) {
        self.settled = Some(now);
    }

    /// Whether the last restart is over.
    pub(in super::super) const fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// Whether the rules have always let a client read a topic, and will.
    fn may_always_read(&self, client: usize, topic: &str) -> bool {
        let reading = self.rules.as_ref().map(|rules| rules.reading(client, topic));
        reading.is_none_or(|reading| reading == Reading::Always)
    }

    /// How often the broker died after this.
    fn deaths_since(&self, time: Time) -> usize {
        self.deaths.iter().rev().take_while(|death| death.at >= time).count()
    }

    fn session_of(&self, client: usize) -> Option<&Session> {
        self.sessions.get(*self.current.get(&client)?)
    }

    fn session_of_mut(&mut self, client: usize) -> Option<&mut Session> {
        self.sessions.get_mut(*self.current.get(&client)?)
    }
}

/// Whether a filter without share name matches a topic.
fn matches(filter: &str, topic: &str) -> bool {
    match (TopicFilter::new(filter), TopicName::new(topic)) {
        (Ok(filter), Ok(topic)) => filter.matches(topic),
        _ => false,
    }
}
