//! What a client does of its own accord.

use core::time::Duration;

use dunlin_proto::codec::AckKind;
use dunlin_proto::packet::{
    Ack, Delivery, Packet, Publish, RetainHandling, Subscribe, SubscribeOptions, Unsubscribe,
};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::{TopicFilter, TopicName};

use super::super::oracle::{Mark, Message, MessageKind, Wanted};
use super::super::scene::Scene;
use super::super::schedule::Event;
use super::{Client, Flight, Request, Stage};

/// QoS 1 and 2 messages a client has under way at once: below the broker's receive maximum.
const UNDER_WAY: usize = 10;

/// Filters that do not overlap, and those that may.
const APART: [&str; 4] = ["t/0", "t/1", "t/2", "u/+"];
const OVERLAPPING: [&str; 6] = ["t/+", "t/#", "+/1", "#", "u/3", "will/#"];
const SHARED: [&str; 3] = ["$share/g/t/+", "$share/h/u/#", "$share/g/v/+"];

/// Topics, the first ones in smaller worlds.
pub(in super::super) const TOPICS: [&str; 9] =
    ["t/1", "t/0", "u/3", "t/2", "u/1", "t/1/x", "u", "v", "v/1"];

impl Client {
    /// The next thing, and when the one after it is to be.
    pub(in super::super) fn act(&mut self, scene: &mut Scene) {
        match self.stage {
            Stage::Down => {
                self.refused = false;
                self.connect(scene);
            }
            Stage::Connecting(_) if !scene.calm && scene.random.chance(20) => self.connect(scene),
            Stage::Connecting(link) => {
                if self.flights.is_empty() && !scene.calm && scene.random.chance(200) {
                    // Before CONNACK, which is allowed.
                    self.publish_some(scene, link);
                }
            }
            Stage::Up(link) => self.live(scene, link),
        }
        let pause = if scene.calm && self.rests() {
            Duration::from_secs(1)
        } else if self.refused {
            scene.random.delay(Duration::from_secs(1))
        } else {
            scene.random.delay(self.character.pace)
        };
        let client = self.number;
        scene.schedule.after(pause.max(Duration::from_micros(10)), Event::Act { client });
    }

    fn live(&mut self, scene: &mut Scene, link: usize) {
        if scene.calm {
            self.set_reading(scene, link, true);
            self.answer(scene, usize::MAX);
            return;
        }
        if !self.answers.is_empty() {
            let count = scene.random.index(self.answers.len() + 1);
            self.answer(scene, count);
        }
        match scene.random.below(100) {
            0..50 if self.character.publishes => self.publish_some(scene, link),
            50..58 if self.character.subscribes => self.subscribe(scene),
            58..61 if self.character.subscribes => self.unsubscribe(scene),
            61..63 if self.character.restless => self.disconnect(scene),
            63..66 if self.character.restless => self.leave_link(scene),
            // A takeover: the old connection is not closed.
            66..67 if self.character.restless => {
                self.stage = Stage::Down;
                self.connect(scene);
            }
            67..70 if self.character.restless => self.set_reading(scene, link, false),
            70..80 => self.set_reading(scene, link, true),
            80..82 => self.send(scene, &Packet::PingReq, None),
            _ => {}
        }
    }

    fn set_reading(&self, scene: &mut Scene, link: usize, reading: bool) {
        scene.links[link].reading = reading;
        if reading {
            scene.schedule.after(Duration::ZERO, Event::Down { link });
        }
    }

    /// Several packets at once.
    fn publish_some(&mut self, scene: &mut Scene, link: usize) {
        for _ in 0..scene.random.between(1, 4) {
            let topic = TOPICS[scene.random.index(scene.plan.topics.min(TOPICS.len()))];
            let qos = scene.random.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
            self.publish(scene, link, topic, qos);
        }
    }

    /// One message for each topic: what has to arrive after a restart.
    pub(in super::super) fn publish_everywhere(&mut self, scene: &mut Scene) {
        let Stage::Up(link) = self.stage else { return };
        for topic in TOPICS {
            let qos = scene.random.pick(&[QoS::AtLeastOnce, QoS::ExactlyOnce]);
            self.publish(scene, link, topic, qos);
        }
    }

    fn publish(&mut self, scene: &mut Scene, link: usize, topic: &str, qos: QoS) {
        if qos > QoS::AtMostOnce && self.flights.len() >= UNDER_WAY {
            return;
        }
        let mut message = Message::new(MessageKind::Published, self.number, topic.to_owned(), qos);
        message.retain = scene.random.chance(250);
        message.empty = message.retain && scene.random.chance(200);
        if self.version().is_v5() && scene.random.chance(100) {
            message.interval = Some(scene.random.pick(&[1, 5, 60]));
        }
        let size = scene.plan.payload_size(&mut scene.random);
        let number = scene.oracle.publishing(scene.schedule.now, message);
        let packet_id = (qos > QoS::AtMostOnce).then(|| self.fresh_id());
        if let Some(packet_id) = packet_id {
            let flight = Flight { packet_id, message: number, size, received: false, link };
            self.flights.push_back(flight);
        }
        self.send_publish(scene, number, packet_id, size, false);
    }

