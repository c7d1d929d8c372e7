//! JSON Web Tokens as passwords: HS256, HS384, HS512, RS256 and ES256.
//!
//! Which algorithm a key is for is said by the key, not by the token, and there is no way to ask for
//! none. A token names the user by a claim and may bring groups, roles and topic filters of its own.

mod claims;
mod keys;
mod origin;
mod verify;

pub use claims::{Claims, Policy};
pub use keys::{KeyFault, KeySet};
pub use origin::Origin;
pub use verify::JwtFault;
