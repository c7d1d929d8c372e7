//! Sockets whose bytes are not MQTT itself: read through their layers and written through them.
//!
//! The plain way is in `read.rs` and `flush.rs`; this one goes beside it, so that it costs those
//! without layers one look at a pointer.

use std::io::{self, IoSlice, Read, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dunlin_broker::{Broker, Certified, CloseCause, ConnId, Output, Refusal, Time, View};
use mio::net::TcpStream;

use crate::connection::{Connection, Inbound, Phase};
use crate::entrance::Unwelcome;
use crate::flush::{SLICES, Written};
use crate::log::{Endpoint, as_mosquitto};
use crate::read::{FRONT, SLICE, cut, keep};
use crate::shard::Shard;
use crate::transport::{Certificate, Fault, Known, Scratch, Transport};

/// Connections that go on with their handshakes in one turn: a full one takes some tenths of a
/// millisecond, and messages of others are not to wait for many of them.
pub(crate) const HANDSHAKES: u32 = 8;

/// Buffers that all connections of a shard share; empty until the first one with layers comes.
#[derive(Default)]
pub(crate) struct LayerBuffers {
    /// What sockets are read into.
    raw: Vec<u8>,
    /// The MQTT in it.
    plain: Vec<u8>,
    pub(crate) scratch: Scratch,
}

impl Shard<'_> {
    /// Reads a connection once and hands the MQTT in what came to the broker.
    pub(crate) fn read_layers(&mut self, now: Time, id: ConnId, view: &View<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(transport) = &mut connection.transport else { return };
        if transport.ended || transport.is_finished() {
            return self.end_layers(id);
        }
        if !transport.is_open() {
            if self.handshakes == 0 {
                return self.reading.push(id);
            }
            self.handshakes -= 1;
        }
        let LayerBuffers { raw, plain, .. } = &mut self.layer_buffers;
        let front = transport.raw.len();
        raw.resize(raw.len().max(front + SLICE), 0);
        raw[..front].copy_from_slice(&transport.raw);
        let read = match (&connection.stream).read(&mut raw[front..front + SLICE]) {
            Ok(0) => return self.close(now, id, CloseCause::PeerClosed, view),
            Ok(read) => read,
            Err(cause) => return self.read_failed(now, id, &cause, view),
        };
        let drained = read < SLICE && !connection.hung_up;
        let was_open = transport.is_open();
        let is_long = connection.partial.len() > FRONT;
        // As with plain connections: what was there before is put in front of what comes.
        plain.clear();
        if !is_long {
            plain.extend_from_slice(&connection.partial);
        }
        let into = if is_long { &mut connection.partial } else { &mut *plain };
        let known = into.len();
        let bytes = &mut raw[..front + read];
        let said = match transport.hear_proxy(bytes) {
            Ok(said) => said,
            Err(fault) => return self.refuse_layers(now, id, &fault),
        };
        if said > 0 && !transport.is_plain() {
            let address = transport.known().address;
            if let Some(banned) = self.shared.accesses.banned(address.ip()) {
                // No handshake for it.
                connection.pass.entrance.tell(&self.shared.why, now, address, &banned);
                self.broker.dismiss(id);
                return self.end_layers(id);
            }
        }
        let received = transport.received(&mut bytes[said..], into);
        let news = into.len() > known;
        let used = match received {
            Ok(used) => said + used,
            Err(fault) => return self.refuse_layers(now, id, &fault),
        };
        keep(&mut transport.raw, &bytes[used..]);
        let drained = drained && !transport.ended;
        connection.inbound = if drained { Inbound::Drained } else { Inbound::Held };
        if !transport.out.is_empty() {
            self.dirty.push(id);
        }
        if !was_open && transport.is_open() && !self.open_layers(now, id) {
            return;
        }
        if news {
            self.hand_to_broker(now, id, is_long, view);
        } else {
            self.unhold(id);
        }
    }

    fn hand_to_broker(&mut self, now: Time, id: ConnId, is_long: bool, view: &View<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let is_waiting = connection.pass.is_waiting();
        let progress = if is_long {
            let progress = self.broker.input(now, id, &connection.partial, view);
            cut(&mut connection.partial, progress.consumed);
            progress
        } else {
            let plain = &self.layer_buffers.plain;
            let progress = self.broker.input(now, id, plain, view);
            keep(&mut connection.partial, &plain[progress.consumed..]);
            progress
        };
        if is_waiting && !self.heed_beginning(now, id, progress, view) {
            return;
        }
        self.go_on(now, id, progress, view);
    }

    /// The layers are through with their introductions: the broker learns who it is. False if it may
    /// not be served.
    fn open_layers(&mut self, now: Time, id: ConnId) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let Some(transport) = &connection.transport else { return true };
        let Connection { pass, .. } = connection;
        let known = transport.known();
        let entrance = Arc::clone(&pass.entrance);
        // Others than when it was accepted, perhaps.
        let rules = entrance.rules();
        let address = known.address;
        let judged = rules.check_known(known).map_err(Unwelcome::from).and_then(|()| {
            let believed = pass.rules.trust.as_ref();
            rules.check_present(address.ip(), transport.chain(), believed)?;
            if pass.is_announced { Ok(pass.come_from(address.ip())?) } else { Ok(()) }
        });
        if let Err(why) = judged {
            let words = match why {
                Unwelcome::Door(why) => why.in_mosquittos_words(address),
                Unwelcome::NotEncrypted | Unwelcome::Certificate(_) => None,
            };
            entrance.tell_as(&self.shared.why, now, address, words, &why);
            self.broker.dismiss(id);
            self.end_layers(id);
            return false;
        }
        pass.rules = rules;
        pass.opened();
        let counters = &entrance.counters;
        if let Some(resumed) = transport.was_resumed() {
            let counter = if resumed { &counters.resumed } else { &counters.full };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        tell_of_tls(known);
        self.broker.introduce(id, known.address, certified(known));
        if mem::take(&mut pass.is_announced) {
            let why = &self.shared.why;
            match why.crowd.enter(now, address.ip(), why.options().bounds()) {
                Ok(counted) => pass.counted = counted,
                Err(reached) => self.broker.unwelcome(id, Refusal::Limit(reached)),
            }
            if let Some(banned) = self.shared.accesses.banned(address.ip()) {
                self.broker.unwelcome(id, banned);
            }
        }
        // Behind the header of a proxy, the rest is as plain as any; what came with it is in `plain`.
        if transport.is_plain() && transport.raw.is_empty() {
            connection.transport = None;
        }
        true
    }

    /// The layers are broken: their last words are written, then the connection is closed.
    fn refuse_layers(&mut self, now: Time, id: ConnId, fault: &Fault) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let Some(transport) = &connection.transport {
            let corrupt = matches!(fault, Fault::Proxy(_));
            let words = corrupt.then(|| "Connection rejected, corrupt PROXY header.".to_owned());
            let address = transport.known().address;
            connection.pass.entrance.tell_as(&self.shared.why, now, address, words, fault);
            self.broker.dismiss(id);
        }
        self.end_layers(id);
    }

    /// Reads no more, and closes once what is to be said is written.
    fn end_layers(&mut self, id: ConnId) {
        self.set_phase(id, Phase::Ending);
        self.dirty.push(id);
    }
}

