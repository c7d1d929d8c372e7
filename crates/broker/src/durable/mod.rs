//! What the broker wants kept, and what it does when it is.
//!
//! `writer.rs` writes the journal, `held.rs` keeps back what waits for it, `spill.rs` is about messages
//! that are on disk only, `restore.rs` about sessions after a restart.

mod held;
mod restore;
mod spill;
mod writer;

use std::sync::Arc;

use dunlin_proto::Time;

use crate::broker::Broker;
use crate::commons::{Commons, View};
use crate::journal::SessionState;
use crate::message::Message;
use crate::router::{Index, SessionKey};

pub(crate) use held::{Waiting, What};
pub(crate) use spill::{Spill, Spilled};
pub(crate) use writer::{Retention, Writer};

/// Records that a shard has written.
#[derive(Debug, Default)]
pub struct Journal {
    /// One [`crate::journal::Record`] after another.
    pub records: Vec<u8>,
    /// All records up to here are durable when this is told to [`Broker::persisted`].
    pub token: u64,
    /// Somebody waits for it. Other records may wait some milliseconds for company.
    pub urgent: bool,
}

/// Stored messages that a session is to be given.
#[derive(Debug)]
pub struct Load {
    /// Whose turn it is.
    pub session: SessionKey,
    /// The identifiers of the messages, in order.
    pub ids: Vec<u64>,
}

/// Whether there is room for what is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// There is.
    Ready,
    /// The disk is full or broken: nothing new that has to be kept is accepted until it is ready again.
    /// What was accepted is still delivered.
    Full,
}

impl Broker {
    /// Takes what is to be kept; called once a turn, before mail is handed over.
    ///
    /// `None` if there is nothing, or while messages still look for another member of their group.
    pub fn take_journal(&mut self) -> Option<Journal> {
        if self.is_unsettled() { None } else { self.hub.journal.take() }
    }

    /// Gives back the memory of a journal that was handed over.
    pub fn lend(&mut self, memory: Vec<u8>) {
        self.hub.journal.lend(memory);
    }

    /// Whether the next commit has messages to hand on, before which nothing leaves the shard.
    pub(crate) const fn is_unsettled(&self) -> bool {
        self.hub.journal.on && !(self.hub.returned.is_empty() && self.leaving.is_empty())
    }

    /// Everything up to `token` is durable: what waited for that is sent.
    pub fn persisted(&mut self, now: Time, token: u64, view: &View<'_>) {
        self.hub.journal.durable(token);
        self.release(now, token, view);
        if !self.leaving_home.is_empty() {
            self.give_up_ended(view.commons);
        }
    }

    /// The retained message of a topic has expired, at this place in the order of changes.
    pub fn unretained(&mut self, topic: &str, stamp: u64) {
        self.hub.journal.unretained(topic, stamp);
    }

    /// Answers that wait until something is durable.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.hub.waiting.len()
    }

    /// The disk has become full, or has room again.
    pub fn set_storage(&mut self, storage: Storage) {
        self.hub.journal.full = storage == Storage::Full;
        self.unpark();
    }

    /// Adds the stored messages that sessions wait for; to be called after [`Self::take_journal`], since they
    /// may be in what that has taken.
    pub fn take_loads(&mut self, into: &mut Vec<Load>) {
        if !self.is_unsettled() {
            into.append(&mut self.hub.loads);
        }
    }

    /// Messages a session has waited for, as they were asked for; `None` for one that cannot be read.
    pub fn loaded(
        &mut self,
        now: Time,
        session: SessionKey,
        messages: Vec<(u64, Option<Arc<Message>>)>,
        view: &View<'_>,
    ) {
        self.take_loaded(now, session, messages, view);
    }

    /// Takes a session in that was kept; before any connection, on the shard that is to be its home.
    pub fn restore(
        &mut self,
        now: Time,
        state: SessionState,
        index: &mut Index,
        commons: &dyn Commons,
    ) {
        self.take_in(now, state, index, commons);
    }
}
