//! A shard: one thread, one event loop, one part of the broker.
//!
//! [`Shard::run`] is the whole life of a shard: wait, take a turn, pace, until it is to stop. What
//! happens within a turn is in `turn.rs`.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_broker::{Broker, ConnId, Control, Event, Question, Time, Verdict, View};
use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use rustix::thread::{NanosleepRelativeResult, nanosleep};
use rustix::time::Timespec;

use crate::access::guarded;
use crate::connection::{Connections, Inbound, Outbound};
use crate::layered::LayerBuffers;
use crate::limits;
use crate::listener::Listener;
use crate::log::Arrivals;
use crate::pacer::Pacer;
use crate::read::BUFFER;
use crate::report::Reporter;
use crate::review::Review;
use crate::shared::{Asked, Parcel, Shared, Stop};
use crate::store::Keeping;

/// Events taken from the poller at once.
const EVENTS: usize = 1024;

/// Turns stop reading while a mailbox is full; this is how often they look again.
const CONGESTED: Duration = Duration::from_millis(1);

/// The token of the mailbox. Tokens of connections hold a slot in the lower half, and slots are
/// dense: they never come near the upper end of it.
pub(crate) const MAILBOX: Token = Token(u32::MAX as usize);

/// The token of the first listener; the others count down from it.
const FIRST_LISTENER: usize = MAILBOX.0 - 1;

pub(crate) struct Shard<'s> {
    pub(crate) shared: &'s Shared,
    pub(crate) number: u16,
    pub(crate) poll: Poll,
    events: Events,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) broker: Broker,
    pub(crate) connections: Connections,
    /// To be read in this turn, or if it has begun, in the next.
    pub(crate) reading: Vec<ConnId>,
    /// What sockets are read into, for all connections.
    pub(crate) buffer: Box<[u8]>,
    /// The same for connections that have more layers than TCP.
    pub(crate) layer_buffers: LayerBuffers,
    /// Connections that may go on with their handshakes in this turn.
    pub(crate) handshakes: u32,
    /// Connections whose CONNECT may be read in this turn.
    pub(crate) welcomes: u32,
    /// The shard that gets the next connection with a costly handshake.
    pub(crate) next_shard: usize,
    /// To be flushed: they have something to write, or are to be closed.
    pub(crate) dirty: Vec<ConnId>,
    pub(crate) lists: Lists,
    /// Shards that were left a parcel in this turn.
    pub(crate) posted: Vec<bool>,
    /// Connections whose last output has until then to be taken.
    pub(crate) last_calls: VecDeque<(Time, ConnId)>,
    /// Sockets kept for a moment after their end, so that the peer can read the last words.
    pub(crate) lingering: VecDeque<(Time, TcpStream)>,
    pub(crate) reporter: Reporter,
    /// What the log was told of those who came, where it speaks like Mosquitto's.
    pub(crate) arrivals: Arrivals,
    /// Until when who wants to connect waits for a reload.
    pub(crate) reload_awaited: Option<Time>,
    /// Connections are judged by new rules.
    pub(crate) reviewing: Option<Review>,
    /// Certificates that were verified for it.
    pub(crate) verified: u32,
    pub(crate) keeping: Keeping,
    pacer: Pacer,
    /// Sockets of clients that had input in this turn.
    pub(crate) input_events: u64,
    /// The poller may have had more events than there was room for.
    pub(crate) more_events: bool,
    /// A full mailbox: no socket is read.
    pub(crate) congested: bool,
    /// When a graceful stop gives up on slow readers.
    pub(crate) stopping: Option<Time>,
    /// Clients were told that the server stops.
    told: bool,
    /// How often connections had been ended when this turn began: what is judged in it is as new.
    pub(crate) expulsions: u64,
}

/// Lists that are filled and emptied within a turn; they keep their memory between turns.
#[derive(Default)]
pub(crate) struct Lists {
    pub(crate) reading: Vec<ConnId>,
    pub(crate) committing: Vec<ConnId>,
    pub(crate) resumed: Vec<ConnId>,
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) flushing: Vec<ConnId>,
    pub(crate) flushed: Vec<ConnId>,
    pub(crate) log: Vec<Event>,
    pub(crate) questions: Vec<Question>,
    pub(crate) answers: Vec<(ConnId, Box<Verdict>, Option<Box<Asked>>)>,
    pub(crate) controls: Vec<Control>,
}

