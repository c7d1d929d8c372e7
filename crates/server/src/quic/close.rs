//! What a client is told when its connection is closed, and what the log is told when it breaks.

use dunlin_broker::Cause;
use dunlin_proto::ReasonCode;
use quinn_proto::{ConnectionError, VarInt};
use rustls::{AlertDescription, CertificateError, Error};

use crate::transport::Fault;
use crate::why::Reason;

/// Codes of TLS alerts begin here.
const ALERTS: std::ops::Range<u64> = 0x100..0x200;

/// Why the gateway closes a connection. The codes are the reason codes of MQTT 5.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Close {
    /// MQTT has ended, and all of it has arrived.
    #[error("MQTT has ended")]
    Done,
    /// The handshake, or the first stream, took too long.
    #[error("no stream was opened in time (connect_timeout)")]
    TooSlow,
    /// More than one stream.
    #[error("MQTT goes through the first stream of a connection, and there are no others")]
    SecondStream,
    /// The system has no descriptor left.
    #[error("the server has no room for another connection")]
    NoRoom,
    /// The server stops.
    #[error("the server stops")]
    Stopping,
    /// The listener was taken out of the configuration.
    #[error("this listener is closed")]
    Retired,
}

impl Close {
    pub(super) fn code(self) -> VarInt {
        let code = match self {
            Self::Done => ReasonCode::Success,
            Self::TooSlow => ReasonCode::MaximumConnectTime,
            Self::SecondStream => ReasonCode::ProtocolError,
            Self::NoRoom => ReasonCode::QuotaExceeded,
            Self::Stopping => ReasonCode::ServerShuttingDown,
            Self::Retired => ReasonCode::AdministrativeAction,
        };
        VarInt::from_u32(u32::from(code as u8))
    }
}

impl Reason for Close {
    fn cause(&self) -> Cause {
        match self {
            Self::Done => Cause::Closed,
            Self::TooSlow => Cause::ConnectTimeout,
            Self::SecondStream => Cause::ProtocolError,
            Self::NoRoom => Cause::NoDescriptor,
            Self::Stopping => Cause::Stopping,
            Self::Retired => Cause::Administrative,
        }
    }
}

/// Why a connection broke.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// By TLS, in the words that the log has for it on TCP.
    #[error("{0}")]
    Tls(Fault),
    /// By QUIC itself.
    #[error("{0}")]
    Quic(String),
}

impl Reason for Broken {
    fn cause(&self) -> Cause {
        match self {
            Self::Tls(fault) => fault.cause(),
            Self::Quic(_) => Cause::Quic,
        }
    }

    fn rule(&self) -> Option<&str> {
        match self {
            Self::Tls(fault) => fault.rule(),
            Self::Quic(_) => None,
        }
    }
}

/// Why a connection broke; `None` if it just ended.
pub(super) fn fault(reason: &ConnectionError) -> Option<Broken> {
    let of_tls = |error| Some(Broken::Tls(Fault::Tls(error)));
    let of_quic = |text| Some(Broken::Quic(text));
    match reason {
        ConnectionError::TransportError(cause) => match alert(cause.code.into()) {
            Some(alert) => of_tls(refused(alert, &cause.reason)),
            None => of_quic(format!("QUIC failed: {cause}")),
        },
        ConnectionError::ConnectionClosed(cause) => match alert(cause.error_code.into()) {
            Some(alert) => of_tls(Error::AlertReceived(alert)),
            None => of_quic(format!("the client gave up: {cause}")),
        },
        ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed => None,
        other => of_quic(format!("QUIC: {other}")),
    }
}

fn alert(code: u64) -> Option<AlertDescription> {
    let alert = ALERTS.contains(&code).then_some(code - ALERTS.start);
    alert.and_then(|alert| u8::try_from(alert).ok()).map(AlertDescription::from)
}

/// What we refused, which QUIC hands on as the alert that the client got and a text.
fn refused(alert: AlertDescription, text: &str) -> Error {
    match alert {
        AlertDescription::NoApplicationProtocol => Error::NoApplicationProtocol,
        AlertDescription::CertificateRequired => Error::NoCertificatesPresented,
        AlertDescription::CertificateExpired => CertificateError::Expired.into(),
        AlertDescription::CertificateRevoked => CertificateError::Revoked.into(),
        AlertDescription::UnknownCA => CertificateError::UnknownIssuer.into(),
        _ => Error::General(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use quinn_proto::TransportError;

    use super::*;

    fn told(alert: u8, text: &str) -> String {
        let code = quinn_proto::TransportErrorCode::crypto(alert);
        let error = TransportError { code, frame: None, reason: text.into() };
        fault(&ConnectionError::TransportError(error)).unwrap().to_string()
    }

    #[test]
    fn what_tls_refuses_is_told_as_on_tcp() {
        assert!(told(120, "").contains("ALPN"), "{}", told(120, ""));
        assert!(told(116, "").contains("require_certificate"), "{}", told(116, ""));
        assert!(told(50, "decode error").contains("decode error"), "{}", told(50, ""));
    }

    #[test]
    fn a_connection_that_was_closed_is_no_fault() {
        assert!(fault(&ConnectionError::LocallyClosed).is_none());
        assert!(fault(&ConnectionError::TimedOut).is_some());
    }
}
