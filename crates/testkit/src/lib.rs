//! What the conformance suite speaks and against what.
//!
//! [`RawClient`] sends any bytes and reads strictly parsed packets, with a time limit on every
//! read. [`Connect`], [`Publish`] and the functions of [`request`] write packets byte by byte,
//! broken ones too; nothing here uses the codec under test. [`Broker`] runs the real binary and
//! ends it with the process that started it.
//!
//! [`sim`] is something else: whole brokers with their clients on virtual time.

mod broker;
mod client;
mod connect;
mod link;
mod packet;
pub mod property;
mod publish;
pub mod request;
pub mod sim;
mod version;
mod wire;

pub use broker::{Broker, binary};
pub use client::RawClient;
pub use connect::{Connect, Will};
pub use link::{Event, Link};
pub use packet::{Ack, Codes, ConnAck, Disconnect, Packet};
pub use property::{Properties, Value};
pub use publish::Publish;
pub use version::Version;
pub use wire::{Bytes, frame};
