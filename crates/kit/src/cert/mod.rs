//! Certificates: an [`Authority`] of one's own, what it issues and takes back, and what any certificate
//! says ([`Facts`]).

mod authority;
mod batch;
mod date;
mod facts;
mod issue;
mod key;
mod name;
mod pem;
mod renew;
mod revoke;
mod verify;
mod warnings;

pub use authority::{AUTHORITY_DAYS, Authority, NewAuthority};
pub use batch::{Written, names, pair, stem};
pub use date::{date, days_left};
pub use facts::{Facts, Purpose};
pub use issue::{CLIENT_DAYS, Issued, Request, SERVER_DAYS};
pub use key::PrivateKey;
pub use name::Name;
pub use pem::Chain;
pub(crate) use revoke::read_list_end;
pub use revoke::{RevocationList, Revoked};
pub use verify::{is_for, verify};
pub use warnings::{SOON, warnings};

/// Seconds of a day.
const DAY: u64 = 86_400;
