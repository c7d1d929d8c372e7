//! Private keys: new ones, and those of files in any of the three forms that are about.

use std::path::Path;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certificate::X509Certificate;
use zeroize::Zeroizing;

use super::pem::holds;
use crate::KitError;
use crate::files;

/// A private key, which no message ever shows.
pub struct PrivateKey(pub(super) KeyPair);

impl PrivateKey {
    /// A new one: ECDSA with P-256, which every TLS library has and small devices can afford.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<Self, KitError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        key.map(Self).map_err(|cause| KitError::refused(format!("no key can be made: {cause}")))
    }

    /// Reads a key: PKCS#8, PKCS#1 or SEC1 as PEM; RSA from 2048 bits, ECDSA with P-256 or P-384, Ed25519.
    ///
    /// # Errors
    /// It cannot be read, or is none of these.
    pub fn read(path: &Path) -> Result<Self, KitError> {
        let pem = Zeroizing::new(files::read(path)?);
        let Ok(key) = PrivateKeyDer::from_pem_slice(&pem) else {
            return Err(KitError::unusable(path, instead(&pem)));
        };
        let pkcs8 = Zeroizing::new(match &key {
            PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der().to_vec(),
            PrivateKeyDer::Pkcs1(key) => from_pkcs1(key.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(key) => from_sec1(key.secret_sec1_der()),
            _ => return Err(KitError::unusable(path, UNKNOWN)),
        });
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8.as_slice()));
        key.map(Self).map_err(|_| KitError::unusable(path, UNKNOWN))
    }

    /// As PEM, PKCS#8.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// Whether it is the key of that certificate.
    pub(crate) fn fits(&self, certificate: &X509Certificate<'_>) -> bool {
        *self.0.der_bytes() == *certificate.public_key().subject_public_key.data
    }

    /// Whether signatures are all that it can do, and no encryption of session keys.
    pub(super) fn is_rsa(&self) -> bool {
        self.0.is_compatible(&rcgen::PKCS_RSA_SHA256)
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({:?})", self.0.algorithm())
    }
}

const UNKNOWN: &str = "keys of this kind cannot be used: there are RSA from 2048 to 4096 bits, ECDSA with \
                       P-256 or P-384, and Ed25519";

/// What there is instead of a key.
fn instead(pem: &[u8]) -> &'static str {
    if holds(pem, "ENCRYPTED") {
        "the key is protected by a passphrase: `openssl pkey -in FILE -out FILE.plain` takes it off \
         (keep that file at mode 0600)"
    } else if holds(pem, "BEGIN CERTIFICATE") {
        "it holds a certificate and no key: are the two mixed up?"
    } else {
        "it holds no key (PKCS#8, PKCS#1 or SEC1, as PEM)"
    }
}

/// `rsaEncryption` with its empty parameters.
const RSA: &[u8] = &[0x30, 13, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0];
/// `ecPublicKey` with the curve P-256.
const P256: &[u8] = &[
    0x30, 19, 6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1, 6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7,
];
/// `ecPublicKey` with the curve P-384.
const P384: &[u8] =
    &[0x30, 16, 6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1, 6, 5, 0x2B, 0x81, 4, 0, 34];
/// The curve P-384 as the keys of SEC1 name it.
const P384_NAME: &[u8] = &[6, 5, 0x2B, 0x81, 4, 0, 34];

fn from_pkcs1(key: &[u8]) -> Vec<u8> {
    wrap(RSA, key)
}

fn from_sec1(key: &[u8]) -> Vec<u8> {
    let is_p384 = key.windows(P384_NAME.len()).any(|window| window == P384_NAME);
    wrap(if is_p384 { P384 } else { P256 }, key)
}

/// The form of PKCS#8: version 0, algorithm, key.
fn wrap(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let key = element(0x04, &[key]);
    element(0x30, &[&[2, 1, 0], algorithm, &key])
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut der = vec![tag];
    let bytes = length.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let bytes = bytes.get(first..).unwrap_or_default();
    if length > 0x7F {
        der.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
    }
    der.extend_from_slice(bytes);
    parts.iter().for_each(|part| der.extend_from_slice(part));
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_elements_are_minimal() {
        for (length, head) in
            [(0, &[4, 0][..]), (127, &[4, 127]), (128, &[4, 0x81, 128]), (256, &[4, 0x82, 1, 0])]
        {
            let der = element(4, &[&vec![7; length]]);
            assert_eq!((der.len(), der.get(..head.len())), (head.len() + length, Some(head)));
        }
    }
}
