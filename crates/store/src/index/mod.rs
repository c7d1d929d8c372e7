//! What of the log is still needed, and where it lies.
//!
//! The index is a function of the records applied to it, in order. Applying a record again replaces what it
//! said before, so a copy that the cleaner appends is a record like any other. The places of what is live are
//! counted for each segment: when nothing lives in the oldest one, it can go.
//!
//! Only the oldest segment ever goes. So what ends something (`Done`, `Ended`, ...) is not needed when its own
//! turn comes, because what it ended lay in the same segment or in one that is gone.

mod chunks;
mod live;
mod messages;
mod pages;
mod retained;
mod sessions;
mod sweep;

pub(crate) use live::{Live, Place};
pub(crate) use messages::Messages;
pub(crate) use retained::RetainedTopics;
pub(crate) use sessions::{Parted, Session, Sessions};

use crate::format::Next;
use crate::view::{MessageView, View};

/// All that is live.
pub(crate) struct Index {
    pub(crate) messages: Messages,
    pub(crate) sessions: Sessions,
    pub(crate) retained: RetainedTopics,
    pub(crate) live: Live,
    /// All numbers and identifiers seen are below these.
    pub(crate) next: Next,
    sweep: sweep::Sweep,
    /// The log is being read: a session's own record may come later than what is said of it, because it
    /// was copied to the end.
    reading: bool,
}

