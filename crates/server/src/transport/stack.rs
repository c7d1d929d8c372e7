//! The layers of one connection, one upon the other.

use std::io::IoSlice;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::fault::Fault;
use super::guess::Spoken;
use super::proxy::{self, ProxiedTls, ProxyHeader, ProxyVersion};
use super::tls::{Certificate, Opened, RECORD, SEALED_RECORD, Tls, TlsConfig};
use super::websocket::{Heard, WebSocket, WebSocketOptions};

/// Records that are sealed before the socket is written.
const RECORDS: usize = 4;

/// MQTT in one frame of WebSocket. 256 KiB: what a socket takes at once, and clients gather frames.
const FRAME: usize = 256 * 1024;

/// Words of TLS that wait for what follows them, as a ticket does for CONNACK. 4 KiB: it is copied if the
/// socket does not take it.
const LITTLE: usize = 4 * 1024;

/// What a WebSocket adds in front of a frame at most.
const FRAME_HEADER: usize = 10;

/// Answered to a browser that forgot the s of https.
const NOT_ENCRYPTED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 25\r\nConnection: close\r\n\r\nThis port speaks TLS only";

/// The layers that connections of a listener have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    /// A proxy says first who the client is.
    pub(crate) proxy: Option<ProxyVersion>,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) websocket: Option<Arc<WebSocketOptions>>,
}

impl Layers {
    /// Whether the socket carries MQTT itself.
    pub(crate) const fn is_plain(&self) -> bool {
        self.proxy.is_none() && self.tls.is_none() && self.websocket.is_none()
    }

    /// Whether connections from this address are those of clients that a proxy will name.
    pub(crate) fn announces(&self, address: IpAddr) -> bool {
        let forwards = |options: &Arc<WebSocketOptions>| {
            options.trusted_proxies.iter().any(|network| network.contains(address))
        };
        self.proxy.is_some() || self.websocket.as_ref().is_some_and(forwards)
    }
}

/// What is known of a peer beyond its CONNECT.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) address: SocketAddr,
    /// How the client came to a proxy, if by TLS.
    pub(crate) proxied: Option<Box<ProxiedTls>>,
    /// The certificate that the client has shown.
    pub(crate) certificate: Option<Box<Certificate>>,
}

/// The state of the layers of one connection. Idle, it holds no buffers.
pub(crate) struct Transport {
    /// The header of a proxy is to come.
    proxy: Option<ProxyVersion>,
    tls: Option<Box<Tls>>,
    websocket: Option<WebSocket>,
    known: Known,
    stage: Stage,
    /// What of the socket's bytes is the beginning of something.
    pub(crate) raw: Vec<u8>,
    /// Ready for the socket, after what is [`announced`](Self::announced).
    pub(crate) out: Vec<u8>,
    /// Bytes of MQTT that the frame which was begun last is still to get.
    pub(crate) announced: usize,
    /// The peer has ended what it has to say.
    pub(crate) ended: bool,
    /// We have.
    finished: bool,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has come.
    Silent,
    /// The layers introduce themselves.
    Opening,
    /// MQTT goes through.
    Open,
}

/// Buffers that all connections of a shard share.
#[derive(Default)]
pub(crate) struct Scratch {
    gathered: Vec<u8>,
    sealed: Vec<u8>,
}

impl Transport {
    pub(crate) fn new(layers: &Layers, address: SocketAddr) -> Result<Self, Fault> {
        let tls = layers.tls.clone().map(Tls::new).transpose()?;
        Ok(Self {
            proxy: layers.proxy,
            tls: tls.map(Box::new),
            websocket: layers.websocket.clone().map(WebSocket::new),
            known: Known { address, proxied: None, certificate: None },
            stage: Stage::Silent,
            raw: Vec::new(),
            out: Vec::new(),
            announced: 0,
            ended: false,
            finished: false,
        })
    }

    pub(crate) const fn known(&self) -> &Known {
        &self.known
    }

    /// Whether the end was said: nothing is received or sealed any more.
    pub(crate) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether all layers are through with their introductions.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Whether nothing is left to do for the layers: there was only the header of a proxy.
    pub(crate) const fn is_plain(&self) -> bool {
        self.proxy.is_none() && self.tls.is_none() && self.websocket.is_none()
    }

