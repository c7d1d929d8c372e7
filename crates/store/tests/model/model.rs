//! What records come to, in the simplest way.

use std::collections::BTreeMap;

use dunlin_broker::Time;
use dunlin_broker::journal::{Held, Origin, Publisher, Record, State, StoredMessage, Target};
use dunlin_proto::qos::PacketId;

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) sessions: BTreeMap<u64, Session>,
    pub(crate) messages: BTreeMap<u64, Message>,
    pub(crate) retained: BTreeMap<String, (u64, Option<u64>)>,
    /// Beyond all that ever were.
    pub(crate) next_message: u64,
    pub(crate) next_number: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    pub(crate) client_id: String,
    pub(crate) expiry: u32,
    pub(crate) will: Option<Vec<u8>>,
    pub(crate) parted: Option<(Time, Option<Time>)>,
    pub(crate) filters: BTreeMap<String, u32>,
    pub(crate) releases: Vec<PacketId>,
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) expires: Time,
    pub(crate) held: Option<Held>,
    pub(crate) retained: bool,
    pub(crate) publisher: String,
    pub(crate) targets: Vec<Target>,
}

impl Model {
    pub(crate) fn apply(&mut self, record: &Record<'_>) {
        match record {
            Record::Session { number, client_id, username, listener, expiry, will } => {
                self.next_number = self.next_number.max(number + 1);
                let session = self.sessions.entry(*number).or_default();
                session.client_id = format!("{client_id} of {username:?} by {listener}");
                session.expiry = *expiry;
                session.will = will.map(|will| will.message.payload.to_vec());
                session.parted = None;
            }
            Record::Parted { number, ends_at, will_due } => {
                if let Some(session) = self.sessions.get_mut(number) {
                    session.parted = Some((*ends_at, *will_due));
                    if will_due.is_none() {
                        session.will = None;
                    }
                }
            }
            Record::Ended { number } => self.end(*number),
            Record::Subscribed { number, filter, identifier, .. } => {
                if let Some(session) = self.sessions.get_mut(number) {
                    session.filters.insert((*filter).to_owned(), *identifier);
                }
            }
            Record::Unsubscribed { number, filter } => {
                if let Some(session) = self.sessions.get_mut(number) {
                    session.filters.remove(*filter);
                }
            }
            Record::Message { id, origin, retained, held, publisher, message, targets } => {
                if let Origin::Will(number) = origin
                    && let Some(session) = self.sessions.get_mut(number)
                {
                    session.will = None;
                }
                self.message(*id, *retained, *held, message, targets);
                self.published(*id, *publisher);
            }
            Record::Route { id, released, targets } => {
                if let Some(message) = self.messages.get_mut(id) {
                    if released.is_some() && message.held == *released {
                        message.held = None;
                    }
                    message.targets.extend(targets);
                }
            }
            Record::Sent { id, target } => self.sent(*id, *target),
            Record::Done { id, target } => {
                let copies = self.copies(*id, target.number);
                let this = copies.iter().find(|(_, copy)| copy == target);
                self.drop_copy(*id, this.or_else(|| copies.first()).map(|(at, _)| *at));
            }
            Record::Received { number, packet_id, id } => {
                if let Some(session) = self.sessions.get_mut(number) {
                    session.releases.retain(|held| held != packet_id);
                    session.releases.push(*packet_id);
                }
                let copies = self.copies(*id, *number);
                let this = copies.iter().find(|(_, copy)| copy.sent == Some(*packet_id));
                let sent = copies.iter().find(|(_, copy)| copy.sent.is_some());
                self.drop_copy(*id, this.or(sent).or_else(|| copies.first()).map(|(at, _)| *at));
            }
            Record::Completed { number, packet_id } => {
                if let Some(session) = self.sessions.get_mut(number) {
                    session.releases.retain(|held| held != packet_id);
                }
            }
            Record::Unretained { topic, stamp } => self.retain(topic, *stamp, None),
        }
        self.bury();
    }

    fn published(&mut self, id: u64, publisher: Option<Publisher<'_>>) {
        if let (Some(who), Some(message)) = (publisher, self.messages.get_mut(&id)) {
            let Publisher { client_id, username, listener } = who;
            message.publisher = format!("{client_id} as {username:?} by {listener}");
        }
    }

    fn sent(&mut self, id: u64, target: Target) {
        let copies = self.copies(id, target.number);
        if copies.iter().any(|(_, copy)| copy.sent == target.sent) {
            return;
        }
        let unsent = Target { sent: None, ..target };
        let this = copies.iter().find(|(_, copy)| *copy == unsent);
        if let Some((at, _)) = this.or_else(|| copies.first())
            && let Some(message) = self.messages.get_mut(&id)
        {
            message.targets[*at].sent = target.sent;
        }
    }

    fn message(
        &mut self,
        id: u64,
        retained: Option<u64>,
        held: Option<Held>,
        message: &StoredMessage<'_>,
        targets: &[Target],
    ) {
        let new = Message {
            topic: message.topic.to_owned(),
            payload: message.payload.to_vec(),
            expires: message.expires,
            held,
            retained: false,
            publisher: String::new(),
            targets: targets.to_vec(),
        };
        self.next_message = self.next_message.max(id + 1);
        self.messages.insert(id, new);
        if let Some(stamp) = retained {
            self.retain(message.topic, stamp, Some(id));
        }
    }

