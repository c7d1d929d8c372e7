//! What is done with hostile bytes of the layers below MQTT and of operators. libFuzzer runs these too.
//!
//! The modules are taken in as they are: they are nobody's business outside the package.

#[path = "../../src/access/answer.rs"]
mod answer;
#[path = "../../src/transport/tls/der.rs"]
pub(crate) mod der;
#[path = "../../src/transport/guess.rs"]
pub(crate) mod guess;
#[path = "../../src/transport/proxy.rs"]
pub(crate) mod proxy;
#[path = "../../src/admin/request.rs"]
mod request;
#[path = "../../src/transport/websocket/mod.rs"]
pub(crate) mod websocket;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use answer::{Answer, understand};
use der::Certificate;
use guess::Spoken;
use proxy::ProxyVersion;
use request::Request;
use websocket::{WebSocket, WebSocketOptions};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The header of a proxy: the same answer whether it comes at once or byte after byte.
pub(crate) fn proxy(bytes: &[u8]) {
    for version in [ProxyVersion::V1, ProxyVersion::V2, ProxyVersion::Any] {
        let at_once = proxy::parse(bytes, version);
        if let Ok(Some(header)) = &at_once {
            assert!(header.length <= bytes.len() && header.length <= 3_000);
            let again = proxy::parse(&bytes[..header.length], version);
            assert_eq!(again, at_once, "what follows the header changed it");
        }
        let mut end = 0;
        let in_parts = loop {
            let found = proxy::parse(&bytes[..end], version);
            if end == bytes.len() || !matches!(found, Ok(None)) {
                break found;
            }
            // No header is longer; then nobody waits for more of it.
            assert!(end <= 3_000, "{end} bytes and still no end");
            end += 1;
        };
        assert_eq!(in_parts.is_ok(), at_once.is_ok());
    }
}

/// A WebSocket from its request on, in parts of `step` bytes: what comes out and what is kept follows
/// what went in.
pub(crate) fn websocket(bytes: &[u8], step: usize) {
    let trusted = ["127.0.0.0/8".parse().expect("a network")];
    let options = WebSocketOptions {
        path: None,
        origins: vec!["https://example.com".into()],
        answers_origins: false,
        trusted_proxies: trusted.to_vec(),
        maximum_request: 1_024,
    };
    for options in [WebSocketOptions::default(), options] {
        let mut socket = WebSocket::new(Arc::new(options));
        let (mut mqtt, mut out) = (Vec::new(), Vec::new());
        for part in bytes.chunks(step.max(1)) {
            if socket.received(part, PEER, &mut mqtt, &mut out).is_err() {
                assert!(!socket.is_open());
                break;
            }
        }
        socket.finish(&mut out);
        assert!(mqtt.len() <= bytes.len());
        // Answers to pings have a bound, and a refusal is a short text.
        assert!(out.len() <= 4_096 + 2_048, "{} bytes for {}", out.len(), bytes.len());
    }
}

/// The first bytes of a connection.
pub(crate) fn first_bytes(bytes: &[u8]) {
    let spoken = Spoken::in_bytes(bytes);
    assert!(!spoken.to_string().is_empty());
    // More bytes never make something else of it, but for what was too short to tell.
    let longer = [bytes, b"more"].concat();
    assert!(spoken == Spoken::Unknown || spoken == Spoken::in_bytes(&longer));
}

/// The DER of a certificate that a client has shown.
pub(crate) fn certificate(bytes: &[u8]) {
    let Some(certificate) = Certificate::parse(bytes) else { return };
    let parts = certificate.issuer.len() + certificate.subject.len() + certificate.key.len();
    assert!(parts <= bytes.len());
    // What is no plain text becomes three bytes, and an unknown attribute has a number for a name.
    assert!(certificate.subject().len() <= 12 * bytes.len() + 64);
    assert!(certificate.common_name().is_none_or(|name| name.len() <= 3 * bytes.len()));
    assert!(certificate.alternative_names.len() <= bytes.len());
    assert_eq!(certificate.is_self_signed(), certificate.issuer == certificate.subject);
}

/// A line on the socket of operators.
pub(crate) fn operator(line: &[u8]) {
    if let Err(why) = Request::parse(line) {
        // It is answered on one line, as JSON.
        assert!(!why.is_empty() && why.len() <= line.len() + 200, "{}", why.len());
    }
}

/// What a service says about a login.
pub(crate) fn answer(body: &str) {
    match understand(body) {
        Ok(Answer::Allow(allowed)) => {
            assert!(allowed.username.is_none_or(|name| !name.is_empty()));
            assert!(allowed.groups.len() + allowed.roles.len() <= body.len());
            // Only the word itself makes somebody a superuser.
            assert!(!allowed.superuser || body.contains("true"));
            assert!(allowed.grants.is_none() || body.contains("acl") || body.contains('\\'));
        }
        Ok(Answer::Deny) => assert!(body.contains("deny") || body.contains('\\')),
        Err(why) => assert!(!why.is_empty()),
    }
}
