//! Whether a certificate leads to an authority: by the same code as in the listeners.

use std::time::Duration;

use rustls_pki_types::{SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert, ring};

use super::facts::{Facts, Purpose};
use super::pem::Chain;
use super::{Name, date};
use crate::UnixSeconds;

/// What the listeners accept.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::ED25519,
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::RSA_PKCS1_3072_8192_SHA384,
    ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Whether `chain` leads to one of `authorities`, by way of what else the two files hold.
///
/// # Errors
/// Why it does not.
pub fn verify(chain: &Chain, authorities: &Chain, now: UnixSeconds) -> Result<(), String> {
    if authorities.all().any(|der| der.as_ref() == chain.first()) {
        return Ok(());
    }
    let all: Vec<_> = authorities.all().collect();
    let anchors: Result<Vec<_>, _> = all.iter().map(|der| anchor_from_trusted_cert(der)).collect();
    let anchors = anchors.map_err(|error| {
        format!("a certificate in {} cannot be an authority: {error}", authorities.path.display())
    })?;
    let first = chain.all().next().ok_or("there is no certificate")?;
    let certificate =
        EndEntityCert::try_from(first).map_err(|error| say(&error, chain, authorities))?;
    let is_client = Facts::parse(first).is_some_and(|facts| facts.purpose == Purpose::Client);
    let usage = if is_client { KeyUsage::client_auth() } else { KeyUsage::server_auth() };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let verified =
        certificate.verify_for_usage(ALGORITHMS, &anchors, chain.others(), time, usage, None, None);
    verified.map(drop).map_err(|error| say(&error, chain, authorities))
}

/// Whether a client that connects by this name finds it in the certificate.
#[must_use]
pub fn is_for(chain: &Chain, name: &Name) -> bool {
    let Some(first) = chain.all().next() else { return false };
    let Ok(certificate) = EndEntityCert::try_from(first) else { return false };
    let name = name.to_string();
    rustls_pki_types::ServerName::try_from(name.as_str())
        .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
}

fn say(error: &Error, chain: &Chain, authorities: &Chain) -> String {
    let authority = authorities.path.display();
    match error {
        Error::UnknownIssuer => {
            let issuer = Facts::parse(chain.first()).map(|facts| facts.issuer).unwrap_or_default();
            format!("it was signed by `{issuer}`, which {authority} does not hold")
        }
        Error::InvalidSignatureForPublicKey => format!(
            "it was signed by another authority of the same name: was {authority} made anew since?"
        ),
        Error::CertExpired { not_after, .. } => {
            format!("it expired on {}, or one above it did", date(not_after.as_secs()))
        }
        Error::CertNotValidYet { not_before, .. } => {
            format!("it is not valid before {}", date(not_before.as_secs()))
        }
        Error::CaUsedAsEndEntity => {
            "it is that of an authority, which may sign but is no server or client".into()
        }
        Error::UnsupportedCertVersion => {
            "it is of version 1, without alternative names: sign it again with them".into()
        }
        other => other.to_string(),
    }
}
