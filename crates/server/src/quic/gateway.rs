//! The event loop of one listener.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mio::{Events, Poll, Token};
use quinn_proto::{
    ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, Incoming, StreamEvent,
};

use super::close::{Close, fault};
use super::gateways::{UDP, WAKER};
use super::line::{Line, Stage};
use super::pipe::Flow;
use super::timers::Timers;
use super::udp::Udp;
use crate::entrance::Entrance;
use crate::shared::{Shared, Stop};

/// Events taken from the poller at once.
const EVENTS: usize = 1024;

/// System calls that take datagrams in one turn, so that a flood of them delays what is for clients.
const RECEIVES: usize = 16;

/// How long a client may take to say that it has everything.
const LAST_CALL: Duration = Duration::from_secs(5);

/// The same while the server stops: who does not answer now has gone.
const LAST_CALL_AT_STOP: Duration = Duration::from_secs(1);

pub(super) struct Gateway {
    pub(super) shared: Arc<Shared>,
    pub(super) entrance: Arc<Entrance>,
    pub(super) endpoint: Endpoint,
    pub(super) poll: Poll,
    pub(super) udp: Udp,
    /// By the numbers that the endpoint gave them.
    pub(super) lines: Vec<Option<Box<Line>>>,
    timers: Timers,
    /// To be looked at in this turn.
    dirty: Vec<usize>,
    /// Those who knock, until the datagrams of a turn are taken.
    arrivals: Vec<Incoming>,
    /// What is to be sent, and what is carried.
    pub(super) out: Vec<u8>,
    scratch: Vec<u8>,
    /// The shard that gets the next client.
    pub(super) next_shard: usize,
    /// The listener was taken out of the configuration.
    retired: Arc<AtomicBool>,
    /// The server stops, and this is when it no longer waits for clients.
    pub(super) stopping: Option<Instant>,
    /// There may be datagrams that the poller does not tell of again.
    more: bool,
}

impl Gateway {
    pub(super) fn new(
        shared: Arc<Shared>,
        entrance: Arc<Entrance>,
        (poll, udp): (Poll, Udp),
        retired: Arc<AtomicBool>,
    ) -> Self {
        let config = Arc::new(EndpointConfig::default());
        let endpoint = Endpoint::new(config, entrance.rules().quic.clone(), true, None);
        Self {
            shared,
            entrance,
            endpoint,
            poll,
            udp,
            lines: Vec::new(),
            timers: Timers::default(),
            dirty: Vec::new(),
            arrivals: Vec::new(),
            out: Vec::new(),
            scratch: Vec::new(),
            next_shard: 0,
            retired,
            stopping: None,
            more: false,
        }
    }