impl<'s> Shard<'s> {
    pub(crate) fn new(
        shared: &'s Shared,
        number: u16,
        poll: Poll,
        listeners: Vec<Listener>,
        broker: Broker,
    ) -> Self {
        let now = shared.clock.now();
        let shards = shared.mailboxes.len();
        Self {
            shared,
            number,
            poll,
            events: Events::with_capacity(EVENTS),
            listeners,
            broker,
            connections: Connections::default(),
            reading: Vec::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            layer_buffers: LayerBuffers::default(),
            handshakes: 0,
            welcomes: 0,
            next_shard: 0,
            dirty: Vec::new(),
            lists: Lists::default(),
            posted: vec![false; shards],
            last_calls: VecDeque::new(),
            lingering: VecDeque::new(),
            reporter: Reporter::new(number, now, shared.tuning.sys_interval),
            arrivals: Arrivals::default(),
            reload_awaited: None,
            reviewing: None,
            verified: 0,
            keeping: Keeping::default(),
            pacer: Pacer::new(shared.tuning.pacing_cap, now),
            input_events: 0,
            more_events: false,
            congested: false,
            stopping: None,
            told: false,
            expulsions: 0,
        }
    }

    /// Serves until the server is stopped.
    pub(crate) fn run(mut self) -> io::Result<()> {
        limits::sharpen_timers();
        if let Some(desk) = &self.shared.store {
            desk.sit_down(self.number);
        }
        self.register_listeners()?;
        loop {
            self.wait()?;
            let started = self.shared.clock.now();
            self.note_turn();
            if self.end_if_stopping(started) {
                return Ok(());
            }
            self.notice_events();
            let received = self.broker.stats().messages_received;
            self.turn(started);
            let received = self.broker.stats().messages_received - received;
            let now = self.shared.clock.now();
            self.pacer.turn(now, self.input_events, received);
            let stats = self.broker.stats();
            if self.reporter.turn(self.shared, started, now, stats, &self.pacer) {
                self.expire_retained(now);
            }
            self.pace(started, now);
        }
    }

