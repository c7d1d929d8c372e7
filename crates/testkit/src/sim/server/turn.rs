//! One turn of a shard, step by step.

use core::mem;
use core::time::Duration;
use std::io::IoSlice;

use dunlin_broker::{CloseCause, ConnId, Index, Next, Time, View};

use super::super::rules::Rules;
use super::super::scene::Scene;
use super::super::schedule::Event;
use super::commons::Shared;
use super::shard::{Parcel, Step};
use super::{Phase, Process};

/// Slices of one write: few, so that the rest is often left for later.
const SLICES: usize = 8;

/// How long a connection that is to be closed may take to read its last bytes.
const LAST_CALL: Duration = Duration::from_secs(5);

impl Process {
    /// The next step of a shard's turn.
    pub(in super::super) fn turn(&mut self, scene: &mut Scene, number: usize) {
        let now = scene.schedule.now;
        let step = self.shards[number].step;
        let next = match step {
            Step::Handle => {
                self.handle(scene, number);
                Some(Step::Commit)
            }
            Step::Commit => {
                self.commit(scene, number);
                Some(Step::Record)
            }
            Step::Record => {
                self.record(scene, number);
                Some(Step::Post)
            }
            Step::Post => {
                self.post(scene, number);
                Some(Step::Flush)
            }
            Step::Flush => {
                self.flush(scene, number);
                Some(Step::RecordAgain)
            }
            Step::RecordAgain => {
                self.record(scene, number);
                Some(Step::PostAgain)
            }
            Step::PostAgain => {
                self.post(scene, number);
                None
            }
        };
        self.shards[number].step = next.unwrap_or(Step::Handle);
        if next.is_some() || self.has_work(number) {
            let delay = Duration::from_micros(scene.random.below(10));
            scene.schedule.after(delay, Event::Turn { epoch: self.epoch, shard: number });
            return;
        }
        let shard = &mut self.shards[number];
        shard.awake = false;
        let deadline = shard.broker.next_deadline().unwrap_or(Time::MAX);
        if deadline < shard.wake_at || shard.wake_at <= now {
            shard.wake_at = deadline;
            if deadline != Time::MAX {
                scene.schedule.at(deadline, Event::Wake { epoch: self.epoch, shard: number });
            }
        }
    }

    /// A deadline has come.
    pub(in super::super) fn wake(&mut self, scene: &mut Scene, number: usize) {
        self.shards[number].wake_at = Time::MAX;
        self.rouse(scene, number);
    }

    fn has_work(&self, number: usize) -> bool {
        let shard = &self.shards[number];
        !shard.mailbox.is_empty()
            || !shard.readable.is_empty()
            || !shard.dirty.is_empty()
            || shard.broker.needs_commit()
    }

    fn handle(&mut self, scene: &mut Scene, number: usize) {
        let now = scene.schedule.now;
        if number == 0 {
            let broker = &mut self.shards[0].broker;
            self.commons.expire(now, |message, stamp| {
                broker.unretained(message.topic().as_str(), stamp);
            });
        }
        for parcel in mem::take(&mut self.shards[number].mailbox) {
            self.take_parcel(scene, number, parcel);
        }
        let view = view(&self.index, &self.commons, scene);
        let broker = &mut self.shards[number].broker;
        if broker.next_deadline().is_some_and(|due| due <= now) {
            broker.tick(now, &view);
        }
        let mut resumed = Vec::new();
        broker.take_resumed(&mut resumed);
        for id in resumed {
            if let Some(link) = self.shards[number].link(id) {
                self.offer(scene, link);
            }
        }
        for link in mem::take(&mut self.shards[number].readable) {
            self.read(scene, link);
        }
    }

    fn take_parcel(&mut self, scene: &mut Scene, number: usize, parcel: Parcel) {
        let now = scene.schedule.now;
        let view = view(&self.index, &self.commons, scene);
        let broker = &mut self.shards[number].broker;
        match parcel {
            Parcel::Mail(mail) => broker.mail(now, &mail, &view),
            Parcel::Persisted(token) => broker.persisted(now, token, &view),
            Parcel::Storage(storage) => broker.set_storage(storage),
            Parcel::Loaded(session, messages) => broker.loaded(now, session, messages, &view),
            Parcel::Moved(link, unread) => {
                self.adopt(scene, link, number, unread);
                self.offer(scene, link);
            }
            Parcel::HungUp(link) => {
                // Moved on meanwhile: it is told there.
                if self.connections.get(&link).is_some_and(|held| held.shard != number) {
                    self.hung_up(scene, link);
                } else {
                    self.close(scene, link, CloseCause::PeerClosed);
                }
            }
        }
    }

    fn read(&mut self, scene: &mut Scene, link: usize) {
        let Some(connection) = self.connections.get_mut(&link) else { return };
        let shard = &mut self.shards[connection.shard];
        // Held back: it is read on when something was written, or resumed.
        if connection.phase != Phase::Open || !shard.broker.should_read(connection.id) {
            return;
        }
        let ready = &mut scene.links[link].up.ready;
        let count = ready.len().min(scene.plan.slice);
        if count == 0 {
            return;
        }
        connection.unread.extend(ready.drain(..count));
        if !ready.is_empty() {
            shard.readable.insert(link);
        }
        scene.oracle.heard(scene.schedule.now, link);
        self.offer(scene, link);
    }

