//! Who receives a topic, remembered from one publish to the next.
//!
//! Devices publish to the same few topics again and again. Each shard keeps, for the topics it has
//! seen last, the subscribers that the index named, and asks the index again only when the index has
//! changed. A publisher remembers the route of its previous message, so that the usual case is one
//! comparison of the topic.

use core::hash::BuildHasher;
use std::sync::Arc;

use dunlin_proto::topic::TopicName;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::commons::View;
use crate::connection::ConnId;
use crate::router::{GroupId, Matches, SessionKey, Subscriber};
use crate::settings::Overlapping;
use crate::verdicts::{Readers, Refused};

/// Topics remembered. 65 536: about 10 MB when each has one subscriber.
const MAXIMUM_ROUTES: usize = 65_536;
/// Bytes of them. 32 MiB: 500 bytes for each.
const MAXIMUM_TOPIC_BYTES: usize = 32 << 20;
/// Subscribers, groups and further publishers remembered over all topics. 1 M: about 20 MB.
const MAXIMUM_RECEIVERS: usize = 1 << 20;
/// Publishers of one topic remembered besides the first. 7: of topics that have more, each connection
/// remembers for itself that it may publish to them.
const OTHER_WRITERS: usize = 7;

/// The receivers of one topic at one version of the index.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) topic: Arc<str>,
    version: u64,
    hash: u64,
    /// Used since the clock hand passed.
    warm: bool,
    pub(crate) local: Vec<Subscriber>,
    pub(crate) remote: Vec<Subscriber>,
    pub(crate) groups: Vec<GroupId>,
    /// Numbers of the sessions in `remote`; 0 for those that do not keep their messages.
    pub(crate) numbers: Vec<u64>,
    /// Somebody here or there may keep its messages.
    pub(crate) stored: bool,
    /// Never given to another topic.
    pub(crate) serial: u64,
    /// Who may read it, if there are rules.
    pub(crate) readers: Option<Box<Readers>>,
    /// A connection that rules let publish to it. Most topics have one publisher.
    writer: Option<ConnId>,
    /// Others.
    other_writers: Vec<ConnId>,
}

impl Route {
    /// Nobody is subscribed.
    pub(crate) const fn is_empty(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty() && self.groups.is_empty()
    }

    /// The same, and not because those who are subscribed may not read it.
    pub(crate) fn has_no_subscribers(&self) -> bool {
        self.is_empty() && self.readers.as_ref().is_none_or(|readers| readers.all())
    }

    /// Whether a member of one of its groups may have what is published to it.
    pub(crate) fn may_read(&self, session: SessionKey) -> bool {
        self.readers.as_ref().is_none_or(|readers| readers.may(session))
    }

    /// Whether rules were asked before and let this connection publish to it.
    #[inline]
    pub(crate) fn may_be_written(&self, by: ConnId) -> bool {
        self.writer == Some(by) || self.other_writers.contains(&by)
    }

    fn receivers(&self) -> usize {
        let judged = self.readers.as_ref().map_or(0, |readers| readers.len());
        let receivers = self.local.len() + self.remote.len() + self.groups.len();
        receivers + judged + self.other_writers.len()
    }
}

/// The routes that one shard remembers.
pub(crate) struct Routes {
    shard: u16,
    hasher: FixedState,
    table: HashTable<u32>,
    routes: Vec<Route>,
    topic_bytes: usize,
    receivers: usize,
    hand: usize,
    scratch: Matches,
    serial: u64,
    overlapping: Overlapping,
    /// Receivers that were left out since this was looked at.
    pub(crate) refused: Refused,
}

impl Routes {
    pub(crate) fn new(shard: u16, seed: u64) -> Self {
        Self {
            shard,
            hasher: FixedState::with_seed(seed),
            table: HashTable::new(),
            routes: Vec::new(),
            topic_bytes: 0,
            receivers: 0,
            hand: 0,
            scratch: Matches::default(),
            serial: 0,
            overlapping: Overlapping::Each,
            refused: Refused::default(),
        }
    }

    /// The route with this number.
    #[inline]
    pub(crate) fn get(&self, route: u32) -> &Route {
        &self.routes[route as usize]
    }

    /// How many copies a session gets: routes are made anew if that is another number than before.
    pub(crate) fn set_overlapping(&mut self, overlapping: Overlapping) {
        if core::mem::replace(&mut self.overlapping, overlapping) != overlapping {
            self.forget_all();
        }
    }

