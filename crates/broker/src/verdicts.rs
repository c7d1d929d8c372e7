//! What was decided before, so that rules are asked once and not for each message; and what is told of
//! denials.

use core::hash::BuildHasher as _;
use core::mem;
use std::sync::Arc;

use dunlin_proto::{QoS, Time};
use foldhash::fast::FixedState;

use crate::commons::View;
use crate::event::{Cause, Event};
use crate::guard::{Action, Guarded, Identity, Ruling};
use crate::hub::{Hub, Returned};
use crate::numbers::Numbers;
use crate::router::{GroupId, Index, Matches, SessionKey, Subscriber};
use crate::routes::Route;
use crate::slab::NONE;

/// Topics of which a connection remembers at first that it may publish to them. 8: a device has few, and
/// they fit into one cache line.
const PERMITS: usize = 8;
/// And at most. 256: what speaks for many devices, in 2 KiB.
const MOST_PERMITS: usize = 256;
/// Denials remembered, so that each is told once. 1024: 8 KiB for each shard.
const DENIALS: usize = 1024;
/// Denials told in a second, for each shard. 100: enough to see what goes on, too few to fill a disk.
const DENIALS_PER_SECOND: u32 = 100;

/// Topics that a connection may publish to.
#[derive(Debug)]
pub(crate) struct Permits {
    generation: u64,
    /// Serial numbers of routes, each in the one place it can have; 0 is none.
    routes: Vec<u64>,
}

impl Permits {
    /// Whether this was allowed before.
    #[inline]
    pub(crate) fn has(held: Option<&Self>, generation: u64, route: u64) -> bool {
        held.is_some_and(|permits| {
            permits.generation == generation && permits.at(route).is_some_and(|held| held == route)
        })
    }

    /// Remembers that it is allowed.
    pub(crate) fn add(held: &mut Option<Box<Self>>, generation: u64, route: u64) {
        let permits = held.get_or_insert_with(|| Box::new(Self { generation, routes: Vec::new() }));
        if permits.generation != generation || permits.routes.is_empty() {
            permits.generation = generation;
            permits.routes = vec![0; PERMITS];
        }
        // Whoever would push out another gets more room, while there is.
        while permits.at(route).is_some_and(|other| other != 0 && other != route)
            && permits.routes.len() < MOST_PERMITS
        {
            let twice = 2 * permits.routes.len();
            for route in mem::replace(&mut permits.routes, vec![0; twice]) {
                permits.put(route);
            }
        }
        permits.put(route);
    }

    fn at(&self, route: u64) -> Option<u64> {
        self.routes.get(place(route, self.routes.len())).copied()
    }

    fn put(&mut self, route: u64) {
        let place = place(route, self.routes.len());
        if let Some(held) = self.routes.get_mut(place)
            && route != 0
        {
            *held = route;
        }
    }
}

/// Where it is in a table of so many places, which are a power of two.
#[inline]
const fn place(route: u64, places: usize) -> usize {
    route as usize & places.wrapping_sub(1)
}

/// Who may read one topic.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// The rules of which the rest is the answer.
    generation: u64,
    /// And the identities.
    identities: u64,
    /// Everybody who was asked about, in the order of the index, and the answer.
    asked: Vec<(SessionKey, bool)>,
    /// Those who may not, sorted.
    denied: Vec<SessionKey>,
}

impl Readers {
    /// Asks about everybody in `matches`; only about those who are new, if the rules are the same. True if
    /// these and everybody's identity are.
    pub(crate) fn judge(
        &mut self,
        topic: &str,
        matches: &Matches,
        guard: Guarded<'_>,
        view: &View<'_>,
        refused: &mut Refused,
    ) -> bool {
        let identities = &view.commons.numbers().identities;
        let (now, changed) = identities.since(self.identities);
        match changed {
            Some(others) if self.generation == guard.generation => {
                self.asked.retain(|(session, _)| !others.contains(session));
            }
            _ => self.asked.clear(),
        }
        let same = (self.generation, self.identities) == (guard.generation, now);
        (self.generation, self.identities) = (guard.generation, now);
        let before = mem::take(&mut self.asked);
        let mut known = before.iter().peekable();
        self.denied.clear();
        let members = matches.groups.iter().flat_map(|group| view.index.members(*group));
        for subscriber in matches.plain.iter().chain(members) {
            let session = subscriber.session;
            let allowed = follow(&mut known, session).unwrap_or_else(|| {
                let ruling = rule(guard, view.commons.numbers(), session, topic);
                let Some((who, ruling)) = ruling else { return false };
                if !ruling.allowed {
                    refused.add(who, topic, ruling.rule);
                    return false;
                }
                true
            });
            self.asked.push((session, allowed));
            if !allowed {
                self.denied.push(session);
            }
        }
        self.denied.sort_unstable();
        self.denied.dedup();
        same
    }

