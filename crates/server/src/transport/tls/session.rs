//! One TLS connection, from bytes to bytes: it holds no buffers, those are the caller's.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, HandshakeKind, ServerConfig};

use super::{TlsConfig, hello};

/// Plaintext of one record.
pub(crate) const RECORD: usize = 16 * 1024;

/// What a record adds at most: header, explicit nonce, content type, tag.
const RECORD_OVERHEAD: usize = 64;

/// Room that a whole sealed record needs.
pub(crate) const SEALED_RECORD: usize = RECORD + RECORD_OVERHEAD;

/// The server's side of one connection.
pub(crate) struct Tls {
    connection: UnbufferedServerConnection,
    /// What the connection is made of if its client prefers so. Gone once that is known.
    by_client: Option<Arc<ServerConfig>>,
    /// There was an error.
    broken: bool,
}

/// What became of bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Opened {
    /// How many were used; the rest is the beginning of a record.
    pub(crate) used: usize,
    /// The peer said that nothing follows.
    pub(crate) ended: bool,
}

impl Tls {
    pub(crate) fn new(config: TlsConfig) -> Result<Self, Error> {
        let TlsConfig { ours, by_client } = config;
        let connection = UnbufferedServerConnection::new(ours)?;
        Ok(Self { connection, by_client, broken: false })
    }

    /// Goes by the client's order of suites if it needs that; `bytes` are the first that have come.
    pub(crate) fn heed_order(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(config) = self.by_client.take().filter(|_| hello::prefers_chacha20(bytes)) {
            self.connection = UnbufferedServerConnection::new(config)?;
        }
        Ok(())
    }

    /// Takes the records in `bytes`, gives what each holds to `take`, and appends to `out` what is to
    /// be sent for the handshake.
    pub(crate) fn received<E: From<Error>>(
        &mut self,
        bytes: &mut [u8],
        opened: &mut Opened,
        out: &mut Vec<u8>,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let rest = bytes.get_mut(opened.used..).unwrap_or_default();
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(rest);
            self.broken = state.is_err();
            let state = state?;
            opened.used += discard;
            match state {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        opened.used += record.discard;
                        take(record.payload)?;
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    append(out, |into| data.encode(into).map_err(|error| room_to_encode(&error)))?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed | ConnectionState::Closed => {
                    opened.ended = true;
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    }

    /// Seals `plain`, at most [`RECORD`] bytes, into `into`, which has room for [`SEALED_RECORD`]; the
    /// number of bytes written, `None` if nothing can be sent.
    ///
    /// As everywhere below, `raw` is what was received and not used yet: the beginning of a handshake
    /// message may be in it, which rustls looks for at its place.
    pub(crate) fn seal(&mut self, plain: &[u8], raw: &mut [u8], into: &mut [u8]) -> Option<usize> {
        let mut start = 0;
        while !self.broken {
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(raw);
            debug_assert_eq!(discard, 0, "all that was whole was used when it came");
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let written = traffic.encrypt(plain, into.get_mut(start..)?).ok()?;
                    return Some(start + written);
                }
                // An answer to a change of keys that was waiting goes first.
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    start += data.encode(into.get_mut(start..)?).ok()?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return None,
            }
        }
        None
    }

    /// Appends what is the last thing to be said: that nothing follows or, after an error, what was
    /// wrong. Nothing may be received or sealed after it.
    pub(crate) fn finish(&mut self, raw: &mut [u8], out: &mut Vec<u8>) {
        // After an error rustls only hands out what it has for the peer; more it must not be asked.
        while !self.broken || self.connection.wants_write() {
            // Nothing is left to discard: all that was whole was used when it came.
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(raw);
            // A peer that cannot be told has to find out by itself.
            let told = match state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(out, |into| data.encode(into).map_err(|error| room_to_encode(&error)))
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    Ok(())
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let told = append(out, |into| {
                        traffic.queue_close_notify(into).map_err(|error| room_to_encrypt(&error))
                    });
                    return told.unwrap_or_default();
                }
                _ => return,
            };
            if told.is_err() {
                return;
            }
        }
    }

    /// Whether the handshake is through.
    pub(crate) fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Whether the handshake went on from an earlier one.
    pub(crate) fn was_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The certificate of the client, verified.
    pub(crate) fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.client_chain().first()
    }

    /// The same with what leads from it to its authority; empty if none was shown.
    pub(crate) fn client_chain(&self) -> &[CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }
}

/// Appends what `write` writes. It is asked twice, the first time without room, to learn its size.
fn append(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Error> {
    let from = out.len();
    let failed = || Error::General("a record cannot be written".to_owned());
    let needed = match write(&mut []) {
        Ok(_) => return Ok(()),
        Err(needed) => needed.ok_or_else(failed)?,
    };
    out.resize(from + needed, 0);
    let written = write(&mut out[from..]).map_err(|_| failed())?;
    out.truncate(from + written);
    Ok(())
}

const fn room_to_encode(error: &EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

const fn room_to_encrypt(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}
