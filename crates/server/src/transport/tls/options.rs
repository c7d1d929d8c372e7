//! What a listener with TLS is told.

use std::path::{Path, PathBuf};

use dunlin_config::{Place, Places};

use super::TlsError;

/// Encryption of a listener.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// The certificate that is shown to clients that ask for no other name.
    pub certificate: CertificateFiles,
    /// Further ones, chosen by the name that a client asks for. Default: none.
    pub by_name: Vec<CertificateFiles>,
    /// Whether clients show a certificate. Default: they are not asked.
    pub clients: ClientCertificates,
    /// A list of certificates that are no longer valid though none are asked for: it is looked at all the same,
    /// or a mistake in it would be found only when they are. Default: none.
    pub idle_list: Option<PathBuf>,
    /// The lowest version. Default: 1.2, which devices of this decade speak.
    pub minimum_version: TlsVersion,
    /// Cipher suites by the names of OpenSSL or of the standard, best first. Default: all that are
    /// secure.
    pub ciphers: Vec<String>,
    /// Where the secrets of connections are written, for debugging. Default: nowhere.
    pub key_log: Option<PathBuf>,
    /// Where the configuration says all this, by key, so that what is wrong is told with its line. Default: nowhere.
    pub places: Places,
}

impl TlsOptions {
    /// Where the configuration names what an error is about.
    pub(crate) fn place_of(&self, error: &TlsError) -> Option<&Place> {
        let key = match error {
            TlsError::Unreadable { path, .. }
            | TlsError::Unwritable { path, .. }
            | TlsError::Unusable { path, .. } => self.key_of(path),
            TlsError::UnusableKey { path: key, .. } | TlsError::KeyDoesNotFit { key, .. } => {
                if self.certificate.key == *key { "keyfile" } else { "sni_directories" }
            }
            TlsError::NoAuthority if self.places.get("cafile").is_none() => "capath",
            TlsError::NoAuthority => "cafile",
            TlsError::NoCipher(_) => "ciphers",
            TlsError::NoCertificate => "protocol",
            TlsError::NoTrust | TlsError::Rustls(_) => "listener",
        };
        self.place(key)
    }

    /// The place of the certificate of a file.
    pub(super) fn place_of_file(&self, path: &Path) -> Option<&Place> {
        self.place(self.key_of(path))
    }

    fn place(&self, key: &str) -> Option<&Place> {
        self.places.get(key).or_else(|| self.places.get("listener"))
    }

    /// The key that names a file. One that is named by several is read for that of the key last.
    fn key_of(&self, path: &Path) -> &'static str {
        let is = |file: &Option<PathBuf>| file.as_deref() == Some(path);
        let trust = self.clients.trust();
        if self.certificate.chain == path {
            "certfile"
        } else if self.by_name.iter().any(|files| files.chain == path || files.key == path) {
            "sni_directories"
        } else if is(&self.idle_list) || trust.is_some_and(|trust| is(&trust.revoked)) {
            "crlfile"
        } else if is(&self.key_log) {
            KEY_LOG
        } else if is(&self.certificate.authorities) {
            "cafile"
        } else if self.certificate.key == path {
            "keyfile"
        } else {
            "capath"
        }
    }
}

/// The key of the whole broker that listeners with TLS obey.
pub(crate) const KEY_LOG: &str = "server.tls_keylog";

/// A certificate and its key.
#[derive(Debug, Clone, Default)]
pub struct CertificateFiles {
    /// The certificate and what leads to its authority, PEM.
    pub chain: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Authorities: what is missing in `chain` is looked for here, PEM.
    pub authorities: Option<PathBuf>,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Default)]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    Ignored,
    /// They are asked, and what they show must be valid.
    Optional(ClientTrust),
    /// They must.
    Required(ClientTrust),
}

/// Which certificates of clients are valid.
#[derive(Debug, Clone, Default)]
pub struct ClientTrust {
    /// Files and directories with the authorities that sign them, PEM.
    pub authorities: Vec<PathBuf>,
    /// Lists of those that are no longer valid, PEM.
    pub revoked: Option<PathBuf>,
    /// Dates do not count: for devices that cannot know the time.
    pub ignore_dates: bool,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// 1.2.
    #[default]
    V1_2,
    /// 1.3.
    V1_3,
}

impl ClientCertificates {
    /// Which are valid, if any are asked for.
    pub(super) const fn trust(&self) -> Option<&ClientTrust> {
        match self {
            Self::Ignored => None,
            Self::Optional(trust) | Self::Required(trust) => Some(trust),
        }
    }
}
