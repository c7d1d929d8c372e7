//! The options of `pub` and `sub` about TLS.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use dunlin_server::{CertificateFiles, DialOptions, NameCheck, TlsVersion};

/// How TLS is used, as typed. Any of it but `--insecure` and `--servername` asks for TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// Authorities that may have signed the certificate of the broker, PEM [default: those of the
    /// system]
    #[arg(long, value_name = "FILE")]
    cafile: Option<PathBuf>,
    /// A directory of such files
    #[arg(long, value_name = "DIRECTORY")]
    capath: Option<PathBuf>,
    /// Trust the authorities of the system
    #[arg(long, conflicts_with_all = ["cafile", "capath"])]
    tls_use_os_certs: bool,
    /// The certificate of this client, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The lowest version: tlsv1.2 or tlsv1.3
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    tls_version: Option<TlsVersion>,
    /// The protocol to ask for in the handshake (ALPN)
    #[arg(long, value_name = "PROTOCOL")]
    tls_alpn: Option<String>,
    /// Cipher suites, by their names in OpenSSL
    #[arg(long, value_name = "LIST")]
    ciphers: Option<String>,
    /// The name to ask for, and that the certificate must have, instead of the host's
    #[arg(long, value_name = "NAME")]
    servername: Option<String>,
    /// Accept a certificate for another name: whoever has any certificate of that authority can
    /// listen in
    #[arg(long)]
    insecure: bool,
}

/// TLS that is wanted.
#[derive(Debug)]
pub(super) struct Encryption {
    pub(super) options: DialOptions,
    /// The name that the certificate must have.
    pub(super) name: String,
}

impl TlsArgs {
    /// What is wanted for a broker on this host; none if nothing asks for TLS.
    pub(super) fn resolve(self, is_asked_for: bool, host: &str) -> Result<Option<Encryption>> {
        let is_wanted = is_asked_for
            || self.tls_use_os_certs
            || self.cafile.is_some()
            || self.capath.is_some()
            || self.cert.is_some()
            || self.tls_version.is_some()
            || self.tls_alpn.is_some()
            || self.ciphers.is_some();
        if !is_wanted {
            if self.insecure || self.servername.is_some() {
                bail!("--insecure and --servername are about TLS: name an authority with --cafile");
            }
            return Ok(None);
        }
        let certificate = self.cert.zip(self.key);
        let options = DialOptions {
            authorities: self.cafile.into_iter().chain(self.capath).collect(),
            certificate: certificate.map(|(chain, key)| CertificateFiles {
                chain,
                key,
                authorities: None,
            }),
            names: if self.insecure { NameCheck::Skipped } else { NameCheck::Required },
            minimum_version: self.tls_version.unwrap_or_default(),
            ciphers: self.ciphers.into_iter().collect(),
            protocols: self.tls_alpn.into_iter().collect(),
        };
        let name = self.servername.unwrap_or_else(|| host.to_owned());
        Ok(Some(Encryption { options, name }))
    }
}

fn parse_version(text: &str) -> Result<TlsVersion> {
    Ok(match text {
        "tlsv1.2" | "1.2" => TlsVersion::V1_2,
        "tlsv1.3" | "1.3" => TlsVersion::V1_3,
        _ => bail!("tlsv1.2 and tlsv1.3 are known"),
    })
}
