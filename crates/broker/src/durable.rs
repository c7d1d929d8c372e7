//! What the broker wants kept, and what it does when it is.

use std::sync::Arc;

use dunlin_proto::Time;

use crate::broker::Broker;
use crate::commons::{Commons, View};
use crate::journal::SessionState;
use crate::message::Message;
use crate::router::{Index, SessionKey};

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
    pub fn take_journal(&mut self) -> Option<Journal> {
        None
    }

    /// Everything up to `token` is durable: what waited for that is sent.
    pub fn persisted(&mut self, now: Time, token: u64, view: &View<'_>) {
        let _ = (now, token, view, &self.hub);
    }

    /// The disk has become full, or has room again.
    pub fn set_storage(&mut self, now: Time, storage: Storage) {
        let _ = (now, storage, &self.hub);
    }

    /// Adds the stored messages that sessions wait for.
    pub fn take_loads(&mut self, into: &mut Vec<Load>) {
        let _ = (into, &self.hub);
    }

    /// Messages a session has waited for, as they were asked for; `None` for one that cannot be read.
    pub fn loaded(
        &mut self,
        now: Time,
        session: SessionKey,
        messages: Vec<(u64, Option<Arc<Message>>)>,
        view: &View<'_>,
    ) {
        let _ = (now, session, messages, view, &self.hub);
    }

    /// Takes a session in that was kept; before any connection, on the shard that is to be its home.
    pub fn restore(
        &mut self,
        now: Time,
        state: SessionState,
        index: &mut Index,
        commons: &dyn Commons,
    ) {
        let _ = (now, state, index, commons, &self.hub);
    }
}
