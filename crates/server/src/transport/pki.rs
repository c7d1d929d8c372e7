//! Authorities and certificates for tests, in files as an operator has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

static AUTHORITIES: AtomicU32 = AtomicU32::new(0);

/// A directory with an authority and what it has signed.
pub(crate) struct Pki {
    directory: TempDir,
    pub(crate) authority: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// Files of a certificate and its key.
pub(crate) struct Signed {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) certificate: Certificate,
    pub(crate) pair: KeyPair,
}

impl Pki {
    /// A new authority; its certificate is in `ca.crt`.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two with one name could not be told apart.
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        fs::write(directory.path().join("ca.crt"), authority.pem()).unwrap();
        Self { directory, authority, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// A certificate for servers of these names.
    pub(crate) fn server(&self, name: &str, names: &[&str]) -> Signed {
        self.sign(name, names, ExtendedKeyUsagePurpose::ServerAuth, |_| {})
    }

    /// A certificate for a client with this common name, and one alternative name.
    pub(crate) fn client(&self, name: &str) -> Signed {
        self.client_with(name, |_| {})
    }

    /// The same, changed before it is signed.
    pub(crate) fn client_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Signed {
        let alternative = format!("{name}.example");
        self.sign(name, &[&alternative], ExtendedKeyUsagePurpose::ClientAuth, change)
    }

    /// A certificate for a client that was valid once.
    pub(crate) fn expired_client(&self, name: &str) -> Signed {
        self.client_with(name, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 1);
        })
    }

    /// A list of revoked certificates with this serial number in it.
    pub(crate) fn revoke(&self, serial: &SerialNumber) -> PathBuf {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: serial.clone(),
                revocation_time: date_time_ymd(2020, 1, 2),
                reason_code: Some(RevocationReason::KeyCompromise),
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = self.path("ca.crl");
        fs::write(&path, list.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        path
    }

    fn sign(
        &self,
        name: &str,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Signed {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Tide, Ltd");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        change(&mut params);
        let pair = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&pair, &self.issuer).unwrap();
        let file = |suffix: &str, text: String| {
            let path = self.path(&format!("{name}.{suffix}"));
            fs::write(&path, text).unwrap();
            path
        };
        let (chain, key) = (file("crt", certificate.pem()), file("key", pair.serialize_pem()));
        Signed { chain, key, certificate, pair }
    }
}

/// What the file holds, for a test that changes it.
pub(crate) fn overwrite(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
}
