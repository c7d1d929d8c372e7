//! Cipher suites by the names that people know them by.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite as suite;

use super::error::TlsError;

/// The name of OpenSSL, the name of the standard, the suite; in the order of preference. AES with 128 bits is as
/// safe for what goes over a wire, and a handshake with SHA-256, which processors have instructions for, costs a
/// tenth less than one with SHA-384.
const SUITES: [(&str, &str, SupportedCipherSuite); 9] = [
    ("TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", "TLS13_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS13_CHACHA20_POLY1305_SHA256",
        suite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Words that stand for classes of suites in OpenSSL: all of ours are in them.
const CLASSES: [&str; 5] = ["HIGH", "DEFAULT", "ALL", "ECDHE", "AESGCM"];

/// The suites of these names. As with OpenSSL, which has a list for each, a version of TLS none of whose suites is
/// named keeps all of them. Names of suites that are not secure are left out.
pub(super) fn chosen(names: &[String]) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let all = || SUITES.iter().map(|(_, _, suite)| *suite);
    let is_new = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    let names: Vec<&str> = names.iter().flat_map(|list| list.split([':', ',', ' '])).collect();
    let wanted = |name: &&str| !name.is_empty() && !name.starts_with(['!', '-', '@']);
    if !names.iter().any(wanted) {
        return Ok(all().collect());
    }
    let mut chosen = Vec::new();
    for name in names.iter().filter(|name| wanted(name)) {
        if CLASSES.contains(&name.trim_start_matches('+')) {
            chosen.extend(all());
        } else {
            let known =
                SUITES.iter().find(|(openssl, standard, _)| openssl == name || standard == name);
            chosen.extend(known.map(|(_, _, suite)| *suite));
        }
    }
    if chosen.is_empty() {
        return Err(TlsError::NoCipher(names.join(":")));
    }
    if !chosen.iter().any(is_new) {
        chosen.splice(0..0, all().filter(is_new));
    }
    if chosen.iter().all(is_new) {
        chosen.extend(all().filter(|suite| !is_new(suite)));
    }
    let mut once: Vec<SupportedCipherSuite> = Vec::new();
    for suite in chosen {
        if !once.contains(&suite) {
            once.push(suite);
        }
    }
    Ok(once)
}

/// All names, for an error.
pub(super) fn names() -> String {
    SUITES.map(|(name, _, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(list: &str) -> Option<usize> {
        chosen(&[list.to_owned()]).ok().map(|suites| suites.len())
    }

    #[test]
    fn lists_of_openssl_are_understood() {
        assert_eq!(count(""), Some(9));
        assert_eq!(count("HIGH:!aNULL:!MD5"), Some(9));
        assert_eq!(count("ECDHE-ECDSA-AES128-GCM-SHA256:RC4-SHA"), Some(4));
        assert_eq!(count("TLS_AES_128_GCM_SHA256"), Some(7));
        assert_eq!(count("TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256"), Some(2));
        assert_eq!(count("RC4-SHA"), None);
    }
}