/// What TLS a client has with its proxy.
fn tell_of_tls(known: &Known) {
    let Some(tls) = known.proxied.as_deref() else { return };
    let Some((version, cipher)) = tls.version.as_ref().zip(tls.cipher.as_ref()) else { return };
    let (version, cipher) = (version.escape_debug(), cipher.escape_debug());
    let address = Endpoint(known.address);
    if as_mosquitto() {
        tracing::info!("Connection from {address} negotiated {version} cipher {cipher}");
    } else {
        tracing::debug!("connection from {}: {version} with {cipher} to its proxy", known.address);
    }
}

/// What the broker may know of a certificate. One that was shown here counts more than what a proxy says.
pub(crate) fn certified(known: &Known) -> Option<Arc<Certified>> {
    let Some(certificate): Option<&Certificate> = known.certificate.as_deref() else {
        let name = known.proxied.as_ref()?.common_name.as_ref()?;
        let subject = format!("CN={name}").into();
        let common_name = Some(name.as_str().into());
        return Some(Arc::new(Certified { common_name, subject, ..Certified::default() }));
    };
    Some(Arc::new(Certified {
        common_name: certificate.common_name().map(Arc::from),
        subject: certificate.subject().into(),
        alternative_name: certificate.alternative_names.first().map(|name| name.as_str().into()),
        identifier: certificate.identifier().into(),
    }))
}

