//! Records as a broker with little sense of purpose would write them.

use dunlin_broker::Time;
use dunlin_broker::journal::{Held, Origin, Publisher, Record, StoredMessage, Target, Will};
use dunlin_proto::qos::{PacketId, QoS};

use crate::model::Model;

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }

    pub(crate) fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        if all.is_empty() { None } else { Some(all[self.below(all.len() as u64) as usize]) }
    }
}

/// Names are never used again, whatever became of what they named.
pub(crate) struct Generator {
    pub(crate) random: Random,
    next_number: u64,
    next_id: u64,
    next_stamp: u64,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random(seed), next_number: 1, next_id: 1, next_stamp: 1 }
    }

    /// Some records, and what they come to.
    pub(crate) fn group(&mut self, model: &mut Model) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..1 + self.random.below(10) {
            self.act(model, &mut bytes);
        }
        bytes
    }

    fn act(&mut self, model: &mut Model, bytes: &mut Vec<u8>) {
        let payload = vec![self.random.below(256) as u8; self.random.below(700) as usize];
        match self.random.below(24) {
            0 => say(model, bytes, &self.session(&payload, 0)),
            1 if kept_sessions(model).len() > 3 => {
                // One without expiry is over when its connection is.
                let number = self.random.pick(&kept_sessions(model));
                say(model, bytes, &self.session(&payload, number.unwrap_or(1)));
            }
            2 => {
                if let Some(number) = self.random.pick(&model_sessions(model)) {
                    let will = model.sessions[&number].will.is_some() && !self.random.one_in(4);
                    let will_due = will.then(|| Time::from_secs(self.random.below(99)));
                    let ends_at = Time::from_secs(self.random.below(1000));
                    say(model, bytes, &Record::Parted { number, ends_at, will_due });
                }
            }
            3 if model_sessions(model).len() > 12 => {
                let number = self.random.pick(&model_sessions(model)).unwrap_or(1);
                say(model, bytes, &Record::Ended { number });
            }
            4 | 5 => self.subscription(model, bytes),
            6..=10 => self.publish(model, &payload, bytes),
            11 | 12 => self.retain(model, &payload, bytes),
            13 => {
                // Of a kind that is not known yet: carried along.
                bytes.extend_from_slice(&[0x91, 3, 1, 2, 3]);
            }
            14 => self.route(model, bytes),
            _ => self.exchange(model, bytes),
        }
    }

    fn session<'a>(&mut self, payload: &'a [u8], number: u64) -> Record<'a> {
        const NAMES: [&str; 3] = ["one", "two", "a client with a rather long name"];
        let number = if number == 0 { self.new_number() } else { number };
        let message = stored("wills/of/clients", payload);
        let will = Will { message, expiry: None, delay: 5 };
        let will = self.random.one_in(2).then_some(will);
        let expiry = if self.random.one_in(5) { 0 } else { 60 };
        let client_id = NAMES[(number % 3) as usize];
        let username = self.random.one_in(2).then_some("user");
        let listener = u16::from(self.random.one_in(3));
        Record::Session { number, client_id, username, listener, expiry, will }
    }

    fn new_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    fn subscription(&mut self, model: &mut Model, bytes: &mut Vec<u8>) {
        const FILTERS: [&str; 5] = ["#", "a/+", "a/b/c", "$share/g/x", "$share/g/y/#"];
        let Some(number) = self.random.pick(&model_sessions(model)) else { return };
        let filter = FILTERS[self.random.below(5) as usize];
        let record = if self.random.one_in(3) {
            Record::Unsubscribed { number, filter }
        } else {
            Record::Subscribed {
                number,
                filter,
                qos: QoS::AtLeastOnce,
                no_local: false,
                retain_as_published: true,
                identifier: self.random.below(1000) as u32,
            }
        };
        say(model, bytes, &record);
    }

    fn publish(&mut self, model: &mut Model, payload: &[u8], bytes: &mut Vec<u8>) {
        let id = self.new_id();
        let kept = kept_sessions(model);
        let mut targets = Vec::new();
        let most = if self.random.one_in(10) { 40 } else { 3 };
        for _ in 0..self.random.below(most) {
            targets.extend(self.random.pick(&kept).map(|number| self.target(number)));
        }
        // Of a session in another shard, whose record is a little late.
        let late = self.random.one_in(20).then(|| self.new_number());
        targets.extend(late.map(|number| self.target(number)));
        let held = self.random.one_in(8).then(|| self.random.pick(&kept)).flatten();
        let held = held.map(|number| Held { number, packet_id: self.packet_id() });
        let will = self.random.one_in(8).then(|| self.random.pick(&model_sessions(model)));
        let origin = will.flatten().map_or(Origin::Client, Origin::Will);
        let expires = if self.random.one_in(4) { Time::from_secs(id) } else { Time::MAX };
        let message = StoredMessage { expires, ..stored("some/topic", payload) };
        let (retained, publisher) = (None, None);
        let record = Record::Message { id, origin, retained, held, publisher, message, targets };
        if let Some(number) = late {
            // The model knows of the session at once.
            model.apply(&Record::Session {
                number,
                client_id: "late",
                username: None,
                listener: 0,
                expiry: 60,
                will: None,
            });
        }
        say(model, bytes, &record);
        if let Some(number) = late {
            let record = Record::Session {
                number,
                client_id: "late",
                username: None,
                listener: 0,
                expiry: 60,
                will: None,
            };
            say(model, bytes, &record);
        }
    }

    fn new_id(&mut self) -> u64 {
        // As the broker does, with gaps.
        self.next_id += 1 + if self.random.one_in(5) { self.random.below(5000) } else { 0 };
        self.next_id - 1
    }

    fn target(&mut self, number: u64) -> Target {
        Target {
            number,
            qos: if self.random.one_in(2) { QoS::AtLeastOnce } else { QoS::ExactlyOnce },
            retain: self.random.one_in(4),
            shared: self.random.one_in(4),
            identifier: self.random.below(4) as u32,
            sent: None,
        }
    }

    fn packet_id(&mut self) -> PacketId {
        PacketId::new(1 + self.random.below(300) as u16).expect("it is not zero")
    }

    /// Retained messages, sometimes logged in another order than they were made.
    fn retain(&mut self, model: &mut Model, payload: &[u8], bytes: &mut Vec<u8>) {
        let topic = format!("state/{}", self.random.below(12));
        let first = self.next_stamp;
        self.next_stamp += 2;
        let stamps = if self.random.one_in(3) { [first + 1, first] } else { [first, first + 1] };
        let count = if self.random.one_in(2) { 1 } else { 2 };
        for stamp in stamps.into_iter().take(count) {
            if self.random.one_in(3) {
                say(model, bytes, &Record::Unretained { topic: &topic, stamp });
                continue;
            }
            let kept = kept_sessions(model);
            let target = self.random.one_in(3).then(|| self.random.pick(&kept)).flatten();
            let targets = target.map(|number| self.target(number)).into_iter().collect();
            let (id, origin) = (self.new_id(), Origin::Client);
            let message = StoredMessage { retain: true, ..stored(&topic, payload) };
            let retained = Some(stamp);
            let (held, publisher) = (None, self.publisher());
            let record =
                Record::Message { id, origin, retained, held, publisher, message, targets };
            say(model, bytes, &record);
        }
    }

    fn publisher(&mut self) -> Option<Publisher<'static>> {
        let client_id = self.random.pick(&["a", "b", ""])?;
        let username = self.random.one_in(2).then_some("u");
        let listener = self.random.below(3) as u16;
        self.random.one_in(4).then_some(Publisher { client_id, username, listener })
    }

    fn route(&mut self, model: &mut Model, bytes: &mut Vec<u8>) {
        let ids: Vec<u64> = model.messages.keys().copied().collect();
        let Some(id) = self.random.pick(&ids) else { return };
        let released = model.messages[&id].held;
        let kept = kept_sessions(model);
        let number = self.random.pick(&kept);
        let targets = number.map(|number| self.target(number)).into_iter().collect();
        say(model, bytes, &Record::Route { id, released, targets });
    }

    /// What happens to a message on its way to a client.
    fn exchange(&mut self, model: &mut Model, bytes: &mut Vec<u8>) {
        let mut all = Vec::new();
        for (id, message) in &model.messages {
            all.extend(message.targets.iter().map(|target| (*id, *target)));
        }
        // The oldest ones go first, as a rule.
        all.truncate(if self.random.one_in(4) { all.len() } else { 20 });
        let Some((id, target)) = self.random.pick(&all) else { return };
        let number = target.number;
        let record = match (self.random.below(3), target.sent) {
            (0, None) => {
                let sent = Some(self.packet_id());
                Record::Sent { id, target: Target { sent, ..target } }
            }
            (1, Some(packet_id)) => Record::Received { number, packet_id, id },
            _ => Record::Done { id, target },
        };
        say(model, bytes, &record);
        let releases = model.sessions.get(&number).map(|session| session.releases.clone());
        if let Some(packet_id) = releases.and_then(|all| self.random.pick(&all))
            && self.random.one_in(2)
        {
            say(model, bytes, &Record::Completed { number, packet_id });
        }
    }
}

fn say(model: &mut Model, bytes: &mut Vec<u8>, record: &Record<'_>) {
    record.write(bytes);
    model.apply(record);
}

fn model_sessions(model: &Model) -> Vec<u64> {
    model.sessions.keys().copied().collect()
}

fn kept_sessions(model: &Model) -> Vec<u64> {
    let kept = model.sessions.iter().filter(|(_, session)| session.expiry > 0);
    kept.map(|(number, _)| *number).collect()
}

fn stored<'a>(topic: &'a str, payload: &'a [u8]) -> StoredMessage<'a> {
    let (qos, retain) = (QoS::AtLeastOnce, false);
    StoredMessage { topic, payload, properties: &[], expires: Time::MAX, qos, retain }
}
