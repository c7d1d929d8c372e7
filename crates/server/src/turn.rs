//! One turn of a shard: mail, timers, input, commits, what is to be kept, outgoing mail, output. In
//! this order, each once, however much has come in; but before a timer that is due, input is read as well.

use std::mem;
use std::time::Duration;

use dunlin_broker::{CloseCause, ConnId, Time, View};

use crate::access::guarded;
use crate::connection::Inbound;
use crate::layered::HANDSHAKES;
use crate::read::WELCOMES;
use crate::shard::Shard;
use crate::shared::Parcel;

/// A deadline that is overdue by so much says that the process could not run, or stood still. 100 ms: no turn is
/// as long.
const LATE: Duration = Duration::from_millis(100);

/// Looks for what has come meanwhile: enough for 64 thousand connections, each of which has sent something.
const CATCH_UP: usize = 64;

impl Shard<'_> {
    pub(crate) fn turn(&mut self, now: Time) {
        self.accept(now);
        self.handle(now);
        self.commit(now);
        self.hand_over();
        self.flush(now);
        self.hand_over();
        self.end_lingering(now);
        self.log_events();
    }

    /// Everything that has come in, under one guard of the index.
    fn handle(&mut self, now: Time) {
        let shared = self.shared;
        let book = shared.accesses.guard();
        let index = shared.index.read();
        let view = View::new(&index, &shared.commons).guarded(guarded(book.as_ref()));
        self.expulsions = shared.accesses.expulsions();
        self.hear_store(now, &view);
        self.take_parcels(now, &view);
        self.handshakes = HANDSHAKES;
        self.welcomes = WELCOMES;
        if let Some(due) = self.broker.next_deadline()
            && due <= now
        {
            self.tick(now, due, &view);
        }
        self.expire_last_calls(now, &view);
        self.review(now, &view);
        self.heed_memory();
        self.resume(now, &view);
        self.publish_sys(now, &view);
        self.congested = self.is_congested();
        if !self.congested {
            self.read_all(now, &view);
        }
        self.ask_about_clients(now, &view);
    }

    /// Deals with deadlines, the first of which was `due`. What has come is read before, lest somebody is given
    /// up for silence who was not silent; and while nobody is read, nobody is.
    fn tick(&mut self, now: Time, due: Time, view: &View<'_>) {
        self.congested = self.is_congested();
        let is_late = due.saturating_add(LATE) <= now;
        if is_late {
            // The time of many who have sent their CONNECT may be over.
            self.welcomes = u32::MAX;
        }
        if !self.congested {
            self.read_all(now, view);
            if is_late {
                self.catch_up(now, view);
            }
        }
        self.broker.set_deaf(self.congested);
        self.broker.tick(now, view);
    }

    /// Reads what has come since the poller was asked: this process may have stood still since then.
    fn catch_up(&mut self, now: Time, view: &View<'_>) {
        let more = mem::take(&mut self.more_events);
        for _ in 0..CATCH_UP {
            if !self.look_again() {
                break;
            }
            self.read_all(now, view);
            if !mem::take(&mut self.more_events) {
                break;
            }
        }
        self.more_events |= more;
    }

    /// Whether others have so much to do that nobody is to be read.
    fn is_congested(&self) -> bool {
        self.others().any(|shard| self.shared.mailboxes[shard].is_full()) || self.disk_is_behind()
    }

    pub(crate) fn take_parcels(&mut self, now: Time, view: &View<'_>) {
        let mailbox = &self.shared.mailboxes[usize::from(self.number)];
        let mut parcels = mem::take(&mut self.lists.parcels);
        mailbox.collect(&mut parcels);
        for parcel in parcels.drain(..) {
            match parcel {
                Parcel::Mail(mail) => {
                    self.broker.mail(now, &mail, view);
                    mailbox.settle(mail.bytes());
                }
                Parcel::Connection(moving) => {
                    self.hear_out(now, view);
                    self.adopt(now, *moving, view);
                }
                Parcel::Authenticate => self.begin_asking(),
                Parcel::Answer { connection, verdict, asked } => {
                    self.lists.answers.push((connection, verdict, asked));
                }
                Parcel::Reply { connection, topic, payload } => {
                    self.broker.answer_control(now, connection, &topic, &payload, view);
                }
                Parcel::Review => self.begin_review(),
                Parcel::Expel(whom) => self.broker.disconnect_where(now, &*whom, view),
                Parcel::Listeners(change) => self.replace_listeners(now, *change),
                Parcel::Settings(settings) => self.broker.reconfigure(settings),
                Parcel::Ask(question) => question(&self.broker, now),
                Parcel::System { topic, payload } => {
                    self.broker.publish_system(now, &topic, &payload, view);
                    mailbox.settle(topic.len() + payload.len());
                }
                Parcel::Loaded { session, messages, bytes } => {
                    self.broker.loaded(now, session, messages, view);
                    mailbox.settle(bytes);
                }
            }
        }
        self.lists.parcels = parcels;
        // Behind what ends connections, which are not there before.
        self.hear_verdicts();
    }

    /// Reads what clients have sent before somebody comes in who may take their place: a client that sends a
    /// message, closes and connects again is not to lose it.
    fn hear_out(&mut self, now: Time, view: &View<'_>) {
        if !self.congested && self.look_again() {
            self.read_all(now, view);
        }
    }

    fn read_all(&mut self, now: Time, view: &View<'_>) {
        let mut reading = mem::replace(&mut self.reading, mem::take(&mut self.lists.reading));
        for id in reading.drain(..) {
            self.read(now, id, view);
        }
        self.lists.reading = reading;
    }

    /// Offers the unread bytes of connections that waited for an answer.
    pub(crate) fn resume(&mut self, now: Time, view: &View<'_>) {
        let mut resumed = mem::take(&mut self.lists.resumed);
        self.broker.take_resumed(&mut resumed);
        for id in resumed.drain(..) {
            self.offer(now, id, view);
        }
        self.lists.resumed = resumed;
    }

    /// Writes subscription changes to the index, and lets the connections go on that waited for
    /// that; they may have further changes.
    fn commit(&mut self, now: Time) {
        let shared = self.shared;
        let book = shared.accesses.guard();
        while self.broker.needs_commit() || !self.lists.committing.is_empty() {
            let mut index = shared.index.write();
            self.broker.commit(now, &mut index, &shared.commons, guarded(book.as_ref()));
            drop(index);
            let mut waiting = mem::take(&mut self.lists.committing);
            let index = shared.index.read();
            let view = View::new(&index, &shared.commons).guarded(guarded(book.as_ref()));
            for id in waiting.drain(..) {
                self.offer(now, id, &view);
            }
            self.ask_about_clients(now, &view);
            if self.lists.committing.is_empty() {
                self.lists.committing = waiting;
            }
        }
    }

    /// Leaves the store what is to be kept and the other shards what this turn has for them, and wakes
    /// those that sleep.
    pub(crate) fn hand_over(&mut self) {
        self.hand_in_journal();
        for shard in self.others() {
            if let Some(mail) = self.broker.take_mail(shard as u16) {
                let bytes = mail.bytes();
                self.shared.mailboxes[shard].post(Parcel::Mail(mail), bytes);
                self.posted[shard] = true;
            }
            if mem::take(&mut self.posted[shard]) {
                self.shared.mailboxes[shard].ring();
            }
        }
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let here = usize::from(self.number);
        (0..self.shared.mailboxes.len()).filter(move |shard| *shard != here)
    }

    /// Reads a connection on that was held back, now that it may be read again.
    pub(crate) fn unhold(&mut self, id: ConnId) {
        if let Some(connection) = self.connections.get_mut(id)
            && connection.inbound == Inbound::Held
            && !connection.is_ending()
            && self.broker.should_read(id)
        {
            connection.inbound = Inbound::Queued;
            self.reading.push(id);
        }
    }

    /// The process ends: nobody is told, but sessions and counters are left in order.
    pub(crate) fn drop_everybody(&mut self, now: Time) {
        let shared = self.shared;
        let book = shared.accesses.guard();
        let index = shared.index.read();
        let view = View::new(&index, &shared.commons).guarded(guarded(book.as_ref()));
        for id in self.connections.ids() {
            self.close(now, id, CloseCause::Shutdown, &view);
        }
        drop(index);
        // What becomes of their messages is to be kept as well.
        self.commit(now);
        self.hand_over();
        self.log_events();
    }
}
