//! Questions to all shards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use dunlin_broker::{Broker, Time};

use crate::shared::{Parcel, Shared};
use crate::start::Handle;

/// How long a shard may take to answer: it does so in its next turn.
const PATIENCE: Duration = Duration::from_secs(5);

impl Handle {
    /// The numbers of the listeners that connections or sessions came in by. All numbers if a shard does not
    /// say.
    pub(crate) fn listeners_in_use(&self) -> BTreeSet<u16> {
        let answers = self.ask(|broker, _| broker.listeners_in_use());
        if answers.len() < self.shared.mailboxes.len() {
            return (0..=u16::MAX).collect();
        }
        answers.into_iter().flatten().collect()
    }

    /// What each shard answers. Shards that do not answer in time are left out.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&Broker, Time) -> T + Send + Sync + 'static,
    ) -> Vec<T> {
        self.shared.ask(question)
    }
}

impl Shared {
    /// The same, for who is no shard itself.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&Broker, Time) -> T + Send + Sync + 'static,
    ) -> Vec<T> {
        let mailboxes = &self.mailboxes;
        let (answers, answered) = sync_channel(mailboxes.len());
        let question = Arc::new(move |broker: &Broker, now: Time| {
            // Nobody may be waiting any more.
            drop(answers.try_send(question(broker, now)));
        });
        for mailbox in mailboxes {
            mailbox.post(Parcel::Ask(Arc::clone(&question) as _), 0);
            mailbox.ring();
        }
        drop(question);
        let mut all = Vec::new();
        while let Ok(answer) = answered.recv_timeout(PATIENCE) {
            all.push(answer);
        }
        all
    }
}