    /// Whether nobody was denied.
    #[inline]
    pub(crate) const fn all(&self) -> bool {
        self.denied.is_empty()
    }

    /// How many it remembers.
    pub(crate) const fn len(&self) -> usize {
        self.asked.len()
    }

    /// Leaves out who may not, and groups in which nobody may.
    pub(crate) fn sieve(&self, matches: &mut Matches, index: &Index) {
        matches.plain.retain(|to| self.may(to.session));
        matches.groups.retain(|group| index.members(*group).iter().any(|to| self.may(to.session)));
    }

    /// Whether this session may read it.
    pub(crate) fn may(&self, session: SessionKey) -> bool {
        self.denied.binary_search(&session).is_err()
    }
}

/// The earlier answer about a session. What is in the index changes little from one time to the next:
/// somebody is new, or the one before is gone.
fn follow<'a>(
    known: &mut core::iter::Peekable<impl Iterator<Item = &'a (SessionKey, bool)> + Clone>,
    session: SessionKey,
) -> Option<bool> {
    let mut ahead = known.clone();
    for _ in 0..2 {
        let (other, allowed) = ahead.next()?;
        if *other == session {
            *known = ahead;
            return Some(*allowed);
        }
    }
    None
}

/// The answer about a session, wherever it lives; `None` if it has ended.
fn rule(
    guard: Guarded<'_>,
    numbers: &Numbers,
    session: SessionKey,
    topic: &str,
) -> Option<(Arc<Identity>, Ruling)> {
    let who = numbers.identities.of(session)?;
    let ruling = guard.rules.check(&who, Action::Deliver, topic);
    Some((who, ruling))
}

/// Receivers that were left out of routes.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// How many.
    count: u64,
    /// The first of them, with what they were not sent and because of which rule.
    first: Vec<LeftOut>,
}

/// One receiver that was left out of one route.
#[derive(Debug)]
struct LeftOut {
    who: Arc<Identity>,
    topic: Box<str>,
    rule: Option<Box<str>>,
}

impl Refused {
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, who: Arc<Identity>, topic: &str, rule: Option<Box<str>>) {
        self.count += 1;
        if self.first.len() < DENIALS_PER_SECOND as usize {
            self.first.push(LeftOut { who, topic: topic.into(), rule });
        }
    }
}

/// Denials that were told.
pub(crate) struct Denials {
    hasher: FixedState,
    /// Hashes of them; 0 is none.
    told: Vec<u64>,
    second: u64,
    count: u32,
}

impl Denials {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { hasher: FixedState::with_seed(seed), told: Vec::new(), second: 0, count: 0 }
    }

    /// Whether this one is to be told.
    fn is_news(&mut self, now: Time, who: &Identity, action: Action, topic: &str) -> bool {
        let second = now.as_micros() / 1_000_000;
        if self.second != second {
            (self.second, self.count) = (second, 0);
        }
        if self.told.is_empty() {
            self.told.resize(DENIALS, 0);
        }
        let hash = self.hasher.hash_one((&*who.client_id, action, topic)) | 1;
        let place = (hash >> 32) as usize % DENIALS;
        let Some(told) = self.told.get_mut(place) else { return false };
        if *told == hash || self.count >= DENIALS_PER_SECOND {
            return false;
        }
        *told = hash;
        self.count += 1;
        true
    }
}

/// Who of a group may be given a message.
#[derive(Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub(crate) group: GroupId,
    /// Not this one, who gave it back.
    pub(crate) not: Option<SessionKey>,
    /// What is known of the others; `None`: rules are to be asked.
    pub(crate) route: Option<&'a Route>,
}

impl Choice<'_> {
    /// The one whose turn it is, of those who may have it.
    pub(crate) fn pick(self, topic: &str, view: &View<'_>) -> Option<Subscriber> {
        let Self { group, not, route } = self;
        let other = |session| Some(session) != not;
        match (view.guard, route) {
            (None, _) => view.index.pick(group, not),
            (Some(_), Some(route)) => {
                view.index.pick_where(group, |session| other(session) && route.may_read(session))
            }
            (Some(guard), None) => view.index.pick_where(group, |session| {
                other(session)
                    && rule(guard, view.commons.numbers(), session, topic)
                        .is_some_and(|(_, ruling)| ruling.allowed)
            }),
        }
    }
}

impl Hub {
    /// Whether a client may do this; if not, it is counted and told.
    pub(crate) fn check(
        &mut self,
        now: Time,
        who: &Arc<Identity>,
        action: Action,
        topic: &str,
        view: &View<'_>,
    ) -> Ruling {
        let Some(guard) = view.guard else { return Ruling::ALLOWED };
        let ruling = guard.rules.check(who, action, topic);
        if !ruling.allowed {
            self.denied(now, who, action, topic, ruling.rule.as_deref());
        }
        ruling
    }