    /// Offers the broker what it has not dealt with.
    fn offer(&mut self, scene: &mut Scene, link: usize) {
        let now = scene.schedule.now;
        let Some(connection) = self.connections.get_mut(&link) else { return };
        if connection.phase == Phase::Ending {
            return;
        }
        connection.phase = Phase::Open;
        let number = connection.shard;
        let shard = &mut self.shards[number];
        let view = view(&self.index, &self.commons, scene);
        let progress = shard.broker.input(now, connection.id, &connection.unread, &view);
        connection.unread.drain(..progress.consumed);
        let held = &mut scene.links[link];
        held.dealt += progress.consumed as u64;
        while let Some((_, mark)) = held.marks.pop_front_if(|(end, _)| *end <= held.dealt) {
            scene.oracle.dealt(now, link, mark, progress.next == Next::Close);
        }
        match progress.next {
            Next::Read => {
                shard.readable.insert(link);
            }
            Next::Commit => shard.committing.push(link),
            Next::Wait => connection.phase = Phase::Waiting,
            Next::Close => {
                connection.phase = Phase::Ending;
                shard.dirty.push(connection.id);
            }
            Next::Handover(to) => {
                shard.broker.abandon(connection.id);
                shard.links.remove(&(connection.id.slot, connection.id.epoch));
                connection.phase = Phase::Waiting;
                let unread = mem::take(&mut connection.unread);
                connection.shard = usize::from(to);
                let parcel = Parcel::Moved(link, unread);
                self.shards[usize::from(to)].mailbox.push_back(parcel);
                self.rouse(scene, usize::from(to));
            }
        }
    }

    fn commit(&mut self, scene: &mut Scene, number: usize) {
        while self.shards[number].broker.needs_commit()
            || !self.shards[number].committing.is_empty()
        {
            let broker = &mut self.shards[number].broker;
            let guard = scene.oracle.rules.as_ref().map(Rules::guard);
            broker.commit(scene.schedule.now, &mut self.index, &self.commons, guard);
            for link in mem::take(&mut self.shards[number].committing) {
                self.offer(scene, link);
            }
        }
    }

    fn post(&mut self, scene: &mut Scene, number: usize) {
        for to in 0..self.shards.len() {
            let name = u16::try_from(to).unwrap_or(0);
            if let Some(mail) = self.shards[number].broker.take_mail(name) {
                self.shards[to].mailbox.push_back(Parcel::Mail(mail));
                self.rouse(scene, to);
            }
        }
    }

    fn flush(&mut self, scene: &mut Scene, number: usize) {
        let shard = &mut self.shards[number];
        let mut dirty = mem::take(&mut shard.dirty);
        shard.broker.take_dirty(&mut dirty);
        for id in dirty {
            if let Some(link) = self.shards[number].link(id) {
                self.write(scene, number, link, id);
            }
        }
        let shard = &mut self.shards[number];
        shard.broker.take_dirty(&mut shard.dirty);
        shard.broker.take_events(&mut Vec::new());
    }

    /// Writes what there is room for.
    fn write(&mut self, scene: &mut Scene, number: usize, link: usize, id: ConnId) {
        let now = scene.schedule.now;
        let Some(connection) = self.connections.get_mut(&link) else { return };
        let Some(output) = self.shards[number].broker.output(id) else { return };
        let held = &mut scene.links[link];
        let room = held.room.saturating_sub(held.down.backlog());
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = output.slices(&mut slices);
        let mut bytes: Vec<u8> = slices[..filled].iter().flat_map(|one| one.to_vec()).collect();
        bytes.truncate(room);
        output.advance(bytes.len());
        let (empty, closing) = (output.is_empty(), output.closing());
        if !bytes.is_empty() {
            scene.send_down(link, &bytes);
        }
        if empty {
            scene.links[link].written_after = now;
        }
        let ending = closing || connection.phase == Phase::Ending;
        let view = view(&self.index, &self.commons, scene);
        self.shards[number].broker.sent(now, id, &view);
        self.shards[number].readable.insert(link);
        if ending && empty {
            self.close(scene, link, CloseCause::Finished);
        } else if ending {
            // Who does not read its last bytes is not waited for much longer.
            scene.schedule.after(LAST_CALL, Event::BrokerNotices { link });
        }
    }

    fn close(&mut self, scene: &mut Scene, link: usize, cause: CloseCause) {
        let Some(connection) = self.connections.remove(&link) else { return };
        let shard = &mut self.shards[connection.shard];
        shard.links.remove(&(connection.id.slot, connection.id.epoch));
        let view = view(&self.index, &self.commons, scene);
        shard.broker.closed(scene.schedule.now, connection.id, cause, &view);
        scene.trace(|| format!("broker closes link {link}: {cause:?}"));
        scene.close_broker(link);
    }
}

/// What a shard sees, under the rules of this moment.
fn view<'a>(index: &'a Index, commons: &'a Shared, scene: &'a Scene) -> View<'a> {
    View::new(index, commons).guarded(scene.oracle.rules.as_ref().map(Rules::guard))
}
