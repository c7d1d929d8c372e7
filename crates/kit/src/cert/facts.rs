//! What a certificate says.

use std::fmt::Write as _;
use std::net::IpAddr;

use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_MD5WITHRSAENC,
    OID_PKCS1_SHA1WITHRSA, OID_SIG_ED25519,
};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use super::authority::seconds;
use super::pem;
use crate::UnixSeconds;

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be connected to.
    Server,
    /// To connect.
    Client,
    /// Both, or it does not say.
    Both,
}

/// What a certificate says, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The whole name of its holder, the most general part first.
    pub subject: String,
    /// The common name of its holder: the user name where certificates are.
    pub common_name: Option<String>,
    /// The whole name of who signed it.
    pub issuer: String,
    /// In hexadecimal.
    pub serial: String,
    /// From when it is valid.
    pub begins: UnixSeconds,
    /// Until when.
    pub ends: UnixSeconds,
    /// Host names and addresses, mail addresses and URIs.
    pub names: Vec<String>,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Whether it has signed itself, as it says.
    pub is_self_signed: bool,
    /// What it may be used for.
    pub purpose: Purpose,
    /// The kind of its key.
    pub key: String,
    /// Bits of a key of RSA.
    pub rsa_bits: Option<usize>,
    /// Whether it is signed in a way that can be forged.
    pub weak_signature: bool,
    /// The version: 3 for all that have alternative names.
    pub version: u32,
    /// SHA-256 of the whole, in hexadecimal.
    pub fingerprint: String,
}

impl Facts {
    /// Reads a certificate (DER); `None` if it is none.
    #[must_use]
    pub fn parse(der: &[u8]) -> Option<Self> {
        let certificate = pem::certificate(der)?;
        let (key, rsa_bits) = key(&certificate);
        let (subject, issuer) = (certificate.subject(), certificate.issuer());
        let signature = &certificate.signature_algorithm.algorithm;
        let weak = [OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, ECDSA_WITH_SHA1];
        Some(Self {
            subject: name(subject),
            common_name: common_name(subject),
            issuer: name(issuer),
            serial: hexadecimal(certificate.raw_serial()),
            begins: seconds(certificate.validity().not_before.timestamp()),
            ends: seconds(certificate.validity().not_after.timestamp()),
            names: names(&certificate),
            is_authority: certificate.is_ca(),
            is_self_signed: subject.as_raw() == issuer.as_raw(),
            purpose: purpose(&certificate),
            key,
            rsa_bits,
            weak_signature: weak.contains(signature),
            version: certificate.version().0 + 1,
            fingerprint: hexadecimal(ring::digest::digest(&ring::digest::SHA256, der).as_ref()),
        })
    }
}

/// The parser knows no name for it.
const ECDSA_WITH_SHA1: Oid<'static> = oid!(1.2.840.10045.4.1);

/// The alternative names; a certificate with damaged extensions has none that count.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
                Some((*text).to_owned())
            }
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn purpose(certificate: &X509Certificate<'_>) -> Purpose {
    let Ok(Some(usage)) = certificate.extended_key_usage() else { return Purpose::Both };
    match (usage.value.server_auth || usage.value.any, usage.value.client_auth || usage.value.any) {
        (true, false) => Purpose::Server,
        (false, true) => Purpose::Client,
        _ => Purpose::Both,
    }
}

fn key(certificate: &X509Certificate<'_>) -> (String, Option<usize>) {
    let info = certificate.public_key();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => (format!("RSA, {} bits", key.key_size()), Some(key.key_size())),
        Ok(PublicKey::EC(_)) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            let curves =
                [(OID_EC_P256, "P-256"), (OID_NIST_EC_P384, "P-384"), (OID_NIST_EC_P521, "P-521")];
            let known = curves.iter().find(|(oid, _)| curve.as_ref() == Some(oid));
            (format!("ECDSA, {}", known.map_or("another curve", |(_, name)| name)), None)
        }
        _ if info.algorithm.algorithm == OID_SIG_ED25519 => ("Ed25519".into(), None),
        _ => ("of an unknown kind".into(), None),
    }
}

fn name(name: &X509Name<'_>) -> String {
    if name.iter_attributes().next().is_none() {
        "(no name)".into()
    } else {
        printable(&name.to_string())
    }
}

pub(super) fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().next().and_then(|value| value.as_str().ok()).map(printable)
}

/// Without what would move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}