    /// Serves until the server is stopped or the listener closed.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.wait(&mut events)?;
            let now = Instant::now();
            self.receive(now)?;
            self.look_at_timers(now);
            if self.end_if_stopping(now) {
                return Ok(());
            }
            while let Some(slot) = self.dirty.pop() {
                self.drive(now, slot);
            }
        }
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let until = [self.timers.first(), self.stopping].into_iter().flatten().min();
        let timeout = match self.more {
            true => Some(Duration::ZERO),
            false => until.map(|until| until.saturating_duration_since(Instant::now())),
        };
        match self.poll.poll(events, timeout) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in events.iter() {
            match event.token() {
                UDP => self.more = true,
                WAKER => {}
                Token(slot) => {
                    if let Some(Some(line)) = self.lines.get_mut(slot) {
                        line.notice(event);
                    }
                    self.queue(slot);
                }
            }
        }
        Ok(())
    }

    pub(super) fn queue(&mut self, slot: usize) {
        if let Some(Some(line)) = self.lines.get_mut(slot) {
            line.queue(slot, &mut self.dirty);
        }
    }

    /// Takes a bounded number of datagrams.
    fn receive(&mut self, now: Instant) -> io::Result<()> {
        for _ in 0..RECEIVES {
            if !self.more {
                break;
            }
            self.receive_once(now)?;
            for incoming in std::mem::take(&mut self.arrivals) {
                self.welcome(now, incoming);
            }
        }
        Ok(())
    }

    fn receive_once(&mut self, now: Instant) -> io::Result<()> {
        let Self { endpoint, udp, lines, dirty, arrivals, out, .. } = self;
        let mut answers = Vec::new();
        self.more = udp.receive(|datagram| {
            out.clear();
            let (from, ecn) = (datagram.from, datagram.ecn());
            let bytes = BytesMut::from(datagram.bytes);
            match endpoint.handle(now, from, datagram.meta.dst_ip, ecn, bytes, out) {
                Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                    if let Some(Some(line)) = lines.get_mut(handle.0) {
                        line.quic.handle_event(event);
                        line.queue(handle.0, dirty);
                    }
                }
                Some(DatagramEvent::NewConnection(incoming)) => arrivals.push(incoming),
                Some(DatagramEvent::Response(transmit)) => answers.push((transmit, out.clone())),
                None => {}
            }
        })?;
        for (transmit, bytes) in answers {
            udp.send(&transmit, &bytes);
        }
        Ok(())
    }

    fn look_at_timers(&mut self, now: Instant) {
        while let Some(slot) = self.timers.pop(now) {
            let Some(Some(line)) = self.lines.get_mut(slot) else { continue };
            line.armed = None;
            if line.quic.poll_timeout().is_some_and(|due| due <= now) {
                line.quic.handle_timeout(now);
            }
            if line.deadline.is_some_and(|due| due <= now) {
                self.give_up(now, slot);
            }
            self.queue(slot);
        }
    }

    /// A deadline of ours has come.
    fn give_up(&mut self, now: Instant, slot: usize) {
        let Some(Some(line)) = self.lines.get_mut(slot) else { return };
        let address = line.quic.remote_address();
        let why = match line.stage {
            Stage::Opening(_) => Close::TooSlow,
            Stage::Serving(_) | Stage::Ending | Stage::Closed => Close::Done,
        };
        let before = line.close(now, why);
        self.release(before);
        if why == Close::TooSlow {
            self.entrance.tell(&self.shared.why, self.shared.clock.now(), address, &why);
        }
    }

    /// Looks at one connection: takes what happened, carries bytes, sends what is to be sent.
    fn drive(&mut self, now: Instant, slot: usize) {
        let Some(mut line) = self.lines.get_mut(slot).and_then(Option::take) else { return };
        line.queued = false;
        self.handle_events(now, slot, &mut line);
        self.carry(now, slot, &mut line);
        while let Some(event) = line.quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(ConnectionHandle(slot), event) {
                line.quic.handle_event(event);
            }
        }
        let segments = self.udp.segments();
        loop {
            self.out.clear();
            let Some(transmit) = line.quic.poll_transmit(now, segments, &mut self.out) else {
                break;
            };
            self.udp.send(&transmit, &self.out);
        }
        if line.quic.is_drained() {
            self.timers.disarm(slot, line.armed);
            let before = line.turn(Stage::Closed, None);
            return self.release(before);
        }
        let due = line.due();
        self.timers.arm(slot, &mut line.armed, due);
        if let Some(place) = self.lines.get_mut(slot) {
            *place = Some(line);
        }
    }

    fn handle_events(&mut self, now: Instant, slot: usize, line: &mut Line) {
        while let Some(event) = line.quic.poll() {
            match event {
                Event::Stream(StreamEvent::Opened { dir: Dir::Bi }) => {
                    while let Some(stream) = line.quic.streams().accept(Dir::Bi) {
                        self.open(now, slot, line, stream);
                    }
                }
                Event::Stream(StreamEvent::Finished { .. } | StreamEvent::Stopped { .. }) => {
                    let before = line.close(now, Close::Done);
                    self.release(before);
                }
                Event::ConnectionLost { reason } => {
                    // What came before is taken first.
                    self.carry(now, slot, line);
                    let before = line.turn(Stage::Closed, None);
                    if let (Stage::Opening(_), Some(fault)) = (&before, fault(&reason)) {
                        let address = line.quic.remote_address();
                        self.entrance.tell(
                            &self.shared.why,
                            self.shared.clock.now(),
                            address,
                            &fault,
                        );
                    }
                    self.release(before);
                }
                _ => {}
            }
        }
    }

    fn carry(&mut self, now: Instant, slot: usize, line: &mut Line) {
        let Stage::Serving(pipe) = &mut line.stage else { return };
        let registry = self.poll.registry();
        match pipe.carry(&mut line.quic, registry, Token(slot), &mut self.scratch) {
            Ok(Flow::Going) => {}
            Ok(Flow::Ending) => {
                let patience = if self.stopping.is_some() { LAST_CALL_AT_STOP } else { LAST_CALL };
                line.turn(Stage::Ending, Some(now + patience));
            }
            Ok(Flow::Broken) | Err(_) => {
                line.close(now, Close::Done);
            }
        }
    }

    /// What a connection had that is over: a place among those that are counted by address.
    pub(super) fn release(&self, stage: Stage) {
        if let Stage::Opening(mut pass) = stage
            && let Some(address) = pass.counted.take()
        {
            self.shared.why.crowd.leave(self.shared.clock.now(), address);
        }
    }

    /// Begins or completes a stop; true if this gateway is done.
    fn end_if_stopping(&mut self, now: Instant) -> bool {
        if self.retired.load(Ordering::Acquire) {
            self.close_all(now, Close::Retired);
            return true;
        }
        match (self.shared.stop_state(), self.stopping) {
            (Stop::Running, _) => false,
            (Stop::Now, _) => {
                self.close_all(now, Close::Stopping);
                true
            }
            (Stop::Graceful, None) => {
                self.stopping = Some(now + self.shared.tuning.stop_grace + LAST_CALL_AT_STOP);
                for slot in 0..self.lines.len() {
                    let Some(Some(line)) = self.lines.get_mut(slot) else { continue };
                    match line.stage {
                        Stage::Opening(_) => {
                            let before = line.close(now, Close::Stopping);
                            self.release(before);
                        }
                        Stage::Ending => line.deadline = Some(now + LAST_CALL_AT_STOP),
                        Stage::Serving(_) | Stage::Closed => {}
                    }
                    self.queue(slot);
                }
                false
            }
            (Stop::Graceful, Some(until)) => {
                let busy = self.lines.iter().flatten().any(|line| !line.is_closed());
                if now >= until {
                    self.close_all(now, Close::Stopping);
                }
                !busy || now >= until
            }
        }
    }

    fn close_all(&mut self, now: Instant, why: Close) {
        for slot in 0..self.lines.len() {
            if let Some(Some(line)) = self.lines.get_mut(slot) {
                let before = line.close(now, why);
                self.release(before);
                self.drive(now, slot);
            }
        }
    }
}
