//! What is to be true when everything has come to rest.

use std::collections::BTreeMap;

use dunlin_broker::Time;
use dunlin_proto::qos::QoS;

use super::Oracle;
use super::message::{Message, MessageKind};
use super::session::{Session, Subscribed};
use super::wills::Fate;

impl Oracle {
    /// Everything owed was given.
    pub(in super::super) fn check_rest(&mut self, now: Time) {
        let wrong = self.first_missing(now).or_else(|| self.first_wrong_in_group(now));
        if let Some(why) = wrong.or_else(|| self.first_loud_will(now)) {
            self.fail(why);
        }
    }

    /// The span in which a message was routed, if it was for certain.
    fn routed(&self, now: Time, message: &Message) -> Option<(Time, Time)> {
        match message.kind {
            MessageKind::Published if message.is_accepted() => {
                Some((message.sent, message.done.unwrap_or(now)))
            }
            MessageKind::Will(link) if self.fate(now, link) == Fate::Fired => {
                Some((message.sent, now))
            }
            _ => None,
        }
    }

    /// What has to come for certain to somebody who is subscribed at QoS 1 or 2.
    fn owed(&self, now: Time) -> impl Iterator<Item = (usize, &Message, (Time, Time))> {
        let messages = self.messages.iter().enumerate();
        messages.filter_map(move |(number, message)| {
            let owed = !self.lossy
                && !message.empty
                && message.interval.is_none()
                && message.qos > QoS::AtMostOnce;
            let span = owed.then(|| self.routed(now, message)).flatten()?;
            Some((number, message, span))
        })
    }

    fn first_missing(&self, now: Time) -> Option<String> {
        let alive: Vec<&Session> = self.sessions.iter().filter(|one| !one.over).collect();
        for (number, message, (from, to)) in self.owed(now) {
            for session in &alive {
                let sure = |one: &&Subscribed| {
                    one.wanted.qos > QoS::AtMostOnce
                        && one.wanted.parts().0.is_none()
                        && one.covers(from, to)
                        && one.matches(&message.topic)
                        && !(one.wanted.no_local && message.publisher == session.client)
                        && self.may_always_read(session.client, &message.topic)
                };
                let Some(one) = session.subscriptions.iter().find(sure) else { continue };
                if !session.got.contains_key(&number) {
                    let client = session.client;
                    return Some(format!(
                        "client {client} never got message {number}: {message:?}, subscribed with {one:?}"
                    ));
                }
            }
        }
        None
    }

    /// Shared subscriptions whose members were all there from beginning to end.
    fn faithful_groups(&self) -> BTreeMap<&str, Vec<(&Session, &Subscribed)>> {
        let mut groups: BTreeMap<&str, Vec<(&Session, &Subscribed)>> = BTreeMap::new();
        let mut unfaithful = Vec::new();
        for session in &self.sessions {
            let shared = session.subscriptions.iter().filter(|one| one.wanted.parts().0.is_some());
            for one in shared {
                let name = one.wanted.filter.as_str();
                groups.entry(name).or_default().push((session, one));
                if session.over || !session.persistent {
                    unfaithful.push(name);
                }
            }
        }
        groups.retain(|name, _| !unfaithful.contains(name));
        groups
    }

    fn first_wrong_in_group(&self, now: Time) -> Option<String> {
        for (name, members) in self.faithful_groups() {
            let all = |qos: QoS| members.iter().all(|(_, one)| one.wanted.qos >= qos);
            if !all(QoS::AtLeastOnce) {
                continue;
            }
            for (number, message, (from, to)) in self.owed(now) {
                if !members[0].1.matches(&message.topic)
                    || !members.iter().any(|(_, one)| one.covers(from, to))
                    || !members.iter().all(|(s, _)| self.may_always_read(s.client, &message.topic))
                {
                    continue;
                }
                let mut clients: Vec<&Session> = members.iter().map(|(one, _)| *one).collect();
                clients.sort_by_key(|one| one.client);
                clients.dedup_by_key(|one| one.client);
                let got: u32 = clients
                    .iter()
                    .filter_map(|session| session.got.get(&number))
                    .map(|got| got.live + got.retained)
                    .sum();
                let alone = clients.iter().all(|session| {
                    session
                        .possible(&message.topic, Time::ZERO)
                        .all(|one| one.wanted.filter == name)
                });
                if got == 0 {
                    return Some(format!("nobody of {name} got message {number}: {message:?}"));
                }
                if alone && got > 1 && message.qos == QoS::ExactlyOnce && all(QoS::ExactlyOnce) {
                    return Some(format!("{name} got message {number} {got} times: {message:?}"));
                }
            }
        }
        None
    }

    fn first_loud_will(&self, now: Time) -> Option<String> {
        let given = self.messages.iter().filter(|message| message.given);
        given
            .filter_map(|message| match message.kind {
                MessageKind::Will(link) => Some((link, message)),
                MessageKind::Published => None,
            })
            .find(|(link, _)| self.fate(now, *link) == Fate::Quiet)
            .map(|(link, message)| {
                let attempt = &self.attempts[link];
                format!("a will was published that should not have been: {message:?}, {attempt:?}")
            })
    }
}
