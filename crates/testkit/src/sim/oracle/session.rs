//! Sessions and their subscriptions, as far as their client knows.

use std::collections::BTreeMap;

use dunlin_broker::Time;
use dunlin_proto::qos::QoS;

use super::{Oracle, matches};

/// A session from one clean start, or loss, to the next.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: usize,
    pub(super) persistent: bool,
    /// A CONNACK has told that it is there.
    pub(super) confirmed: bool,
    /// Nothing is owed to it any more.
    pub(super) over: bool,
    pub(super) subscriptions: Vec<Subscribed>,
    pub(super) got: BTreeMap<usize, Got>,
    /// The last message that came for the first time, by publisher's session, topic and both QoS.
    pub(super) last: BTreeMap<(Option<usize>, String, QoS, QoS), usize>,
}

/// What a session has had of one message.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Got {
    /// Not because of RETAIN.
    pub(super) live: u32,
    /// Of these: at QoS 0.
    pub(super) hasty: u32,
    /// At QoS 1 and without DUP.
    pub(super) fresh: u32,
    /// At QoS 2.
    pub(super) exact: u32,
    /// With RETAIN.
    pub(super) retained: u32,
}

/// A wish to subscribe.
#[derive(Debug, Clone)]
pub(in super::super) struct Wanted {
    /// As it was subscribed.
    pub(in super::super) filter: String,
    pub(in super::super) qos: QoS,
    pub(in super::super) no_local: bool,
    pub(in super::super) retain_as_published: bool,
}

impl Wanted {
    /// The share name, and what is matched.
    pub(super) fn parts(&self) -> (Option<&str>, &str) {
        let shared = self.filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        shared.map_or((None, self.filter.as_str()), |(group, filter)| (Some(group), filter))
    }
}

/// A subscription, from wish to end.
#[derive(Debug)]
pub(super) struct Subscribed {
    pub(super) wanted: Wanted,
    pub(super) sent: Time,
    /// SUBACK came.
    pub(super) acked: Option<Time>,
    /// UNSUBSCRIBE, or another SUBSCRIBE for the filter, was sent.
    pub(super) ending: Option<Time>,
    /// And was acknowledged.
    pub(super) ended: Option<Time>,
}

impl Subscribed {
    pub(super) fn matches(&self, topic: &str) -> bool {
        matches(self.wanted.parts().1, topic)
    }

    /// It was certainly there all the time from `from` to `to`.
    pub(super) fn covers(&self, from: Time, to: Time) -> bool {
        self.acked.is_some_and(|acked| acked <= from)
            && self.ending.is_none_or(|ending| ending >= to)
    }
}

impl Session {
    pub(super) const fn new(client: usize, expiry: u32) -> Self {
        Self {
            client,
            persistent: expiry > 0,
            confirmed: false,
            over: false,
            subscriptions: Vec::new(),
            got: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// Subscriptions that may have caught a message of this topic sent at some time from `sent` on.
    pub(super) fn possible<'a>(
        &'a self,
        topic: &'a str,
        sent: Time,
    ) -> impl Iterator<Item = &'a Subscribed> + Clone {
        self.subscriptions
            .iter()
            .filter(move |one| one.ended.is_none_or(|ended| ended >= sent) && one.matches(topic))
    }
}

impl Oracle {
    /// SUBSCRIBE is sent; returns its name, which is its place among those of the session.
    pub(in super::super) fn subscribing(
        &mut self,
        now: Time,
        client: usize,
        wanted: Wanted,
    ) -> usize {
        let place = self.ending(now, client, &wanted.filter);
        if let Some(session) = self.session_of_mut(client) {
            session.subscriptions.push(Subscribed {
                wanted,
                sent: now,
                acked: None,
                ending: None,
                ended: None,
            });
        }
        place
    }

    /// SUBACK came; a refusal makes it as if it had never been.
    pub(in super::super) fn subscribed(
        &mut self,
        now: Time,
        client: usize,
        place: usize,
        granted: Option<QoS>,
    ) {
        let Some(session) = self.session_of_mut(client) else { return };
        let (earlier, later) = session.subscriptions.split_at_mut(place);
        let Some(one) = later.first_mut() else { return };
        for earlier in earlier.iter_mut().filter(|other| other.wanted.filter == one.wanted.filter) {
            earlier.ended.get_or_insert(now);
        }
        match granted {
            Some(qos) if qos == one.wanted.qos => one.acked = Some(now),
            None => one.ended = Some(now),
            Some(_) => {
                let why = format!("client {client} wanted {:?}, got {granted:?}", one.wanted);
                self.fail(why);
            }
        }
    }

    /// UNSUBSCRIBE is sent, which may end the subscriptions before the place that is returned.
    pub(in super::super) fn ending(&mut self, now: Time, client: usize, filter: &str) -> usize {
        let Some(session) = self.session_of_mut(client) else { return 0 };
        for one in session.subscriptions.iter_mut().filter(|one| one.wanted.filter == filter) {
            one.ending.get_or_insert(now);
        }
        session.subscriptions.len()
    }

    /// UNSUBACK came.
    pub(in super::super) fn ended(&mut self, now: Time, client: usize, filter: &str, place: usize) {
        let Some(session) = self.session_of_mut(client) else { return };
        let before = session.subscriptions.iter_mut().take(place);
        for one in before.filter(|one| one.wanted.filter == filter) {
            one.ended.get_or_insert(now);
        }
    }
}
