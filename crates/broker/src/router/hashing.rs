//! The seeded hash functions behind the router's tables.

use core::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

use super::SessionKey;

/// Hash functions drawn from one seed, so that nobody who does not know it can choose collisions.
#[derive(Debug, Clone)]
pub(super) struct Hashing {
    shared: SharedSeed,
    salt: u64,
}

impl Hashing {
    pub(super) const fn new(seed: u64) -> Self {
        Self { shared: SharedSeed::from_u64(seed), salt: fold(seed ^ ODD, !seed) }
    }

    /// Of any bytes: a topic, one level, a share name.
    #[inline]
    pub(super) fn bytes(&self, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.salt, &self.shared);
        hasher.write(bytes);
        hasher.finish()
    }

    pub(super) const fn session(&self, key: SessionKey) -> u64 {
        let place = ((key.shard as u64) << 32) | key.slot as u64;
        fold(fold(self.salt ^ place, ODD) ^ key.generation as u64, ODD)
    }

    /// Where the hash of a run of levels that starts at `node` begins.
    #[inline]
    pub(super) const fn start(&self, node: u32) -> u64 {
        self.salt ^ (node as u64).wrapping_mul(ODD)
    }

    /// What a level with this hash adds to the hash of a filter.
    #[inline]
    pub(super) const fn share(&self, level: u64, position: u32) -> u64 {
        fold(level ^ self.salt, ODD.wrapping_mul(2 * position as u64 + 1))
    }

    /// Of a filter: from the shares of its levels, and what else tells it apart.
    #[inline]
    pub(super) const fn tag(sum: u64, shape: u64) -> u32 {
        (extend(sum, ODD.wrapping_mul(shape + 1)) >> 32) as u32
    }
}

/// Extends the hash of a run by the hash of its next level.
#[inline]
pub(super) const fn extend(hash: u64, level: u64) -> u64 {
    fold(hash ^ level, ODD).wrapping_add(level)
}

/// A 32-bit hash as the tables want it, who look at both ends.
#[inline]
pub(super) const fn spread(hash: u32) -> u64 {
    (hash as u64).wrapping_mul(ODD)
}

/// Both halves of the product: every bit of the result depends on every bit of the factors.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The fraction of the golden ratio: odd, and without a pattern in its bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
