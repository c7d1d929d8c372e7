//! Unpredictable bytes.

use ring::rand::{SecureRandom, SystemRandom};

/// Fills bytes from the system.
pub(super) fn fill(bytes: &mut [u8]) {
    SystemRandom::new()
        .fill(bytes)
        .expect("the system has randomness: its hash tables need it too");
}
