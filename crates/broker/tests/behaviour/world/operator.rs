//! What an operator does.

use dunlin_broker::{Control, End, Present, View};

use super::{Client, World};

impl World {
    pub fn controls(&mut self) -> Vec<Control> {
        let mut controls = Vec::new();
        for broker in &mut self.brokers {
            broker.take_controls(&mut controls);
        }
        controls
    }

    pub fn answer_control(&mut self, control: &Control, topic: &str, payload: &str) {
        let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
        for broker in &mut self.brokers {
            // A connection that is not there is not answered.
            broker.answer_control(self.now, control.connection, topic, payload.as_bytes(), &view);
        }
        self.settle();
    }

    pub fn expel(&mut self, client: Client, end: End) {
        let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
        let side = &self.clients[client];
        self.brokers[side.shard].disconnect(self.now, side.id, end, &view);
        self.settle();
    }

    pub fn expel_where(&mut self, cause: &dyn Fn(&Present<'_>) -> Option<End>) {
        let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
        for broker in &mut self.brokers {
            broker.disconnect_where(self.now, cause, &view);
        }
        self.settle();
    }
}
