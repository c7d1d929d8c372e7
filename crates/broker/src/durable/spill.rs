//! Messages that wait for a session on disk only, and come back when it is their turn.

use std::collections::VecDeque;
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::qos::QoS;

use super::Load;
use crate::broker::Broker;
use crate::commons::View;
use crate::hub::Hub;
use crate::journal::Target;
use crate::message::Message;
use crate::pending::unshare;
use crate::router::{GroupId, Index, SessionKey};
use crate::session::{Copy, Session};

/// Messages loaded at once for one session: enough for a window, little beside the memory of a shard.
const LOAD: usize = 64;

/// What waits behind the queue of a session, on disk only.
#[derive(Default)]
pub(crate) struct Spill {
    runs: VecDeque<Run>,
    len: usize,
    bytes: usize,
    /// The front has been asked for.
    loading: bool,
}

/// Messages that differ only in their identifiers, which follow each other: what a machine that publishes
/// one value again and again leaves behind.
struct Run {
    first: Spilled,
    count: u32,
}

/// A message of which only the place in the queue is in memory.
#[derive(Debug, Clone, core::marker::Copy, PartialEq, Eq)]
pub(crate) struct Spilled {
    pub(crate) id: u64,
    pub(crate) expires: Time,
    pub(crate) bytes: u32,
    pub(crate) identifier: u32,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) shared: bool,
}

impl Spilled {
    pub(crate) fn new(id: u64, bytes: usize, expires: Time, target: Target) -> Self {
        let Target { qos, retain, shared, identifier, .. } = target;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { id, expires, bytes, identifier, qos, retain, shared }
    }

    /// As the session of this number has it in records.
    pub(crate) const fn target(&self, number: u64) -> Target {
        let Self { qos, retain, shared, identifier, .. } = *self;
        Target { number, qos, retain, shared, identifier, sent: None }
    }
}

impl Run {
    fn messages(&self) -> impl Iterator<Item = Spilled> {
        let first = self.first;
        (0..u64::from(self.count)).map(move |n| Spilled { id: first.id + n, ..first })
    }

    const fn bytes(&self) -> usize {
        self.first.bytes as usize * self.count as usize
    }
}

impl Spill {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, spilled: Spilled) {
        self.bytes += spilled.bytes as usize;
        self.len += 1;
        if let Some(Run { first, count }) = self.runs.back_mut()
            && *count < u32::MAX
            && spilled == (Spilled { id: first.id + u64::from(*count), ..*first })
        {
            *count += 1;
            return;
        }
        self.runs.push_back(Run { first: spilled, count: 1 });
    }

    pub(crate) fn pop(&mut self) -> Option<Spilled> {
        let run = self.runs.front_mut()?;
        let spilled = run.first;
        run.first.id += 1;
        run.count -= 1;
        if run.count == 0 {
            self.runs.pop_front();
        }
        self.len -= 1;
        self.bytes -= spilled.bytes as usize;
        Some(spilled)
    }

    pub(crate) fn drop_expired(
        &mut self,
        now: Time,
        number: u64,
        mut done: impl FnMut(u64, Target),
    ) {
        self.runs.retain(|run| {
            let expired = run.first.expires <= now;
            if expired {
                run.messages().for_each(|spilled| done(spilled.id, spilled.target(number)));
            }
            !expired
        });
        self.len = self.runs.iter().map(|run| run.count as usize).sum();
        self.bytes = self.runs.iter().map(Run::bytes).sum();
    }

    /// When the first of them expires.
    pub(crate) fn unexpired_until(&self) -> Time {
        self.runs.iter().map(|run| run.first.expires).min().unwrap_or(Time::MAX)
    }

    fn messages(&self) -> impl Iterator<Item = Spilled> {
        self.runs.iter().flat_map(Run::messages)
    }

    fn front(&self) -> Option<u64> {
        self.runs.front().map(|run| run.first.id)
    }

    fn has_shared(&self) -> bool {
        self.runs.iter().any(|run| run.first.shared)
    }
}

impl Hub {
    /// Whether messages of shared subscriptions wait on disk: if the session ends, others get them.
    fn has_shared_spilled(&self, slot: u32) -> bool {
        let spill =
            self.sessions.at(slot).and_then(|session| session.outbound.as_ref()?.spill.as_ref());
        spill.is_some_and(|spill| spill.has_shared())
    }

    /// Asks for what waits on disk, if the session has room for it and has not asked already.
    pub(crate) fn load(&mut self, slot: u32) {
        let session = self.key(slot);
        let Some(spill) = self
            .sessions
            .at_mut(slot)
            .and_then(|session| session.outbound.as_mut())
            .and_then(|outbound| outbound.spill.as_mut())
        else {
            return;
        };
        if spill.loading || spill.is_empty() {
            return;
        }
        spill.loading = true;
        let ids = spill.messages().take(LOAD).map(|spilled| spilled.id).collect();
        self.loads.push(Load { session, ids });
    }
}

