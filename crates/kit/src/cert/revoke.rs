//! What an authority takes back: the list that listeners refuse certificates by.

use std::path::Path;

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::ReasonCode;

use super::Authority;
use super::authority::seconds;
use super::date::moment;
use super::facts::hexadecimal;
use super::issue::EARLIER;
use super::pem::Chain;
use crate::files::{self, PUBLIC, Replace};
use crate::{KitError, UnixSeconds};

/// What an authority has taken back.
#[derive(Debug, Clone, Default)]
pub struct RevocationList {
    number: u64,
    entries: Vec<Revoked>,
}

/// One certificate that is no longer valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    serial: Vec<u8>,
    at: UnixSeconds,
    reason: Option<u8>,
}

impl Revoked {
    /// Its serial number, in hexadecimal.
    #[must_use]
    pub fn serial(&self) -> String {
        hexadecimal(&self.serial)
    }

    /// Since when.
    #[must_use]
    pub fn at(&self) -> UnixSeconds {
        self.at
    }
}

impl RevocationList {
    /// Reads the list of an authority; without a file it is empty.
    ///
    /// # Errors
    /// It is none, or that of another authority.
    pub fn read(path: &Path, authority: &Authority) -> Result<Self, KitError> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let der = list_der(path)?;
        let Ok((_, list)) = CertificateRevocationList::from_der(&der) else {
            return Err(KitError::unusable(path, "it is damaged"));
        };
        if list.verify_signature(authority.parsed().public_key()).is_err() {
            let what = format!("it is not the list of {}", authority.chain().path.display());
            return Err(KitError::unusable(path, what));
        }
        let revoked = list.iter_revoked_certificates().map(|entry| Revoked {
            serial: entry.raw_serial().to_vec(),
            at: seconds(entry.revocation_date.timestamp()),
            reason: entry.reason_code().map(|(_, reason)| reason.0),
        });
        let number =
            list.crl_number().and_then(|number| number.try_into().ok()).unwrap_or_default();
        Ok(Self { number, entries: revoked.collect() })
    }

    /// What is in it.
    #[must_use]
    pub fn entries(&self) -> &[Revoked] {
        &self.entries
    }

    /// Whether a certificate was taken back.
    #[must_use]
    pub fn holds(&self, chain: &Chain) -> bool {
        let certificate = chain.parsed();
        self.entries.iter().any(|entry| entry.serial == certificate.raw_serial())
    }

    /// Takes a certificate back; `false` if it was before.
    ///
    /// # Errors
    /// The authority has not signed it.
    pub fn revoke(
        &mut self,
        authority: &Authority,
        chain: &Chain,
        now: UnixSeconds,
    ) -> Result<bool, KitError> {
        let certificate = chain.parsed();
        if !authority.has_signed(&certificate) {
            let what = format!("it was not signed by {}", authority.chain().path.display());
            return Err(KitError::unusable(&chain.path, what));
        }
        if self.holds(chain) {
            return Ok(false);
        }
        let serial = certificate.raw_serial().to_vec();
        self.entries.push(Revoked { serial, at: now, reason: None });
        Ok(true)
    }

    /// Signs it anew, valid as long as the authority is. A shorter life would lock every client out on the
    /// day that somebody forgot it; a reload takes a new one in at once.
    ///
    /// # Errors
    /// The authority must not sign lists, or the file cannot be written.
    pub fn write(
        &self,
        path: &Path,
        authority: &Authority,
        now: UnixSeconds,
    ) -> Result<(), KitError> {
        let revoked = self.entries.iter().map(|entry| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&entry.serial),
                revocation_time: moment(entry.at)?,
                reason_code: entry.reason.and_then(reason),
                invalidity_date: None,
            })
        });
        let (begins, ends) = authority.validity();
        let list = CertificateRevocationListParams {
            this_update: moment(now.saturating_sub(EARLIER).max(begins))?,
            next_update: moment(ends)?,
            crl_number: SerialNumber::from(self.number.saturating_add(1)),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect::<Result<_, KitError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = list.signed_by(authority.issuer()).and_then(|list| list.pem());
        let pem = signed.map_err(|cause| {
            KitError::unusable(&authority.chain().path, format!("it signs no lists: {cause}"))
        })?;
        if path.exists() {
            return files::update(path, pem.as_bytes());
        }
        files::write(path, pem.as_bytes(), PUBLIC, Replace::Never)
    }
}

/// When a list expires, if it says so.
pub(crate) fn read_list_end(path: &Path) -> Result<Option<UnixSeconds>, KitError> {
    let der = list_der(path)?;
    let (_, list) = CertificateRevocationList::from_der(&der)
        .map_err(|_| KitError::unusable(path, "it is damaged"))?;
    Ok(list.next_update().map(|at| seconds(at.timestamp())))
}

fn list_der(path: &Path) -> Result<CertificateRevocationListDer<'static>, KitError> {
    CertificateRevocationListDer::from_pem_slice(&files::read(path)?).map_err(|_| {
        KitError::unusable(path, "it holds no list of revoked certificates (X509 CRL, PEM)")
    })
}

fn reason(code: u8) -> Option<RevocationReason> {
    Some(match ReasonCode(code) {
        ReasonCode::KeyCompromise => RevocationReason::KeyCompromise,
        ReasonCode::CACompromise => RevocationReason::CaCompromise,
        ReasonCode::AffiliationChanged => RevocationReason::AffiliationChanged,
        ReasonCode::Superseded => RevocationReason::Superseded,
        ReasonCode::CessationOfOperation => RevocationReason::CessationOfOperation,
        ReasonCode::CertificateHold => RevocationReason::CertificateHold,
        ReasonCode::RemoveFromCRL => RevocationReason::RemoveFromCrl,
        ReasonCode::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        ReasonCode::AACompromise => RevocationReason::AaCompromise,
        _ => return None,
    })
}