impl Index {
    /// An empty index; hashes depend on `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            messages: Messages::default(),
            sessions: Sessions::new(seed),
            retained: RetainedTopics::new(seed),
            live: Live::default(),
            next: Next::default(),
            sweep: sweep::Sweep::default(),
            reading: false,
        }
    }

    /// The log is going to be read.
    pub(crate) const fn begin_reading(&mut self) {
        self.reading = true;
    }

    /// Takes note of the record that lies at `place`.
    pub(crate) fn apply(&mut self, view: &View<'_>, place: Place) {
        let live = &mut self.live;
        match *view {
            View::Message(ref message) => self.message(message, place),
            View::Done { id, target } => {
                self.target_gone(id, |messages, slot| messages.done(slot, target));
            }
            View::Sent { id, target } => self.messages.sent(id, target),
            View::Route { id, released, targets } => {
                let Some(slot) = self.messages.find(id) else { return };
                if released.is_some() && self.messages.held(id) == released {
                    self.messages.release(slot);
                }
                self.messages.add(slot, targets);
                self.drop_if_dead(slot);
            }
            View::Session { number, expiry, will } => {
                self.next.number = self.next.number.max(number.saturating_add(1));
                self.sessions.connected(number, expiry, will, place, live);
            }
            View::Parted { number, ends_at, due } => {
                let parted = Parted { ends_at, due, place };
                if let Some(session) = self.sessions.known(number, self.reading) {
                    session.part(parted, live);
                }
            }
            View::Ended { number } => {
                if self.sessions.remove(number, live).is_some_and(|session| session.kept) {
                    self.sweep.ended(number);
                }
            }
            View::Subscribed { number, filter } => {
                let hash = self.sessions.hash(filter);
                if let Some(session) = self.sessions.known(number, self.reading) {
                    session.subscribe(hash, place, live);
                }
            }
            View::Unsubscribed { number, filter } => {
                let hash = self.sessions.hash(filter);
                if let Some(session) = self.sessions.get_mut(number) {
                    session.unsubscribe(hash, live);
                }
            }
            View::Received { number, packet_id, id } => {
                if let Some(session) = self.sessions.known(number, self.reading) {
                    session.received(packet_id, place, live);
                }
                self.target_gone(id, |messages, slot| {
                    messages.received(slot, number, packet_id);
                });
            }
            View::Completed { number, packet_id } => {
                if let Some(session) = self.sessions.get_mut(number) {
                    session.completed(packet_id, live);
                }
            }
            View::Unretained { topic, stamp } => self.unretained(topic, stamp, place),
            View::Unknown => live.add(place),
        }
    }

    fn message(&mut self, m: &MessageView<'_>, place: Place) {
        // What was known of it is replaced; mostly it is new, which its number tells.
        let known = if m.id < self.next.message { self.messages.find(m.id) } else { None };
        self.next.message = self.next.message.max(m.id.saturating_add(1));
        if let Some(old) = known {
            if self.messages.at(old).is_retained() && m.retained.is_none() {
                self.retained.forget(m.id, self.messages.at(old).topic());
            }
            self.remove(old);
        }
        if let Some(number) = m.will
            && let Some(session) = self.sessions.get_mut(number)
        {
            session.will_published();
        }
        let won = m.retained.and_then(|stamp| {
            self.next.stamp = self.next.stamp.max(stamp.saturating_add(1));
            self.retained.offer(m.topic, stamp, m.id, &mut self.live)
        });
        if won.is_none() && m.held.is_none() && m.targets.len() == 0 {
            return;
        }
        let slot = self.messages.insert(m, place, won.map(|won| won.topic));
        self.live.add(place);
        self.replaced(won.and_then(|won| won.before).filter(|before| *before != m.id));
        // Targets that cannot be read, which no checksum lets through.
        self.drop_if_dead(slot);
    }

    fn unretained(&mut self, topic: &[u8], stamp: u64, place: Place) {
        self.next.stamp = self.next.stamp.max(stamp.saturating_add(1));
        let before = self.retained.clear(topic, stamp, place, &mut self.live);
        self.replaced(before);
    }

    /// A message is not the retained one of its topic any more.
    fn replaced(&mut self, before: Option<u64>) {
        if let Some(slot) = before.and_then(|id| self.messages.find(id)) {
            self.messages.at_mut(slot).unretain();
            self.drop_if_dead(slot);
        }
    }

    #[inline]
    fn target_gone(&mut self, id: u64, gone: impl FnOnce(&mut Messages, u32)) {
        if let Some(slot) = self.messages.find(id) {
            gone(&mut self.messages, slot);
            self.drop_if_dead(slot);
        }
    }

    #[inline]
    fn drop_if_dead(&mut self, slot: u32) {
        if self.messages.at(slot).is_dead() {
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: u32) {
        let place = self.messages.remove(slot);
        self.live.remove(place);
    }

    /// Whether the record that lies at `place` is what counts.
    pub(crate) fn is_live(&self, view: &View<'_>, place: Place) -> bool {
        match *view {
            View::Message(ref m) => {
                self.messages.find(m.id).is_some_and(|slot| self.messages.at(slot).place == place)
            }
            View::Session { number, .. } => {
                self.sessions.get(number).is_some_and(|session| session.place == Some(place))
            }
            View::Subscribed { number, filter } => {
                let hash = self.sessions.hash(filter);
                self.sessions.get(number).and_then(|s| s.subscription(hash)) == Some(place)
            }
            View::Received { number, packet_id, .. } => {
                self.sessions.get(number).and_then(|s| s.release(packet_id)) == Some(place)
            }
            View::Unretained { topic, .. } => self.retained.cleared_at(topic) == Some(place),
            View::Unknown => true,
            // Goes with the record of its session.
            View::Parted { .. }
            | View::Ended { .. }
            | View::Unsubscribed { .. }
            | View::Route { .. }
            | View::Sent { .. }
            | View::Done { .. }
            | View::Completed { .. } => false,
        }
    }

    /// The record that lay at `old` lies at `new`, and nothing else has changed.
    pub(crate) fn moved(&mut self, view: &View<'_>, old: Place, new: Place) {
        if let View::Parted { number, .. } = *view {
            if let Some(session) = self.sessions.get_mut(number) {
                session.move_parted(old, new, &mut self.live);
            }
            return;
        }
        if !self.is_live(view, old) {
            return;
        }
        match *view {
            View::Message(ref m) => {
                if let Some(slot) = self.messages.find(m.id) {
                    self.messages.at_mut(slot).place = new;
                }
            }
            View::Unretained { topic, .. } => self.retained.move_cleared(topic, new),
            View::Session { number, .. }
            | View::Subscribed { number, .. }
            | View::Received { number, .. } => {
                if let Some(session) = self.sessions.get_mut(number) {
                    session.move_place(old, new);
                }
            }
            _ => {}
        }
        self.live.remove(old);
        self.live.add(new);
    }

    /// A message that is to be copied, without what belongs to sessions that are no more if `settled` says
    /// that all are known; `None` if nobody wants it.
    pub(crate) fn message_left(&mut self, id: u64, settled: bool) -> Option<u32> {
        let slot = self.messages.find(id)?;
        if settled {
            let sessions = &self.sessions;
            self.messages.retain(slot, |number| sessions.get(number).is_some());
            self.drop_if_dead(slot);
        }
        (self.messages.at(slot).id == id).then_some(slot)
    }

    /// The whole log was read: what belongs to sessions that are not there is dropped.
    pub(crate) fn settle(&mut self) {
        self.reading = false;
        self.sessions.settle(&mut self.live);
        for slot in self.messages.slots() {
            let sessions = &self.sessions;
            self.messages.retain(slot, |number| sessions.keeps(number));
            self.drop_if_dead(slot);
        }
        self.sweep = sweep::Sweep::default();
    }

    /// Drops what sessions that have ended were to have, of so many messages.
    pub(crate) fn sweep(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some((slot, ended)) = self.sweep.next(&self.messages) else { return };
            self.messages.retain(slot, |number| !ended.contains(&number));
            if self.messages.at(slot).is_dead() {
                let place = self.messages.remove(slot);
                self.live.remove(place);
            }
        }
    }

    /// Whether [`Index::sweep`] has more to do.
    pub(crate) fn is_swept(&self) -> bool {
        self.sweep.is_over()
    }

    /// Nothing in this segment can be read any more.
    pub(crate) fn forget(&mut self, segment: u32) {
        for slot in self.messages.slots() {
            if self.messages.at(slot).place.segment == segment {
                let entry = self.messages.at(slot);
                if entry.is_retained() {
                    self.retained.forget(entry.id, entry.topic());
                }
                self.remove(slot);
            }
        }
        self.sessions.forget(segment, &mut self.live);
        self.retained.forget_cleared(segment, &mut self.live);
    }
}

#[cfg(test)]
mod tests;
