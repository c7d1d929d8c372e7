//! Why a connection ended below MQTT, said so that whoever reads it knows what to change.

use core::fmt;

use dunlin_broker::Cause;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::guess::Spoken;
use super::proxy::ProxyFault;
use super::websocket::WebSocketFault;
use crate::why::Reason;

/// Why a connection cannot go on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The first bytes belong to another protocol.
    Spoken {
        /// What they are.
        spoken: Spoken,
        /// What the listener serves.
        expected: &'static str,
    },
    /// TLS was refused by one side.
    Tls(rustls::Error),
    /// No header of a proxy that can be used.
    Proxy(ProxyFault),
    /// WebSocket was not spoken as it should be.
    WebSocket(WebSocketFault),
}

impl From<rustls::Error> for Fault {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}

impl From<ProxyFault> for Fault {
    fn from(fault: ProxyFault) -> Self {
        Self::Proxy(fault)
    }
}

impl From<WebSocketFault> for Fault {
    fn from(fault: WebSocketFault) -> Self {
        Self::WebSocket(fault)
    }
}

impl Reason for Fault {
    fn cause(&self) -> Cause {
        match self {
            Self::Spoken { .. } | Self::WebSocket(WebSocketFault::Spoken(_)) => {
                Cause::WrongProtocol
            }
            Self::Tls(error) => cause_of(error),
            Self::Proxy(_) => Cause::Proxy,
            Self::WebSocket(_) => Cause::WebSocket,
        }
    }

    fn rule(&self) -> Option<&str> {
        match self {
            Self::Tls(error) => rule_of(error),
            Self::Proxy(_) => Some("proxy_protocol"),
            Self::Spoken { .. } | Self::WebSocket(_) => None,
        }
    }
}

/// Whether it is about a certificate, and whose.
fn cause_of(error: &rustls::Error) -> Cause {
    use rustls::Error;
    match error {
        Error::NoCertificatesPresented | Error::InvalidCertificate(_) => Cause::ClientCertificate,
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
            // What OpenSSL sends where the program's own check of names fails.
            | AlertDescription::InternalError,
        ) => Cause::ServerCertificate,
        _ => Cause::Tls,
    }
}

/// The setting that asks for what was not there.
fn rule_of(error: &rustls::Error) -> Option<&'static str> {
    use rustls::Error;
    Some(match error {
        Error::NoCertificatesPresented => "require_certificate",
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => "cafile",
        Error::InvalidCertificate(
            CertificateError::Revoked
            | CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. },
        ) => "crlfile",
        Error::PeerIncompatible(PeerIncompatible::SupportedVersionsExtensionRequired) => {
            "tls_version"
        }
        _ => return None,
    })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spoken { spoken, expected } => {
                write!(f, "it speaks {spoken}, but this listener serves {expected}")
            }
            Self::Tls(error) => explain(error, f),
            Self::Proxy(fault) => {
                write!(f, "the header of a proxy is expected first (proxy_protocol), and {fault}")
            }
            Self::WebSocket(fault) => write!(f, "{fault}"),
        }
    }
}

/// What a failure of TLS means for those who run both sides.
fn explain(error: &rustls::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use rustls::Error;
    match error {
        Error::NoCertificatesPresented => f.write_str(
            "the client showed no certificate, and this listener requires one (require_certificate)",
        ),
        Error::InvalidCertificate(cause) => explain_certificate(cause, f),
        Error::AlertReceived(alert) => explain_alert(*alert, f),
        Error::PeerIncompatible(PeerIncompatible::SupportedVersionsExtensionRequired) => f.write_str(
            "the client speaks TLS 1.2 at most, and this listener asks for 1.3 (tls_version)",
        ),
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            // Which 1.1 did not have, and everything that speaks 1.2 sends.
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
        ) => f.write_str("the client speaks no version of TLS from 1.2 on"),
        Error::PeerIncompatible(cause) => {
            write!(f, "the client and this listener have no way of TLS in common: {cause:?}")
        }
        Error::NoApplicationProtocol => {
            f.write_str("the client asks for another protocol than `mqtt` (ALPN)")
        }
        Error::InvalidMessage(cause) => write!(f, "what it sent is no TLS: {cause:?}"),
        Error::DecryptError => f.write_str("a record was changed on its way, or is no TLS"),
        other => write!(f, "TLS failed: {other}"),
    }
}

