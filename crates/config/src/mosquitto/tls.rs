//! Encryption of listeners.

use super::line::Line;
use super::reader::{Reader, identity};
use super::{MosquittoKey, Outcome, Scope, answered, sets};
use crate::model::{CheckDates, ClientCertificate, Identity, TlsVersion};
use crate::problem::Weight;

pub(super) const KEYS: &[&[MosquittoKey]] = &[SETTING, ANSWERED];

#[rustfmt::skip]
const SETTING: &[MosquittoKey] = sets! {
    "cafile" Listener "cafile" Allowed |r, l| { r.listener()?.tls.cafile = Some(l.text()?.into()); Ok(()) };
    "capath" AnyListener "capath" Allowed |r, l| { r.listener()?.tls.capath = Some(l.text()?.into()); Ok(()) };
    "certfile" AnyListener "certfile" Allowed |r, l| { r.listener()?.tls.certfile = Some(l.text()?.into()); Ok(()) };
    "keyfile" AnyListener "keyfile" Allowed |r, l| { r.listener()?.tls.keyfile = Some(l.text()?.into()); Ok(()) };
    "crlfile" AnyListener "crlfile" Allowed |r, l| { r.listener()?.tls.crlfile = Some(l.text()?.into()); Ok(()) };
    "ciphers" AnyListener "ciphers" Allowed |r, l| {
        let known = ciphers(r, l, TLS_1_2)?;
        let list = &mut r.listener()?.tls.ciphers;
        list.retain(|name| !TLS_1_2.contains(&name.as_str()));
        list.extend(known);
        Ok(())
    };
    "ciphers_tls1.3" AnyListener "ciphers" Allowed |r, l| {
        let known = ciphers(r, l, TLS_1_3)?;
        let list = &mut r.listener()?.tls.ciphers;
        list.retain(|name| !TLS_1_3.contains(&name.as_str()));
        list.splice(0..0, known);
        Ok(())
    };
    "disable_client_cert_date_checks" Listener "client_dates" Allowed |r, l| {
        r.listener()?.tls.client_dates = if l.flag()? { CheckDates::Ignore } else { CheckDates::Check };
        Ok(())
    };
    "require_certificate" AnyListener "client_certificate" Allowed |r, l| {
        let required = l.flag()?;
        r.listener()?.tls.client_certificate = if required { ClientCertificate::Required } else { ClientCertificate::None };
        Ok(())
    };
    "tls_version" Listener "minimum_tls_version" Refused |r, l| {
        let version = tls_version(r, l)?;
        r.listener()?.tls.minimum_version = version;
        Ok(())
    };
    "use_identity_as_username" AnyListener "identity" Allowed |r, l| {
        let on = l.flag()?;
        let listener = r.listener()?;
        listener.identity = identity(listener.identity, Identity::CommonName, on);
        Ok(())
    };
    "use_subject_as_username" AnyListener "identity" Allowed |r, l| {
        let on = l.flag()?;
        let listener = r.listener()?;
        listener.identity = identity(listener.identity, Identity::Subject, on);
        Ok(())
    };
};

const ANSWERED: &[MosquittoKey] = &[
    answered(
        "dhparamfile",
        Scope::Broker,
        Outcome::Needless(
            "key exchange uses elliptic curves, which need no parameters; Mosquitto has dropped it too",
        ),
    ),
    answered(
        "psk_hint",
        Scope::AnyListener,
        Outcome::Stops(
            "keys shared with clients (TLS-PSK) are not supported, and without them the listener would not be \
             encrypted; give it `certfile` and `keyfile`",
        ),
    ),
    answered(
        "tls_engine",
        Scope::AnyListener,
        Outcome::Needless("engines of OpenSSL are not used here; the key is read from `keyfile`"),
    ),
    answered(
        "tls_engine_kpass_sha1",
        Scope::AnyListener,
        Outcome::Needless("engines of OpenSSL are not used here, so none needs a password"),
    ),
    MosquittoKey {
        name: "tls_keyform",
        scope: Scope::AnyListener,
        outcome: Outcome::Reads("`pem`; the key cannot be in an engine of OpenSSL"),
        repeat: super::Repeat::Refused,
        apply: |_, line| match line.text()? {
            "engine" => {
                Err("keys in engines of OpenSSL are not supported; write the key into a PEM file"
                    .into())
            }
            _ => Ok(()),
        },
    },
];

/// The suites of TLS 1.2 that are considered secure, as OpenSSL names them.
pub(super) const TLS_1_2: &[&str] = &[
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

/// The suites of TLS 1.3.
pub(super) const TLS_1_3: &[&str] =
    &["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"];

/// The suites of a list that there are here. If there are none, all that are secure are left, which is never
/// less than was asked for.
pub(super) fn ciphers(
    reader: &mut Reader<'_>,
    line: &Line<'_>,
    known: &[&str],
) -> Result<Vec<String>, String> {
    let asked: Vec<&str> =
        line.text()?.split([':', ',', ' ']).filter(|name| !name.is_empty()).collect();
    if !asked.iter().any(|word| is_expression(word)) {
        let word = asked.first().copied().unwrap_or_default();
        return Err(format!("`{word}` is no name of a cipher suite: {} is one", known[0]));
    }
    let found: Vec<String> =
        asked.iter().filter(|name| known.contains(name)).map(|name| (*name).to_owned()).collect();
    if found.len() < asked.len() {
        let left =
            if found.is_empty() { "all suites with forward secrecy are" } else { "the others are" };
        let text = format!(
            "only names of suites with forward secrecy are used, no expressions; {left} offered"
        );
        reader.note(line, Weight::Warning, text);
    }
    Ok(found)
}

/// Whether it is written like a name of OpenSSL, of a suite or of a kind of them, which need not be known here:
/// all of these have capitals.
fn is_expression(word: &str) -> bool {
    word.chars().any(|letter| letter.is_ascii_uppercase())
}

/// The lowest version, as Mosquitto means it.
pub(super) fn tls_version(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<TlsVersion, String> {
    match line.text()? {
        "tlsv1.3" => Ok(TlsVersion::V1_3),
        "tlsv1.2" => Ok(TlsVersion::V1_2),
        "tlsv1.1" | "tlsv1" => {
            let text = "TLS before 1.2 is broken and not supported; 1.2 and 1.3 are offered";
            reader.note(line, Weight::Warning, text);
            Ok(TlsVersion::V1_2)
        }
        other => Err(format!("`{other}` is no version: there are tlsv1.2 and tlsv1.3")),
    }
}
