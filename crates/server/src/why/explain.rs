//! Questions of an operator to a server that runs: why a client, why a topic, what is wrong.

use dunlin_broker::{Causes, Commons as _, Time};
use dunlin_proto::topic::{TopicFilter, TopicName};

use super::{Alarm, Told, WhyOptions};
use crate::shared::Shared;
use crate::start::Handle;

/// Filters that are named when none matches.
const NEAREST: usize = 5;

/// Who gets what is published to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Subscriptions that match, a group of a shared subscription being one.
    pub subscriptions: usize,
    /// Whether there is a retained message.
    pub retained: bool,
    /// Subscribed filters that would match if the case of a letter, a slash or a level were different,
    /// nearest first.
    pub nearest: Vec<String>,
}

impl Handle {
    /// What was told of a client lately, the oldest first.
    #[must_use]
    pub fn why(&self, client: &str) -> Vec<Told> {
        self.shared.why.of(client)
    }

    /// What was told of anybody lately, the oldest first.
    #[must_use]
    pub fn told_lately(&self, most: usize) -> Vec<Told> {
        self.shared.why.latest(most)
    }

    /// How often each cause has occurred since the start, over all shards.
    #[must_use]
    pub fn causes(&self) -> Causes {
        causes(&self.shared)
    }

    /// Who gets what is published to a topic, and what was nearly subscribed to. `None` if it is no topic
    /// that can be published to.
    #[must_use]
    pub fn explain_topic(&self, topic: &str) -> Option<Explained> {
        let name = TopicName::new(topic).ok()?;
        let index = self.shared.index.read();
        let mut matches = dunlin_broker::router::Matches::default();
        index.matches(name, &mut matches);
        let subscriptions = matches.plain.len() + matches.groups.len();
        let nearest = if subscriptions == 0 { index.nearest(name, NEAREST) } else { Vec::new() };
        drop(index);
        let mut found = Vec::new();
        if let Ok(filter) = TopicFilter::new(topic) {
            let now = self.shared.clock.now();
            self.shared.commons.retained_page(filter, None, 1, now, &mut found);
        }
        Some(Explained { subscriptions, retained: !found.is_empty(), nearest })
    }

    /// What somebody has to look after.
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        self.shared.why.alarms.list()
    }

    /// Raises an alarm, or says of one that is raised how it is now.
    pub fn raise_alarm(&self, name: &str, text: impl Into<String>) {
        self.shared.why.alarms.raise(self.now(), name, text.into());
    }

    /// An alarm is over, if it was raised.
    pub fn clear_alarm(&self, name: &str) {
        self.shared.why.alarms.clear(self.now(), name);
    }

    /// Goes on with other limits of what no shard can watch alone. Connections beyond a new limit stay.
    pub fn watch_with(&self, options: WhyOptions) {
        self.shared.why.replace_options(options);
        // Whoever is not read for want of memory may be now.
        self.shared.mailboxes.iter().for_each(crate::mailbox::Mailbox::rouse);
    }

    fn now(&self) -> Time {
        self.shared.clock.now()
    }
}

/// Adds up what the shards left last.
pub(crate) fn causes(shared: &Shared) -> Causes {
    let mut sum = Causes::default();
    for snapshot in &shared.snapshots {
        sum += snapshot.lock().stats.causes;
    }
    shared.why.turned.add_to(&mut sum);
    sum
}