    fn send_publish(
        &self,
        scene: &mut Scene,
        number: usize,
        packet_id: Option<PacketId>,
        size: usize,
        dup: bool,
    ) {
        let Some(message) = scene.oracle.message(number) else { return };
        let (topic, retain) = (message.topic.clone(), message.retain);
        let payload =
            if message.empty { String::new() } else { format!("{number}:{}", "x".repeat(size)) };
        let delivery = match (message.qos, packet_id) {
            (QoS::AtLeastOnce, Some(packet_id)) => Delivery::AtLeastOnce { packet_id, dup },
            (QoS::ExactlyOnce, Some(packet_id)) => Delivery::ExactlyOnce { packet_id, dup },
            _ => Delivery::AtMostOnce,
        };
        let mut properties = PropertyBuf::new();
        if let Some(interval) = message.interval {
            properties.push(Property::MessageExpiryInterval(interval));
        }
        let publish = Publish {
            delivery,
            retain,
            topic: TopicName::new(&topic).ok(),
            properties: properties.as_properties(),
            payload: payload.as_bytes(),
        };
        self.send(scene, &Packet::Publish(publish), Some(Mark::Publish(number)));
    }

    /// What was not acknowledged is sent again, in the order it was sent first [MQTT-4.4.0-1].
    pub(super) fn repeat(&mut self, scene: &mut Scene, link: usize) {
        for flight in self.flights.clone() {
            if flight.link == link {
                continue;
            }
            if flight.received {
                self.release(scene, flight.packet_id, flight.message);
            } else {
                scene.oracle.repeats(flight.message);
                let id = Some(flight.packet_id);
                self.send_publish(scene, flight.message, id, flight.size, true);
            }
        }
        for flight in &mut self.flights {
            flight.link = link;
        }
    }

    pub(super) fn release(&self, scene: &mut Scene, packet_id: PacketId, message: usize) {
        self.send(scene, &Packet::PubRel(ack(packet_id)), Some(Mark::Release(message)));
    }

    /// Sends some of the acknowledgements that are due, in order.
    pub(super) fn answer(&mut self, scene: &mut Scene, count: usize) {
        for _ in 0..count {
            let Some((kind, packet_id)) = self.answers.pop_front() else { return };
            let ack = ack(packet_id);
            let packet = match kind {
                AckKind::PubAck => Packet::PubAck(ack),
                AckKind::PubRec => Packet::PubRec(ack),
                AckKind::PubRel => Packet::PubRel(ack),
                AckKind::PubComp => Packet::PubComp(ack),
            };
            self.send(scene, &packet, None);
        }
    }

    fn subscribe(&mut self, scene: &mut Scene) {
        let filter = if scene.plan.overlapping {
            let all = [&APART[..], &OVERLAPPING, &SHARED];
            let some = scene.random.pick(&all);
            scene.random.pick(some)
        } else if self.character.member {
            SHARED[scene.random.index(2)]
        } else {
            scene.random.pick(&APART)
        };
        if filter.starts_with('$') && !self.character.persistent && scene.random.chance(700) {
            return;
        }
        let qos = scene.random.pick(&[
            QoS::AtMostOnce,
            QoS::AtLeastOnce,
            QoS::ExactlyOnce,
            QoS::ExactlyOnce,
        ]);
        self.subscribe_to(scene, filter, qos);
    }

    pub(in super::super) fn subscribe_to(&mut self, scene: &mut Scene, filter: &str, qos: QoS) {
        let v5 = self.version().is_v5();
        let shared = filter.starts_with("$share/");
        let wanted = Wanted {
            filter: filter.to_owned(),
            qos,
            no_local: v5 && !shared && scene.random.chance(200),
            retain_as_published: v5 && scene.random.chance(200),
        };
        let handling = [RetainHandling::Always, RetainHandling::IfNew, RetainHandling::Never];
        let options = SubscribeOptions {
            qos,
            no_local: wanted.no_local,
            retain_as_published: wanted.retain_as_published,
            retain_handling: if v5 { scene.random.pick(&handling) } else { handling[0] },
        };
        let place = scene.oracle.subscribing(scene.schedule.now, self.number, wanted);
        let mut properties = PropertyBuf::new();
        if v5 && scene.random.chance(300) {
            properties.push(Property::SubscriptionIdentifier(7));
        }
        let packet_id = self.fresh_id();
        let filters = vec![(TopicFilter::new(filter).expect("valid filter"), options)];
        let subscribe = Subscribe { packet_id, properties: properties.as_properties(), filters };
        self.requests.insert(packet_id.get(), Request::Subscribe(place));
        if !self.filters.iter().any(|known| known == filter) {
            self.filters.push(filter.to_owned());
        }
        self.send(scene, &Packet::Subscribe(subscribe), None);
    }

    fn unsubscribe(&mut self, scene: &mut Scene) {
        if self.filters.is_empty() {
            return;
        }
        let filter = self.filters.swap_remove(scene.random.index(self.filters.len()));
        let place = scene.oracle.ending(scene.schedule.now, self.number, &filter);
        let packet_id = self.fresh_id();
        let filters = vec![TopicFilter::new(&filter).expect("valid filter")];
        let packet = Unsubscribe { packet_id, properties: Properties::EMPTY, filters };
        self.send(scene, &Packet::Unsubscribe(packet), None);
        self.requests.insert(packet_id.get(), Request::Unsubscribe(filter, place));
    }
}

const fn ack(packet_id: PacketId) -> Ack<'static> {
    Ack { packet_id, reason: ReasonCode::Success, properties: Properties::EMPTY }
}
