//! One connection: two streams of bytes that take their time and may break off anywhere.

use core::time::Duration;
use std::collections::VecDeque;

use dunlin_broker::Time;

use super::oracle::Mark;
use super::random::Random;

/// Bytes in one direction.
#[derive(Default)]
pub(super) struct Pipe {
    flying: VecDeque<(Time, Vec<u8>)>,
    /// Arrived and not taken.
    pub(super) ready: Vec<u8>,
    last: Time,
    broken: bool,
}

impl Pipe {
    /// Sends bytes; returns when they arrive, unless they are lost.
    pub(super) fn send(&mut self, now: Time, latency: Duration, bytes: &[u8]) -> Option<Time> {
        if self.broken || bytes.is_empty() {
            return None;
        }
        self.last = self.last.max(now.saturating_add(latency));
        self.flying.push_back((self.last, bytes.to_vec()));
        Some(self.last)
    }

    /// Moves what has arrived by now.
    pub(super) fn arrive(&mut self, now: Time) {
        while let Some((_, bytes)) = self.flying.pop_front_if(|(at, _)| *at <= now) {
            self.ready.extend_from_slice(&bytes);
        }
    }

    /// When everything sent so far has arrived.
    pub(super) const fn last(&self) -> Time {
        self.last
    }

    /// Bytes sent and not taken.
    pub(super) fn backlog(&self) -> usize {
        self.ready.len() + self.flying.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    /// Everything from some point on is lost, and what is sent later too.
    pub(super) fn cut(&mut self, random: &mut Random) {
        self.broken = true;
        let flying: usize = self.flying.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut left = random.index(flying + 1);
        for (_, bytes) in &mut self.flying {
            bytes.truncate(left);
            left -= bytes.len();
        }
    }

    /// Nobody reads it any more.
    pub(super) fn close(&mut self) {
        self.broken = true;
        self.flying.clear();
        self.ready.clear();
    }
}

/// A connection between one client and the broker.
pub(super) struct Link {
    pub(super) client: usize,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    /// Bytes the client has sent so far.
    pub(super) sent: u64,
    /// Bytes of them that the broker has dealt with.
    pub(super) dealt: u64,
    /// What ends where in the client's stream.
    pub(super) marks: VecDeque<(u64, Mark)>,
    /// Bytes that the broker may have on their way to the client.
    pub(super) room: usize,
    /// The client takes what comes.
    pub(super) reading: bool,
    pub(super) client_open: bool,
    pub(super) broker_open: bool,
    /// Whatever is in the broker's output now was put there after this.
    pub(super) written_after: Time,
    /// Bytes the broker has written, and for parts of them after which moment they were made.
    pub(super) written: u64,
    pub(super) stamps: VecDeque<(u64, Time)>,
    pub(super) latency: Duration,
}

impl Link {
    pub(super) fn new(client: usize, latency: Duration, room: usize) -> Self {
        Self {
            client,
            up: Pipe::default(),
            down: Pipe::default(),
            sent: 0,
            dealt: 0,
            marks: VecDeque::new(),
            room,
            reading: true,
            client_open: true,
            broker_open: false,
            written_after: Time::ZERO,
            written: 0,
            stamps: VecDeque::new(),
            latency,
        }
    }
}
