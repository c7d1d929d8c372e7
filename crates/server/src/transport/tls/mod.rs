//! TLS, by rustls: what a listener shows and asks for, and single connections.

mod clients;
mod der;
mod dial;
mod error;
mod files;
mod hello;
mod key_log;
mod names;
mod options;
mod session;
mod suites;
mod trust;

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};

pub(crate) use der::Certificate;
pub use dial::{DialOptions, Dialer, NameCheck, TlsStream, explain_dial};
pub use error::TlsError;
use files::Identity;
pub(crate) use options::KEY_LOG;
pub use options::{CertificateFiles, ClientCertificates, ClientTrust, TlsOptions, TlsVersion};
pub(crate) use session::{Opened, RECORD, SEALED_RECORD, Tls};
pub(crate) use trust::Trust;

/// Tickets for each new connection: one is enough for a client that comes back, and more cost time.
const TICKETS: usize = 1;

/// What connections of a listener with TLS are made with.
#[derive(Debug)]
pub(crate) struct TlsSetup {
    pub(crate) config: TlsConfig,
    /// Which clients it believes.
    pub(crate) trust: Trust,
    /// What clients or operators will stumble over, though it can be used.
    pub(crate) warnings: Vec<String>,
    /// The first of the certificates to expire.
    pub(crate) expires: Expires,
}

/// When a certificate expires.
#[derive(Debug, Clone)]
pub(crate) struct Expires {
    /// In seconds since 1970.
    pub(crate) at: u64,
    /// Its file, and where the configuration names it.
    pub(crate) file: String,
}

/// What rustls makes a connection of.
#[derive(Debug, Clone)]
pub(crate) struct TlsConfig {
    /// The server's order of suites.
    pub(crate) ours: Arc<ServerConfig>,
    /// That of the client, for those that are better off with ChaCha20; not if the operator has chosen.
    pub(crate) by_client: Option<Arc<ServerConfig>>,
}

impl TlsSetup {
    /// Reads all files, for connections that speak `protocols` (ALPN), at `now` seconds since 1970.
    ///
    /// A new setup knows no tickets of an earlier one: whoever may not come in any more does not come
    /// in by resuming either.
    pub(crate) fn read(
        options: &TlsOptions,
        protocols: &[&str],
        now: u64,
    ) -> Result<Self, TlsError> {
        let mut provider = ring::default_provider();
        provider.cipher_suites = suites::chosen(&options.ciphers)?;
        let provider = Arc::new(provider);
        let default = Identity::read(&options.certificate)?;
        let others = options.by_name.iter().map(Identity::read).collect::<Result<Vec<_>, _>>()?;
        let versions: &[_] = match options.minimum_version {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        if let Some(path) = &options.idle_list {
            files::revocation_lists(path)?;
        }
        let trust = Trust::read(&options.clients, &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(trust.verifier())
            .with_cert_resolver(Arc::new(names::ByName::new(&default, &others)));
        config.ticketer = ring::Ticketer::new()?;
        config.send_tls13_tickets = TICKETS;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        // What a list of suites says about their order is meant, and ours has what costs least first.
        config.ignore_client_order = true;
        if let Some(path) = &options.key_log {
            config.key_log = key_log::KeyLogFile::open(path)?;
        }
        let by_client = options.ciphers.is_empty().then(|| {
            let mut config = config.clone();
            config.ignore_client_order = false;
            Arc::new(config)
        });
        let config = TlsConfig { ours: Arc::new(config), by_client };
        let all = || [&default].into_iter().chain(&others);
        let first = others.iter().fold(&default, |first, other| {
            if other.certificate.not_after < first.certificate.not_after { other } else { first }
        });
        let expires =
            Expires { at: first.certificate.not_after, file: named(&first.path, options) };
        Ok(Self {
            config,
            trust,
            warnings: all().flat_map(|identity| warnings(identity, options, now)).collect(),
            expires,
        })
    }
}

/// A file, and where the configuration names it.
fn named(path: &Path, options: &TlsOptions) -> String {
    let place = options.place_of_file(path);
    let place = place.map_or_else(String::new, |place| format!(" ({place})"));
    format!("{}{place}", path.display())
}

fn warnings(identity: &Identity, options: &TlsOptions, now: u64) -> Vec<String> {
    let certificate = &identity.certificate;
    let path = named(&identity.path, options);
    let mut warnings = Vec::new();
    if certificate.not_after < now {
        warnings.push(format!("the certificate in {path} has expired: clients will refuse it"));
    }
    if certificate.not_before > now {
        warnings.push(format!(
            "the certificate in {path} is not valid yet: clients will refuse it (is the clock right?)"
        ));
    }
    if certificate.alternative_names.is_empty() {
        warnings.push(format!(
            "the certificate in {path} has no subject alternative name: clients that check names will refuse it"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests;
