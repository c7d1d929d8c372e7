//! MQTT on QUIC: a gateway, one thread for each listener, between UDP and the shards.
//!
//! The shards know nothing of QUIC. To them a client is one end of a pair of sockets, and the gateway
//! carries bytes between the other end and the first stream that the client opens. A full pair stops the
//! stream, a full stream stops the pair: back-pressure needs nothing more.
//!
//! `gateway.rs` is the event loop, `welcome.rs` says who is let in, `line.rs` is one connection and
//! `pipe.rs` its bytes. `setup.rs` has the limits that the protocol itself keeps.

mod close;
mod gateway;
mod gateways;
mod line;
mod pipe;
mod setup;
mod timers;
mod udp;
mod welcome;

pub(crate) use gateways::{Gateways, Plan};
pub use setup::QuicOptions;
pub(crate) use setup::setup;
pub(crate) use udp::bind;
