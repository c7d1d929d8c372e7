//! MQTT 3.1, 3.1.1 and 5.0 without sockets, clocks or threads.
//!
//! One packet model ([`packet::Packet`]) serves all versions; they differ only in [`codec`].
//! [`server`] and [`client`] hold the connection engines: bytes and the time go in, packets,
//! bytes and deadlines come out. [`window`], [`alias`] and [`keep_alive`] are the parts they are
//! made of, usable alone. Every way a peer can break the rules is a [`Violation`].
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::panic)]

extern crate alloc;

pub mod alias;
pub mod client;
pub mod codec;
pub mod keep_alive;
pub mod packet;
pub mod packet_type;
pub mod property;
pub mod qos;
pub mod reason;
pub mod server;
pub mod text;
pub mod time;
pub mod topic;
pub mod version;
pub mod violation;
pub mod window;

pub use packet_type::PacketType;
pub use qos::{PacketId, QoS};
pub use reason::ReasonCode;
pub use time::Time;
pub use topic::{TopicFilter, TopicName};
pub use version::Version;
pub use violation::Violation;
