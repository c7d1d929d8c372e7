//! Who is let in, and how a client comes to its shard.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use dunlin_broker::{Cause, Peer};
use mio::Token;
use mio::net::TcpStream;
use quinn_proto::{AcceptError, Incoming, StreamId};
use rustls::pki_types::CertificateDer;

use super::close::{Close, fault};
use super::gateway::Gateway;
use super::line::{Line, Stage};
use super::pipe::Pipe;
use crate::arrival::admit;
use crate::connection::{Moving, Socket};
use crate::entrance::Pass;
use crate::layered::certified;
use crate::shared::Parcel;
use crate::transport::{Certificate, Known};
use crate::why::{Bounds, Reason};

/// Handshakes in progress from which on a client has to show first that it is where it says it is, which
/// costs it one more round trip: a flood with forged addresses cannot.
const UNPROVEN: usize = 100;

impl Gateway {
    /// Somebody knocks.
    pub(super) fn welcome(&mut self, now: Instant, incoming: Incoming) {
        if self.stopping.is_some() {
            return self.refuse(incoming);
        }
        let rules = self.entrance.rules();
        let bounds = self.shared.why.options().bounds();
        let opening = self.entrance.opening.load(Ordering::Relaxed);
        // Whoever forges addresses must not use up what others may have.
        let wants_proof = opening >= UNPROVEN || bounds != Bounds::default();
        if wants_proof && !incoming.remote_address_validated() {
            return self.ask_for_proof(incoming);
        }
        let address = incoming.remote_address();
        let time = self.shared.clock.now();
        let mut pass = match self.entrance.enter(&rules, address) {
            Ok(pass) => pass,
            Err(why) => {
                self.entrance.tell(&self.shared.why, time, address, &why);
                return self.refuse(incoming);
            }
        };
        if let Some(banned) = self.shared.accesses.banned(address.ip()) {
            self.entrance.tell(&self.shared.why, time, address, &banned);
            return self.refuse(incoming);
        }
        match self.shared.why.crowd.enter(time, address.ip(), bounds) {
            Ok(counted) => pass.counted = counted,
            Err(reached) => {
                self.entrance.tell(&self.shared.why, time, address, &reached);
                return self.refuse(incoming);
            }
        }
        self.out.clear();
        match self.endpoint.accept(incoming, now, &mut self.out, rules.quic.clone()) {
            Ok((handle, quic)) => {
                let deadline = now + self.shared.settings.connect_timeout;
                if self.lines.len() <= handle.0 {
                    self.lines.resize_with(handle.0 + 1, || None);
                }
                if let Some(place) = self.lines.get_mut(handle.0) {
                    *place = Some(Box::new(Line::new(quic, pass, deadline)));
                }
                self.queue(handle.0);
            }
            Err(AcceptError { cause, response }) => {
                self.release(Stage::Opening(Box::new(pass)));
                if let Some(fault) = fault(&cause) {
                    self.entrance.tell(&self.shared.why, time, address, &fault);
                }
                if let Some(transmit) = response {
                    self.udp.send(&transmit, &self.out);
                }
            }
        }
    }

    fn refuse(&mut self, incoming: Incoming) {
        self.out.clear();
        let transmit = self.endpoint.refuse(incoming, &mut self.out);
        self.udp.send(&transmit, &self.out);
    }

    fn ask_for_proof(&mut self, incoming: Incoming) {
        self.out.clear();
        match self.endpoint.retry(incoming, &mut self.out) {
            Ok(transmit) => self.udp.send(&transmit, &self.out),
            Err(cause) => self.endpoint.ignore(cause.into_incoming()),
        }
    }

    /// A client opens a stream: the first one is its MQTT.
    pub(super) fn open(&mut self, now: Instant, slot: usize, line: &mut Line, stream: StreamId) {
        let address = line.quic.remote_address();
        match line.turn(Stage::Closed, None) {
            Stage::Opening(pass) => match self.pair(slot, stream) {
                Ok((pipe, theirs)) => {
                    line.stage = Stage::Serving(pipe);
                    self.hand_over(line, theirs, *pass);
                }
                Err(cause) => {
                    self.entrance.tell(
                        &self.shared.why,
                        self.shared.clock.now(),
                        address,
                        &NoWay(cause),
                    );
                    self.release(Stage::Opening(pass));
                    line.stage = Stage::Ending;
                    line.close(now, Close::NoRoom);
                }
            },
            Stage::Serving(pipe) => {
                self.entrance.tell(
                    &self.shared.why,
                    self.shared.clock.now(),
                    address,
                    &Close::SecondStream,
                );
                line.stage = Stage::Serving(pipe);
                line.close(now, Close::SecondStream);
            }
            over @ (Stage::Ending | Stage::Closed) => line.stage = over,
        }
    }

    /// A way to a shard: our end, and that for the shard.
    fn pair(&self, slot: usize, stream: StreamId) -> io::Result<(Pipe, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let ours = mio::net::UnixStream::from_std(ours);
        let pipe = Pipe::new(stream, ours, self.poll.registry(), Token(slot))?;
        Ok((pipe, theirs))
    }

    /// Gives the other end to a shard, which serves it as any other.
    fn hand_over(&mut self, line: &Line, theirs: UnixStream, mut pass: Pass) {
        pass.opened();
        pass.chain = Some(chain(line));
        self.entrance.counters.full.fetch_add(1, Ordering::Relaxed);
        let rules = self.entrance.rules();
        let known = Known {
            address: line.quic.remote_address(),
            proxied: None,
            certificate: pass.chain.as_deref().and_then(certificate).map(Box::new),
        };
        // Those that are still in their handshakes have no place yet.
        let opening = self.entrance.opening.load(Ordering::Relaxed);
        let all = self.entrance.connections.load(Ordering::Relaxed);
        let before = all.saturating_sub(opening).saturating_sub(1);
        let peer = Peer {
            admission: admit(&self.shared, &rules, before, None),
            entry: Arc::clone(&rules.entry),
            certificate: certified(&known),
            ..Peer::new(known.address)
        };
        let stream = TcpStream::from_std(OwnedFd::from(theirs).into());
        let socket = Socket { stream, transport: None, pass };
        let moving = Box::new(Moving { socket, peer, expulsions: 0, unread: Vec::new() });
        let mailboxes = &self.shared.mailboxes;
        if let Some(mailbox) = mailboxes.get(self.next_shard % mailboxes.len()) {
            mailbox.post(Parcel::Connection(moving), 0);
            mailbox.ring();
        }
        self.next_shard = self.next_shard.wrapping_add(1);
    }
}

/// There is no descriptor for the way of a client to its shard.
#[derive(Debug, thiserror::Error)]
#[error("no way to a shard: {0} (raise LimitNOFILE, ulimit -n)")]
struct NoWay(io::Error);

impl Reason for NoWay {
    fn cause(&self) -> Cause {
        Cause::NoDescriptor
    }
}

/// What a client has shown, verified; empty if that is nothing.
fn chain(line: &Line) -> Box<[CertificateDer<'static>]> {
    let shown = line.quic.crypto_session().peer_identity();
    let chain = shown.and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    chain.map(|chain| chain.into_boxed_slice()).unwrap_or_default()
}

fn certificate(chain: &[CertificateDer<'_>]) -> Option<Certificate> {
    Certificate::parse(chain.first()?)
}