    /// What the client has shown of certificates; `None` without TLS.
    pub(crate) fn chain(&self) -> Option<&[CertificateDer<'static>]> {
        self.tls.as_ref().map(|tls| tls.client_chain())
    }

    /// Whether TLS went on from an earlier connection; `None` without TLS.
    pub(crate) fn was_resumed(&self) -> Option<bool> {
        self.tls.as_ref().map(|tls| tls.was_resumed())
    }

    /// Takes the header of a proxy from `bytes`, if it is still to come and all there; says how long it is. From
    /// then on it is known from where the client comes, before it has said anything itself.
    pub(crate) fn hear_proxy(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let Some(version) = self.proxy.filter(|_| !self.finished) else { return Ok(0) };
        let Some(header) = proxy::parse(bytes, version)? else { return Ok(0) };
        let length = header.length;
        self.proxy = None;
        self.learn_from_proxy(header);
        if self.is_plain() {
            // Who it is counts from here on, whether it says anything or not.
            self.stage = Stage::Open;
        }
        Ok(length)
    }

    /// Takes `bytes` of the socket and appends the MQTT in them to `plain`; says how many were used.
    /// What is to be answered is in `out`, also after a fault.
    pub(crate) fn received(
        &mut self,
        bytes: &mut [u8],
        plain: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        if self.finished {
            return Ok(bytes.len());
        }
        let mut used = self.hear_proxy(bytes)?;
        if self.proxy.is_some() {
            return Ok(0);
        }
        let bytes = &mut bytes[used..];
        if bytes.is_empty() {
            return Ok(used);
        }
        if self.stage == Stage::Silent {
            self.stage = Stage::Opening;
            self.check_first(bytes)?;
        }
        used += match self.tls {
            Some(_) => self.open_records(bytes, plain)?,
            None => {
                let mut out = mem::take(&mut self.out);
                let taken = take(&mut self.websocket, &self.known, bytes, plain, &mut out);
                self.out = out;
                self.hear(taken?);
                bytes.len()
            }
        };
        if self.stage == Stage::Opening {
            let tls = self.tls.as_ref().is_none_or(|tls| tls.is_established());
            let websocket = self.websocket.as_ref().is_none_or(WebSocket::is_open);
            if tls && websocket {
                self.stage = Stage::Open;
            }
        }
        Ok(used)
    }

    /// Whether what is ready is so little that it is better sealed and sent together with what follows.
    pub(crate) fn says_little(&self) -> bool {
        self.tls.is_some() && !self.finished && self.out.len() <= LITTLE
    }

    /// Whether frames of WebSocket are written to the socket as they are.
    pub(crate) const fn is_bare_websocket(&self) -> bool {
        self.tls.is_none() && self.websocket.is_some()
    }

    /// How much MQTT may be written now: the rest of the frame that was begun, or a new one.
    pub(crate) const fn frame_room(&self) -> usize {
        if self.announced > 0 { self.announced } else { FRAME }
    }

