//! The client's side of TLS, for whoever connects to a broker: whom it trusts, what it shows, and
//! failures said from its side.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    Error, OtherError, RootCertStore, SignatureScheme, StreamOwned,
};

use super::error::TlsError;
use super::files::{self, Identity};
use super::names::Only;
use super::options::{CertificateFiles, TlsVersion};
use super::suites;

/// Where systems keep the authorities that they trust, the most common first.
const AUTHORITIES_OF_SYSTEMS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
];

/// How a client uses TLS.
#[derive(Debug, Clone, Default)]
pub struct DialOptions {
    /// Files and directories of authorities, PEM. Default: those of the system.
    pub authorities: Vec<PathBuf>,
    /// What it shows when it is asked for a certificate. Default: nothing.
    pub certificate: Option<CertificateFiles>,
    /// The name that the certificate of the broker has to have.
    pub names: NameCheck,
    /// The lowest version. Default: 1.2.
    pub minimum_version: TlsVersion,
    /// Cipher suites by the names of OpenSSL or of the standard, best first. Default: all.
    pub ciphers: Vec<String>,
    /// Protocols to offer (ALPN), best first. Default: none, and nothing is said about it.
    pub protocols: Vec<String>,
}

/// Whether the certificate of the broker has to have the name that it was asked for by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameCheck {
    /// It has to.
    #[default]
    Required,
    /// Any name will do; that an authority signed it is checked all the same.
    Skipped,
}

/// Opens connections with TLS.
#[derive(Debug, Clone)]
pub struct Dialer {
    config: Arc<ClientConfig>,
}

impl Dialer {
    /// Reads all files.
    pub fn new(options: &DialOptions) -> Result<Self, TlsError> {
        let mut provider = ring::default_provider();
        provider.cipher_suites = suites::chosen(&options.ciphers)?;
        let provider = Arc::new(provider);
        let roots = match options.authorities.as_slice() {
            [] => authorities_of_the_system()?,
            paths => files::authorities(paths)?,
        };
        let versions: &[_] = match options.minimum_version {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        let verifier = verifier.map_err(|cause| Error::General(cause.to_string()))?;
        let builder =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
        let builder = match options.names {
            NameCheck::Required => builder.with_webpki_verifier(verifier),
            NameCheck::Skipped => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName { inner: verifier })),
        };
        let mut config = match &options.certificate {
            Some(files) => {
                let certified = Identity::read(files)?.certified;
                builder.with_client_cert_resolver(Arc::new(Only(certified)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols =
            options.protocols.iter().map(|name| name.clone().into_bytes()).collect();
        Ok(Self { config: Arc::new(config) })
    }

    /// Makes the handshake over a stream that waits, for a broker of this name or address.
    pub fn open<S: Read + Write>(&self, name: &str, stream: S) -> io::Result<TlsStream<S>> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            let what = format!("{name:?} cannot be the name in a certificate");
            io::Error::new(io::ErrorKind::InvalidInput, what)
        })?;
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        let mut inner = StreamOwned::new(connection.map_err(io::Error::other)?, stream);
        while inner.conn.is_handshaking() {
            if let Err(error) = inner.conn.complete_io(&mut inner.sock) {
                say_why(&mut inner);
                return Err(error);
            }
        }
        Ok(TlsStream { inner })
    }
}

