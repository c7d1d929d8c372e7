//! What comes from the broker.

use dunlin_broker::Time;
use dunlin_proto::codec::{self, AckKind, Framing};
use dunlin_proto::packet::{Ack, Delivery, Packet, Publish, SubAck};
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::reason::ReasonCode;

use super::super::oracle::Receipt;
use super::super::scene::Scene;
use super::{Client, Request, Stage, brief};

impl Client {
    /// Bytes have arrived.
    pub(in super::super) fn receive(&mut self, scene: &mut Scene, link: usize) {
        let bytes = core::mem::take(&mut scene.links[link].down.ready);
        if self.link() != Some(link) {
            return;
        }
        self.partial.extend_from_slice(&bytes);
        loop {
            let len = match codec::frame(&self.partial, u32::MAX) {
                Ok(Framing::Complete { len }) => len,
                Ok(Framing::Incomplete { .. }) => return,
                Err(why) => return scene.oracle.fail(format!("the broker sent no packet: {why}")),
            };
            let frame: Vec<u8> = self.partial.drain(..len).collect();
            let made_after = made_after(scene, link, self.looked);
            self.looked += len as u64;
            match codec::decode(&frame, self.version()) {
                Ok(packet) => self.packet(scene, link, &packet, made_after),
                Err(why) => scene.oracle.fail(format!("the broker sent a bad packet: {why}")),
            }
            if self.link() != Some(link) {
                return;
            }
        }
    }

    fn packet(&mut self, scene: &mut Scene, link: usize, packet: &Packet<'_>, made_after: Time) {
        let number = self.number;
        scene.trace(|| format!("c{number} <- {}", brief(packet)));
        if matches!(self.stage, Stage::Connecting(_)) && !matches!(packet, Packet::ConnAck(_)) {
            return scene.oracle.fail(format!("{packet:?} before CONNACK"));
        }
        match packet {
            Packet::ConnAck(connack) if connack.reason == ReasonCode::Success => {
                self.accepted(scene, link, connack.session_present);
            }
            Packet::ConnAck(_) | Packet::Disconnect(_) => self.leave_link(scene),
            Packet::Publish(publish) => self.published(scene, publish, made_after),
            Packet::PubAck(ack) => self.done(scene, ack),
            Packet::PubRec(ack) if ack.reason.is_error() => self.done(scene, ack),
            Packet::PubRec(ack) => self.recorded(scene, ack),
            Packet::PubComp(ack) => self.done(scene, ack),
            Packet::PubRel(ack) => {
                self.held.remove(&ack.packet_id.get());
                self.owe(scene, AckKind::PubComp, ack.packet_id);
            }
            Packet::SubAck(answer) => self.subscribed(scene, answer),
            Packet::UnsubAck(answer) => {
                let request = self.requests.remove(&answer.packet_id.get());
                match request {
                    Some(Request::Unsubscribe(filter, place)) => {
                        scene.oracle.ended(scene.schedule.now, number, &filter, place);
                    }
                    _ => scene.oracle.fail(format!("{packet:?} for {request:?}")),
                }
            }
            Packet::PingResp => {}
            _ => scene.oracle.fail(format!("{packet:?} to a client")),
        }
    }

    /// An acknowledgement is due: mostly it goes out soon.
    fn owe(&mut self, scene: &mut Scene, kind: AckKind, packet_id: PacketId) {
        self.answers.push_back((kind, packet_id));
        if scene.calm || scene.random.chance(600) {
            self.answer(scene, usize::MAX);
        }
    }

    fn published(&mut self, scene: &mut Scene, publish: &Publish<'_>, made_after: Time) {
        let alias = publish.properties.topic_alias();
        let topic = match (publish.topic, alias) {
            (Some(topic), alias) => {
                let topic = topic.as_str().to_owned();
                if let Some(alias) = alias {
                    self.aliases.insert(alias, topic.clone());
                }
                topic
            }
            (None, alias) => {
                let known = alias.and_then(|alias| self.aliases.get(&alias));
                let Some(topic) = known.cloned() else {
                    return scene.oracle.fail(format!("alias {alias:?} was never set"));
                };
                topic
            }
        };
        let dup = match publish.delivery {
            Delivery::AtMostOnce => false,
            Delivery::AtLeastOnce { packet_id, dup } => {
                self.owe(scene, AckKind::PubAck, packet_id);
                dup
            }
            Delivery::ExactlyOnce { packet_id, dup } => {
                let first = self.held.insert(packet_id.get());
                self.owe(scene, AckKind::PubRec, packet_id);
                if !first {
                    return;
                }
                dup
            }
        };
        let Some(message) = named(publish.payload) else { return };
        if publish.retain {
            self.retained.insert(topic.clone(), message);
        }
        let receipt = Receipt {
            client: self.number,
            message,
            topic: &topic,
            qos: publish.delivery.qos(),
            dup,
            retain: publish.retain,
            made_after,
            interval: publish.properties.message_expiry_interval(),
        };
        scene.oracle.received(&receipt);
    }

    /// PUBREC: from now on only its release is repeated.
    fn recorded(&mut self, scene: &mut Scene, ack: &Ack<'_>) {
        let found = self.flights.iter_mut().find(|flight| flight.packet_id == ack.packet_id);
        if let Some(flight) = found {
            flight.received = true;
            let message = flight.message;
            self.release(scene, ack.packet_id, message);
        } else {
            scene.oracle.fail(format!("PUBREC for {}, which is not in use", ack.packet_id.get()));
        }
    }

    /// PUBACK, PUBCOMP or a refusal.
    fn done(&mut self, scene: &mut Scene, ack: &Ack<'_>) {
        let place = self.flights.iter().position(|flight| flight.packet_id == ack.packet_id);
        if let Some(flight) = place.and_then(|place| self.flights.remove(place)) {
            let refused = ack.reason.is_error();
            scene.oracle.acknowledged(scene.schedule.now, flight.message, refused);
        } else {
            scene.oracle.fail(format!("answer for {}, which is not in use", ack.packet_id.get()));
        }
    }

    fn subscribed(&mut self, scene: &mut Scene, answer: &SubAck<'_>) {
        let Some(Request::Subscribe(place)) = self.requests.remove(&answer.packet_id.get()) else {
            return scene.oracle.fail(format!("{answer:?} for nothing"));
        };
        let granted = match answer.reasons.first() {
            Some(ReasonCode::Success) => Some(QoS::AtMostOnce),
            Some(ReasonCode::GrantedQoS1) => Some(QoS::AtLeastOnce),
            Some(ReasonCode::GrantedQoS2) => Some(QoS::ExactlyOnce),
            _ => None,
        };
        scene.oracle.subscribed(scene.schedule.now, self.number, place, granted);
    }
}

/// After which moment the broker made what begins there in its stream.
fn made_after(scene: &mut Scene, link: usize, place: u64) -> Time {
    let stamps = &mut scene.links[link].stamps;
    while stamps.pop_front_if(|(end, _)| *end <= place).is_some() {}
    stamps.front().map_or(Time::ZERO, |(_, after)| *after)
}

/// The message a payload belongs to; empty ones have no name.
fn named(payload: &[u8]) -> Option<usize> {
    let name = payload.split(|byte| *byte == b':').next()?;
    core::str::from_utf8(name).ok()?.parse().ok()
}
