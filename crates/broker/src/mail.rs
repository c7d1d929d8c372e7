//! What one shard sends another: messages and who is to receive them.

use std::sync::Arc;

use crate::message::Message;
use crate::router::{GroupId, Subscriber};

/// A batch for one shard: all that a turn produced for it.
#[derive(Debug, Default)]
pub struct Mail {
    pub(crate) messages: Vec<Arc<Message>>,
    /// Receivers in order, each with the index of its message.
    pub(crate) targets: Vec<(u32, Target)>,
    bytes: usize,
}

/// One receiver of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) subscriber: Subscriber,
    /// The shared subscription on whose behalf it was chosen.
    pub(crate) group: Option<GroupId>,
}

impl Mail {
    /// What the batch counts for in the limits of mailboxes, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Adds a receiver; the message itself only if it is not the one added last.
    pub(crate) fn add(&mut self, message: &Arc<Message>, target: Target) {
        if !self.messages.last().is_some_and(|last| Arc::ptr_eq(last, message)) {
            self.bytes += message.bytes() + 64;
            self.messages.push(Arc::clone(message));
        }
        self.bytes += size_of::<(u32, Target)>();
        let index = u32::try_from(self.messages.len() - 1).expect("a batch is far smaller");
        self.targets.push((index, target));
    }

    /// Appends a later batch.
    pub fn append(&mut self, mut later: Self) {
        let shift = u32::try_from(self.messages.len()).expect("a batch is far smaller");
        self.messages.append(&mut later.messages);
        self.targets.extend(later.targets.iter().map(|(index, target)| (index + shift, *target)));
        self.bytes += later.bytes;
    }
}