    fn retain(&mut self, topic: &str, stamp: u64, id: Option<u64>) {
        let entry = self.retained.entry(topic.to_owned()).or_default();
        if entry.0 <= stamp {
            let before = std::mem::replace(entry, (stamp, id)).1;
            for (id, is) in [(before, false), (id, true)] {
                if let Some(message) = id.and_then(|id| self.messages.get_mut(&id)) {
                    message.retained = is;
                }
            }
        }
    }

    fn end(&mut self, number: u64) {
        self.sessions.remove(&number);
        for message in self.messages.values_mut() {
            message.targets.retain(|target| target.number != number);
            message.held = message.held.filter(|held| held.number != number);
        }
    }

    fn copies(&self, id: u64, number: u64) -> Vec<(usize, Target)> {
        let targets = self.messages.get(&id).map_or(&[][..], |message| &message.targets);
        let all = targets.iter().copied().enumerate();
        all.filter(|(_, target)| target.number == number).collect()
    }

    fn drop_copy(&mut self, id: u64, at: Option<usize>) {
        if let (Some(message), Some(at)) = (self.messages.get_mut(&id), at) {
            message.targets.remove(at);
        }
    }

    fn bury(&mut self) {
        self.messages.retain(|_, m| m.retained || m.held.is_some() || !m.targets.is_empty());
    }

    /// The process has ended: of sessions that end with it only wills are left.
    pub(crate) fn restart(&mut self) {
        let over = self.sessions.iter().filter(|(_, session)| session.expiry == 0);
        for number in over.map(|(number, _)| *number).collect::<Vec<_>>() {
            let session = self.sessions.get(&number).cloned().unwrap_or_default();
            self.end(number);
            if session.will.is_some() {
                let (filters, releases) = (BTreeMap::new(), Vec::new());
                self.sessions.insert(number, Session { filters, releases, ..session });
            }
        }
        self.bury();
    }

    /// What is to be there after a restart, one line for each thing.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, session) in &self.sessions {
            let Session { client_id, expiry, will, parted, filters, releases } = session;
            if *expiry == 0 && will.is_none() {
                continue;
            }
            let due = parted.and_then(|(_, due)| due);
            let will = will.as_ref().map(|will| (will, due));
            let ends_at = parted.map(|(ends_at, _)| ends_at);
            lines.push(format!("{number} is {client_id} {expiry} {ends_at:?} {will:?}"));
            if *expiry == 0 {
                continue;
            }
            lines.push(format!("{number} releases {releases:?}"));
            lines.extend(filters.iter().map(|(f, i)| format!("{number} subscribes {f} {i}")));
            for (id, m) in &self.messages {
                for target in m.targets.iter().filter(|target| target.number == *number) {
                    let bytes = m.topic.len() + m.payload.len();
                    let payload = target.sent.map(|_| &m.payload);
                    let expires = m.expires;
                    lines.push(format!(
                        "{number} gets {id} {target:?} {bytes} {expires:?} {payload:?}"
                    ));
                }
                if let Some(held) = m.held.filter(|held| held.number == *number) {
                    lines.push(format!("{number} holds {id} {} {:?}", held.packet_id, m.payload));
                }
            }
        }
        for (topic, (stamp, id)) in &self.retained {
            if let Some(message) = id.and_then(|id| self.messages.get(&id)) {
                let Message { payload, publisher, .. } = message;
                lines.push(format!("{topic} retains {stamp} {payload:?} {publisher}"));
            }
        }
        lines.sort();
        lines
    }
}

/// The same lines of what the store gives.
pub(crate) fn lines_of(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for session in &state.sessions {
        let dunlin_broker::journal::SessionState { client_id, username, listener, .. } = session;
        let client_id = format!("{client_id} of {username:?} by {listener}");
        let (number, expiry) = (session.number, session.expiry);
        let will = session.will.as_ref();
        let will = will.map(|will| (will.message.payload().to_vec(), will.due));
        let ends_at = session.ends_at;
        lines.push(format!("{number} is {client_id} {expiry} {ends_at:?} {will:?}"));
        if expiry > 0 {
            lines.push(format!("{number} releases {:?}", session.releases));
        }
        for held in &session.subscriptions {
            lines.push(format!("{number} subscribes {} {}", held.filter, held.identifier));
        }
        for held in &session.queue {
            let payload = held.message.as_ref().map(|message| message.payload());
            let (id, target, bytes, expires) = (held.id, held.target, held.bytes, held.expires);
            lines.push(format!("{number} gets {id} {target:?} {bytes} {expires:?} {payload:?}"));
        }
        for held in &session.held {
            let (id, payload) = (held.message.id(), held.message.payload());
            lines.push(format!("{number} holds {id} {} {payload:?}", held.packet_id));
        }
    }
    for held in &state.retained {
        let topic = held.message.topic();
        let publisher = held.publisher.as_ref().map_or_else(String::new, |who| {
            format!("{} as {:?} by {}", who.client_id, who.username.as_deref(), who.listener)
        });
        lines.push(format!(
            "{} retains {} {:?} {publisher}",
            topic.as_str(),
            held.stamp,
            held.message.payload()
        ));
    }
    lines.sort();
    lines
}
