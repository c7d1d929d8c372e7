//! Certificates from PEM files, and what a file holds instead.

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::PrivateKey;
use crate::KitError;
use crate::files;

/// The most certificates that are read from a file: all public authorities are some 150.
const MOST: usize = 1000;

/// As much of what is wrong with a file as a message repeats.
const CAUSE_SHOWN: usize = 200;

/// The certificates of a file, at least one, each of which can be parsed.
#[derive(Debug, Clone)]
pub struct Chain {
    pub(crate) path: PathBuf,
    first: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, holds no certificate, or one that is damaged.
    pub fn read(path: &Path) -> Result<Self, KitError> {
        Self::parse(path, &files::read(path)?)
    }

    /// Reads what is in a file.
    ///
    /// # Errors
    /// It holds no certificate, or one that is damaged.
    pub fn parse(path: &Path, pem: &[u8]) -> Result<Self, KitError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(MOST + 1).collect();
        let found = found.map_err(|cause| {
            // It repeats the line, which may be as long as the file.
            let cause: String = cause.to_string().chars().take(CAUSE_SHOWN).collect();
            KitError::unusable(path, format!("it is no PEM: {cause}"))
        })?;
        if found.len() > MOST {
            return Err(KitError::unusable(path, "it holds more than 1000 certificates"));
        }
        for der in &found {
            certificate(der)
                .ok_or_else(|| KitError::unusable(path, "a certificate in it is damaged"))?;
        }
        let mut found = found.into_iter();
        let Some(first) = found.next() else {
            return Err(KitError::unusable(path, instead(pem)));
        };
        Ok(Self { path: path.to_owned(), first, others: found.collect() })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first: that of the holder.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// Whether it is the key of the first.
    #[must_use]
    pub fn has_key(&self, key: &PrivateKey) -> bool {
        key.fits(&self.parsed())
    }

    /// All, the first one first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        [&self.first].into_iter().chain(&self.others)
    }

    pub(super) fn others(&self) -> &[CertificateDer<'static>] {
        &self.others
    }

    pub(super) fn parsed(&self) -> X509Certificate<'_> {
        certificate(&self.first).expect("parsed when the chain was read")
    }
}

/// A certificate without anything behind it.
pub(crate) fn certificate(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    // Names with an empty set make no sense, and not every reader survives them.
    let names = [certificate.subject(), certificate.issuer()];
    let are_whole = names.iter().all(|name| name.iter().all(|set| set.iter().next().is_some()));
    (rest.is_empty() && are_whole).then_some(certificate)
}

/// What there is instead of a certificate.
fn instead(pem: &[u8]) -> &'static str {
    if pem.first() == Some(&0x30) {
        "it is DER, not PEM: `openssl x509 -inform der -in FILE -out FILE.pem` converts it"
    } else if holds(pem, "PRIVATE KEY") {
        "it holds a key and no certificate: are the two mixed up?"
    } else if holds(pem, "CERTIFICATE REQUEST") {
        "it holds a request, which no authority has signed yet"
    } else {
        "it holds no certificate (PEM)"
    }
}

pub(super) fn holds(pem: &[u8], words: &str) -> bool {
    pem.windows(words.len()).any(|window| window == words.as_bytes())
}
