//! The digest of argon2id.

use std::cell::RefCell;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

/// Memory in KiB that a thread keeps for its next hash. 64 MiB: three times what new hashes take.
const KEPT_MAX: usize = 64 * 1024;

thread_local! {
    /// What the last hash of this thread was computed in. Got anew from the system each time, it costs page
    /// faults, and others of the process wait while a thread of low priority maps it.
    static MEMORY: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn argon2id(
    params: &Params,
    password: &[u8],
    salt: &[u8],
    len: usize,
) -> Zeroizing<Vec<u8>> {
    let mut digest = Zeroizing::new(vec![0; len]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let count = params.block_count();
    MEMORY.with_borrow_mut(|memory| {
        if memory.len() < count {
            *memory = vec![Block::default(); count];
        }
        // The first pass writes every block before it is read.
        argon2
            .hash_password_into_with_memory(password, salt, &mut digest, &mut memory[..count])
            .expect("lengths and parameters are checked when the hash is read or made");
        if memory.len() > KEPT_MAX {
            *memory = Vec::new();
        }
    });
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_the_memory_before_changes_no_digest() {
        let digest = |memory: u32, lanes: u32, password: &[u8]| {
            let params = Params::new(memory, 2, lanes, Some(32)).expect("they are allowed");
            let alone = std::thread::scope(|scope| {
                let fresh = scope.spawn(|| argon2id(&params, password, b"salt of it", 32));
                fresh.join().expect("it does not panic")
            });
            (alone, argon2id(&params, password, b"salt of it", 32))
        };
        for (memory, lanes) in [(64, 1), (200, 3), (8, 1), (70_000, 1), (64, 1)] {
            for password in [&b"one"[..], b"other"] {
                let (fresh, again) = digest(memory, lanes, password);
                assert_eq!(fresh, again, "{memory} KiB");
            }
        }
        MEMORY.with_borrow(|memory| assert!(memory.len() <= KEPT_MAX));
    }
}
