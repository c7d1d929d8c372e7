//! Certificates, keys and settings as operators have them, right and wrong.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::transport::pki::{Pki, Signed, overwrite};

/// 2026-11-21.
const NOW: u64 = 20_778 * 86_400;

fn options(signed: &Signed) -> TlsOptions {
    TlsOptions {
        certificate: CertificateFiles {
            chain: signed.chain.clone(),
            key: signed.key.clone(),
            authorities: None,
        },
        ..TlsOptions::default()
    }
}

fn read(options: &TlsOptions) -> Result<TlsSetup, TlsError> {
    TlsSetup::read(options, &["mqtt"], NOW)
}

fn refusal(options: &TlsOptions) -> String {
    read(options).unwrap_err().to_string()
}

#[test]
fn a_good_certificate_needs_no_words() {
    let pki = Pki::new();
    let setup = read(&options(&pki.server("server", &["localhost"]))).unwrap();
    assert!(setup.warnings.is_empty(), "{:?}", setup.warnings);
    assert!(setup.expires.at > NOW);
}

#[test]
fn certificates_that_clients_will_refuse_are_told_at_start() {
    let pki = Pki::new();
    let setup = read(&options(&pki.server("nameless", &[]))).unwrap();
    assert!(setup.warnings[0].contains("no subject alternative name"), "{:?}", setup.warnings);
    let setup = read(&options(&pki.expired_client("late"))).unwrap();
    assert!(setup.warnings[0].contains("has expired"), "{:?}", setup.warnings);
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_is_wrong() {
    let pki = Pki::new();
    let server = pki.server("server", &["localhost"]);
    let other = pki.server("other", &["localhost"]);
    let with = |chain: &Path, key: &Path| {
        let certificate =
            CertificateFiles { chain: chain.into(), key: key.into(), authorities: None };
        refusal(&TlsOptions { certificate, ..TlsOptions::default() })
    };
    let garbage = pki.path("garbage");
    overwrite(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let der = pki.path("der");
    fs::write(&der, server.certificate.der()).unwrap();
    let encrypted = pki.path("encrypted");
    overwrite(
        &encrypted,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let empty = pki.path("empty");
    overwrite(&empty, "");
    let table: [(&Path, &Path, &str); 9] = [
        (&server.chain, &other.key, "does not belong to"),
        (&pki.path("missing"), &server.key, "is the path right"),
        (&server.key, &server.key, "mixed up"),
        (&server.chain, &server.chain, "mixed up"),
        (&garbage, &server.key, "cannot be read"),
        (&der, &server.key, "DER, not PEM"),
        (&server.chain, &encrypted, "protected by a password"),
        (&empty, &server.key, "holds no certificate"),
        (&server.chain, &empty, "holds no key"),
    ];
    for (chain, key, part) in table {
        let told = with(chain, key);
        assert!(told.contains(part), "{told}");
        assert!(told.contains(&pki.path("").display().to_string()), "{told}");
    }
}

#[test]
fn client_certificates_need_an_authority_and_lists_that_are_some() {
    let pki = Pki::new();
    let server = pki.server("server", &["localhost"]);
    let asking =
        |trust| TlsOptions { clients: ClientCertificates::Required(trust), ..options(&server) };
    let told = refusal(&asking(ClientTrust::default()));
    assert!(told.contains("no authority"), "{told}");
    let by = |revoked: Option<PathBuf>| ClientTrust {
        authorities: vec![pki.ca()],
        revoked,
        ignore_dates: false,
    };
    read(&asking(by(None))).unwrap();
    let told = refusal(&asking(by(Some(pki.ca()))));
    assert!(told.contains("X509 CRL"), "{told}");
    let serial = rcgen::SerialNumber::from(7);
    read(&asking(by(Some(pki.revoke(&serial))))).unwrap();
}

#[test]
fn a_list_that_is_not_needed_yet_must_be_one_all_the_same() {
    let pki = Pki::new();
    let server = pki.server("server", &["localhost"]);
    let with = |list: PathBuf| TlsOptions { idle_list: Some(list), ..options(&server) };
    let told = refusal(&with(pki.ca()));
    assert!(told.contains("X509 CRL"), "{told}");
    refusal(&with("missing.pem".into()));
    read(&with(pki.revoke(&rcgen::SerialNumber::from(7)))).unwrap();
}

#[test]
fn what_leads_to_the_authority_may_come_from_its_file() {
    let pki = Pki::new();
    let server = pki.server("server", &["localhost"]);
    let mut options = options(&server);
    options.certificate.authorities = Some(pki.ca());
    let identity = Identity::read(&options.certificate).unwrap();
    // The authority itself is a root: it is not sent.
    assert_eq!(identity.certified.cert.len(), 1);
}

#[test]
fn a_certificate_tells_its_names_and_dates() {
    let pki = Pki::new();
    let client = pki.expired_client("meter");
    let read = Certificate::parse(client.certificate.der()).unwrap();
    assert_eq!(read.common_name().as_deref(), Some("meter"));
    assert_eq!(read.subject(), "O=Tide\\, Ltd,CN=meter");
    assert_eq!(read.alternative_names, ["meter.example"]);
    assert_eq!(read.not_after - read.not_before, 31 * 86_400);
    assert!(!read.is_self_signed());
    assert!(Certificate::parse(pki.authority.der()).unwrap().is_self_signed());
}

#[test]
fn a_certificate_cut_or_changed_anywhere_breaks_nothing() {
    let der = Pki::new().client("meter").certificate.der().to_vec();
    for end in 0..der.len() {
        let cut = Certificate::parse(&der[..end]);
        assert!(cut.is_none(), "cut at {end}");
    }
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[at] ^= 1 << bit;
            if let Some(read) = Certificate::parse(&changed) {
                read.subject();
                read.common_name();
            }
        }
    }
}
