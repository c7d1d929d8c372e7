//! What Mosquitto says of clients that come and go. Tools that read its log look for these words, so where the
//! log is to speak like Mosquitto's they come first, and what we know besides follows.

use core::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_broker::{End, Event};
use dunlin_config::model::Wording;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

/// Of the process, as its log is.
static MOSQUITTOS: AtomicBool = AtomicBool::new(false);

/// Speaks so from now on.
pub(super) fn speak(wording: Wording) {
    MOSQUITTOS.store(wording == Wording::Mosquitto, Ordering::Relaxed);
}

/// Whether the log speaks like Mosquitto's.
pub(crate) fn as_mosquitto() -> bool {
    MOSQUITTOS.load(Ordering::Relaxed)
}

/// An event that Mosquitto has words for, where these are asked for.
pub(super) fn mosquittos(event: &Event) -> Option<Told<'_>> {
    let has_words = matches!(
        event,
        Event::Connected { .. } | Event::Disconnected { .. } | Event::Refused { .. }
    );
    (has_words && as_mosquitto()).then_some(Told(event))
}

/// An address as Mosquitto writes it: that of IPv6 without brackets.
pub(crate) struct Endpoint(pub(crate) SocketAddr);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.ip(), self.0.port())
    }
}

/// One of those events.
pub(super) struct Told<'a>(&'a Event);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Connected {
                client, address, version, keep_alive, clean_start, user, ..
            } => {
                // What a client calls itself must not end the line.
                let (client, address) = (client.escape_debug(), Endpoint(*address));
                let (version, clean) = (number(*version), u8::from(*clean_start));
                write!(
                    f,
                    "New client connected from {address} as {client} (p{version}, c{clean}, k{keep_alive}"
                )?;
                if let Some(user) = user {
                    write!(f, ", u'{}'", user.escape_debug())?;
                }
                f.write_str(").")
            }
            Event::Disconnected { client, address, end }
            | Event::Refused { client: Some(client), address, end, .. } => {
                ended(f, &client.escape_debug(), *address, end)?;
                of_user(f, self.0)
            }
            Event::Refused { client: None, address, end, .. } => {
                ended(f, &address.ip(), *address, end)?;
                of_user(f, self.0)
            }
            other => other.fmt(f),
        }
    }
}

fn ended(
    f: &mut fmt::Formatter<'_>,
    client: &dyn fmt::Display,
    address: SocketAddr,
    end: &End,
) -> fmt::Result {
    write!(f, "Client {client} [{}] disconnected", Endpoint(address))?;
    match (end, end.farewell()) {
        (End::Client(ReasonCode::Success), _) => return f.write_str("."),
        (End::PeerClosed, _) => return f.write_str(": connection closed by client."),
        (End::Client(_), _) => f.write_str(".")?,
        (End::Broken(_), _) => f.write_str(": bad socket read/write.")?,
        (End::ConnectTimeout, _) => f.write_str(": exceeded timeout.")?,
        (End::Refused(refusal), _) => write!(f, ": {}.", word(refusal.reason()))?,
        (_, Some(reason)) => write!(f, ": {}.", word(reason))?,
        (_, None) => f.write_str(".")?,
    }
    write!(f, " ({end})")
}

/// Behind Mosquitto's words: who tries to come in. Without brackets: what stands in some is the address for tools
/// that bar it, and must not be chosen by the client.
fn of_user(f: &mut fmt::Formatter<'_>, event: &Event) -> fmt::Result {
    let Some(user) = event.user() else { return Ok(()) };
    f.write_str(" (user '")?;
    for letter in user.chars() {
        match letter {
            '[' | ']' => write!(f, "{}", letter.escape_unicode())?,
            other => write!(f, "{}", other.escape_debug())?,
        }
    }
    f.write_str("')")
}

/// As Mosquitto numbers them.
const fn number(version: Version) -> u8 {
    match version {
        Version::V3_1 => 1,
        Version::V3_1_1 => 2,
        Version::V5_0 => 5,
    }
}

