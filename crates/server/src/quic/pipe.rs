//! The bytes of one connection: from its stream to its shard and back.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use quinn_proto::{Connection, ReadError, StreamId, VarInt, WriteError};

use crate::connection::Outbound;

/// Bytes that are moved at once.
const CHUNK: usize = 64 * 1024;

/// A stream and a socket to the shard that serves it. Idle, it holds no buffers.
pub(super) struct Pipe {
    stream: StreamId,
    /// `None` from when the shard has said its last word.
    shard: Option<UnixStream>,
    /// For the shard, which took less than there was.
    up: Vec<u8>,
    /// For the client, which has no credit for more.
    down: Vec<u8>,
    /// The socket may have something for us.
    readable: bool,
    /// It may take something.
    room: Outbound,
    /// The shard has closed: a short read is then not the last one.
    hung_up: bool,
    client: Client,
}

/// What is known of the client's side of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// There may be more.
    Talks,
    /// It has ended.
    Ended,
    /// It has ended, and the shard was told, or does not listen any more.
    Told,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Both sides talk.
    Going,
    /// The shard has ended; the client gets the rest.
    Ending,
    /// Nobody will hear what would follow.
    Broken,
}

impl Pipe {
    pub(super) fn new(
        stream: StreamId,
        mut shard: UnixStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut shard, token, Interest::READABLE)?;
        Ok(Self {
            stream,
            shard: Some(shard),
            up: Vec::new(),
            down: Vec::new(),
            readable: true,
            room: Outbound::Unwatched,
            hung_up: false,
            client: Client::Talks,
        })
    }

    /// What the poller says.
    pub(super) fn notice(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.hung_up |= event.is_read_closed() || event.is_error();
        if event.is_writable() && self.room == Outbound::Blocked {
            self.room = Outbound::Free;
        }
    }

    /// Carries what there is, both ways, as far as both sides take it.
    pub(super) fn carry(
        &mut self,
        quic: &mut Connection,
        registry: &Registry,
        token: Token,
        scratch: &mut Vec<u8>,
    ) -> io::Result<Flow> {
        let before = self.room;
        self.carry_up(quic, scratch);
        if before == Outbound::Unwatched
            && self.room == Outbound::Blocked
            && let Some(shard) = &mut self.shard
        {
            registry.reregister(shard, token, Interest::READABLE | Interest::WRITABLE)?;
        }
        Ok(self.carry_down(quic, scratch))
    }

    /// From the client to the shard.
    fn carry_up(&mut self, quic: &mut Connection, scratch: &mut Vec<u8>) {
        while self.room != Outbound::Blocked
            && let Some(shard) = &mut self.shard
        {
            let was_up = !self.up.is_empty();
            if !was_up {
                if self.client == Client::Talks {
                    scratch.clear();
                    self.client = gather(quic, self.stream, scratch);
                }
                if scratch.is_empty() {
                    break;
                }
            }
            let bytes = if was_up { &self.up } else { &*scratch };
            let Ok(written) = write(shard, bytes) else { return self.shard_is_gone(quic) };
            if written < bytes.len() {
                self.room = Outbound::Blocked;
            }
            self.up = bytes.get(written..).unwrap_or_default().to_vec();
            scratch.clear();
        }
        if self.client == Client::Ended && self.up.is_empty() {
            self.client = Client::Told;
            if let Some(shard) = &self.shard
                && shard.shutdown(Shutdown::Write).is_err()
            {
                self.shard_is_gone(quic);
            }
        }
    }

    /// The shard has closed: what it said last is still to be read.
    fn shard_is_gone(&mut self, quic: &mut Connection) {
        self.up = Vec::new();
        self.client = Client::Told;
        (self.readable, self.hung_up) = (true, true);
        stop(quic, self.stream);
    }

    /// From the shard to the client.
    fn carry_down(&mut self, quic: &mut Connection, scratch: &mut Vec<u8>) -> Flow {
        loop {
            if !self.down.is_empty() {
                match send(quic, self.stream, &self.down) {
                    Some(sent) if sent == self.down.len() => self.down = Vec::new(),
                    Some(sent) => {
                        self.down.drain(..sent);
                        return Flow::Going;
                    }
                    None => return Flow::Broken,
                }
            }
            let Some(shard) = &mut self.shard else { return Flow::Ending };
            if !self.readable {
                return Flow::Going;
            }
            scratch.resize(CHUNK, 0);
            match shard.read(scratch) {
                Ok(0) => return self.finish(quic),
                Ok(read) => {
                    // Fewer bytes than asked for: there are no more.
                    self.readable = read == CHUNK || self.hung_up;
                    let bytes = scratch.get(..read).unwrap_or_default();
                    let Some(sent) = send(quic, self.stream, bytes) else { return Flow::Broken };
                    self.down.extend_from_slice(bytes.get(sent..).unwrap_or_default());
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.finish(quic),
            }
        }
    }

    /// The shard has said its last word.
    fn finish(&mut self, quic: &mut Connection) -> Flow {
        self.shard = None;
        (self.up, self.client) = (Vec::new(), Client::Told);
        stop(quic, self.stream);
        match quic.send_stream(self.stream).finish() {
            Ok(()) => Flow::Ending,
            Err(_) => Flow::Broken,
        }
    }
}

/// Takes what has come of a stream, about [`CHUNK`] bytes of it.
fn gather(quic: &mut Connection, stream: StreamId, into: &mut Vec<u8>) -> Client {
    let mut stream = quic.recv_stream(stream);
    let Ok(mut chunks) = stream.read(true) else { return Client::Ended };
    let mut client = Client::Talks;
    while into.len() < CHUNK {
        match chunks.next(CHUNK - into.len()) {
            Ok(Some(chunk)) => into.extend_from_slice(&chunk.bytes),
            Err(ReadError::Blocked) => break,
            // Whether it said the end or broke off: MQTT says in its own words whether it was meant.
            Ok(None) | Err(ReadError::Reset(_)) => {
                client = Client::Ended;
                break;
            }
        }
    }
    // Whoever carries bytes looks for something to transmit afterwards in any case.
    let _credit = chunks.finalize();
    client
}

/// How many bytes a stream takes; `None` if nobody will read them.
fn send(quic: &mut Connection, stream: StreamId, bytes: &[u8]) -> Option<usize> {
    match quic.send_stream(stream).write(bytes) {
        Ok(sent) => Some(sent),
        Err(WriteError::Blocked) => Some(0),
        Err(WriteError::Stopped(_) | WriteError::ClosedStream) => None,
    }
}

/// Tells the client that nobody takes more of its stream. It may have ended it already.
fn stop(quic: &mut Connection, stream: StreamId) {
    quic.recv_stream(stream).stop(VarInt::from_u32(0)).unwrap_or_default();
}

/// How many bytes a shard takes; zero if it has no room.
fn write(shard: &mut UnixStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match shard.write(bytes) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            written => return written,
        }
    }
}
