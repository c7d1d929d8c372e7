//! Which clients a listener believes: asked in handshakes by rustls, and once more about those who are
//! connected when that changes.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{Context, SHA256};
use rustls::Error;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;

use super::clients;
use super::der::Certificate;
use super::error::TlsError;
use super::options::ClientCertificates;

/// Who verifies certificates of clients, and by what.
#[derive(Clone)]
pub(crate) struct Trust {
    verifier: Arc<dyn ClientCertVerifier>,
    mark: Mark,
}

/// Tells apart what is believed: another one for other authorities, lists or conditions.
pub(super) type Mark = [u8; 32];

impl Trust {
    pub(super) fn read(
        wanted: &ClientCertificates,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let (verifier, parts) = clients::verifier(wanted, provider)?;
        let mut context = Context::new(&SHA256);
        for part in &parts {
            // Where one ends and the next begins belongs to it.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.finish().as_ref());
        Ok(Self { verifier, mark })
    }

    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Whether both believe the same clients.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.mark == other.mark
    }

    /// Whether a client that is connected could have shown this now. Dates do not count that have passed
    /// since: no rule has changed by that.
    pub(crate) fn judge(&self, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        if !self.verifier.offer_client_auth() {
            return Ok(());
        }
        let Some((first, rest)) = chain.split_first() else {
            return match self.verifier.client_auth_mandatory() {
                true => Err(Error::NoCertificatesPresented),
                false => Ok(()),
            };
        };
        let now = UnixTime::now();
        let ends = Certificate::parse(first).map(|certificate| certificate.not_after);
        let ends = ends.map(|ends| UnixTime::since_unix_epoch(Duration::from_secs(ends)));
        let then = ends.map_or(now, |ends| now.min(ends));
        self.verifier.verify_client_cert(first, rest, then).map(drop)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}