const fn word(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::MalformedPacket => "malformed packet",
        // Mosquitto tells clients the one and the log the other.
        ReasonCode::NotAuthorized | ReasonCode::BadUserNameOrPassword => "not authorised",
        ReasonCode::KeepAliveTimeout => "exceeded timeout",
        ReasonCode::PacketTooLarge => "oversize packet",
        ReasonCode::QoSNotSupported | ReasonCode::RetainNotSupported => {
            "used disallowed feature (QoS too high, retain not supported, or bad AUTH method)"
        }
        ReasonCode::AdministrativeAction => "administrative action",
        ReasonCode::ReceiveMaximumExceeded => "receive maximum exceeded",
        ReasonCode::ClientIdentifierNotValid => "client identifier not valid",
        ReasonCode::ServerUnavailable | ReasonCode::ServerShuttingDown => "server unavailable",
        ReasonCode::ServerBusy => "server busy",
        ReasonCode::Banned => "client banned",
        ReasonCode::BadAuthenticationMethod => "bad authentication method",
        ReasonCode::QuotaExceeded => "quota exceeded",
        ReasonCode::ConnectionRateExceeded => "connection rate exceeded",
        ReasonCode::SessionTakenOver => "session taken over",
        ReasonCode::TopicAliasInvalid => "topic alias invalid",
        _ => "protocol error",
    }
}

#[cfg(test)]
mod tests {
    use dunlin_broker::Refusal;

    use super::*;

    fn connected(client: &str, address: &str, user: Option<&str>) -> String {
        let event = Event::Connected {
            client: client.into(),
            address: address.parse().unwrap(),
            version: Version::V5_0,
            keep_alive: 42,
            clean_start: false,
            session_present: false,
            user: user.map(Into::into),
        };
        Told(&event).to_string()
    }

    fn gone(client: Option<&str>, end: End) -> String {
        let address = "192.0.2.5:6275".parse().unwrap();
        let (client, user) = (client.map(Into::into), None);
        Told(&Event::Refused { client, user, address, end }).to_string()
    }

    #[test]
    fn who_comes_is_told_as_by_mosquitto() {
        for (told, line) in [
            (
                connected("meter", "192.0.2.5:6275", None),
                "New client connected from 192.0.2.5:6275 as meter (p5, c0, k42).",
            ),
            (
                connected("a\nb", "[2001:db8::1]:6275", Some("us'er\n")),
                "New client connected from 2001:db8::1:6275 as a\\nb (p5, c0, k42, u'us\\'er\\n').",
            ),
        ] {
            assert_eq!(told, line);
        }
    }

    #[test]
    fn no_user_name_looks_like_the_address_of_another() {
        let event = Event::Refused {
            client: Some("a".into()),
            user: Some("u' [198.51.100.9:1] disconnected: not authorised.\n".into()),
            address: "192.0.2.5:6275".parse().unwrap(),
            end: End::Refused(Refusal::BadUserNameOrPassword { by: None }),
        };
        assert_eq!(
            Told(&event).to_string(),
            "Client a [192.0.2.5:6275] disconnected: not authorised. (bad user name or password) \
             (user 'u\\' \\u{5b}198.51.100.9:1\\u{5d} disconnected: not authorised.\\n')"
        );
    }

    #[test]
    fn who_goes_is_told_as_by_mosquitto_and_then_why() {
        let name = Refusal::Nameless { by: Some("its certificate".into()) };
        for (client, end, line) in [
            (
                Some("a"),
                End::Client(ReasonCode::Success),
                "Client a [192.0.2.5:6275] disconnected.",
            ),
            (
                Some("a"),
                End::PeerClosed,
                "Client a [192.0.2.5:6275] disconnected: connection closed by client.",
            ),
            (
                Some("a"),
                End::Refused(name),
                "Client a [192.0.2.5:6275] disconnected: not authorised. (no user name (its certificate))",
            ),
            (
                Some("a"),
                End::TakenOver,
                "Client a [192.0.2.5:6275] disconnected: session taken over. (a newer connection uses the same client identifier [MQTT-3.1.4-3])",
            ),
            (
                None,
                End::ConnectTimeout,
                "Client 192.0.2.5 [192.0.2.5:6275] disconnected: exceeded timeout. (no whole CONNECT came in time)",
            ),
        ] {
            assert_eq!(gone(client, end), line);
        }
    }
}
