//! The end of a run: everything comes to rest, and what is left is compared with what was promised.

use core::time::Duration;

use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use super::client::{Client, TOPICS};
use super::plan::Character;
use super::world::World;

/// Longer than any will delay.
const WILLS: Duration = Duration::from_secs(40);

/// Messages that may have crossed with the end of their session.
const LATE: u64 = 100;

/// How long everything may take to come to rest.
const PATIENCE: u32 = 5_000;

impl World {
    /// A whole run.
    pub(super) fn live(&mut self) {
        let duration = self.scene.plan.duration;
        if !self.run(duration) {
            return;
        }
        self.calm();
        if !self.rest() || !self.judge() || !self.scene.plan.settings.keep {
            return;
        }
        // What everybody has acknowledged does not come again, and nothing else is lost.
        let now = self.scene.schedule.now;
        self.scene.oracle.settle(now);
        let power = self.scene.random.chance(500);
        self.die(power);
        if !self.rest() {
            return;
        }
        for client in &mut self.clients {
            if client.character.publishes {
                client.publish_everywhere(&mut self.scene);
            }
        }
        if self.rest() {
            self.judge();
        }
    }

    /// Waits until nobody waits for anything; false if that does not come, or a promise was broken.
    fn rest(&mut self) -> bool {
        for _ in 0..PATIENCE {
            if !self.run(Duration::from_secs(1)) {
                return false;
            }
            if self.rests() {
                return self.run(WILLS);
            }
        }
        let mut why = String::from("it does not come to rest");
        for client in self.clients.iter().filter(|client| !client.rests()) {
            why += "\n  ";
            why += &client.describe();
        }
        if let Some(process) = &self.process {
            why += &format!(
                "\n  answers that wait for the disk: {}, messages in queues: {}, all durable: {}",
                process.waiting(),
                process.sum(|stats| stats.queued_messages),
                process.is_durable()
            );
        }
        self.scene.oracle.fail(why);
        false
    }

    fn rests(&self) -> bool {
        self.process.as_ref().is_some_and(|process| {
            process.waiting() == 0
                && process.is_durable()
                && process.sum(|stats| stats.queued_messages) == 0
        }) && self.clients.iter().all(Client::rests)
    }

    fn judge(&mut self) -> bool {
        let now = self.scene.schedule.now;
        self.scene.oracle.check_rest(now);
        self.check_bounds();
        self.check_retained();
        self.scene.oracle.failure().is_none()
    }

    /// A new client is sent what is retained.
    fn check_retained(&mut self) {
        let character = Character {
            version: Version::V3_1_1,
            persistent: false,
            expiry: 0,
            receive_maximum: u16::MAX,
            alias_maximum: 0,
            pace: Duration::from_secs(1),
            publishes: false,
            subscribes: false,
            member: false,
            restless: false,
            wills: false,
            witness: false,
        };
        let mut checker = Client::new(self.clients.len(), character);
        checker.connect(&mut self.scene);
        self.clients.push(checker);
        let number = self.clients.len() - 1;
        if !self.run(Duration::from_secs(5)) {
            return;
        }
        self.clients[number].subscribe_to(&mut self.scene, "#", QoS::ExactlyOnce);
        if !self.run(Duration::from_secs(20)) {
            return;
        }
        let now = self.scene.schedule.now;
        let found = core::mem::take(&mut self.clients[number].retained);
        self.scene.oracle.judge_all_retained(now, &TOPICS, &found);
        self.clients[number].leave_link(&mut self.scene);
        if self.run(Duration::from_secs(5)) {
            self.clients.pop();
        }
    }

    /// Nothing is left that nobody needs.
    fn check_bounds(&mut self) {
        let Some(process) = &self.process else { return };
        let clients = self.clients.len() as u64;
        let mut wrong = Vec::new();
        let mut expect = |what: &str, found: u64, most: u64| {
            if found > most {
                wrong.push(format!("{found} {what}, {most} at most are needed"));
            }
        };
        let topics = TOPICS.len() as u64;
        expect("sessions", process.sum(|stats| stats.sessions), clients);
        expect("messages in queues", process.sum(|stats| stats.queued_messages), 0);
        expect("bytes in queues", process.sum(|stats| stats.queued_bytes), 0);
        expect("answers that wait", process.waiting() as u64, 0);
        expect("retained messages", process.retained() as u64, topics);
        if let Some(status) = process.status() {
            expect("sessions in the store", status.sessions, clients);
            expect("retained messages in the store", status.retained, topics);
            // What a shard wrote for a session that another had just ended goes when its segment is cleaned,
            // or at the restart.
            let late = if self.scene.oracle.is_settled() { 0 } else { LATE };
            let held = self.scene.oracle.abandoned();
            expect("messages in the store", status.messages, status.retained + held + late);
            let segment = self.scene.plan.segment;
            let most = (2 * status.live_bytes).max(3 * segment) + 6 * segment;
            expect("bytes of the store", status.disk_bytes, most);
        }
        if let Some(wrong) = wrong.into_iter().next() {
            self.scene.oracle.fail(wrong);
            // What the store holds is told when it is opened.
            self.die(false);
            self.restart();
        }
    }
}