    /// Remembers that rules let a connection publish to it, unless too many are remembered who `remain`.
    pub(crate) fn allow(
        &mut self,
        route: u32,
        writer: ConnId,
        remain: impl Fn(ConnId) -> bool,
    ) -> bool {
        let full = self.receivers >= MAXIMUM_RECEIVERS;
        let route = &mut self.routes[route as usize];
        if route.writer.is_none_or(|first| !remain(first)) {
            route.writer = Some(writer);
            return true;
        }
        let others = &mut route.other_writers;
        if others.len() == OTHER_WRITERS {
            others.retain(|other| remain(*other));
            self.receivers -= OTHER_WRITERS - others.len();
        }
        if full || others.len() == OTHER_WRITERS {
            return false;
        }
        others.push(writer);
        self.receivers += 1;
        true
    }

    /// The route with this number, if it is there and up to date.
    #[inline]
    pub(crate) fn current(&self, route: u32, view: &View<'_>) -> Option<&Route> {
        self.routes.get(route as usize).filter(|route| route.version == view.version())
    }

    /// Number of the up-to-date route of a valid topic name; `hint` is where it was the last time.
    #[inline]
    pub(crate) fn find(&mut self, topic: &str, hint: u32, view: &View<'_>) -> u32 {
        if let Some(route) = self.routes.get(hint as usize)
            && route.version == view.version()
            && *route.topic == *topic
        {
            return hint;
        }
        self.look_up(topic, view)
    }

    fn look_up(&mut self, name: &str, view: &View<'_>) -> u32 {
        let hash = self.hasher.hash_one(name);
        let routes = &self.routes;
        let known = self.table.find(hash, |route| *routes[*route as usize].topic == *name).copied();
        let number = known.unwrap_or_else(|| self.add(name, hash));
        let route = &mut self.routes[number as usize];
        route.warm = true;
        if route.version != view.version() {
            self.refresh(number, name, view);
        }
        number
    }

    fn refresh(&mut self, number: u32, name: &str, view: &View<'_>) {
        let topic = TopicName::new(name).expect("a topic name was validated before it got here");
        view.index.matches(topic, &mut self.scratch);
        let route = &mut self.routes[number as usize];
        self.receivers -= route.receivers();
        match view.guard {
            None => {
                (route.readers, route.writer) = (None, None);
                route.other_writers = Vec::new();
            }
            Some(guard) => {
                let readers = route.readers.get_or_insert_default();
                let same = readers.judge(name, &self.scratch, guard, view, &mut self.refused);
                if !same {
                    // Other rules allowed it, or it was somebody else then.
                    route.writer = None;
                    route.other_writers.clear();
                }
                if !readers.all() {
                    readers.sieve(&mut self.scratch, view.index);
                }
            }
        }
        if self.overlapping == Overlapping::Once {
            merge(&mut self.scratch.plain);
        }
        route.local.clear();
        route.remote.clear();
        for subscriber in &self.scratch.plain {
            if subscriber.session.shard == self.shard {
                route.local.push(*subscriber);
            } else {
                route.remote.push(*subscriber);
            }
        }
        route.groups.clear();
        route.groups.extend_from_slice(&self.scratch.groups);
        route.numbers.clear();
        let numbers = view.commons.numbers();
        let here = numbers.fill(&route.local, &mut route.numbers);
        route.numbers.clear();
        let there = numbers.fill(&route.remote, &mut route.numbers);
        route.stored = here || there || !route.groups.is_empty();
        route.version = view.version();
        self.receivers += route.receivers();
        if self.receivers > MAXIMUM_RECEIVERS {
            self.forget_all_but(number);
        }
    }

    fn add(&mut self, name: &str, hash: u64) -> u32 {
        self.serial += 1;
        let route = Route {
            serial: self.serial,
            readers: None,
            writer: None,
            other_writers: Vec::new(),
            topic: name.into(),
            version: u64::MAX,
            hash,
            warm: true,
            local: Vec::new(),
            remote: Vec::new(),
            groups: Vec::new(),
            numbers: Vec::new(),
            stored: false,
        };
        if self.topic_bytes + name.len() > MAXIMUM_TOPIC_BYTES {
            self.forget_all();
        }
        self.topic_bytes += name.len();
        let number = if self.routes.len() < MAXIMUM_ROUTES {
            self.routes.push(route);
            self.routes.len() - 1
        } else {
            let number = self.coldest();
            self.receivers -= self.routes[number].receivers();
            let old = core::mem::replace(&mut self.routes[number], route);
            self.topic_bytes -= old.topic.len();
            if let Ok(entry) = self.table.find_entry(old.hash, |entry| *entry as usize == number) {
                entry.remove();
            }
            number
        };
        let number = u32::try_from(number).expect("below MAXIMUM_ROUTES");
        let routes = &self.routes;
        self.table.insert_unique(hash, number, |other| routes[*other as usize].hash);
        number
    }

