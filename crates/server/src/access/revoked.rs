//! Certificates that were taken back.
//!
//! Whoever comes with one is refused in the handshake, by the same list. Here it is about those who are
//! connected already when the list is read anew.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use dunlin_broker::Certified;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject as _;

use crate::transport::Certificate;

/// Certificates by their identifiers.
pub(super) struct Revoked(HashSet<Box<[u8]>>);

impl Revoked {
    /// Reads the lists in a file; `None` if it cannot be read, which the listener tells that needs it too.
    pub(super) fn read(path: &Path) -> Option<Result<Self, &'static str>> {
        let pem = fs::read(path).ok()?;
        let mut revoked = HashSet::new();
        for list in CertificateRevocationListDer::pem_slice_iter(&pem) {
            let found = Certificate::revoked_by(list.ok()?.as_ref());
            let Some(found) = found else {
                return Some(Err("it holds a list of revoked certificates that cannot be read"));
            };
            revoked.extend(found.into_iter().map(Vec::into_boxed_slice));
        }
        Some(Ok(Self(revoked)))
    }

    /// Whether this one was taken back.
    pub(super) fn has(&self, shown: &Certified) -> bool {
        self.0.contains(&*shown.identifier)
    }
}
