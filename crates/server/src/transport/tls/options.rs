//! What a listener with TLS is told.

use std::path::PathBuf;

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
}

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
