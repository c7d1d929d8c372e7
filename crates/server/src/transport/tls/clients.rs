//! How certificates of clients are verified.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::der::Certificate;
use super::error::TlsError;
use super::files;
use super::options::ClientCertificates;

/// A verifier, and all that it goes by.
pub(super) type Verifier = (Arc<dyn ClientCertVerifier>, Vec<Vec<u8>>);

/// Makes the verifier that `wanted` asks for.
pub(super) fn verifier(
    wanted: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, TlsError> {
    let Some(trust) = wanted.trust() else {
        return Ok((WebPkiClientVerifier::no_client_auth(), Vec::new()));
    };
    let is_optional = matches!(wanted, ClientCertificates::Optional(_));
    let authorities = files::authorities(&trust.authorities)?;
    let mut parts = vec![vec![u8::from(is_optional), u8::from(trust.ignore_dates)]];
    for root in &authorities.roots {
        parts.push(root.subject.to_vec());
        parts.push(root.subject_public_key_info.to_vec());
        parts.push(root.name_constraints.as_deref().unwrap_or_default().to_vec());
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(provider));
    if let Some(path) = &trust.revoked {
        // As OpenSSL does for Mosquitto: the list is about certificates of clients, and it must be of
        // these days.
        let lists = files::revocation_lists(path)?;
        parts.extend(lists.iter().map(|list| list.to_vec()));
        builder = builder
            .with_crls(lists)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    if is_optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|cause| Error::General(cause.to_string()))?;
    Ok((if trust.ignore_dates { Arc::new(Undated(verifier)) } else { verifier }, parts))
}

/// Verifies as if it were the moment from which the certificate is valid.
#[derive(Debug)]
struct Undated(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Undated {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let from = Certificate::parse(end_entity).map(|certificate| certificate.not_before);
        let then = from.map_or(now, |from| UnixTime::since_unix_epoch(Duration::from_secs(from)));
        self.0.verify_client_cert(end_entity, intermediates, then)
    }

    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