    /// Whether rules were asked before and let a connection publish to the topic of a route.
    #[inline]
    pub(crate) fn is_permitted(&self, slot: u32, route: &Route, guard: Guarded<'_>) -> bool {
        if route.may_be_written(self.id(slot)) {
            return true;
        }
        let connection = self.connections.at(slot);
        let permits = connection.and_then(|connection| connection.permits.as_deref());
        Permits::has(permits, guard.generation, route.serial)
    }

    /// Whether a client may publish to a topic.
    pub(crate) fn permit(&mut self, now: Time, slot: u32, topic: &str, view: &View<'_>) -> Ruling {
        let session = self.connections.at(slot).map_or(NONE, |connection| connection.session);
        let Some(who) = self.sessions.at(session).map(|session| Arc::clone(&session.who)) else {
            return Ruling::denied(None);
        };
        self.check(now, &who, Action::Publish, topic, view)
    }

    /// Drops what waits for a session and may not be sent to it any more, once after each change of the
    /// rules. What is of a shared subscription may be for another member.
    pub(crate) fn judge_queue(&mut self, now: Time, slot: u32, view: &View<'_>) {
        let Some(guard) = view.guard else { return };
        let (key, rules) = (self.key(slot), view.rules_now());
        let Some(session) = self.sessions.at_mut(slot) else { return };
        let Some(outbound) = session.outbound.as_mut().filter(|held| held.judged != rules) else {
            return;
        };
        outbound.judged = rules;
        let (who, kept) = (Arc::clone(&session.who), session.keeps && session.number != 0);
        let number = if session.keeps { session.number } else { 0 };
        let mut last: Option<(Arc<str>, bool)> = None;
        let mut denied = Vec::new();
        let (mut messages, mut bytes) = (0, 0);
        let before = mem::take(&mut outbound.queue);
        let mut has_denied = false;
        outbound.queue = before
            .into_iter()
            .filter_map(|copy| {
                let topic = &copy.message.topic;
                let known = last.as_ref().filter(|(known, _)| Arc::ptr_eq(known, topic));
                let allowed = known.map_or_else(
                    || guard.rules.check(&who, Action::Deliver, topic).allowed,
                    |(_, allowed)| *allowed,
                );
                last = Some((Arc::clone(topic), allowed));
                if allowed {
                    return Some(copy);
                }
                if copy.group.is_none() && copy.qos > QoS::AtMostOnce {
                    // It has its place among the identifiers.
                    has_denied = true;
                    return Some(copy);
                }
                messages += 1;
                bytes += copy.message.bytes();
                denied.push(copy);
                None
            })
            .collect();
        outbound.has_denied = has_denied;
        outbound.queued_bytes -= bytes;
        self.stats.queued_messages -= messages;
        self.stats.queued_bytes -= bytes as u64;
        for copy in denied {
            self.journal.done(copy.id(), copy.target(number, None));
            self.check(now, &who, Action::Deliver, &copy.message.topic, view);
            if copy.group.is_some() {
                self.returned.push(Returned { from: key, copy, kept });
            } else {
                self.stats.publish_dropped += 1;
            }
        }
    }

    /// Somebody was denied something.
    pub(crate) fn denied(
        &mut self,
        now: Time,
        who: &Identity,
        action: Action,
        topic: &str,
        rule: Option<&str>,
    ) {
        self.stats.causes.add(Cause::AclDenied, 1);
        self.tell_denied(now, who, action, topic, rule);
    }

    /// Receivers were left out of routes.
    pub(crate) fn left_out(&mut self, now: Time, refused: Refused) {
        self.stats.causes.add(Cause::AclDenied, refused.count);
        for LeftOut { who, topic, rule } in refused.first {
            self.tell_denied(now, &who, Action::Deliver, &topic, rule.as_deref());
        }
    }

    fn tell_denied(
        &mut self,
        now: Time,
        who: &Identity,
        action: Action,
        topic: &str,
        rule: Option<&str>,
    ) {
        if self.denials.is_news(now, who, action, topic) {
            self.events.push(Event::Denied {
                count: 1,
                client: Arc::clone(&who.client_id),
                action,
                topic: topic.into(),
                rule: rule.map(Into::into),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_topics_are_remembered_and_too_many_are_not() {
        let mut permits = None;
        for route in 1..=10_000 {
            Permits::add(&mut permits, 1, route);
            assert!(Permits::has(permits.as_deref(), 1, route));
        }
        let known = |generation| {
            (1..=10_000)
                .filter(|route| Permits::has(permits.as_deref(), generation, *route))
                .count()
        };
        assert_eq!((known(1), known(2)), (MOST_PERMITS, 0));
        let mut permits = None;
        for route in 1..=100 {
            Permits::add(&mut permits, 1, route);
        }
        assert!((1..=100).all(|route| Permits::has(permits.as_deref(), 1, route)));
        assert!(!Permits::has(permits.as_deref(), 1, 101));
    }
}
