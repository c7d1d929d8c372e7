//! What lies between the MQTT of a client and its socket: nothing, TLS or WebSocket.
//!
//! The broker is measured, not its certificate: whatever it shows is taken.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

/// How clients reach the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Via {
    /// MQTT as it is
    Tcp,
    /// TLS 1.3, with a full handshake for each connection
    Tls,
    /// TLS 1.3, resuming what earlier connections have agreed on; eight of them are remembered
    TlsResumed,
    /// WebSocket
    Ws,
}

/// Makes channels of one kind.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    via: Via,
    tls: Option<Arc<ClientConfig>>,
}

impl Opener {
    pub(super) fn new(via: Via) -> Result<Self> {
        let tls = match via {
            Via::Tcp | Via::Ws => None,
            Via::Tls => Some(client_config(Resumption::disabled())?),
            Via::TlsResumed => Some(client_config(Resumption::in_memory_sessions(256))?),
        };
        Ok(Self { via, tls: tls.map(Arc::new) })
    }

    /// Begins to speak over a stream that blocks.
    pub(super) fn open<S: Read + Write>(&self, mut stream: S) -> Result<Channel<S>> {
        let layer = match (&self.tls, self.via) {
            (Some(config), _) => {
                let name = ServerName::try_from("localhost")?;
                Layer::Tls(Box::new(ClientConnection::new(Arc::clone(config), name)?))
            }
            (None, Via::Ws) => {
                upgrade(&mut stream).context("asking for WebSocket")?;
                Layer::WebSocket(Frames::default())
            }
            (None, _) => Layer::None,
        };
        Ok(Channel { stream, layer, held: Vec::new() })
    }
}

fn client_config(resumption: Resumption) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let taken = Arc::new(TakeAny(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(taken)
        .with_no_client_auth();
    config.resumption = resumption;
    Ok(config)
}

/// Takes every certificate.
#[derive(Debug)]
struct TakeAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakeAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Asks for the WebSocket and waits until it is there.
fn upgrade(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(
        b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: ZHVubGluIGJlbmNoICAgIA==\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Protocol: mqtt\r\n\r\n",
    )?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    if answer.starts_with(b"HTTP/1.1 101") {
        return Ok(());
    }
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Err(io::Error::other(String::from_utf8_lossy(line).into_owned()))
}

/// A stream with what lies above it.
#[derive(Debug)]
pub(super) struct Channel<S> {
    stream: S,
    layer: Layer,
    /// Frames that the stream would not take yet.
    held: Vec<u8>,
}

#[derive(Debug)]
enum Layer {
    None,
    Tls(Box<ClientConnection>),
    WebSocket(Frames),
}

impl<S> Channel<S> {
    /// The stream, if there is nothing above it.
    pub(super) fn into_plain(self) -> Result<S> {
        anyhow::ensure!(matches!(self.layer, Layer::None), "this needs --via tcp");
        Ok(self.stream)
    }

    /// The same above another stream.
    pub(super) fn map<T>(self, stream: impl FnOnce(S) -> T) -> Channel<T> {
        Channel { stream: stream(self.stream), layer: self.layer, held: self.held }
    }

    pub(super) const fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Whether something written is still here.
    pub(super) fn is_holding(&self) -> bool {
        match &self.layer {
            Layer::None => false,
            Layer::Tls(tls) => tls.wants_write(),
            Layer::WebSocket(_) => !self.held.is_empty(),
        }
    }
}

impl<S: Read + Write> Read for Channel<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::None => self.stream.read(into),
            Layer::Tls(tls) => fill(into, |into| read_tls(tls, &mut self.stream, into)),
            Layer::WebSocket(frames) => fill(into, |into| {
                loop {
                    let read = self.stream.read(into)?;
                    let length = frames.strip(&mut into[..read]);
                    if read == 0 || length > 0 {
                        return Ok(length);
                    }
                }
            }),
        }
    }
}

