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
    pub(crate) messages: VecDeque<Spilled>,
    pub(crate) bytes: usize,
    /// The front has been asked for.
    loading: bool,
}

/// A message of which only the place in the queue is in memory.
#[derive(Debug, Clone, core::marker::Copy)]
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

impl Spill {
    pub(crate) fn push(&mut self, spilled: Spilled) {
        self.bytes += spilled.bytes as usize;
        self.messages.push_back(spilled);
    }

    pub(crate) fn drop_expired(
        &mut self,
        now: Time,
        number: u64,
        mut done: impl FnMut(u64, Target),
    ) {
        self.messages.retain(|spilled| {
            let expired = spilled.expires <= now;
            if expired {
                done(spilled.id, spilled.target(number));
            }
            !expired
        });
        self.bytes = self.messages.iter().map(|spilled| spilled.bytes as usize).sum();
    }

    pub(crate) fn pop(&mut self) -> Option<Spilled> {
        let spilled = self.messages.pop_front()?;
        self.bytes -= spilled.bytes as usize;
        Some(spilled)
    }
}

impl Hub {
    /// Whether messages of shared subscriptions wait on disk: if the session ends, others get them.
    fn has_shared_spilled(&self, slot: u32) -> bool {
        let spill =
            self.sessions.at(slot).and_then(|session| session.outbound.as_ref()?.spill.as_ref());
        spill.is_some_and(|spill| spill.messages.iter().any(|spilled| spilled.shared))
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
        if spill.loading || spill.messages.is_empty() {
            return;
        }
        spill.loading = true;
        let ids = spill.messages.iter().take(LOAD).map(|spilled| spilled.id).collect();
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
            if spill.messages.front().is_none_or(|front| front.id != id) {
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
            if spill.messages.is_empty() {
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
