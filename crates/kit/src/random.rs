//! Randomness of the system.

use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::KitError;

/// Characters of generated passwords: none that looks like another one, none that a shell or a
/// configuration file would read differently.
const ALPHABET: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Length of a generated password: some 116 bits, beyond any guessing.
const PASSWORD: usize = 20;

/// Fills the bytes.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), KitError> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| KitError::refused("the system gives no random numbers"))
}

/// A password that nobody guesses, to be shown once.
pub(crate) fn password() -> Result<Zeroizing<String>, KitError> {
    let mut password = Zeroizing::new(String::with_capacity(PASSWORD));
    let mut bytes = Zeroizing::new([0u8; 64]);
    while password.len() < PASSWORD {
        fill(&mut *bytes)?;
        // What is beyond the last whole copy of the alphabet would favour its first characters.
        let fair =
            bytes.iter().filter(|&&byte| usize::from(byte) < 256 / ALPHABET.len() * ALPHABET.len());
        let characters = fair.filter_map(|&byte| ALPHABET.get(usize::from(byte) % ALPHABET.len()));
        let missing = PASSWORD - password.len();
        password.extend(characters.take(missing).map(|&byte| char::from(byte)));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_strong_and_never_the_same() {
        let one = password().unwrap();
        assert_eq!(one.len(), PASSWORD);
        assert_ne!(one, password().unwrap());
        assert!(dunlin_access::password::weaknesses("user", &one).is_empty());
    }
}
