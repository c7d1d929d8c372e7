//! One connection of QUIC, from its first packet to the last that is sent again.

use std::time::Instant;

use bytes::Bytes;
use mio::event::Event;
use quinn_proto::Connection;

use super::close::Close;
use super::pipe::Pipe;
use crate::entrance::Pass;

pub(super) struct Line {
    pub(super) quic: Connection,
    pub(super) stage: Stage,
    /// When it is given up, if it does not get further before.
    pub(super) deadline: Option<Instant>,
    /// What it has among the timers.
    pub(super) armed: Option<Instant>,
    /// It is among those to be looked at.
    pub(super) queued: bool,
}

pub(super) enum Stage {
    /// The handshake, then the first stream, is awaited. The listener counts it.
    Opening(Box<Pass>),
    /// A shard serves it, and counts it.
    Serving(Pipe),
    /// The shard has ended, and the client has not said that it has everything.
    Ending,
    /// Closed, and kept for packets that are still on their way.
    Closed,
}

impl Line {
    pub(super) fn new(quic: Connection, pass: Pass, deadline: Instant) -> Self {
        Self {
            quic,
            stage: Stage::Opening(Box::new(pass)),
            deadline: Some(deadline),
            armed: None,
            queued: false,
        }
    }

    pub(super) fn notice(&mut self, event: &Event) {
        if let Stage::Serving(pipe) = &mut self.stage {
            pipe.notice(event);
        }
    }

    /// Puts it among those to be looked at, once.
    pub(super) fn queue(&mut self, slot: usize, dirty: &mut Vec<usize>) {
        if !std::mem::replace(&mut self.queued, true) {
            dirty.push(slot);
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    /// When it is to be looked at again.
    pub(super) fn due(&mut self) -> Option<Instant> {
        [self.quic.poll_timeout(), self.deadline].into_iter().flatten().min()
    }

    /// Goes on to this stage; what the one before had is handed back.
    pub(super) fn turn(&mut self, stage: Stage, deadline: Option<Instant>) -> Stage {
        self.deadline = deadline;
        std::mem::replace(&mut self.stage, stage)
    }

    /// Closes it and says why. A client that has closed it hears nothing.
    pub(super) fn close(&mut self, now: Instant, why: Close) -> Stage {
        if !self.is_closed() {
            self.quic.close(now, why.code(), Bytes::from(why.to_string()));
        }
        self.turn(Stage::Closed, None)
    }
}
