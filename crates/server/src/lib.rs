//! The shell around the broker: listeners, shard threads, mailboxes, turn pacing, `$SYS`, logs.
//!
//! [`start`] is the way in, `shard.rs` the event loop. Follow a message in this order: `shard.rs`
//! (wait) → `turn.rs` (one turn) → `read.rs` (socket to broker) → the broker → `mailbox.rs` (to
//! other shards) → `flush.rs` (broker to socket) → `pacer.rs` (when the next turn begins). What is to
//! survive the process goes through `store/` before it is acknowledged.
#![forbid(unsafe_code)]

mod access;
mod admin;
mod arrival;
mod clock;
mod commons;
mod connection;
mod entrance;
mod error;
mod flush;
mod hush;
mod inherited;
mod layered;
mod limits;
mod listener;
mod log;
mod mailbox;
mod notify;
mod options;
mod pacer;
mod planted;
mod quic;
mod read;
mod reload;
mod reloading;
mod report;
mod review;
mod shard;
mod shared;
mod signals;
mod start;
mod store;
mod sys;
mod transport;
mod turn;
mod why;

pub use access::{Banned, Fault, Missing, World, passwords_of};
pub use admin::serve_admin;
pub use dunlin_broker::{Cause, Causes, Rate, Settings};
pub use entrance::{ListenerOptions, ListenerReport, Place, ProxyOptions, ProxyRequires};
pub use error::{RunError, StartError};
pub use log::{Logger, PreparedLog};
pub use options::{Before, Durability, OnDamage, Preparation, ServerOptions, StoreOptions};
pub use planted::{Spot, append_to, give, make_directory, write_file};
pub use quic::QuicOptions;
pub use reload::{Reloader, check};
pub use signals::Signals;
pub use start::{Handle, start};
pub use transport::{
    CertificateFiles, ClientCertificates, ClientTrust, DialOptions, Dialer, NameCheck,
    ProxyVersion, TlsError, TlsOptions, TlsStream, TlsVersion, WebSocketOptions, explain_dial,
};
pub use why::{Alarm, Explained, Told, WhyOptions};
