//! From the broker to sockets.

use std::io::{self, IoSlice, Write};
use std::mem;
use std::net::Shutdown;
use std::time::Duration;

use dunlin_broker::{Broker, CloseCause, ConnId, Time, View};
use mio::Interest;

use crate::access::guarded;
use crate::connection::{Connection, Outbound, Phase};
use crate::layered::write_layers;
use crate::shard::{Shard, token_of};

/// Slices of one vectored write.
pub(crate) const SLICES: usize = 64;

/// Rounds of a flush: what sessions had waiting follows what was written. The rest is for the
/// next turn, so that one fast reader with a long queue does not keep the shard from reading.
const ROUNDS: usize = 4;

/// How long a connection that is to be closed may take to read its last bytes.
const LAST_CALL: Duration = Duration::from_secs(5);

/// How long a socket is kept after its last bytes were written. Closed at once with input unread,
/// it would be reset, and the peer could not read why it was closed.
const LINGER: Duration = Duration::from_secs(1);

/// Sockets that may linger; beyond it the oldest is closed early.
const LINGERING: usize = 256;

/// What writing to a connection came to.
pub(crate) enum Written {
    /// Everything pending is written.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// The connection is broken.
    Failed(io::ErrorKind),
}

impl Shard<'_> {
    /// Writes the output of every connection that has some.
    pub(crate) fn flush(&mut self, now: Time) {
        for _ in 0..ROUNDS {
            self.broker.take_dirty(&mut self.dirty);
            if self.dirty.is_empty() {
                return;
            }
            let mut flushing = mem::replace(&mut self.dirty, mem::take(&mut self.lists.flushing));
            let mut broken = Vec::new();
            for id in flushing.drain(..) {
                match self.write_out(id) {
                    Some(Written::Failed(kind)) => broken.push((id, kind)),
                    Some(Written::All | Written::Blocked) => self.lists.flushed.push(id),
                    None => {}
                }
            }
            self.lists.flushing = flushing;
            self.after_writing(now, &broken);
        }
        self.broker.take_dirty(&mut self.dirty);
    }

    /// Writes as much as the socket takes, without a guard: these are the system calls of a turn.
    fn write_out(&mut self, id: ConnId) -> Option<Written> {
        let connection = self.connections.get_mut(id)?;
        if connection.outbound == Outbound::Blocked {
            // If it is to end, its last call begins though nothing can be written.
            let closing = self.broker.output(id).is_some_and(|output| output.closing());
            return (closing || connection.is_ending()).then_some(Written::Blocked);
        }
        let written = match &connection.transport {
            None => write_pending(&mut self.broker, connection, id)?,
            Some(_) => write_layers(&mut self.broker, connection, id, &mut self.layer_buffers)?,
        };
        if matches!(written, Written::Blocked) {
            let before = mem::replace(&mut connection.outbound, Outbound::Blocked);
            if before == Outbound::Unwatched {
                let interest = Interest::READABLE | Interest::WRITABLE;
                let registry = self.poll.registry();
                if let Err(cause) =
                    registry.reregister(&mut connection.stream, token_of(id), interest)
                {
                    return Some(Written::Failed(cause.kind()));
                }
            }
        }
        Some(written)
    }

    /// Lets what waited for room follow, and closes what is done.
    fn after_writing(&mut self, now: Time, broken: &[(ConnId, io::ErrorKind)]) {
        let shared = self.shared;
        let book = shared.accesses.guard();
        let index = shared.index.read();
        let view = View::new(&index, &shared.commons).guarded(guarded(book.as_ref()));
        for (id, kind) in broken {
            self.close(now, *id, CloseCause::Error(*kind), &view);
        }
        let mut flushed = mem::take(&mut self.lists.flushed);
        for id in flushed.drain(..) {
            self.broker.sent(now, id, &view);
            self.close_if_done(now, id, &view);
            self.unhold(id);
        }
        self.lists.flushed = flushed;
    }

    fn close_if_done(&mut self, now: Time, id: ConnId, view: &View<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(output) = self.broker.output(id) else { return };
        if !output.closing() && !connection.is_ending() {
            return;
        }
        let sealed = connection.transport.as_ref().is_some_and(|layers| !layers.out.is_empty());
        if output.is_empty() && !sealed {
            self.close(now, id, CloseCause::Finished, view);
        } else if connection.phase != Phase::LastCall {
            connection.phase = Phase::LastCall;
            self.last_calls.push_back((now.saturating_add(LAST_CALL), id));
        }
    }

    /// Closes those that did not read their last bytes in time.
    pub(crate) fn expire_last_calls(&mut self, now: Time, view: &View<'_>) {
        while let Some((due, id)) = self.last_calls.front().copied()
            && due <= now
        {
            self.last_calls.pop_front();
            self.close(now, id, CloseCause::Finished, view);
        }
    }

    /// Ends a connection: the broker is told, the socket closed.
    pub(crate) fn close(&mut self, now: Time, id: ConnId, cause: CloseCause, view: &View<'_>) {
        let Some(connection) = self.forget(id) else { return };
        self.broker.closed(now, id, cause, view);
        if connection.last_words && cause == CloseCause::Finished {
            self.linger(now, connection);
        }
    }

    fn linger(&mut self, now: Time, connection: Connection) {
        // The peer learns at once that this was the end.
        if connection.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        if self.lingering.len() >= LINGERING {
            self.lingering.pop_front();
        }
        self.lingering.push_back((now.saturating_add(LINGER), connection.stream));
    }

    pub(crate) fn end_lingering(&mut self, now: Time) {
        while self.lingering.front().is_some_and(|(due, _)| *due <= now) {
            self.lingering.pop_front();
        }
    }
}

/// Writes until nothing is pending or the socket takes no more; `None` if there is no output.
fn write_pending(broker: &mut Broker, connection: &mut Connection, id: ConnId) -> Option<Written> {
    let output = broker.output(id)?;
    connection.last_words |= output.closing() && !output.is_empty();
    while !output.is_empty() && !output.is_corked() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = output.slices(&mut slices);
        let slices = &slices[..filled];
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let result = match slices {
            [single] => (&connection.stream).write(single),
            several => (&connection.stream).write_vectored(several),
        };
        match result {
            Ok(count) => {
                output.advance(count);
                if count < offered {
                    return Some(Written::Blocked);
                }
            }
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                return Some(Written::Blocked);
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Some(Written::Failed(cause.kind())),
        }
    }
    Some(Written::All)
}
