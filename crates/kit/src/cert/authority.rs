//! An authority of one's own: who trusts its certificate trusts all that it signs.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use x509_parser::certificate::X509Certificate;

use super::date::{date, moment};
use super::issue::{EARLIER, serial_number};
use super::pem::Chain;
use super::{DAY, PrivateKey};
use crate::files::{self, PUBLIC, Replace, SECRET};
use crate::{KitError, UnixSeconds};

/// Days that a new authority is valid: ten years, longer than what it signs by far.
pub const AUTHORITY_DAYS: u32 = 3650;

/// An authority that is to be made.
#[derive(Debug, Clone)]
pub struct NewAuthority<'a> {
    /// Its common name. No two should have the same: clients could not tell them apart.
    pub name: &'a str,
    /// For how long.
    pub days: u32,
    /// Whether existing files are replaced: whatever they have signed is then worth nothing.
    pub replace: Replace,
}

/// An authority that can sign.
pub struct Authority {
    chain: Chain,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one, in the files `ca.crt` and `ca.key` of a directory, which is made if there is none.
    ///
    /// # Errors
    /// The files exist, or cannot be written.
    pub fn create(
        directory: &Path,
        new: &NewAuthority<'_>,
        now: UnixSeconds,
    ) -> Result<Self, KitError> {
        let (certificate, key) = Self::files(directory);
        if new.replace == Replace::Never {
            let exists = [&certificate, &key].into_iter().find(|path| path.exists());
            exists.map_or(Ok(()), |path| Err(KitError::Exists(path.clone())))?;
        }
        let pair = PrivateKey::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, new.name);
        // It signs servers and clients, and no further authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial_number()?);
        params.not_before = moment(now.saturating_sub(EARLIER))?;
        params.not_after = moment(now.saturating_add(u64::from(new.days) * DAY))?;
        let signed = params.self_signed(&pair.0);
        let signed = signed
            .map_err(|cause| KitError::refused(format!("no authority can be made: {cause}")))?;
        if !directory.is_dir() {
            // Whoever may list it learns nothing; keys have their own mode.
            files::make_directory(directory, 0o755)?;
        }
        files::write(&key, pair.to_pem().as_bytes(), SECRET, new.replace)?;
        files::write(&certificate, signed.pem().as_bytes(), PUBLIC, new.replace)?;
        Self::open(&certificate, &key, now)
    }

    /// The files of an authority in a directory: certificate and key.
    #[must_use]
    pub fn files(directory: &Path) -> (PathBuf, PathBuf) {
        (directory.join("ca.crt"), directory.join("ca.key"))
    }

    /// Reads one, whoever made it.
    ///
    /// # Errors
    /// It cannot sign: it is no authority, has expired, or the key is that of another one.
    pub fn open(certificate: &Path, key: &Path, now: UnixSeconds) -> Result<Self, KitError> {
        let chain = Chain::read(certificate)?;
        let pair = PrivateKey::read(key)?;
        let parsed = chain.parsed();
        if !pair.fits(&parsed) {
            let what = format!("it is not the key of {}", certificate.display());
            return Err(KitError::unusable(key, what));
        }
        if !is_authority(&parsed) {
            let what = "it is no authority (basicConstraints CA:TRUE is missing): clients accept nothing \
                        that it signs";
            return Err(KitError::unusable(certificate, what));
        }
        let ends = seconds(parsed.validity().not_after.timestamp());
        if ends <= now {
            let what = format!("the authority expired on {}: make a new one", date(ends));
            return Err(KitError::unusable(certificate, what));
        }
        let der = chain.first().to_vec().into();
        let issuer = Issuer::from_ca_cert_der(&der, pair.0)
            .map_err(|cause| KitError::unusable(certificate, cause.to_string()))?;
        Ok(Self { chain, issuer })
    }

    /// Its certificates, as read.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    pub(super) fn parsed(&self) -> X509Certificate<'_> {
        self.chain.parsed()
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// From when to when it is valid.
    pub(super) fn validity(&self) -> (UnixSeconds, UnixSeconds) {
        let parsed = self.parsed();
        let validity = parsed.validity();
        (seconds(validity.not_before.timestamp()), seconds(validity.not_after.timestamp()))
    }

    /// Whether it has signed that certificate.
    pub(super) fn has_signed(&self, certificate: &X509Certificate<'_>) -> bool {
        let parsed = self.parsed();
        certificate.issuer().as_raw() == parsed.subject().as_raw()
            && certificate.verify_signature(Some(parsed.public_key())).is_ok()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("path", &self.chain.path).finish_non_exhaustive()
    }
}

/// Whether it may sign. Those of version 1 cannot say, and those that sign themselves are meant to.
fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    let is_old = certificate.version() == x509_parser::x509::X509Version::V1;
    certificate.is_ca()
        || (is_old && certificate.subject().as_raw() == certificate.issuer().as_raw())
}

/// Dates before 1970 are as good as 1970.
pub(super) fn seconds(timestamp: i64) -> UnixSeconds {
    timestamp.try_into().unwrap_or_default()
}
