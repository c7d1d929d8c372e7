//! MQTT 3.1, 3.1.1 and 5.0 without sockets, clocks or threads.
//!
//! One packet model ([`packet::Packet`]) serves all versions; they differ only in [`codec`].
//! [`server`] and [`client`] hold the connection engines: bytes and the time go in, packets,
//! bytes and deadlines come out. [`window`], [`alias`] and [`keep_alive`] are the parts they are
//! made of, usable alone. Every way a peer can break the rules is a [`Violation`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod packet;
