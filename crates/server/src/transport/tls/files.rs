//! Certificates, keys and lists of revoked ones, from PEM files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use super::der::Certificate;
use super::error::TlsError;
use super::options::CertificateFiles;

/// The largest file that is read: a bundle with all public authorities has a quarter of it.
const LARGEST: u64 = 1024 * 1024;

/// The most certificates of a chain; more are no chain.
const CHAIN: usize = 10;

/// A certificate with its key, and what it says.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) certificate: Certificate,
    pub(crate) path: PathBuf,
}

impl Identity {
    pub(super) fn read(files: &CertificateFiles) -> Result<Self, TlsError> {
        let mut chain = certificates(&files.chain)?;
        let certificate = parsed(&chain, &files.chain)?;
        if let Some(authorities) = &files.authorities {
            complete(&mut chain, certificates(authorities)?);
        }
        let key = private_key(&files.key)?;
        // Compared here: rustls would not read certificates of version 1, which are still about.
        if key.public_key().is_some_and(|key| key.as_ref() != certificate.key) {
            return Err(TlsError::KeyDoesNotFit {
                certificate: files.chain.clone(),
                key: files.key.clone(),
            });
        }
        let certified = Arc::new(CertifiedKey::new(chain, key));
        Ok(Self { certified, certificate, path: files.chain.clone() })
    }
}

fn parsed(chain: &[CertificateDer<'_>], path: &Path) -> Result<Certificate, TlsError> {
    let first = chain.first().and_then(|first| Certificate::parse(first));
    first.ok_or_else(|| unusable(path, "its first certificate cannot be read"))
}

/// Adds what leads from the last certificate to a root, from `authorities`. The root itself, every
/// client has, or else it would not be believed.
fn complete(chain: &mut Vec<CertificateDer<'static>>, authorities: Vec<CertificateDer<'static>>) {
    let parse = |der: &CertificateDer<'_>| Certificate::parse(der);
    let authorities: Vec<_> =
        authorities.into_iter().filter_map(|der| parse(&der).map(|read| (der, read))).collect();
    while chain.len() < CHAIN {
        let Some(last) = chain.last().and_then(parse) else { return };
        let above = authorities.iter().find(|(_, above)| above.subject == last.issuer);
        let Some((der, _)) = above.filter(|(_, above)| !above.is_self_signed()) else { return };
        chain.push(der.clone());
    }
}

/// Authorities from files and directories.
pub(super) fn authorities(paths: &[PathBuf]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for path in paths {
        if !path.is_dir() {
            for der in certificates(path)? {
                store.add(der).map_err(|cause| unusable(path, &cause.to_string()))?;
            }
            continue;
        }
        let failed = |cause| TlsError::Unreadable { path: path.clone(), cause };
        for entry in fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            // Directories also hold what is no certificate; those that are none add nothing.
            store.add_parsable_certificates(certificates(&file).unwrap_or_default());
        }
    }
    if store.is_empty() {
        return Err(TlsError::NoAuthority);
    }
    Ok(Arc::new(store))
}

pub(super) fn revocation_lists(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let pem = read(path)?;
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&pem).collect();
    let lists = lists.map_err(|cause| unusable(path, &format!("it is no PEM: {cause}")))?;
    if lists.is_empty() {
        return Err(unusable(path, "it holds no list of revoked certificates (X509 CRL)"));
    }
    Ok(lists)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|cause| unusable(path, &format!("it is no PEM: {cause}")))?;
    if !found.is_empty() {
        return Ok(found);
    }
    Err(unusable(
        path,
        if pem.first() == Some(&0x30) {
            "it is DER, not PEM: `openssl x509 -inform der -in FILE -out FILE.pem` converts it"
        } else if holds(&pem, "PRIVATE KEY") {
            "it holds a key and no certificate: are certfile and keyfile mixed up?"
        } else {
            "it holds no certificate"
        },
    ))
}

fn private_key(path: &Path) -> Result<Arc<dyn SigningKey>, TlsError> {
    let pem = read(path)?;
    let Ok(key) = PrivateKeyDer::from_pem_slice(&pem) else {
        return Err(unusable_key(
            path,
            if holds(&pem, "ENCRYPTED") {
                "the key is protected by a password, which a service cannot be asked for: `openssl pkey -in FILE -out FILE.plain` takes it off (keep that file at mode 0600)"
            } else if holds(&pem, "BEGIN CERTIFICATE") {
                "it holds a certificate and no key: are certfile and keyfile mixed up?"
            } else {
                "it holds no key (PKCS#8, PKCS#1 or SEC1, as PEM)"
            },
        ));
    };
    any_supported_type(&key).map_err(|_| {
        unusable_key(path, "keys of this kind cannot be used: there are RSA from 2048 bits, ECDSA with P-256 or P-384, and Ed25519")
    })
}

fn holds(pem: &[u8], words: &str) -> bool {
    pem.windows(words.len()).any(|window| window == words.as_bytes())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |cause| TlsError::Unreadable { path: path.to_owned(), cause };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST {
        return Err(unusable(path, "it is larger than 1 MiB, which certificates never are"));
    }
    fs::read(path).map_err(failed)
}

fn unusable(path: &Path, what: &str) -> TlsError {
    TlsError::Unusable { path: path.to_owned(), what: what.to_owned() }
}

fn unusable_key(path: &Path, what: &str) -> TlsError {
    TlsError::UnusableKey { path: path.to_owned(), what: what.to_owned() }
}
