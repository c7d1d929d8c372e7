//! What the server keeps of a password for SCRAM.

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use crate::Random;
use crate::secret::same;

/// Iterations for new keys. The client has to do them at every login, so this is what a small device
/// does in a few seconds, and more than the 4096 that RFC 7677 asks for at the least.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(15_359);
/// The most iterations that keys from a file may ask for: a plain login has to do them here.
const ITERATIONS_MAX: u32 = 10_000_000;
/// Fewer than this a client refuses.
const ITERATIONS_MIN: u32 = 4096;
/// Bytes of a new salt.
const SALT_LEN: usize = 16;
/// Longer salts are a mistake.
const SALT_MAX: usize = 256;
/// Bytes of a key.
pub(super) const KEY_LEN: usize = 32;

/// The keys of a user, from which the password cannot be had back.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub(super) iterations: NonZeroU32,
    pub(super) salt: Vec<u8>,
    pub(super) stored: [u8; KEY_LEN],
    pub(super) server: [u8; KEY_LEN],
}

impl Keys {
    /// Makes the keys for a new password.
    #[must_use]
    pub fn create(password: &[u8], random: &mut Random<'_>) -> Self {
        let mut salt = vec![0; SALT_LEN];
        random(&mut salt);
        Self::derive(password, salt, ITERATIONS)
    }

    fn derive(password: &[u8], salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let mut salted = Zeroizing::new([0; KEY_LEN]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password, &mut *salted);
        let client = Zeroizing::new(mac(&*salted, b"Client Key"));
        Self { iterations, salt, stored: hash(&*client), server: mac(&*salted, b"Server Key") }
    }

    /// Reads what [`Keys::encode`] wrote, without `$scram-sha-256$`.
    pub(crate) fn parse(parts: [&str; 4]) -> Option<Self> {
        let [iterations, salt, stored, server] = parts;
        let iterations: u32 = iterations.parse().ok()?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return None;
        }
        let salt = STANDARD.decode(salt).ok()?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        (!salt.is_empty() && salt.len() <= SALT_MAX).then_some(Self {
            iterations: NonZeroU32::new(iterations)?,
            salt,
            stored: key(stored)?,
            server: key(server)?,
        })
    }

    /// The keys as they stand in a password file. They are worth protecting: not for logs.
    #[must_use]
    pub fn encode(&self) -> String {
        format!(
            "$scram-sha-256${}${}${}${}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored),
            STANDARD.encode(self.server)
        )
    }

    /// Whether this is the password, for a client that sends it plainly. This takes milliseconds.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        let found = Self::derive(password, self.salt.clone(), self.iterations);
        same(&found.stored, &self.stored)
    }

    /// Keys of a user that does not exist: the same at every attempt, so that they tell nothing.
    pub(super) fn pretend(user: &str, secret: &[u8], iterations: NonZeroU32) -> Self {
        let salt = mac(secret, user.as_bytes())[..SALT_LEN].to_vec();
        Self { iterations, salt, stored: [0; KEY_LEN], server: mac(secret, b"Server Key") }
    }

    pub(super) const fn default_iterations() -> NonZeroU32 {
        ITERATIONS
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} iterations, ..)", self.iterations)
    }
}

pub(super) fn mac(key: &[u8], data: &[u8]) -> [u8; KEY_LEN] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut result = [0; KEY_LEN];
    result.copy_from_slice(hmac::sign(&key, data).as_ref());
    result
}

pub(super) fn hash(data: &[u8]) -> [u8; KEY_LEN] {
    let mut result = [0; KEY_LEN];
    result.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    result
}
