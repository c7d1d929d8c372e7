//! What sets a broker up and looks after it: an authority and its certificates ([`cert`]), password
//! files ([`passwd`]), a first secure configuration ([`init`]), and a judgement of any configuration
//! ([`audit`]).
//!
//! Functions take the time as an argument and return what is to be told; only the binary prints. Files are
//! written whole or not at all ([`files`]).

#![forbid(unsafe_code)]

pub mod audit;
pub mod cert;
pub mod files;
pub mod init;
pub mod passwd;
pub mod terminal;

mod error;
mod random;

pub use dunlin_access::UnixSeconds;
pub use error::KitError;
