//! The keys that tokens are verified with.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;

use crate::Secret;
use crate::fault::Fault;
use crate::jwt::origin::{KeyMark, Origin};

/// More keys than this in a set are not used: each may be tried for a token without `kid`.
const KEYS_MAX: usize = 64;
/// Shorter secrets are found by trying; RFC 7518 asks for the length of the hash.
const SECRET_MIN: usize = 32;

/// An algorithm of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Es256,
}

impl Algorithm {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rs256,
            "ES256" => Self::Es256,
            _ => return None,
        })
    }
}

/// The keys of those who may issue tokens.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    /// The only algorithm it is for, if its set says so.
    only: Option<Algorithm>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Hmac(Secret),
    /// Modulus and exponent, big-endian.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point of P-256, uncompressed.
    P256(Vec<u8>),
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac(..)",
            Self::Rsa { .. } => "Rsa",
            Self::P256(_) => "P256",
        })
    }
}

/// Why something is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The shared secret is short.
    #[error("the secret for HS256, HS384 and HS512 must have at least 32 bytes")]
    ShortSecret,
    /// It is no public key in PEM.
    #[error(
        "expected -----BEGIN PUBLIC KEY----- with an RSA or P-256 key; make it with \
         `openssl pkey -in private.pem -pubout`"
    )]
    NotPem,
}

impl KeySet {
    /// A secret that issuer and broker share, for HS256, HS384 and HS512.
    ///
    /// # Errors
    /// It is too short.
    pub fn from_secret(secret: Secret) -> Result<Self, KeyFault> {
        if secret.reveal().len() < SECRET_MIN {
            return Err(KeyFault::ShortSecret);
        }
        Ok(Self::of(Material::Hmac(secret)))
    }

    /// A public key as PEM, for RS256 or ES256 by its kind.
    ///
    /// # Errors
    /// It is not one.
    pub fn from_pem(pem: &str) -> Result<Self, KeyFault> {
        const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
        const END: &str = "-----END PUBLIC KEY-----";
        let (_, rest) = pem.split_once(BEGIN).ok_or(KeyFault::NotPem)?;
        let (body, _) = rest.split_once(END).ok_or(KeyFault::NotPem)?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(body).map_err(|_| KeyFault::NotPem)?;
        let material = public_key(&der).ok_or(KeyFault::NotPem)?;
        Ok(Self::of(material))
    }

    /// A JSON Web Key Set (RFC 7517). Keys that are not for what is supported here are left out and told.
    ///
    /// # Errors
    /// It is not a set of keys.
    pub fn from_jwks(name: &str, text: &str) -> Result<(Self, Vec<Fault>), Fault> {
        let file: Arc<str> = name.into();
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let line = u32::try_from(error.line()).unwrap_or(0);
            Fault::error(&file, line, "this is not JSON; the line says where it stops being it")
        })?;
        let Some(list) = value.get("keys").and_then(Value::as_array) else {
            return Err(Fault::error(&file, 0, "expected an object with the list `keys`"));
        };
        let (mut keys, mut faults) = (Vec::new(), Vec::new());
        for (value, number) in list.iter().zip(1_usize..) {
            match jwk(value) {
                Ok(key) if keys.len() < KEYS_MAX => keys.push(key),
                Ok(_) => {
                    faults.push(Fault::warning(&file, 0, "only the first 64 keys are used"));
                    break;
                }
                Err(why) => {
                    faults.push(Fault::warning(
                        &file,
                        0,
                        format!("key {number} is left out: {why}"),
                    ));
                }
            }
        }
        Ok((Self { keys }, faults))
    }

    /// Adds the keys of another set.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.keys.truncate(KEYS_MAX);
    }

    /// Whether there are no keys, so that no token can be valid.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether every key is a shared secret: then a token costs microseconds, otherwise up to a tenth of a
    /// millisecond for each key that may have signed it.
    #[must_use]
    pub fn is_light(&self) -> bool {
        self.keys.iter().all(|key| matches!(key.material, Material::Hmac(_)))
    }

    fn of(material: Material) -> Self {
        Self { keys: vec![Key { id: None, only: None, material }] }
    }

    /// Whether the key is among these that has signed a token of this origin.
    #[must_use]
    pub fn knows(&self, origin: &Origin) -> bool {
        self.keys.iter().any(|key| key.material.mark() == origin.key)
    }

    /// The key of the set that has signed the message, if one has. A key with a name is for tokens that name it; one
    /// without a name is for all.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Option<KeyMark> {
        let mut keys = self
            .keys
            .iter()
            .filter(|key| key.id.is_none() || id.is_none() || key.id.as_deref() == id)
            .filter(|key| key.only.is_none_or(|only| only == algorithm));
        let signer = keys.find(|key| key.material.verify(algorithm, message, signature))?;
        Some(signer.material.mark())
    }
}