impl Broker {
    pub(super) fn take_loaded(
        &mut self,
        now: Time,
        key: SessionKey,
        messages: Vec<(u64, Option<Arc<Message>>)>,
        view: &View<'_>,
    ) {
        let mut again = false;
        for (id, message) in messages {
            let Some(session) = self.hub.sessions.get_mut(key.slot, key.generation) else { return };
            let Some(spill) = session.outbound.as_mut().and_then(|held| held.spill.as_mut()) else {
                return;
            };
            spill.loading = false;
            // What is not at the front any more has expired meanwhile, or made room.
            if spill.front() != Some(id) {
                continue;
            }
            let Some(spilled) = spill.pop() else { return };
            again = true;
            self.hub.stats.queued_messages -= 1;
            match message {
                Some(message) => self.unspill(key.slot, spilled, message, view),
                None => {
                    self.hub.stats.publish_dropped += 1;
                    let number = self.hub.number(key.slot);
                    self.hub.journal.done(id, spilled.target(number));
                }
            }
        }
        if let Some(session) = self.hub.sessions.get_mut(key.slot, key.generation)
            && let Some(outbound) = session.outbound.as_mut()
            && let Some(spill) = outbound.spill.as_mut()
        {
            spill.loading = false;
            if spill.is_empty() {
                outbound.spill = None;
            }
        }
        let offline = self.hub.sessions.at(key.slot).is_some_and(|session| !session.connected());
        if offline && self.hub.has_shared_spilled(key.slot) {
            self.hub.load(key.slot);
        } else if again {
            self.go_on(now, key.slot, view);
        }
    }

    /// Puts a message that was loaded into the queue.
    fn unspill(&mut self, slot: u32, spilled: Spilled, message: Arc<Message>, view: &View<'_>) {
        let Some(session) = self.hub.sessions.at_mut(slot) else { return };
        let group = if spilled.shared { group_of(session, &message, view.index) } else { None };
        let Spilled { identifier, qos, retain, .. } = spilled;
        self.hub.stats.queued_messages += 1;
        self.hub.stats.queued_bytes += message.bytes() as u64;
        let copy = Copy { message, identifier, qos, retain, group };
        let outbound = session.outbound.get_or_insert_default();
        outbound.push(copy);
        // It was let in by whatever rules held then.
        outbound.judged = 0;
    }
}

/// The shared subscription through which a session got a message, as far as that can be told.
pub(super) fn group_of(session: &Session, message: &Message, index: &Index) -> Option<GroupId> {
    let shared = session.subscriptions.iter().filter(|held| held.shared);
    shared
        .filter_map(|held| {
            let (group, filter) = unshare(&held.filter);
            let filter = dunlin_proto::topic::TopicFilter::new(filter).ok()?;
            if filter.matches(message.topic()) { index.group(group?, filter) } else { None }
        })
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of which every few differ from the one before.
    fn spilled(n: u64) -> Spilled {
        Spilled {
            id: n + n / 5,
            expires: if n % 7 == 3 { Time::from_micros(n) } else { Time::MAX },
            bytes: 10 + (n / 11) as u32,
            identifier: (n / 13) as u32,
            qos: QoS::AtLeastOnce,
            retain: false,
            shared: n == 20,
        }
    }

    #[test]
    fn runs_give_back_the_messages_that_were_pushed() {
        let (mut spill, mut plain) = (Spill::default(), VecDeque::new());
        for n in 0..100 {
            spill.push(spilled(n));
            plain.push_back(spilled(n));
        }
        assert!(spill.runs.len() < 70, "{} runs", spill.runs.len());
        assert!(spill.messages().eq(plain.iter().copied()));
        assert!(spill.has_shared());
        for _ in 0..30 {
            assert_eq!(spill.pop(), plain.pop_front());
        }
        assert!(!spill.has_shared());

        let mut gone = Vec::new();
        assert_eq!(spill.unexpired_until(), Time::from_micros(31));
        spill.drop_expired(Time::from_micros(80), 9, |id, target| gone.push((id, target.number)));
        let expired: Vec<_> = plain.iter().filter(|m| m.expires <= Time::from_micros(80)).collect();
        assert_eq!(gone, expired.iter().map(|m| (m.id, 9)).collect::<Vec<_>>());
        plain.retain(|m| m.expires > Time::from_micros(80));

        assert!(spill.messages().eq(plain.iter().copied()));
        let bytes: u32 = plain.iter().map(|m| m.bytes).sum();
        assert_eq!((spill.len(), spill.bytes()), (plain.len(), bytes as usize));
        assert_eq!(spill.front(), plain.front().map(|m| m.id));
        while let Some(next) = plain.pop_front() {
            assert_eq!(spill.pop(), Some(next));
        }
        assert!(spill.is_empty() && spill.pop().is_none() && spill.bytes() == 0);
    }

    #[test]
    fn a_value_published_again_and_again_takes_one_place() {
        let mut spill = Spill::default();
        for id in 1..=100_000 {
            spill.push(Spilled { id, ..spilled(0) });
        }
        assert_eq!((spill.runs.len(), spill.len()), (1, 100_000));
    }
}