    pub(crate) fn register_listeners(&mut self) -> io::Result<()> {
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            listener.register(self.poll.registry(), Token(FIRST_LISTENER - number))?;
        }
        Ok(())
    }

    /// Shows that this shard turns. It is the only one that counts here.
    fn note_turn(&self) {
        let turns = &self.shared.turns[usize::from(self.number)];
        turns.store(turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Sleeps until there is something to do, or only collects what has happened if there is
    /// something to do already.
    fn wait(&mut self) -> io::Result<()> {
        let mailbox = &self.shared.mailboxes[usize::from(self.number)];
        let timeout = self.time_to_sleep();
        let sleeps = timeout != Some(Duration::ZERO) && mailbox.doze();
        // Announced before looking, as with the mailbox.
        let timeout = if sleeps && self.may_rest() { timeout } else { Some(Duration::ZERO) };
        let polled = self.poll.poll(&mut self.events, timeout);
        if sleeps {
            mailbox.awake();
        }
        match polled {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            polled => polled,
        }
    }

    /// How long nothing will be due; `None` if that is for ever.
    pub(crate) fn time_to_sleep(&self) -> Option<Duration> {
        let reads = !self.reading.is_empty() && !self.congested;
        let works = !self.dirty.is_empty() || self.reviewing.is_some();
        if reads || works || self.broker.needs_commit() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.broker.next_deadline(),
            self.reporter.due(),
            self.last_calls.front().map(|(due, _)| *due),
            self.lingering.front().map(|(due, _)| *due),
            self.stopping,
        ];
        let listeners = self.listeners.iter().filter_map(Listener::due);
        let next = deadlines.into_iter().flatten().chain(listeners).min();
        let congested = self.congested.then_some(CONGESTED);
        let sleep = next.map(|due| due.since(self.shared.clock.now()));
        sleep.into_iter().chain(congested).min()
    }

    /// Collects within a turn what has happened since it began; false if that cannot be told.
    pub(crate) fn look_again(&mut self) -> bool {
        if self.poll.poll(&mut self.events, Some(Duration::ZERO)).is_err() {
            self.events.clear();
            return false;
        }
        let (before, more) = (self.input_events, self.more_events);
        self.notice_events();
        self.input_events += before;
        self.more_events |= more;
        true
    }

    fn notice_events(&mut self) {
        self.input_events = 0;
        let mut events = 0;
        for event in &self.events {
            events += 1;
            let token = event.token();
            if let Some(listener) = FIRST_LISTENER
                .checked_sub(token.0)
                .and_then(|number| self.listeners.get_mut(number))
            {
                listener.notice();
                continue;
            }
            // An event for an earlier tenant of the slot, or for the mailbox, finds nobody.
            let id = id_of(token);
            let Some(connection) = self.connections.get_mut(id) else { continue };
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                connection.hung_up |= event.is_read_closed() || event.is_error();
                self.input_events += 1;
                if connection.inbound == Inbound::Drained {
                    connection.inbound = Inbound::Queued;
                    self.reading.push(id);
                }
            }
            if event.is_writable() && connection.outbound == Outbound::Blocked {
                connection.outbound = Outbound::Free;
                self.dirty.push(id);
            }
        }
        self.more_events = events == EVENTS;
    }

    /// Puts the next turn off, unless there is work left from this one.
    fn pace(&mut self, started: Time, now: Time) {
        if self.time_to_sleep() == Some(Duration::ZERO) || self.more_events {
            return;
        }
        let pause = self.pacer.pause(started, now);
        if pause.is_zero() {
            return;
        }
        if self.broker.waiting() > 0 {
            return self.pause_for_store(now.saturating_add(pause));
        }
        let nanos = pause.subsec_nanos().into();
        let pause = Timespec { tv_sec: 0, tv_nsec: nanos };
        // Interrupted or not: a shorter pause is as good.
        let (NanosleepRelativeResult::Ok
        | NanosleepRelativeResult::Interrupted(_)
        | NanosleepRelativeResult::Err(_)) = nanosleep(&pause);
    }

    /// Begins, continues or completes a stop; true if this shard is done.
    fn end_if_stopping(&mut self, now: Time) -> bool {
        match (self.shared.stop_state(), self.stopping) {
            (Stop::Running, _) => false,
            (Stop::Now, _) => {
                self.drop_everybody(now);
                true
            }
            (Stop::Graceful, None) => {
                self.stopping = Some(now.saturating_add(self.shared.tuning.stop_grace));
                self.publish_wills(now);
                false
            }
            // Wills may still come from other shards, and those who are to get them are here.
            (Stop::Graceful, Some(until)) if !self.told => {
                if self.shared.wills_are_out() || now >= until {
                    self.say_goodbye(now);
                }
                false
            }
            (Stop::Graceful, Some(until)) => {
                let done = self.connections.len() == 0 || now >= until;
                if done {
                    self.drop_everybody(now);
                }
                done
            }
        }
    }

    /// First step of a graceful stop.
    fn publish_wills(&mut self, now: Time) {
        self.listeners.clear();
        let shared = self.shared;
        let book = shared.accesses.guard();
        let index = shared.index.read();
        let view = View::new(&index, &shared.commons).guarded(guarded(book.as_ref()));
        self.broker.publish_wills(now, &view);
        drop(index);
        self.hand_over();
        self.shared.note_wills();
    }

    /// Second step: what the other shards left is taken in, then clients are told.
    fn say_goodbye(&mut self, now: Time) {
        self.told = true;
        let shared = self.shared;
        let book = shared.accesses.guard();
        let index = shared.index.read();
        let view = View::new(&index, &shared.commons).guarded(guarded(book.as_ref()));
        self.take_parcels(now, &view);
        self.broker.shutdown(now, &view);
    }
}

/// The token under which the poller knows a connection.
pub(crate) const fn token_of(id: ConnId) -> Token {
    Token(id.slot as usize | (id.epoch as usize) << 32)
}

const fn id_of(token: Token) -> ConnId {
    ConnId { slot: token.0 as u32, epoch: (token.0 >> 32) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_the_tenants_of_a_slot_apart() {
        let id = ConnId { slot: 7, epoch: u32::MAX };
        assert_eq!(id_of(token_of(id)), id);
        assert_ne!(token_of(id), token_of(ConnId { slot: 7, epoch: 0 }));
        assert_ne!(token_of(ConnId { slot: 0, epoch: 1 }), MAILBOX);
    }
}
