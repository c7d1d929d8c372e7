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

/// Makes the verifier that `wanted` asks for.
pub(super) fn verifier(
    wanted: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(trust) = wanted.trust() else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    let authorities = files::authorities(&trust.authorities)?;
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(provider));
    if let Some(path) = &trust.revoked {
        // As OpenSSL does for Mosquitto: the list is about certificates of clients, and it must be of
        // these days.
        builder = builder
            .with_crls(files::revocation_lists(path)?)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    if matches!(wanted, ClientCertificates::Optional(_)) {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|cause| Error::General(cause.to_string()))?;
    Ok(if trust.ignore_dates { Arc::new(Undated(verifier)) } else { verifier })
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
