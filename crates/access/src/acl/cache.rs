//! What one client was told before.

use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hash as _, Hasher as _};

use crate::acl::index::RuleId;
use crate::acl::{Action, Rules, Verdict, Who};
use crate::dynsec::Dynsec;

/// Answers kept for a client: what it does repeats itself, and an idle client should hold little.
const ENTRIES_MAX: usize = 64;
/// Places taken when the first answer is kept.
const ENTRIES_FIRST: usize = 4;
/// Longer topics are not kept, to bound the memory of a client.
const TOPIC_MAX: usize = 256;

/// The last answers for one client, each found by action and topic. It is empty until first used, and
/// forgets everything when it meets rules of another generation, so it is for one source of rules. Who
/// the client is must not change.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    generation: u64,
    /// A power of two, each answer in the one place that its hash says.
    entries: Vec<Option<Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    action: Action,
    topic: Box<str>,
    answer: Answer,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    /// Of [`Rules`]: which one decides.
    Rule(Option<RuleId>),
    /// Of [`Dynsec`].
    Allowed(bool),
}

impl Cache {
    /// As [`Rules::check`].
    #[must_use]
    pub fn check<'a>(
        &mut self,
        rules: &'a Rules,
        who: &Who<'_>,
        action: Action,
        topic: &str,
    ) -> Verdict<'a> {
        let denied = Verdict { allowed: rules.without_rule(action), rule: None };
        if denied.allowed {
            return denied;
        }
        let hash = self.look(rules.generation(), action, topic);
        let rule = match self.found(hash, action, topic) {
            Some(Answer::Rule(rule)) => rule,
            Some(Answer::Allowed(_)) | None => {
                let rule = rules.decide(who, action, topic);
                self.keep(hash, action, topic, Answer::Rule(rule));
                rule
            }
        };
        rule.map_or(denied, |id| rules.verdict(id))
    }

    /// As [`Dynsec::check`], without what decided: for a denial, which is rare, ask again.
    #[must_use]
    pub fn check_dynamic(
        &mut self,
        state: &Dynsec,
        who: &Who<'_>,
        action: Action,
        topic: &str,
    ) -> bool {
        let hash = self.look(state.generation(), action, topic);
        if let Some(Answer::Allowed(allowed)) = self.found(hash, action, topic) {
            return allowed;
        }
        let allowed = state.check(who, action, topic).allowed;
        self.keep(hash, action, topic, Answer::Allowed(allowed));
        allowed
    }

    /// Forgets everything, for when who the client is changes.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    fn look(&mut self, generation: u64, action: Action, topic: &str) -> u64 {
        if self.generation != generation {
            self.entries.clear();
            self.generation = generation;
        }
        hash(action, topic)
    }

    fn found(&self, hash: u64, action: Action, topic: &str) -> Option<Answer> {
        let entry = self.entries.get(self.place(hash))?.as_ref()?;
        (entry.action == action && *entry.topic == *topic).then_some(entry.answer)
    }

    fn keep(&mut self, hash: u64, action: Action, topic: &str, answer: Answer) {
        if topic.len() > TOPIC_MAX {
            return;
        }
        if self.entries.is_empty() {
            self.entries.resize_with(ENTRIES_FIRST, || None);
        }
        while self.entries[self.place(hash)].is_some() && self.entries.len() < ENTRIES_MAX {
            self.grow();
        }
        let place = self.place(hash);
        self.entries[place] = Some(Entry { action, topic: topic.into(), answer });
    }

    fn grow(&mut self) {
        let len = 2 * self.entries.len();
        let old = std::mem::take(&mut self.entries);
        self.entries.resize_with(len, || None);
        for entry in old.into_iter().flatten() {
            let place = self.place(hash_of(&entry));
            self.entries[place] = Some(entry);
        }
    }

    fn place(&self, hash: u64) -> usize {
        let mask = self.entries.len().saturating_sub(1);
        usize::try_from(hash & mask as u64).unwrap_or(0)
    }
}

fn hash_of(entry: &Entry) -> u64 {
    hash(entry.action, &entry.topic)
}

fn hash(action: Action, topic: &str) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    action.hash(&mut hasher);
    topic.hash(&mut hasher);
    hasher.finish()
}
