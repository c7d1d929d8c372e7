//! How a client command ends when it does not end well.

use std::process::ExitCode;

use dunlin_proto::ReasonCode;
use dunlin_proto::property::Properties;

use super::options::Voice;

/// A message for people and an exit status for scripts.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: u8,
    message: String,
}

impl Failure {
    /// The status of errors of use and of connecting, as Mosquitto's clients have it.
    const GENERAL: u8 = 1;

    pub(crate) fn new(status: u8, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The broker refused `what`; the reason is the exit status.
    pub(crate) fn refused(what: &str, reason: ReasonCode, properties: Properties<'_>) -> Self {
        let mut message = format!("{what}: {reason}");
        if let Some(said) = properties.reason_string() {
            message = format!("{message} ({said})");
        }
        if let Some(server) = properties.server_reference() {
            message = format!("{message}; it names another server: {server}");
        }
        if let Some(hint) = hint(reason) {
            message = format!("{message}; {hint}");
        }
        Self::new(reason.as_u8(), message)
    }

    pub(crate) fn report(&self, voice: Voice) -> ExitCode {
        if voice != Voice::Quiet {
            eprintln!("Error: {}", self.message);
        }
        ExitCode::from(self.status)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Self::GENERAL, format!("{error:#}"))
    }
}

/// What the user of these commands can do about a refusal.
fn hint(reason: ReasonCode) -> Option<&'static str> {
    match reason {
        ReasonCode::BadUserNameOrPassword => Some("check the user name (-u) and password (-P)"),
        ReasonCode::NotAuthorized => {
            Some("this user (-u, -P) or client identifier (-i) may not do that")
        }
        ReasonCode::ClientIdentifierNotValid => Some("try another client identifier (-i)"),
        ReasonCode::UnsupportedProtocolVersion => Some("try another version (-V)"),
        ReasonCode::SessionTakenOver => {
            Some("another client connected with the same identifier (-i)")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use dunlin_proto::property::{Property, PropertyBuf};

    use super::*;

    #[test]
    fn a_refusal_names_the_reason_in_words_and_what_to_do() {
        let mut properties = PropertyBuf::new();
        properties.push(Property::ReasonString("no such user"));
        let reason = ReasonCode::BadUserNameOrPassword;
        let failure = Failure::refused("connection refused", reason, properties.as_properties());
        assert_eq!(failure.status, 0x86);
        for part in ["bad user name or password", "(no such user)", "-P"] {
            assert!(failure.message.contains(part), "{}", failure.message);
        }
    }
}
