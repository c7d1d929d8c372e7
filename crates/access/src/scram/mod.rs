//! SCRAM-SHA-256 (RFC 5802, RFC 7677) from the server's side, for the AUTH exchange of MQTT 5.
//!
//! ```text
//! CONNECT  client-first ──► start ──► Challenge, server-first ──► AUTH 0x18
//! AUTH     client-final ──► finish ──► user, server-final ──► CONNACK (or AUTH 0x00)
//! ```
//!
//! The password itself never arrives, and the server keeps keys that do not let anyone log in. There is
//! no channel binding. Re-authentication is the same exchange; [`Challenge::finish`] is then told whose
//! connection it is.

mod exchange;
mod keys;

pub use exchange::{Accepted, Challenge, ScramFault, start};
pub use keys::Keys;

/// The authentication method, as CONNECT and AUTH name it.
pub const METHOD: &str = "SCRAM-SHA-256";
