//! Packets in words: what tests compare.

use dunlin_proto::packet::{Ack, Delivery, Packet, Publish};
use dunlin_proto::property::Properties;
use dunlin_proto::reason::ReasonCode;

/// A packet in words.
pub fn describe(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Publish(publish) => describe_publish(publish),
        Packet::PubAck(ack) => describe_ack("PubAck", ack),
        Packet::PubRec(ack) => describe_ack("PubRec", ack),
        Packet::PubRel(ack) => describe_ack("PubRel", ack),
        Packet::PubComp(ack) => describe_ack("PubComp", ack),
        Packet::ConnAck(connack) => {
            let present = if connack.session_present { " present" } else { "" };
            format!("ConnAck {:?}{present}{}", connack.reason, words(connack.properties))
        }
        Packet::SubAck(suback) => {
            format!("SubAck #{} {:?}", suback.packet_id.get(), suback.reasons)
        }
        Packet::UnsubAck(unsuback) => {
            format!("UnsubAck #{} {:?}", unsuback.packet_id.get(), unsuback.reasons)
        }
        Packet::Disconnect(disconnect) => {
            format!("Disconnect {:?}{}", disconnect.reason, words(disconnect.properties))
        }
        Packet::Auth(auth) => format!("Auth {:?}{}", auth.reason, words(auth.properties)),
        other => format!("{other:?}"),
    }
}

fn describe_publish(publish: &Publish<'_>) -> String {
    let topic = publish.topic.map_or("-", |topic| topic.as_str());
    let mut text = format!("{topic} {}", String::from_utf8_lossy(publish.payload));
    let (qos, dup) = match publish.delivery {
        Delivery::AtMostOnce => (0, false),
        Delivery::AtLeastOnce { dup, .. } => (1, dup),
        Delivery::ExactlyOnce { dup, .. } => (2, dup),
    };
    if let Some(packet_id) = publish.delivery.packet_id() {
        text += &format!(" q{qos} #{}{}", packet_id.get(), if dup { " dup" } else { "" });
    }
    if publish.retain {
        text += " retained";
    }
    text + &words(publish.properties)
}

fn describe_ack(name: &str, ack: &Ack<'_>) -> String {
    let reason = match ack.reason {
        ReasonCode::Success => String::new(),
        reason => format!(" {reason:?}"),
    };
    format!("{name} #{}{reason}{}", ack.packet_id.get(), words(ack.properties))
}

fn words(properties: Properties<'_>) -> String {
    properties.iter().map(|property| format!(" {property:?}")).collect()
}
