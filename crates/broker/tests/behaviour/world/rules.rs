//! Rules for tests: what is denied, to whom.

use std::sync::atomic::{AtomicUsize, Ordering};

use dunlin_broker::{Action, Guard, Guarded, Identity, Ruling};
use dunlin_proto::topic::{TopicFilter, TopicName};

/// What clients may not do; those with claims may do everything.
#[derive(Default)]
pub struct Rules {
    denied: Vec<(&'static str, Action, &'static str)>,
    generation: u64,
    asked: AtomicUsize,
}

impl Rules {
    /// From now on a user (or anybody, by "*") may not do this with topics under a filter.
    pub fn deny(&mut self, user: &'static str, action: Action, filter: &'static str) {
        self.denied.push((user, action, filter));
        self.generation += 1;
    }

    /// From now on everybody may do everything, but is asked about.
    pub fn allow_all(&mut self) {
        self.denied.clear();
        self.generation += 1;
    }

    /// From now on nobody is asked.
    pub fn remove(&mut self) {
        self.denied.clear();
        self.generation = 0;
    }

    /// How often they were asked since this was called last.
    pub fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }

    pub fn guard(&self) -> Option<Guarded<'_>> {
        let generation = self.generation;
        (generation > 0).then_some(Guarded { rules: self, generation })
    }
}

impl Rules {
    /// Whether a user may, without being asked by the broker.
    pub fn allow(&self, user: &str, action: Action, topic: &str) -> bool {
        self.rule(user, action, topic).is_none()
    }

    fn rule(&self, user: &str, action: Action, topic: &str) -> Option<usize> {
        self.denied.iter().position(|(of, denied, filter)| {
            let covers = TopicFilter::new(filter).expect("valid filter");
            (*of == "*" || *of == user)
                && *denied == action
                && (*filter == topic
                    || TopicName::new(topic).is_ok_and(|name| covers.matches(name)))
        })
    }
}

impl Guard for Rules {
    fn check(&self, who: &Identity, action: Action, topic: &str) -> Ruling {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if who.claims.is_some() {
            return Ruling::ALLOWED;
        }
        let name = who.username.as_deref().unwrap_or("");
        match self.rule(name, action, topic) {
            Some(line) => Ruling::denied(Some(format!("rules:{}", line + 1).into())),
            None => Ruling::ALLOWED,
        }
    }
}
