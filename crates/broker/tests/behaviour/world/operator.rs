//! What an operator does, or the process of the broker.

use dunlin_broker::{Broker, Control, End, Present, Reached, Settings, View};

use super::{Client, World};

impl World {
    /// Goes on with other settings.
    pub fn reconfigure(&mut self, settings: &Settings) {
        for broker in &mut self.brokers {
            broker.reconfigure(settings.clone());
        }
        self.settle();
    }

    /// The process has as much memory as it may, or has less again.
    pub fn set_memory(&mut self, reached: Option<Reached>) {
        for broker in &mut self.brokers {
            broker.set_memory(reached);
        }
        self.settle();
    }

    /// The broker stops.
    pub fn shutdown(&mut self) {
        let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
        for broker in &mut self.brokers {
            broker.shutdown(self.now, &view);
        }
        self.settle();
    }

    /// The broker publishes something of its own, on the first shard.
    pub fn publish_system(&mut self, topic: &str, payload: &str) {
        let view = View::new(&self.index, &self.commons).guarded(self.rules.guard());
        self.brokers[0].publish_system(self.now, topic, payload.as_bytes(), &view);
        self.settle();
    }

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

    /// How many messages an operator sees wait for a client.
    pub fn waiting_for(&self, client_id: &str) -> usize {
        let clients = |broker: &Broker| broker.clients(&|who| *who.client_id == *client_id, 1);
        self.brokers.iter().flat_map(clients).map(|client| client.waiting).sum()
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
