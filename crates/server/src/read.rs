//! From sockets to the broker.

use std::io::{self, Read};
use std::mem;

use dunlin_broker::{CloseCause, ConnId, Next, Progress, Time, View};

use crate::connection::{Inbound, Phase};
use crate::listener::HERE;
use crate::log::Endpoint;
use crate::shard::Shard;
use crate::transport::{Fault, Spoken};

/// Bytes read from one socket in one turn, so that a flood starves nobody.
pub(crate) const SLICE: usize = 64 * 1024;

/// The beginning of a packet up to this size is copied in front of what follows it; a longer one
/// is assembled in the connection's own memory.
pub(crate) const FRONT: usize = 16 * 1024;

/// Size of the buffer that all connections of a shard share.
pub(crate) const BUFFER: usize = FRONT + SLICE;

/// Connections whose CONNECT is read in one turn: each takes some hundredths of a millisecond, and messages
/// of others are not to wait for a thousand that come at once.
pub(crate) const WELCOMES: u32 = 16;

impl Shard<'_> {
    /// Reads a connection once and hands what came to the broker.
    pub(crate) fn read(&mut self, now: Time, id: ConnId, view: &View<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.phase != Phase::Open || !self.broker.should_read(id) {
            connection.inbound = Inbound::Held;
            return;
        }
        if connection.transport.is_some() {
            return self.read_layers(now, id, view);
        }
        let is_waiting = connection.pass.is_waiting();
        if is_waiting {
            if self.welcomes == 0 {
                return self.reading.push(id);
            }
            self.welcomes -= 1;
        }
        let front = match connection.partial.len() {
            small @ ..=FRONT => small,
            _ => 0,
        };
        self.buffer[..front].copy_from_slice(&connection.partial[..front]);
        let read = match (&connection.stream).read(&mut self.buffer[front..front + SLICE]) {
            Ok(0) => return self.close(now, id, CloseCause::PeerClosed, view),
            Ok(read) => read,
            Err(cause) => return self.read_failed(now, id, &cause, view),
        };
        // Fewer bytes than asked for: there are no more, and asking again would tell no more than
        // that. Unless the peer has closed: that is told once, and may have been already.
        let drained = read < SLICE && !connection.hung_up;
        connection.inbound = if drained { Inbound::Drained } else { Inbound::Held };
        let progress = if connection.partial.len() == front {
            let bytes = &self.buffer[..front + read];
            if is_waiting && let Some(spoken) = Spoken::instead_of_mqtt(bytes) {
                return self.turn_away(now, id, spoken, view);
            }
            let progress = self.broker.input(now, id, bytes, view);
            // An idle connection keeps no memory: the beginning of a packet gets just its size.
            keep(&mut connection.partial, &bytes[progress.consumed..]);
            progress
        } else {
            // It grows with what has come, not with what its header promises.
            connection.partial.extend_from_slice(&self.buffer[..read]);
            let progress = self.broker.input(now, id, &connection.partial, view);
            cut(&mut connection.partial, progress.consumed);
            progress
        };
        if is_waiting && !self.heed_beginning(now, id, progress, view) {
            return;
        }
        self.go_on(now, id, progress, view);
    }

    /// Looks at what has come before CONNECT was complete; false if it takes too much room.
    #[cold]
    pub(crate) fn heed_beginning(
        &mut self,
        now: Time,
        id: ConnId,
        progress: Progress,
        view: &View<'_>,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        // The first thing that is taken is a CONNECT, or the end.
        if progress.consumed > 0 || progress.next != Next::Read {
            connection.pass.heard();
            return true;
        }
        let Err(why) = connection.pass.hold(connection.partial.len()) else { return true };
        let address = self.broker.address_of(id).unwrap_or(HERE);
        connection.pass.entrance.tell(&self.shared.why, now, address, &why);
        self.broker.dismiss(id);
        self.close(now, id, CloseCause::Finished, view);
        false
    }

    /// Another protocol came where MQTT was to come: the line that names it is the only one.
    #[cold]
    fn turn_away(&mut self, now: Time, id: ConnId, spoken: Spoken, view: &View<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let address = self.broker.address_of(id).unwrap_or(HERE);
        let fault = Fault::Spoken { spoken, expected: "plain MQTT" };
        let (ip, from) = (address.ip(), Endpoint(address));
        let words = Some(format!("Client {ip} [{from}] disconnected: protocol error."));
        connection.pass.entrance.tell_as(&self.shared.why, now, address, words, &fault);
        self.broker.dismiss(id);
        self.close(now, id, CloseCause::Finished, view);
    }

    /// Offers the broker once more what it has not taken before.
    pub(crate) fn offer(&mut self, now: Time, id: ConnId, view: &View<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.is_ending() {
            return;
        }
        connection.phase = Phase::Open;
        let progress = self.broker.input(now, id, &connection.partial, view);
        cut(&mut connection.partial, progress.consumed);
        self.go_on(now, id, progress, view);
    }

    /// What the broker wants done with a connection after it has seen input.
    pub(crate) fn go_on(&mut self, now: Time, id: ConnId, progress: Progress, view: &View<'_>) {
        match progress.next {
            Next::Read => self.unhold(id),
            Next::Commit => self.lists.committing.push(id),
            Next::Wait => self.set_phase(id, Phase::Waiting),
            Next::Close => {
                self.set_phase(id, Phase::Ending);
                self.dirty.push(id);
            }
            Next::Handover(shard) => self.move_away(now, id, shard, view),
        }
    }

    pub(crate) fn set_phase(&mut self, id: ConnId, phase: Phase) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.phase = phase;
            if phase == Phase::Ending {
                connection.partial = Vec::new();
            }
        }
    }

    pub(crate) fn read_failed(
        &mut self,
        now: Time,
        id: ConnId,
        cause: &io::Error,
        view: &View<'_>,
    ) {
        match cause.kind() {
            io::ErrorKind::WouldBlock => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.inbound = Inbound::Drained;
                }
            }
            io::ErrorKind::Interrupted => self.reading.push(id),
            kind => self.close(now, id, CloseCause::Error(kind), view),
        }
    }
}

/// Makes `rest` all that `partial` holds, without spare memory.
pub(crate) fn keep(partial: &mut Vec<u8>, rest: &[u8]) {
    if rest.is_empty() {
        // Dropping a vector without memory costs nothing.
        *partial = Vec::new();
    } else if partial.capacity() >= rest.len() && partial.capacity() <= FRONT {
        partial.clear();
        partial.extend_from_slice(rest);
    } else {
        *partial = rest.to_vec();
    }
}

/// Removes the first `count` bytes and the memory they took.
pub(crate) fn cut(partial: &mut Vec<u8>, count: usize) {
    if count > 0 {
        let whole = mem::take(partial);
        keep(partial, &whole[count..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_left_keeps_no_memory() {
        let mut partial = vec![1; 1000];
        cut(&mut partial, 1000);
        assert_eq!(partial.capacity(), 0);
    }

    #[test]
    fn a_small_rest_of_a_large_packet_keeps_little_memory() {
        let mut partial = vec![1; 1_000_000];
        partial.extend_from_slice(b"rest");
        cut(&mut partial, 1_000_000);
        assert_eq!(partial, b"rest");
        assert!(partial.capacity() < 100);
    }

    #[test]
    fn taking_nothing_copies_nothing() {
        let mut partial = vec![1; 100];
        let place = partial.as_ptr();
        cut(&mut partial, 0);
        assert_eq!(partial.as_ptr(), place);
    }
}
