//! What clients do, a call for each packet.

use dunlin_proto::packet::{
    Delivery, Disconnect, Packet, Publish, Subscribe, SubscribeOptions, Unsubscribe,
};
use dunlin_proto::property::{Properties, Property};
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::{TopicFilter, TopicName};

use super::options::{ack, buffer, delivery, options, packet_id};
use super::{Client, World};

impl World {
    pub fn publish(&mut self, client: Client, topic: &str, payload: &str, qos: QoS, id: u16) {
        self.publish_with(client, topic, payload, qos, id, &[]);
    }

    /// Publishes once more, with DUP.
    pub fn publish_dup(&mut self, client: Client, topic: &str, payload: &str, qos: QoS, id: u16) {
        let packet_id = packet_id(id);
        let publish = Publish {
            delivery: match qos {
                QoS::AtMostOnce => Delivery::AtMostOnce,
                QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup: true },
                QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup: true },
            },
            retain: false,
            topic: TopicName::new(topic).ok(),
            properties: Properties::EMPTY,
            payload: payload.as_bytes(),
        };
        self.send(client, &Packet::Publish(publish));
    }

    /// Publishes at QoS 1 and leaves what follows, mail to other shards above all, undone.
    pub fn publish_unsettled(&mut self, client: Client, topic: &str, payload: &str, id: u16) {
        let publish = Publish {
            delivery: delivery(QoS::AtLeastOnce, id),
            retain: false,
            topic: TopicName::new(topic).ok(),
            properties: Properties::EMPTY,
            payload: payload.as_bytes(),
        };
        self.send_unsettled(client, &Packet::Publish(publish));
    }

    /// Publishes several payloads at once, with packet identifiers from `first` on.
    pub fn publish_all(
        &mut self,
        client: Client,
        topic: &str,
        payloads: &[String],
        qos: QoS,
        first: u16,
    ) {
        let packets = payloads.iter().zip(first..).map(|(payload, id)| {
            Packet::Publish(Publish {
                delivery: delivery(qos, id),
                retain: false,
                topic: TopicName::new(topic).ok(),
                properties: Properties::EMPTY,
                payload: payload.as_bytes(),
            })
        });
        self.send_all(client, &packets.collect::<Vec<_>>());
    }

    /// Publishes with RETAIN at QoS 0.
    pub fn retain(&mut self, client: Client, topic: &str, payload: &str) {
        self.retain_with(client, topic, payload, QoS::AtMostOnce, 0, &[]);
    }

    #[allow(clippy::too_many_arguments, reason = "as many as a PUBLISH has")]
    pub fn retain_with(
        &mut self,
        client: Client,
        topic: &str,
        payload: &str,
        qos: QoS,
        id: u16,
        properties: &[Property<'_>],
    ) {
        self.publish_as(client, (topic, payload), delivery(qos, id), true, properties);
    }

    /// An empty topic stands for none, where an alias is given.
    #[allow(clippy::too_many_arguments, reason = "as many as a PUBLISH has")]
    pub fn publish_with(
        &mut self,
        client: Client,
        topic: &str,
        payload: &str,
        qos: QoS,
        id: u16,
        properties: &[Property<'_>],
    ) {
        self.publish_as(client, (topic, payload), delivery(qos, id), false, properties);
    }

    fn publish_as(
        &mut self,
        client: Client,
        (topic, payload): (&str, &str),
        delivery: Delivery,
        retain: bool,
        properties: &[Property<'_>],
    ) {
        let buffer = buffer(properties);
        let publish = Publish {
            delivery,
            retain,
            topic: TopicName::new(topic).ok(),
            properties: buffer.as_properties(),
            payload: payload.as_bytes(),
        };
        self.send(client, &Packet::Publish(publish));
    }

    /// Subscribes and takes the SUBACK, but nothing that follows it.
    pub fn subscribe(&mut self, client: Client, filter: &str, qos: QoS) {
        self.subscribe_with(client, filter, options(qos), &[]);
        let answer = self.next(client).unwrap_or_default();
        assert!(answer.starts_with("SubAck"), "{answer}");
    }

    pub fn subscribe_with(
        &mut self,
        client: Client,
        filter: &str,
        options: SubscribeOptions,
        properties: &[Property<'_>],
    ) {
        let buffer = buffer(properties);
        let subscribe = Subscribe {
            packet_id: packet_id(77),
            properties: buffer.as_properties(),
            filters: vec![(TopicFilter::new(filter).expect("valid filter"), options)],
        };
        self.send(client, &Packet::Subscribe(subscribe));
    }

    /// One SUBSCRIBE with several filters, at QoS 0.
    pub fn subscribe_all(&mut self, client: Client, filters: &[&str]) {
        let filters = filters.iter().map(|filter| {
            (TopicFilter::new(filter).expect("valid filter"), options(QoS::AtMostOnce))
        });
        let subscribe = Subscribe {
            packet_id: packet_id(77),
            properties: Properties::EMPTY,
            filters: filters.collect(),
        };
        self.send(client, &Packet::Subscribe(subscribe));
    }

    /// Unsubscribes and takes the UNSUBACK, but nothing that follows it.
    pub fn unsubscribe(&mut self, client: Client, filter: &str) -> String {
        self.unsubscribe_unchecked(client, filter);
        let answer = self.next(client).unwrap_or_default();
        assert!(answer.starts_with("UnsubAck"), "{answer}");
        answer
    }

    pub fn unsubscribe_unchecked(&mut self, client: Client, filter: &str) {
        let unsubscribe = Unsubscribe {
            packet_id: packet_id(78),
            properties: Properties::EMPTY,
            filters: vec![TopicFilter::new(filter).expect("valid filter")],
        };
        self.send(client, &Packet::Unsubscribe(unsubscribe));
    }

    pub fn puback(&mut self, client: Client, id: u16) {
        self.send(client, &Packet::PubAck(ack(id, ReasonCode::Success)));
    }

    pub fn pubrec(&mut self, client: Client, id: u16) {
        self.pubrec_with(client, id, ReasonCode::Success);
    }

    pub fn pubrec_with(&mut self, client: Client, id: u16, reason: ReasonCode) {
        self.send(client, &Packet::PubRec(ack(id, reason)));
    }

    pub fn pubrel(&mut self, client: Client, id: u16) {
        self.send(client, &Packet::PubRel(ack(id, ReasonCode::Success)));
    }

    pub fn pubcomp(&mut self, client: Client, id: u16) {
        self.send(client, &Packet::PubComp(ack(id, ReasonCode::Success)));
    }

    pub fn disconnect(&mut self, client: Client, reason: ReasonCode) {
        self.disconnect_with(client, reason, &[]);
    }

    pub fn disconnect_with(
        &mut self,
        client: Client,
        reason: ReasonCode,
        properties: &[Property<'_>],
    ) {
        let buffer = buffer(properties);
        let disconnect = Disconnect { reason, properties: buffer.as_properties() };
        self.send(client, &Packet::Disconnect(disconnect));
    }
}
