//! Who can listen in, who comes without a name, and who shows a certificate.

use dunlin_config::model::{CheckDates, ClientCertificate, Protocol};

use super::Findings;
use super::subject::{Subject, is_encrypted, is_known_by_certificate};

/// The first rule.
pub(super) fn encrypted(subject: &Subject<'_>, findings: &mut Findings) {
    for listener in subject.outer().filter(|listener| !is_encrypted(listener)) {
        let label = listener.label();
        findings.broken(
            subject.place(listener, "port"),
            format!("{label} is not encrypted: passwords and messages can be read on the way"),
            subject.write(
                "port = 8883 with certfile and keyfile, or address = \"loopback\"",
                "`listener 8883` with certfile and keyfile, or `listener 1883 127.0.0.1`",
            ),
        );
    }
    for listener in subject.outer().filter(|listener| listener.proxy_requires_tls) {
        findings.hint(
            subject.place(listener, "proxy_requires_tls"),
            format!(
                "{} relies on a proxy for TLS: from there on nothing is encrypted",
                listener.label()
            ),
            "keep the way from the proxy to the broker on one machine or in one private network",
        );
    }
    if let Some(path) = &subject.config.server.tls_keylog {
        findings.broken(
            subject.general("server.tls_keylog"),
            format!("the keys of all connections are written to {}", path.display()),
            "take tls_keylog out when the debugging is over",
        );
    }
}

/// The second rule.
pub(super) fn named(subject: &Subject<'_>, findings: &mut Findings) {
    for listener in subject.listeners().filter(|listener| subject.is_anonymous(listener)) {
        let label = listener.label();
        findings.broken(
            subject.access_place(listener, "allow_anonymous"),
            format!("{label} lets clients in without a user name"),
            subject.write(
                "allow_anonymous = false, and a password_file",
                "`allow_anonymous false`, and a password_file",
            ),
        );
    }
    let security = &subject.config.security;
    let jwt = &security.jwt;
    let tokens = jwt.secret.is_some()
        || jwt.public_key_file.is_some()
        || jwt.jwks_file.is_some()
        || jwt.jwks_url.is_some();
    for listener in subject.listeners() {
        let access = subject.access(listener);
        let asks = access.password_file.is_some()
            || access.dynamic_security_file.is_some()
            || is_known_by_certificate(listener)
            || tokens
            || security.http.url.is_some();
        if !asks && !subject.config.allows_anonymous(listener) {
            findings.hint(
                subject.place(listener, "port"),
                format!("nobody can connect to {}: no user has a password", listener.label()),
                "password_file, with users from `dunlin passwd`",
            );
        }
        if listener.protocol == Protocol::WebSockets && listener.websocket.origins.is_empty() {
            findings.hint(
                subject.place(listener, "protocol"),
                format!("scripts of any web page may connect to {}", listener.label()),
                subject.write(
                    "websocket_origins = [\"https://your.page\"]",
                    "`websockets_origin https://your.page`",
                ),
            );
        }
    }
}

/// The seventh rule.
pub(super) fn mutual(subject: &Subject<'_>, findings: &mut Findings) {
    for listener in subject.outer().filter(|listener| !listener.proxy_requires_tls) {
        let label = listener.label();
        let required = subject.write(
            "client_certificate = \"required\" with cafile; `dunlin cert client NAME` makes certificates",
            "`require_certificate true` with cafile; `dunlin cert client NAME` makes certificates",
        );
        let place = subject.place(listener, "client_certificate");
        let asked = listener.tls().map_or(ClientCertificate::None, |tls| tls.client_certificate);
        match asked {
            ClientCertificate::Required => {}
            ClientCertificate::Optional => findings.broken(
                place,
                format!("a password alone is enough for {label}: certificates are optional"),
                required,
            ),
            ClientCertificate::None => findings.broken(
                place,
                format!("{label} asks no client for a certificate: a stolen password is enough"),
                required,
            ),
        }
        if asked == ClientCertificate::None {
            continue;
        }
        if listener.tls.crlfile.is_none() {
            findings.hint(
                subject.place(listener, "cafile"),
                format!("no certificate can be taken back on {label}"),
                "crlfile, the list that `dunlin cert revoke` writes",
            );
        }
        if listener.tls.client_dates == CheckDates::Ignore {
            findings.hint(
                subject.place(listener, "client_dates"),
                format!("certificates of clients never expire on {label}"),
                "only for devices that cannot know the time",
            );
        }
    }
}
