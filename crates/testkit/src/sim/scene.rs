//! What clients, broker and weather have in common: clock, chance, connections, and the judge.

use core::time::Duration;

use dunlin_broker::Time;

use super::link::Link;
use super::oracle::{Mark, Oracle};
use super::plan::Plan;
use super::random::Random;
use super::schedule::{Event, Schedule};
use super::trace::Trace;

/// The surroundings of everybody.
pub(super) struct Scene {
    pub(super) plan: Plan,
    pub(super) schedule: Schedule,
    pub(super) random: Random,
    pub(super) trace: Trace,
    pub(super) oracle: Oracle,
    /// All that ever were; their numbers are their names.
    pub(super) links: Vec<Link>,
    /// Everything is to come to rest: no faults, no new messages.
    pub(super) calm: bool,
    /// The disk is slow until then.
    pub(super) slow_until: Time,
}

impl Scene {
    pub(super) fn trace(&mut self, text: impl FnOnce() -> String) {
        self.trace.line(self.schedule.now, text);
    }

    /// How long the next sync takes.
    pub(super) fn sync_time(&mut self) -> Duration {
        let time = self.random.delay(self.plan.sync);
        if self.schedule.now < self.slow_until { time * 100 } else { time }
    }

    /// A client opens a connection.
    pub(super) fn open(&mut self, client: usize) -> usize {
        let latency = self.random.delay(self.plan.latency).min(self.plan.latency * 2);
        let room = self.random.pick(&[100, 5_000, 1 << 20]);
        self.links.push(Link::new(client, latency, room));
        let link = self.links.len() - 1;
        self.schedule.after(latency, Event::Accept { link });
        link
    }

    /// Something takes a while.
    fn on_the_way(&mut self, link: usize) -> Duration {
        let base = self.links[link].latency;
        base.saturating_add(self.random.delay(self.plan.latency / 4))
    }

    /// A client sends bytes; where the mark says, something ends that the judge is to know of.
    pub(super) fn send_up(&mut self, link: usize, bytes: &[u8], mark: Option<Mark>) {
        let delay = self.on_the_way(link);
        let held = &mut self.links[link];
        held.sent += bytes.len() as u64;
        if let Some(mark) = mark {
            held.marks.push_back((held.sent, mark));
        }
        if let Some(at) = held.up.send(self.schedule.now, delay, bytes) {
            self.schedule.at(at, Event::Up { link });
        }
    }

    /// The broker writes bytes.
    pub(super) fn send_down(&mut self, link: usize, bytes: &[u8]) {
        let delay = self.on_the_way(link);
        let held = &mut self.links[link];
        held.written += bytes.len() as u64;
        held.stamps.push_back((held.written, held.written_after));
        if let Some(at) = held.down.send(self.schedule.now, delay, bytes) {
            self.schedule.at(at, Event::Down { link });
        }
    }

    /// The client closes its end.
    pub(super) fn close_client(&mut self, link: usize) {
        let delay = self.on_the_way(link);
        let held = &mut self.links[link];
        if core::mem::take(&mut held.client_open) {
            held.down.close();
            let at = held.up.last().max(self.schedule.now.saturating_add(delay));
            self.schedule.at(at, Event::BrokerNotices { link });
        }
    }

    /// The broker closes its end.
    pub(super) fn close_broker(&mut self, link: usize) {
        let delay = self.on_the_way(link);
        let held = &mut self.links[link];
        if core::mem::take(&mut held.broker_open) {
            held.up.close();
            self.oracle.broker_closed(self.schedule.now, link);
            let at = held.down.last().max(self.schedule.now.saturating_add(delay));
            self.schedule.at(at, Event::ClientNotices { link });
        }
    }

    /// The connection is lost: in each direction from some point on; both ends learn it some time.
    pub(super) fn cut(&mut self, link: usize) {
        let held = &mut self.links[link];
        held.up.cut(&mut self.random);
        held.down.cut(&mut self.random);
        let (up, down) = (held.up.last(), held.down.last());
        let typical = self.random.pick(&[1_000, 100_000, 3_000_000]);
        let broker = self.random.delay(Duration::from_micros(typical));
        let client = self.random.delay(Duration::from_micros(typical / 3));
        let now = self.schedule.now;
        self.schedule.at(up.max(now.saturating_add(broker)), Event::BrokerNotices { link });
        self.schedule.at(down.max(now.saturating_add(client)), Event::ClientNotices { link });
    }
}
