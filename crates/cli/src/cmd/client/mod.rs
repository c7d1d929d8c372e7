//! What the commands that connect to a broker have in common.

pub(crate) mod failure;
pub(crate) mod format;
pub(crate) mod link;
pub(crate) mod options;

mod civil_time;
mod json;
mod property_args;
mod route;
mod socket;
mod stream;
mod tls_args;
mod web_socket;