fn explain_certificate(cause: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match cause {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            f.write_str("the certificate of the client has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            f.write_str("the certificate of the client is not valid yet: are the clocks right?")
        }
        CertificateError::Revoked => {
            f.write_str("the certificate of the client was revoked (crlfile)")
        }
        CertificateError::UnknownIssuer => f.write_str(
            "the certificate of the client was signed by none of the authorities in cafile",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            f.write_str("the certificate of the client is not for clients (extended key usage)")
        }
        CertificateError::UnknownRevocationStatus => {
            f.write_str("crlfile does not say whether the certificate of the client was revoked")
        }
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => {
            f.write_str("the list in crlfile is out of date")
        }
        other if other.to_string().contains("UnsupportedCertVersion") => f.write_str(
            "the certificate of the client is of version 1, which says nothing about what it is for: make it anew with extensions (`openssl x509 -req ... -extfile FILE`, with `extendedKeyUsage = clientAuth` in FILE)",
        ),
        CertificateError::BadSignature => {
            f.write_str("the certificate of the client has a wrong signature")
        }
        other => write!(f, "the certificate of the client cannot be used: {other}"),
    }
}

/// What the client says is wrong with us.
fn explain_alert(alert: AlertDescription, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let why = match alert {
        AlertDescription::UnknownCA => {
            "the client does not know the authority that signed our certificate: give it that authority (--cafile)"
        }
        AlertDescription::DecryptError => {
            "the client finds a wrong signature: does it have an authority of the same name, but with another key, in the place of ours (--cafile)?"
        }
        AlertDescription::CertificateExpired => "the client says that our certificate has expired",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "the client does not accept our certificate: is the name it connects to among its alternative names, and the authority known to it?"
        }
        AlertDescription::CertificateRevoked => "the client says that our certificate was revoked",
        AlertDescription::UnsupportedCertificate => {
            "the client cannot use a certificate of this kind"
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "the client has no cipher suite in common with us"
        }
        AlertDescription::ProtocolVersion => "the client does not speak this version of TLS",
        // What OpenSSL sends where the program's own check of names fails, as in mosquitto_pub.
        AlertDescription::InternalError => {
            "the client gave up (internal error): is the name it connects to among the alternative names of our certificate?"
        }
        AlertDescription::UserCanceled => "the client gave up the handshake",
        other => return write!(f, "the client ended TLS: {other:?}"),
    };
    f.write_str(why)
}

#[cfg(test)]
mod tests {
    use rustls::Error;

    use super::*;

    #[test]
    fn failures_of_tls_name_what_to_change() {
        let table = [
            (Error::NoCertificatesPresented, "require_certificate"),
            (Error::InvalidCertificate(CertificateError::Expired), "has expired"),
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "cafile"),
            (Error::InvalidCertificate(CertificateError::Revoked), "crlfile"),
            (Error::AlertReceived(AlertDescription::UnknownCA), "--cafile"),
            (Error::AlertReceived(AlertDescription::BadCertificate), "alternative names"),
            (Error::AlertReceived(AlertDescription::DecryptError), "another key"),
            (Error::AlertReceived(AlertDescription::InternalError), "alternative names"),
            (
                PeerIncompatible::SignatureAlgorithmsExtensionRequired.into(),
                "no version of TLS from 1.2 on",
            ),
            (Error::NoApplicationProtocol, "ALPN"),
        ];
        for (error, part) in table {
            let told = Fault::Tls(error).to_string();
            assert!(told.contains(part), "{told}");
        }
    }
}
