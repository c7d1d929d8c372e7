//! The disk of a world: what its brokers want kept, and get back.

use std::sync::Arc;

use dunlin_broker::journal::{Record, Records, SessionState};
use dunlin_broker::{Commons as _, Message, Storage, View};

use super::World;

impl World {
    /// What was to be kept since this was asked the last time, in words.
    pub fn records(&mut self) -> Vec<String> {
        let new = &self.records[std::mem::replace(&mut self.told, self.records.len())..];
        let read = Records::new(new).map(|read| read.expect("a record").1);
        read.map(|record| format!("{:?}", record.expect("a known kind"))).collect()
    }

    /// The disk has done what it was given, if it is one that takes time.
    pub fn persist(&mut self) {
        for (broker, token) in self.brokers.iter_mut().zip(&self.tokens) {
            let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
            broker.persisted(self.now, *token, &view);
        }
        self.settle();
    }

    /// A session that was kept comes back, on the first shard.
    pub fn restore(&mut self, state: SessionState) {
        self.commons.home(&state.client_id, 0);
        self.brokers[0].restore(self.now, state, &mut self.index, &self.commons);
        self.settle();
    }

    /// The disk becomes full, or has room again.
    pub fn set_storage(&mut self, storage: Storage) {
        for broker in &mut self.brokers {
            broker.set_storage(storage);
        }
        self.settle();
    }

    /// What there is to keep is handed over, and durable if there is a disk.
    pub(super) fn keep(&mut self) -> bool {
        let mut moved = false;
        for (broker, token) in self.brokers.iter_mut().zip(&mut self.tokens) {
            let Some(journal) = broker.take_journal() else { continue };
            self.records.extend_from_slice(&journal.records);
            *token = journal.token;
            if self.disk {
                let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
                broker.persisted(self.now, journal.token, &view);
                moved = true;
            }
        }
        moved
    }

    /// Stored messages are read for those who want them.
    pub(super) fn load(&mut self) -> bool {
        let mut loads = Vec::new();
        for broker in &mut self.brokers {
            broker.take_loads(&mut loads);
        }
        for load in &loads {
            let messages = load.ids.iter().map(|id| (*id, self.stored(*id))).collect();
            let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
            let broker = &mut self.brokers[usize::from(load.session.shard)];
            broker.loaded(self.now, load.session, messages, &view);
        }
        !loads.is_empty()
    }

    fn stored(&self, wanted: u64) -> Option<Arc<Message>> {
        Records::new(&self.records).find_map(|read| match read.expect("a record").1 {
            Some(Record::Message { id, message, .. }) if id == wanted => {
                Message::restored(id, &message).map(Arc::new)
            }
            _ => None,
        })
    }
}