impl Material {
    fn mark(&self) -> KeyMark {
        match self {
            Self::Hmac(secret) => KeyMark::of(b"hmac", &[secret.reveal()]),
            Self::Rsa { n, e } => KeyMark::of(b"rsa", &[n, e]),
            Self::P256(point) => KeyMark::of(b"p256", &[point]),
        }
    }

    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (self, algorithm) {
            (Self::Hmac(secret), Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512) => {
                let algorithm = match algorithm {
                    Algorithm::Hs384 => hmac::HMAC_SHA384,
                    Algorithm::Hs512 => hmac::HMAC_SHA512,
                    Algorithm::Hs256 | Algorithm::Rs256 | Algorithm::Es256 => hmac::HMAC_SHA256,
                };
                let key = hmac::Key::new(algorithm, secret.reveal());
                hmac::verify(&key, message, signature).is_ok()
            }
            (Self::Rsa { n, e }, Algorithm::Rs256) => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            (Self::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            (Self::Hmac(_) | Self::Rsa { .. } | Self::P256(_), _) => false,
        }
    }
}

fn jwk(value: &Value) -> Result<Key, &'static str> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok();
    if text("use").is_some_and(|usage| usage != "sig") {
        return Err("it is not for signatures");
    }
    let only = match text("alg") {
        None => None,
        Some(name) => Some(Algorithm::from_name(name).ok_or("its algorithm is not supported")?),
    };
    let material = match text("kty") {
        Some("oct") => {
            let secret = bytes("k").ok_or("`k` is missing or damaged")?;
            if secret.len() < SECRET_MIN {
                return Err("the secret has fewer than 32 bytes");
            }
            Material::Hmac(Secret::new(secret))
        }
        Some("RSA") => Material::Rsa {
            n: without_zeros(&bytes("n").ok_or("`n` is missing or damaged")?),
            e: without_zeros(&bytes("e").ok_or("`e` is missing or damaged")?),
        },
        Some("EC") if text("crv") == Some("P-256") => {
            let (x, y) = bytes("x").zip(bytes("y")).ok_or("`x` or `y` is missing or damaged")?;
            if x.len() != 32 || y.len() != 32 {
                return Err("`x` and `y` must have 32 bytes");
            }
            Material::P256([&[4][..], &x, &y].concat())
        }
        Some("EC") => return Err("of elliptic curves only P-256 is supported"),
        _ => return Err("its kind is not supported; oct, RSA and EC are"),
    };
    Ok(Key { id: text("kid").map(Into::into), only, material })
}

/// Reads a SubjectPublicKeyInfo: the algorithm, then the key as a string of bits.
fn public_key(der: &[u8]) -> Option<Material> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let (info, _) = element(der, 0x30)?;
    let (algorithm, info) = element(info, 0x30)?;
    let (bits, _) = element(info, 0x03)?;
    let key = bits.strip_prefix(&[0])?;
    let (id, parameters) = element(algorithm, 0x06)?;
    if id == RSA {
        let (numbers, _) = element(key, 0x30)?;
        let (n, rest) = element(numbers, 0x02)?;
        let (e, _) = element(rest, 0x02)?;
        Some(Material::Rsa { n: without_zeros(n), e: without_zeros(e) })
    } else if id == EC && element(parameters, 0x06)?.0 == P256 && key.len() == 65 {
        Some(Material::P256(key.to_vec()))
    } else {
        None
    }
}

/// The content of the DER element of that tag at the start, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut len = usize::from(first);
    if first >= 0x80 {
        // Public keys are shorter than 64 KiB.
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 2 {
            return None;
        }
        let (digits, after) = rest.split_at_checked(count)?;
        len = digits.iter().fold(0, |len, &digit| len << 8 | usize::from(digit));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(len)?;
    (found == tag).then_some((content, after))
}

fn without_zeros(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|&byte| byte == 0).collect()
}
