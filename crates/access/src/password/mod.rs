//! Passwords: the file of users, the hashes in it, and how it is written.

mod argon2id;
mod edit;
mod file;
mod hash;
mod strength;

pub use edit::{NameFault, check_name, remove, set, upgrade};
pub(crate) use file::place_of;
pub use file::{Attempt, PasswordFile};
pub(crate) use hash::PBKDF2_ITERATIONS;
pub use hash::{Cost, Hash, HashFault, Kind};
pub use strength::{Weakness, weaknesses};