/// Reads on until there is no room or nothing more, as a socket does with what has come.
fn fill(
    into: &mut [u8],
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(_) if filled > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl<S: Read + Write> Write for Channel<S> {
    /// Takes everything where there is a layer, and holds what the stream does not take.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::None => return self.stream.write(bytes),
            Layer::Tls(tls) => {
                tls.set_buffer_limit(None);
                tls.writer().write_all(bytes)?;
            }
            Layer::WebSocket(_) => Frames::put(bytes, &mut self.held),
        }
        self.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = match &mut self.layer {
            Layer::None => Ok(()),
            Layer::Tls(tls) => flush_tls(tls, &mut self.stream),
            Layer::WebSocket(_) => flush_held(&mut self.held, &mut self.stream),
        };
        match done {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            done => done,
        }
    }
}

fn read_tls(
    tls: &mut ClientConnection,
    stream: &mut (impl Read + Write),
    into: &mut [u8],
) -> io::Result<usize> {
    loop {
        match tls.reader().read(into) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // Without a farewell.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
            read => return read,
        }
        if tls.read_tls(stream)? == 0 {
            return Ok(0);
        }
        tls.process_new_packets().map_err(io::Error::other)?;
        match flush_tls(tls, stream) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

fn flush_tls(tls: &mut ClientConnection, stream: &mut (impl Read + Write)) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(stream)?;
    }
    Ok(())
}

fn flush_held(held: &mut Vec<u8>, stream: &mut impl Write) -> io::Result<()> {
    while !held.is_empty() {
        let taken = stream.write(held)?;
        held.drain(..taken);
    }
    Ok(())
}

/// The frames of a WebSocket on their way in; those on their way out need no memory.
#[derive(Debug, Default)]
struct Frames {
    /// The header that has begun.
    header: Vec<u8>,
    /// Bytes of the payload that are still to come.
    left: usize,
}

impl Frames {
    /// Appends one frame around `bytes`. The mask is zero, which leaves them as they are.
    fn put(bytes: &[u8], into: &mut Vec<u8>) {
        into.push(0x82);
        match bytes.len() {
            length @ 0..126 => into.push(0x80 | length as u8),
            length @ 126..=0xFFFF => {
                into.push(0x80 | 126);
                into.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                into.push(0x80 | 127);
                into.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        into.extend_from_slice(&[0; 4]);
        into.extend_from_slice(bytes);
    }

    /// Leaves only payload, at the front; returns how much.
    fn strip(&mut self, bytes: &mut [u8]) -> usize {
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() {
            if self.left > 0 {
                let length = self.left.min(bytes.len() - from);
                bytes.copy_within(from..from + length, to);
                (from, to, self.left) = (from + length, to + length, self.left - length);
                continue;
            }
            self.header.push(bytes[from]);
            from += 1;
            let wide = match self.header.get(1).map(|length| length & 0x7F) {
                None => continue,
                Some(126) => 2,
                Some(127) => 8,
                Some(_) => 0,
            };
            if self.header.len() == 2 + wide {
                let length = if wide == 0 { &self.header[1..] } else { &self.header[2..] };
                self.left = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                self.header.clear();
            }
        }
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_pieces_lose_their_headers_only() {
        let mut frames = Frames::default();
        let mut all = vec![0x82, 3, b'a', b'b', b'c', 0x82, 126, 0, 200];
        all.extend_from_slice(&[b'x'; 200]);
        let mut payload = Vec::new();
        for piece in all.chunks_mut(4) {
            let length = frames.strip(piece);
            payload.extend_from_slice(&piece[..length]);
        }
        assert_eq!(payload, [&b"abc"[..], &[b'x'; 200]].concat());
    }

    #[test]
    fn a_frame_says_how_long_it_is() {
        let mut out = Vec::new();
        Frames::put(b"ab", &mut out);
        assert_eq!(out, [0x82, 0x82, 0, 0, 0, 0, b'a', b'b']);
        out.clear();
        Frames::put(&[0; 300], &mut out);
        assert_eq!(out[..4], [0x82, 0xFE, 1, 44]);
    }
}