/// Sends what is ready, the alert last: the other side is told why the handshake ends. What fails here changes
/// nothing.
fn say_why<S: Read + Write>(stream: &mut StreamOwned<ClientConnection, S>) {
    while stream.conn.wants_write() {
        match stream.conn.write_tls(&mut stream.sock) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

fn authorities_of_the_system() -> Result<Arc<RootCertStore>, TlsError> {
    let mut paths = AUTHORITIES_OF_SYSTEMS.iter().map(Path::new);
    let path = paths.find(|path| path.exists()).ok_or(TlsError::NoTrust)?;
    files::authorities(&[path.to_owned()]).map_err(|_| TlsError::NoTrust)
}

/// A connection with TLS. Its stream may wait or not; when it does not, errors of the kind
/// `WouldBlock` come through.
#[derive(Debug)]
pub struct TlsStream<S: Read + Write> {
    inner: StreamOwned<ClientConnection, S>,
}

impl<S: Read + Write> TlsStream<S> {
    /// What it goes over.
    pub const fn stream(&self) -> &S {
        &self.inner.sock
    }

    /// Whether sealed bytes wait for the stream to take them: [`Write::flush`] tries.
    pub fn wants_write(&self) -> bool {
        self.inner.conn.wants_write()
    }

    /// Says that nothing follows.
    pub fn end(&mut self) -> io::Result<()> {
        self.inner.conn.send_close_notify();
        self.inner.flush()
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read(into)
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Accepts certificates that are good for another name.
#[derive(Debug)]
struct AnyName {
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The name is looked at last: all else was right when it is what is wrong.
        match self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// What an error of a connection with TLS means to the client; `None` if it is none of TLS.
pub fn explain_dial(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(cause) => explain_certificate(cause),
        Error::AlertReceived(alert) => explain_alert(*alert),
        Error::InvalidMessage(_) => {
            "what answers there does not speak TLS: is it the port with TLS?".into()
        }
        Error::PeerIncompatible(cause) => {
            format!("the broker and this client have no way of TLS in common: {cause:?}")
        }
        other => format!("TLS failed: {other}"),
    })
}

fn explain_certificate(cause: &CertificateError) -> String {
    match cause {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate of the broker has expired: it needs a new one, or the clock here is wrong".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate of the broker is not valid yet: are the clocks right?".into()
        }
        CertificateError::UnknownIssuer => {
            "the certificate of the broker was signed by none of the authorities that are trusted: give the one that signed it with --cafile".into()
        }
        CertificateError::BadSignature => {
            "the certificate of the broker has a wrong signature: an authority of the same name, but with another key, is in --cafile".into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the certificate of the broker is not for {}, but for {}: connect to one of these names, or give one with --servername",
            expected.to_str(),
            if presented.is_empty() { "no name at all".to_owned() } else { names(presented) }
        ),
        CertificateError::NotValidForName => {
            "the certificate of the broker is not for the name that it was asked for by".into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate of the broker is not for servers (extended key usage)".into()
        }
        CertificateError::Other(OtherError(cause)) if cause.to_string().contains("CaUsedAsEndEntity") => {
            "the broker shows the certificate of an authority as its own: it needs one that this authority signed".into()
        }
        CertificateError::Other(OtherError(cause)) if cause.to_string().contains("UnsupportedCertVersion") => {
            "the certificate of the broker is of version 1, which names no host: sign it again with alternative names (`dunlin cert renew --name HOST`)".into()
        }
        other => format!("the certificate of the broker cannot be used: {other}"),
    }
}

/// Names as people write them; they come as `DnsName("localhost")`.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inside = name.split_once('(').map_or(name.as_str(), |(_, inside)| inside);
        inside.trim_end_matches(')').trim_matches('"').to_owned()
    };
    presented.iter().map(plain).collect::<Vec<_>>().join(", ")
}

/// What the broker says is wrong with us.
fn explain_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the broker requires a certificate of the client: give it with --cert and --key".into()
        }
        AlertDescription::UnknownCA => {
            "the broker does not know the authority that signed the certificate given with --cert"
                .into()
        }
        AlertDescription::CertificateExpired => {
            "the broker says that the certificate given with --cert has expired".into()
        }
        AlertDescription::CertificateRevoked => {
            "the broker says that the certificate given with --cert was revoked".into()
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => {
            "the broker does not accept the certificate given with --cert: its log tells why".into()
        }
        AlertDescription::HandshakeFailure => {
            "the broker ended the handshake: it has no cipher suite in common with us, or requires a certificate (--cert and --key)".into()
        }
        AlertDescription::ProtocolVersion => {
            "the broker does not speak TLS 1.2 or 1.3, or not the version asked for with --tls-version".into()
        }
        AlertDescription::NoApplicationProtocol => {
            "the broker does not know the protocol given with --tls-alpn: `mqtt` is the usual one".into()
        }
        AlertDescription::UnrecognisedName => {
            "the broker has no certificate for this name (--servername)".into()
        }
        other => format!("the broker ended TLS: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_name_the_option_that_helps() {
        let table = [
            (Error::InvalidCertificate(CertificateError::Expired), "has expired"),
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "--cafile"),
            (Error::AlertReceived(AlertDescription::CertificateRequired), "--cert"),
            (Error::AlertReceived(AlertDescription::CertificateRevoked), "revoked"),
            (Error::AlertReceived(AlertDescription::NoApplicationProtocol), "--tls-alpn"),
        ];
        for (error, part) in table {
            let told = explain_dial(&io::Error::other(error)).unwrap_or_default();
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(explain_dial(&io::ErrorKind::BrokenPipe.into()), None);
        let presented = ["DnsName(\"localhost\")".to_owned(), "IpAddress(127.0.0.1)".to_owned()];
        assert_eq!(names(&presented), "localhost, 127.0.0.1");
    }
}
