//! Finding what ended sessions were to have, a few messages at a time.
//!
//! A session does not know its messages: that would be another word for each. So when sessions have ended,
//! all messages are gone through once, for all that have ended by then.

use foldhash::fast::FixedState;
use hashbrown::HashSet;

use super::messages::Messages;

type Numbers = HashSet<u64, FixedState>;

/// Where the search stands.
#[derive(Default)]
pub(super) struct Sweep {
    /// Sessions that are searched for.
    now: Numbers,
    /// Sessions that have ended since that began.
    next: Numbers,
    slot: u32,
}

impl Sweep {
    pub(super) fn ended(&mut self, number: u64) {
        self.next.insert(number);
    }

    /// Whether there is nobody whose messages are to be found.
    pub(super) fn is_over(&self) -> bool {
        self.now.is_empty() && self.next.is_empty()
    }

    /// The next message to be looked at, and the sessions that have ended.
    pub(super) fn next(&mut self, messages: &Messages) -> Option<(u32, &Numbers)> {
        if self.now.is_empty() {
            if self.next.is_empty() {
                return None;
            }
            std::mem::swap(&mut self.now, &mut self.next);
            self.slot = 0;
        }
        let Some(slot) = messages.used_from(self.slot) else {
            self.now.clear();
            return None;
        };
        self.slot = slot + 1;
        Some((slot, &self.now))
    }
}
