//! Which certificate is shown to whom: by the name that the client asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::files::Identity;

/// Certificates by the names that they are good for.
#[derive(Debug)]
pub(super) struct ByName {
    /// In small letters; `*.example.com` as it stands.
    names: BTreeMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl ByName {
    pub(super) fn new(default: &Identity, others: &[Identity]) -> Self {
        let mut names = BTreeMap::new();
        for identity in others.iter().rev().chain([default]) {
            let certificate = &identity.certificate;
            let common = certificate.common_name();
            for name in certificate.alternative_names.iter().chain(&common) {
                names.insert(name.to_ascii_lowercase(), Arc::clone(&identity.certified));
            }
        }
        Self { names, default: Arc::clone(&default.certified) }
    }

    fn find(&self, name: &str) -> &Arc<CertifiedKey> {
        let name = name.to_ascii_lowercase();
        let wildcard = || {
            let (_, domain) = name.split_once('.')?;
            self.names.get(&format!("*.{domain}"))
        };
        self.names.get(&name).or_else(wildcard).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(hello.server_name().map_or(&self.default, |name| self.find(name))))
    }
}

/// The one certificate of a client, shown to whoever asks.
#[derive(Debug)]
pub(super) struct Only(pub(super) Arc<CertifiedKey>);

impl ResolvesClientCert for Only {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
