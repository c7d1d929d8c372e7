//! Why a listener with TLS cannot be set up, said with the file and what to do about it.

use std::io;
use std::path::PathBuf;

/// Certificates, keys or settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}{}", path.display(), advice(cause))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file is not the key that it should be.
    #[error("{}: {what}", path.display())]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Certificate and key are no pair.
    #[error(
        "the key in {} does not belong to the first certificate in {} (compare `openssl pkey -in KEY -pubout` with `openssl x509 -in CERTIFICATE -noout -pubkey`)",
        key.display(),
        certificate.display()
    )]
    KeyDoesNotFit {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// Clients are to show certificates that nobody may have signed.
    #[error(
        "client certificates are asked for, but no authority is named that signs them (cafile)"
    )]
    NoAuthority,
    /// No authority is known that could have signed the certificate of a broker.
    #[error(
        "no authority is trusted here that signs certificates of brokers: name it with --cafile"
    )]
    NoTrust,
    /// QUIC is asked for, which there is only with encryption.
    #[error("QUIC is always encrypted: it needs a certificate and its key (certfile, keyfile)")]
    NoCertificate,
    /// The list of cipher suites leaves none.
    #[error("none of the cipher suites `{0}` is known: there are {known}", known = super::suites::names())]
    NoCipher(String),
    /// TLS itself refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            " (the broker must be allowed to read it: `chown` or `chgrp` it to its user, mode 0640 or 0600)"
        }
        io::ErrorKind::NotFound => " (is the path right, and is it the one inside the container?)",
        _ => "",
    }
}