    /// The header that goes before `length` bytes of MQTT: none within a frame that was begun. `None` if
    /// nothing can be sent.
    pub(crate) fn frame_header<'s>(
        &self,
        length: usize,
        scratch: &'s mut Scratch,
    ) -> Option<&'s [u8]> {
        let header = &mut scratch.gathered;
        header.clear();
        if self.announced == 0 {
            let websocket = self.websocket.as_ref().filter(|websocket| websocket.is_open())?;
            websocket.announce(length, header);
        }
        Some(header)
    }

    /// Seals as much of `slices` as goes at once: the number of bytes taken, and what the socket is to
    /// get for them. `None` if nothing can be sent.
    pub(crate) fn seal<'s>(
        &mut self,
        slices: &'s [IoSlice<'s>],
        scratch: &'s mut Scratch,
    ) -> Option<(usize, &'s [u8])> {
        if self.finished {
            return None;
        }
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let taken = offered.min(RECORD * RECORDS - FRAME_HEADER);
        let Scratch { gathered, sealed } = scratch;
        let plain = match (slices, &self.websocket) {
            ([single], None) => single.get(..taken)?,
            (several, websocket) => {
                gathered.clear();
                if let Some(websocket) = websocket {
                    websocket.is_open().then(|| websocket.announce(taken, gathered))?;
                }
                let mut left = taken;
                for slice in several {
                    let part = slice.get(..left.min(slice.len()))?;
                    gathered.extend_from_slice(part);
                    left -= part.len();
                }
                gathered.as_slice()
            }
        };
        let Some(tls) = &mut self.tls else { return Some((taken, plain)) };
        if sealed.is_empty() {
            *sealed = vec![0; RECORDS * SEALED_RECORD];
        }
        let mut written = 0;
        for part in plain.chunks(RECORD) {
            written += tls.seal(part, &mut self.raw, sealed.get_mut(written..)?)?;
        }
        Some((taken, sealed.get(..written)?))
    }

    /// Says the end in all layers, once.
    pub(crate) fn finish(&mut self) {
        let mut raw = mem::take(&mut self.raw);
        self.finish_beside(&mut raw);
    }

    /// The same, while `raw` is what was received and not used.
    fn finish_beside(&mut self, raw: &mut [u8]) {
        if mem::replace(&mut self.finished, true) {
            return;
        }
        let mut plain = Vec::new();
        if let Some(websocket) = &mut self.websocket {
            websocket.finish(&mut plain);
        }
        self.send(&plain, raw);
        if let Some(tls) = &mut self.tls {
            tls.finish(raw, &mut self.out);
        }
    }

    fn learn_from_proxy(&mut self, header: ProxyHeader) {
        if let Some(source) = header.source {
            self.known.address = source;
        }
        self.known.proxied = header.tls;
    }

    /// Says what is wrong where the layers themselves would only say that something is.
    fn check_first(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        match Spoken::in_bytes(bytes) {
            Spoken::Tls | Spoken::Unknown => Ok(tls.heed_order(bytes)?),
            spoken => {
                if spoken == Spoken::Http {
                    self.out.extend_from_slice(NOT_ENCRYPTED);
                }
                self.tls = None;
                Err(Fault::Spoken { spoken, expected: "TLS" })
            }
        }
    }

    fn open_records(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> Result<usize, Fault> {
        let Some(tls) = &mut self.tls else { return Ok(0) };
        let (websocket, known) = (&mut self.websocket, &mut self.known);
        let was_established = tls.is_established();
        let mut answer = Vec::new();
        let mut heard = Heard::default();
        let mut opened = Opened::default();
        let result = tls.received(bytes, &mut opened, &mut self.out, |record| {
            let taken = take(websocket, known, record, plain, &mut answer)?;
            heard.ended |= taken.ended;
            heard.forwarded_for = heard.forwarded_for.or(taken.forwarded_for);
            Ok::<(), Fault>(())
        });
        if !was_established && tls.is_established() {
            let certificate = tls.client_certificate();
            let certificate = certificate.and_then(|der| Certificate::parse(der));
            self.known.certificate = certificate.map(Box::new);
        }
        let rest = bytes.get_mut(opened.used..).unwrap_or_default();
        self.send(&answer, rest);
        if let Err(fault) = result {
            // Now, since it cannot be told later what was not used.
            self.finish_beside(rest);
            return Err(fault);
        }
        self.hear(heard);
        self.ended |= opened.ended;
        Ok(opened.used)
    }

    fn hear(&mut self, heard: Heard) {
        self.ended |= heard.ended;
        if let Some(address) = heard.forwarded_for {
            self.known.address = SocketAddr::new(address, 0);
        }
    }

    /// Makes words of the upper layers ready for the socket.
    fn send(&mut self, words: &[u8], raw: &mut [u8]) {
        let Some(tls) = &mut self.tls else { return self.out.extend_from_slice(words) };
        for part in words.chunks(RECORD) {
            let from = self.out.len();
            self.out.resize(from + part.len() + SEALED_RECORD - RECORD, 0);
            let sealed = tls.seal(part, raw, &mut self.out[from..]).unwrap_or(0);
            self.out.truncate(from + sealed);
        }
    }
}

/// What the layer above TLS makes of bytes.
fn take(
    websocket: &mut Option<WebSocket>,
    known: &Known,
    bytes: &[u8],
    plain: &mut Vec<u8>,
    answer: &mut Vec<u8>,
) -> Result<Heard, Fault> {
    let Some(websocket) = websocket else {
        plain.extend_from_slice(bytes);
        return Ok(Heard::default());
    };
    Ok(websocket.received(bytes, known.address.ip(), plain, answer)?)
}

#[cfg(test)]
mod tests;