/// Writes what is ready, then what the broker has, until the socket takes no more; `None` if there is
/// no such connection.
pub(crate) fn write_layers(
    broker: &mut Broker,
    connection: &mut Connection,
    id: ConnId,
    buffers: &mut LayerBuffers,
) -> Option<Written> {
    let output = broker.output(id)?;
    let is_ending = connection.is_ending();
    let transport = connection.transport.as_mut()?;
    // Also after DISCONNECT: a client says the end of its layers after it, and closed at once it would be
    // reset and take that for a failure.
    connection.last_words |= is_ending || output.closing();
    loop {
        // Nothing goes into the middle of a frame, and few words of the layers go with what follows them.
        let is_next = !output.is_empty() && !output.is_corked();
        if transport.announced == 0 && !(is_next && transport.says_little()) {
            match write_ready(transport, &connection.stream) {
                Written::All => {}
                held => return Some(held),
            }
            if transport.is_finished() {
                // What the broker had for it cannot be said any more.
                output.advance(output.pending());
            }
        }
        if !is_next || output.is_empty() {
            break;
        }
        let scratch = &mut buffers.scratch;
        let written = if transport.is_bare_websocket() {
            write_frame(transport, &connection.stream, output, scratch)
        } else {
            write_sealed(transport, &connection.stream, output, scratch)
        };
        if !matches!(written, Written::All) {
            return Some(written);
        }
    }
    if (output.closing() && output.is_empty()) || is_ending {
        transport.finish();
        return Some(write_ready(transport, &connection.stream));
    }
    Some(Written::All)
}

/// Writes a frame of WebSocket around what the broker has, without copying it.
fn write_frame(
    transport: &mut Transport,
    mut stream: &TcpStream,
    output: &mut Output,
    scratch: &mut Scratch,
) -> Written {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = 1 + output.slices_within(transport.frame_room(), &mut slices[1..]);
    let length: usize = slices[1..filled].iter().map(|slice| slice.len()).sum();
    let Some(header) = transport.frame_header(length, scratch) else {
        return Written::Failed(io::ErrorKind::InvalidData);
    };
    slices[0] = IoSlice::new(header);
    let whole = header.len() + length;
    let sent = match stream.write_vectored(&slices[usize::from(header.is_empty())..filled]) {
        Ok(sent) => sent,
        Err(cause) => return held_up(cause.kind()),
    };
    if let Some(rest @ [_, ..]) = header.get(sent..) {
        // A header that was cut: it and its frame wait where nothing comes between them.
        if sent == 0 {
            return Written::Failed(io::ErrorKind::WriteZero);
        }
        transport.out.extend_from_slice(rest);
        slices[1..filled].iter().for_each(|slice| transport.out.extend_from_slice(slice));
        output.advance(length);
        return Written::Blocked;
    }
    let announced = if header.is_empty() { transport.announced } else { length };
    let written = sent - header.len();
    transport.announced = announced - written;
    output.advance(written);
    if sent < whole { Written::Blocked } else { Written::All }
}

/// Seals as much as goes at once, and writes it.
fn write_sealed(
    transport: &mut Transport,
    mut stream: &TcpStream,
    output: &mut Output,
    scratch: &mut Scratch,
) -> Written {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = output.slices(&mut slices);
    let Some((taken, sealed)) = transport.seal(&slices[..filled], scratch) else {
        return Written::Failed(io::ErrorKind::InvalidData);
    };
    let ready = mem::take(&mut transport.out);
    let result = match ready.is_empty() {
        true => stream.write(sealed),
        false => stream.write_vectored(&[IoSlice::new(&ready), IoSlice::new(sealed)]),
    };
    let (sent, written) = match result {
        Ok(sent) if sent < ready.len() + sealed.len() => (sent, Written::Blocked),
        Ok(sent) => (sent, Written::All),
        Err(cause) => (0, held_up(cause.kind())),
    };
    // What is sealed is on its way: it cannot be sealed again.
    let before = sent.min(ready.len());
    transport.out.extend_from_slice(&ready[before..]);
    transport.out.extend_from_slice(&sealed[sent - before..]);
    output.advance(taken);
    written
}

/// What an error of a socket comes to.
const fn held_up(kind: io::ErrorKind) -> Written {
    match kind {
        io::ErrorKind::WouldBlock => Written::Blocked,
        io::ErrorKind::Interrupted => Written::All,
        kind => Written::Failed(kind),
    }
}

fn write_ready(transport: &mut Transport, stream: &TcpStream) -> Written {
    let mut written = 0;
    let mut result = Written::All;
    while written < transport.out.len() {
        match (&*stream).write(&transport.out[written..]) {
            Ok(count) => written += count,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                result = Written::Blocked;
                break;
            }
            Err(cause) => return Written::Failed(cause.kind()),
        }
    }
    if written == transport.out.len() {
        // Idle, it holds no memory.
        transport.out = Vec::new();
    } else if written > 0 {
        let rest = transport.out.split_off(written);
        drop(mem::replace(&mut transport.out, rest));
    }
    result
}
