//! What all shards share, as the broker sees it.

use dunlin_proto::Time;
use dunlin_proto::topic::{TopicFilter, TopicName};

use crate::guard::{Action, Guarded, Identity};
use crate::message::RetainedMessage;
use crate::numbers::Numbers;
use crate::router::{Cursor, Index};

/// The shared state a shard may look at while it handles input.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The subscription index, under one read guard for the turn.
    pub index: &'a Index,
    /// Everything else.
    pub commons: &'a dyn Commons,
    /// Who decides what clients may do; `None`: they may do everything.
    pub guard: Option<Guarded<'a>>,
}

impl<'a> View<'a> {
    /// What there is without rules.
    #[must_use]
    pub const fn new(index: &'a Index, commons: &'a dyn Commons) -> Self {
        Self { index, commons, guard: None }
    }

    /// With rules, or none.
    #[must_use]
    pub const fn guarded(mut self, guard: Option<Guarded<'a>>) -> Self {
        self.guard = guard;
        self
    }

    /// Changes whenever the receivers of a topic may.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        match self.guard {
            None => self.index.version(),
            // All only grow, so their sum is another one when any has changed.
            Some(guard) => {
                let identities = self.commons.numbers().identities.version();
                1 << 63 | (self.index.version() + guard.generation + identities)
            }
        }
    }

    /// Names the rules that hold; 0 without.
    #[inline]
    pub(crate) fn rules_now(&self) -> u64 {
        self.guard.map_or(0, |guard| guard.generation.saturating_add(1))
    }

    /// Whether a client may do this.
    pub(crate) fn allows(&self, who: &Identity, action: Action, topic: &str) -> bool {
        self.guard.is_none_or(|guard| guard.rules.check(who, action, topic).allowed)
    }
}

/// State that all shards share besides the subscription index.
///
/// A publisher stores a retained message before it looks up who is subscribed, and a subscriber is
/// in the index before its retained messages are read: so whichever comes first, no subscriber misses
/// a retained message that it was not sent live.
pub trait Commons {
    /// The shard at home for this client identifier: looked up, or claimed now.
    fn home(&self, client_id: &str, here: u16) -> u16;
    /// A session of this client identifier has ended.
    fn release(&self, client_id: &str);
    /// Stores the retained message of a topic; returns its place in the order of such changes, a
    /// [`Numbers::stamp`] taken under the same lock.
    fn retain(&self, topic: TopicName<'_>, message: RetainedMessage) -> u64;
    /// Removes the retained message of a topic; returns the same.
    fn unretain(&self, topic: TopicName<'_>) -> u64;
    /// Appends up to `limit` retained messages that match; returns where to go on, if there is more.
    fn retained_page(
        &self,
        filter: TopicFilter<'_>,
        from: Option<&Cursor>,
        limit: usize,
        now: Time,
        into: &mut Vec<RetainedMessage>,
    ) -> Option<Cursor>;
    /// Names of what is stored.
    fn numbers(&self) -> &Numbers;
    /// Number of retained messages.
    fn retained_count(&self) -> usize;
    /// The same, and what they count for in limits, in bytes.
    fn retained_usage(&self) -> (usize, usize) {
        (self.retained_count(), 0)
    }
    /// Number of sessions, those that are about to be included.
    fn sessions(&self) -> usize {
        0
    }
    /// One more connection of a user, unless there are as many as are allowed: then how many there are.
    fn user_came(&self, _user: &str, _allowed: usize) -> Result<(), usize> {
        Ok(())
    }
    /// One connection of a user fewer.
    fn user_left(&self, _user: &str) {}
}
