//! Nanoseconds for what a broker does with every message, one line for each operation.
//!
//! Plain loops around plain calls, so that instructions can be counted too: with
//! `BENCH_ONLY="decode PUBACK"` only that operation runs, `BENCH_ROUNDS` times and a tenth more.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program reads the clock, prints, and has nothing to recover from"
)]

use std::hint::black_box;
use std::time::Instant;

use dunlin_proto::codec::{self, AckKind};
use dunlin_proto::packet::{Delivery, Packet, Publish};
use dunlin_proto::property::Properties;
use dunlin_proto::server::{Connection, Limits, Received};
use dunlin_proto::window::Outbound;
use dunlin_proto::{PacketId, QoS, Time, TopicFilter, TopicName, Version};

const TOPIC: &str = "site/12/sensor/00042";

fn main() {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|n| n.parse().ok());
    let rounds = rounds.unwrap_or(5_000_000);
    decoding(rounds);
    encoding(rounds);
    topics(rounds);
    windows(rounds);
}

fn publish(delivery: Delivery) -> Publish<'static> {
    Publish {
        delivery,
        retain: false,
        topic: TopicName::new(TOPIC).ok(),
        properties: Properties::EMPTY,
        payload: &[b'x'; 64],
    }
}

fn at_least_once() -> Delivery {
    Delivery::AtLeastOnce { packet_id: PacketId::MIN, dup: false }
}

fn decoding(rounds: u32) {
    for (name, delivery, version) in [
        ("decode PUBLISH QoS 0, 3.1.1", Delivery::AtMostOnce, Version::V3_1_1),
        ("decode PUBLISH QoS 0, 5.0", Delivery::AtMostOnce, Version::V5_0),
        ("decode PUBLISH QoS 1, 5.0", at_least_once(), Version::V5_0),
    ] {
        let mut frame = Vec::new();
        codec::encode(&Packet::Publish(publish(delivery)), version, &mut frame).unwrap();
        measure(name, rounds, || {
            let frame = black_box(&frame[..]);
            black_box(codec::decode(frame, version).is_ok());
        });
        let mut connection = opened(version);
        let input = frame.repeat(2);
        measure(&format!("{name}, server engine"), rounds, || {
            match connection.receive(Time::ZERO, black_box(&input)) {
                Ok(Received::Packet { len, .. }) => black_box(len),
                _ => panic!("refused"),
            };
            connection.inbound_acknowledged();
        });
    }
    let ack = b"\x40\x02\x12\x34";
    measure("decode PUBACK", rounds, || {
        black_box(codec::decode(black_box(ack), Version::V5_0).is_ok());
    });
}

fn opened(version: Version) -> Connection {
    let mut connection = Connection::new(Limits::default(), Time::ZERO);
    let connect: &[u8] = if version.is_v5() {
        b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x0A\x00\x00\x01c"
    } else {
        b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x0A\x00\x01c"
    };
    connection.receive(Time::ZERO, connect).unwrap();
    connection
}

fn encoding(rounds: u32) {
    let mut out = Vec::with_capacity(4_096);
    for (name, delivery) in [
        ("encode PUBLISH QoS 0, 5.0", Delivery::AtMostOnce),
        ("encode PUBLISH QoS 1, 5.0", at_least_once()),
    ] {
        let packet = Packet::Publish(publish(delivery));
        measure(name, rounds, || {
            out.clear();
            codec::encode(black_box(&packet), Version::V5_0, &mut out).unwrap();
            black_box(&out);
        });
        let publish = publish(delivery);
        measure(&format!("{name}, head alone"), rounds, || {
            out.clear();
            let publish = black_box(&publish);
            codec::encode_publish_head(publish, 64, Version::V5_0, &mut out).unwrap();
            black_box(&out);
        });
    }
    measure("encode PUBACK", rounds, || {
        out.clear();
        codec::encode_ack(AckKind::PubAck, black_box(PacketId::MAX), &mut out);
        black_box(&out);
    });
}

fn topics(rounds: u32) {
    measure("check a topic name of 20 bytes", rounds, || {
        black_box(TopicName::from_bytes(black_box(TOPIC.as_bytes())).is_ok());
    });
    let name = TopicName::new(TOPIC).unwrap();
    let filter = TopicFilter::new("site/+/sensor/#").unwrap();
    measure("match a filter of 4 levels", rounds, || {
        black_box(black_box(filter).matches(black_box(name)));
    });
}

fn windows(rounds: u32) {
    let mut window = Outbound::new();
    measure("send and acknowledge, window of 16", rounds, || {
        let packet_id = window.send(QoS::AtLeastOnce, 7_u64);
        if window.in_flight() >= 16 {
            let oldest = packet_id.get().wrapping_sub(15);
            let oldest = if oldest > packet_id.get() || oldest == 0 {
                oldest.wrapping_sub(1)
            } else {
                oldest
            };
            black_box(PacketId::new(oldest).and_then(|id| window.acknowledge(id)));
        }
    });
}

fn measure(name: &str, rounds: u32, mut operation: impl FnMut()) {
    if std::env::var("BENCH_ONLY").is_ok_and(|only| only != name.trim()) {
        return;
    }
    for _ in 0..rounds / 10 {
        operation();
    }
    let start = Instant::now();
    for _ in 0..rounds {
        operation();
    }
    let taken = Instant::now() - start;
    println!("{name:45} {:7.2} ns", taken.as_nanos() as f64 / f64::from(rounds));
}
