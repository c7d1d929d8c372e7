//! One TLS connection, from bytes to bytes: it holds no buffers, those are the caller's.

use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{HandshakeKind, ServerConfig};
use std::sync::Arc;

/// Plaintext of one record.
pub(crate) const RECORD: usize = 16 * 1024;

/// What a record adds at most: header, explicit nonce, content type, tag.
const RECORD_OVERHEAD: usize = 64;

/// Room that a whole sealed record needs.
pub(crate) const SEALED_RECORD: usize = RECORD + RECORD_OVERHEAD;

/// The server's side of one connection.
pub(crate) struct Tls(UnbufferedServerConnection);

/// What became of bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Opened {
    /// How many were used; the rest is the beginning of a record.
    pub(crate) used: usize,
    /// The peer said that nothing follows.
    pub(crate) ended: bool,
}

impl Tls {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        UnbufferedServerConnection::new(config).map(Self)
    }

    /// Takes the records in `bytes`, gives what each holds to `take`, and appends to `out` what is to
    /// be sent for the handshake: also after an error, it tells the peer of it.
    pub(crate) fn received<E: From<rustls::Error>>(
        &mut self,
        bytes: &mut [u8],
        out: &mut Vec<u8>,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Opened, E> {
        let mut opened = Opened::default();
        loop {
            let UnbufferedStatus { discard, state } =
                self.0.process_tls_records(&mut bytes[opened.used..]);
            opened.used += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        opened.used += record.discard;
                        take(record.payload)?;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(out, |into| data.encode(into).map_err(room_to_encode))
                        .map_err(rustls::Error::General)?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    opened.ended = true;
                    return Ok(opened);
                }
                Ok(_) => return Ok(opened),
                Err(error) => {
                    self.tell_alert(out);
                    return Err(error.into());
                }
            }
        }
    }

    /// Seals `plain`, at most [`RECORD`] bytes, into `into`, which has room for [`SEALED_RECORD`]; the
    /// number of bytes written, `None` if nothing can be sent.
    pub(crate) fn seal(&mut self, plain: &[u8], into: &mut [u8]) -> Option<usize> {
        let mut before = Vec::new();
        loop {
            match self.0.process_tls_records(&mut []).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    // An answer to a change of keys that was waiting goes first.
                    let start = before.len();
                    into.get_mut(..start)?.copy_from_slice(&before);
                    let written = traffic.encrypt(plain, into.get_mut(start..)?).ok()?;
                    return Some(start + written);
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut before, |into| data.encode(into).map_err(room_to_encode)).ok()?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return None,
            }
        }
    }

    /// Says that nothing follows.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) =
            self.0.process_tls_records(&mut []).state
        {
            // A peer that is not told only has to find out by itself.
            append(out, |into| traffic.queue_close_notify(into).map_err(room_to_encrypt))
                .unwrap_or_default();
        }
    }

    /// Whether the handshake is through.
    pub(crate) fn is_established(&self) -> bool {
        !self.0.is_handshaking()
    }

    /// Whether the handshake went on from an earlier one.
    pub(crate) fn was_resumed(&self) -> bool {
        self.0.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The certificate of the client, verified.
    pub(crate) fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.0.peer_certificates()?.first()
    }

    fn tell_alert(&mut self, out: &mut Vec<u8>) {
        loop {
            match self.0.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    let told = append(out, |into| data.encode(into).map_err(room_to_encode));
                    if told.is_err() {
                        return;
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return,
            }
        }
    }
}

/// Appends what `write` writes. It is asked twice, the first time without room, to learn its size.
fn append(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), String> {
    let from = out.len();
    let failed = || "a record cannot be written".to_owned();
    let needed = match write(&mut []) {
        Ok(_) => return Ok(()),
        Err(needed) => needed.ok_or_else(failed)?,
    };
    out.resize(from + needed, 0);
    let written = write(&mut out[from..]).map_err(|_| failed())?;
    out.truncate(from + written);
    Ok(())
}

const fn room_to_encode(error: EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

const fn room_to_encrypt(error: EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}
