//! Whole connections: bytes from anywhere against each engine.

use dunlin_proto::client::{self, CommandError, ConnectOptions, Message, Session};
use dunlin_proto::packet::{RetainHandling, SubscribeOptions};
use dunlin_proto::property::{Properties, PropertyBuf};
use dunlin_proto::server::{self, Limits, Received};
use dunlin_proto::{QoS, ReasonCode, Time, TopicFilter, TopicName, Version};

use super::entropy::Entropy;

/// A server that is sent anything, in pieces of any size, closes or goes on.
pub(crate) fn server_input(bytes: &[u8]) {
    let mut entropy = Entropy::new(bytes);
    let limits = Limits { maximum_packet_size: 4_096, ..Limits::default() };
    let mut connection = server::Connection::new(limits, Time::ZERO);
    let version = entropy.pick(&Version::ALL);
    let mut buffer = Vec::new();
    if entropy.flag() {
        buffer.extend_from_slice(connect_bytes(version));
    }
    let mut now = Time::ZERO;
    while !entropy.is_empty() {
        let len = entropy.below(40);
        buffer.extend_from_slice(entropy.bytes(len));
        now = Time::from_micros(now.as_micros() + u64::from(entropy.u16()));
        loop {
            match connection.receive(now, &buffer) {
                Ok(Received::Incomplete { need }) => {
                    assert!(need > buffer.len() && need <= 4_096);
                    break;
                }
                Ok(Received::Packet { len, .. }) => {
                    assert!(len > 0);
                    buffer.drain(..len);
                }
                Err(_) => {
                    assert_eq!(connection.state(), server::State::Closed);
                    return;
                }
            }
        }
        assert!(connection.deadline() > now || connection.timeout(now).is_some());
    }
}

/// A client that is sent anything closes or goes on, whatever it was told to do meanwhile.
pub(crate) fn client_input(bytes: &[u8]) {
    let mut entropy = Entropy::new(bytes);
    let version = entropy.pick(&Version::ALL);
    let options = ConnectOptions {
        version,
        client_id: "c".into(),
        clean_start: entropy.flag(),
        topic_aliases: entropy.flag(),
        topic_alias_maximum: 5,
        maximum_packet_size: 4_096,
        ..ConnectOptions::default()
    };
    let mut client = client::Connection::new(Session::with_queue_limit(8));
    let mut now = Time::ZERO;
    let (mut input, mut output) = (Vec::new(), Vec::new());
    client.connect(&options, now).unwrap();
    while !entropy.is_empty() {
        now = Time::from_micros(now.as_micros() + u64::from(entropy.u32()));
        match entropy.below(8) {
            0 => {
                input.clear();
                client.connect(&options, now).unwrap();
            }
            1 => input.extend_from_slice(connack_bytes(version)),
            2..=4 => command(&mut client, &mut entropy),
            5 => client.handle_timeout(now),
            _ => {
                let len = entropy.below(40);
                input.extend_from_slice(entropy.bytes(len));
            }
        }
        if let Ok(taken) = client.handle_input(now, &input) {
            input.drain(..taken);
        }
        while client.poll_event().is_some() {}
        while client.poll_transmit(now, &mut output) {}
        output.clear();
    }
}

fn command(client: &mut client::Connection, entropy: &mut Entropy<'_>) {
    let topic = TopicName::new(entropy.pick(&["a", "a/b", "c"])).unwrap();
    let qos = entropy.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
    let filter = TopicFilter::new("a/#").unwrap();
    let options = SubscribeOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Always,
    };
    let result = match entropy.below(8) {
        0 => client.subscribe(&[(filter, options)], PropertyBuf::new()),
        1 => client.unsubscribe(&[filter], PropertyBuf::new()),
        2 if entropy.below(8) == 0 => {
            client.disconnect(ReasonCode::NORMAL_DISCONNECTION, Properties::EMPTY).unwrap();
            return;
        }
        _ => client.publish(Message::new(topic, vec![0; entropy.below(9)]).with_qos(qos)),
    };
    assert!(matches!(result, Ok(_) | Err(CommandError::QueueFull)));
}

fn connect_bytes(version: Version) -> &'static [u8] {
    match version {
        Version::V3_1 => b"\x10\x0F\x00\x06MQIsdp\x03\x02\x00\x0A\x00\x01c",
        Version::V3_1_1 => b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x0A\x00\x01c",
        Version::V5_0 => b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x0A\x00\x00\x01c",
    }
}

fn connack_bytes(version: Version) -> &'static [u8] {
    if version.is_v5() { b"\x20\x03\x00\x00\x00" } else { b"\x20\x02\x00\x00" }
}