    /// The first route from the hand on that was not used since the hand passed it last.
    fn coldest(&mut self) -> usize {
        loop {
            self.hand = (self.hand + 1) % self.routes.len();
            let route = &mut self.routes[self.hand];
            if !core::mem::take(&mut route.warm) {
                return self.hand;
            }
        }
    }

    /// Starts over. Publishers who remember a route compare the topic before they use it.
    fn forget_all(&mut self) {
        self.table.clear();
        self.routes.clear();
        (self.topic_bytes, self.receivers, self.hand) = (0, 0, 0);
    }

    /// Drops the receivers of all other routes; they are looked up again when needed.
    fn forget_all_but(&mut self, keep: u32) {
        for (route, number) in self.routes.iter_mut().zip(0u32..) {
            if number != keep {
                self.receivers -= route.receivers();
                route.version = u64::MAX;
                route.local = Vec::new();
                route.remote = Vec::new();
                route.groups = Vec::new();
                route.numbers = Vec::new();
                route.other_writers = Vec::new();
                (route.readers, route.writer) = (None, None);
            }
        }
    }
}

/// Makes one of the subscriptions of a session: with the highest QoS [MQTT-3.3.5-1], and for the session itself
/// if any of them is. Those with other subscription identifiers stay, since one copy says one of them.
fn merge(subscribers: &mut Vec<Subscriber>) {
    // Those without an identifier come first, and join the first that has one.
    subscribers.sort_by_key(|subscriber| (subscriber.session, subscriber.identifier));
    subscribers.dedup_by(|next, kept| {
        let same = next.session == kept.session
            && (kept.identifier == 0 || kept.identifier == next.identifier);
        if same {
            kept.identifier = next.identifier;
            kept.qos = kept.qos.max(next.qos);
            kept.no_local &= next.no_local;
            kept.retain_as_published |= next.retain_as_published;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use dunlin_proto::Time;
    use dunlin_proto::topic::{TopicFilter, TopicName};

    use super::{MAXIMUM_TOPIC_BYTES, Routes};
    use crate::commons::{Commons, View};
    use crate::message::RetainedMessage;
    use crate::numbers::Numbers;
    use crate::router::{Cursor, Index};

    /// Nothing is shared but the names.
    #[derive(Default)]
    struct Alone(Numbers);

    impl Commons for Alone {
        fn home(&self, _client_id: &str, here: u16) -> u16 {
            here
        }

        fn release(&self, _client_id: &str) {}

        fn retain(&self, _topic: TopicName<'_>, _message: RetainedMessage) -> u64 {
            0
        }

        fn unretain(&self, _topic: TopicName<'_>) -> u64 {
            0
        }

        fn retained_page(
            &self,
            _filter: TopicFilter<'_>,
            _from: Option<&Cursor>,
            _limit: usize,
            _now: Time,
            _into: &mut Vec<RetainedMessage>,
        ) -> Option<Cursor> {
            None
        }

        fn numbers(&self) -> &Numbers {
            &self.0
        }

        fn retained_count(&self) -> usize {
            0
        }
    }

    #[test]
    fn long_topics_do_not_fill_the_memory() {
        let (mut routes, index, alone) = (Routes::new(0, 7), Index::new(7), Alone::default());
        let view = View::new(&index, &alone);
        let tail = "x".repeat(60_000);
        for number in 0..700 {
            let topic = format!("{number}/{tail}");
            let topic = TopicName::new(&topic).expect("valid topic").as_str();
            let route = routes.look_up(topic, &view);
            assert_eq!(*routes.get(route).topic, *topic);
            let held: usize = routes.routes.iter().map(|route| route.topic.len()).sum();
            assert_eq!(held, routes.topic_bytes);
            assert!(held <= MAXIMUM_TOPIC_BYTES);
        }
    }
}
