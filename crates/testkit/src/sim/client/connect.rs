//! Connecting, and the ends of connections.

use dunlin_proto::packet::{Connect, Disconnect, Packet, Will};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::TopicName;
use dunlin_proto::version::Version;

use super::super::oracle::{Connecting, Mark, Message, MessageKind};
use super::super::scene::Scene;
use super::{Client, Stage};

/// A will as it is put into CONNECT.
struct Armed {
    message: usize,
    topic: String,
    payload: String,
    qos: QoS,
    delay: u32,
}

impl Client {
    pub(in super::super) fn connect(&mut self, scene: &mut Scene) {
        self.leave_link(scene);
        let link = scene.open(self.number);
        self.stage = Stage::Connecting(link);
        self.partial.clear();
        self.looked = 0;
        self.aliases.clear();
        self.answers.clear();
        self.requests.clear();
        let restless = self.character.restless && !scene.calm && scene.random.chance(100);
        self.must_clean |= restless || !self.character.persistent;
        if self.must_clean || self.fleeting {
            self.forget();
        }
        // Before 5.0 a clean session ends with its connection.
        let lasting = self.version().is_v5() || !self.must_clean;
        let persistent = self.character.persistent && lasting;
        self.fleeting = !persistent;
        let expiry = if persistent { self.character.expiry } else { 0 };
        let armed = self.arm(scene, link);
        scene.oracle.connecting(
            scene.schedule.now,
            link,
            Connecting {
                client: self.number,
                clean: self.must_clean,
                expiry,
                tells_present: self.version() != Version::V3_1,
                will: armed.as_ref().map(|armed| (armed.message, armed.delay)),
            },
        );
        self.send_connect(scene, expiry, armed.as_ref());
    }

    fn send_connect(&self, scene: &mut Scene, expiry: u32, armed: Option<&Armed>) {
        let mut properties = PropertyBuf::new();
        if self.version().is_v5() {
            if expiry > 0 {
                properties.push(Property::SessionExpiryInterval(expiry));
            }
            properties.push(Property::ReceiveMaximum(self.character.receive_maximum));
            if self.character.alias_maximum > 0 {
                properties.push(Property::TopicAliasMaximum(self.character.alias_maximum));
            }
        }
        let mut will_properties = PropertyBuf::new();
        let delay = armed.map_or(0, |armed| armed.delay);
        if delay > 0 {
            will_properties.push(Property::WillDelayInterval(delay));
        }
        let connect = Connect {
            version: self.version(),
            bridge: false,
            clean_start: self.must_clean,
            keep_alive: 0,
            client_id: &self.id,
            will: armed.map(|armed| Will {
                qos: armed.qos,
                retain: false,
                topic: TopicName::new(&armed.topic).expect("valid topic"),
                payload: armed.payload.as_bytes(),
                properties: will_properties.as_properties(),
            }),
            username: None,
            password: None,
            properties: properties.as_properties(),
        };
        self.send(scene, &Packet::Connect(connect), Some(Mark::Connect));
    }

    fn arm(&self, scene: &mut Scene, link: usize) -> Option<Armed> {
        if !self.character.wills || !scene.random.chance(700) {
            return None;
        }
        let topic = format!("will/{}", self.number);
        let qos = scene.random.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
        let delay = if self.version().is_v5() { scene.random.pick(&[0, 0, 1, 5, 30]) } else { 0 };
        let will = Message::new(MessageKind::Will(link), self.number, topic.clone(), qos);
        let message = scene.oracle.publishing(scene.schedule.now, will);
        Some(Armed { message, topic, payload: format!("{message}:will"), qos, delay })
    }

    /// CONNACK came.
    pub(super) fn accepted(&mut self, scene: &mut Scene, link: usize, present: bool) {
        self.stage = Stage::Up(link);
        self.must_clean = !scene.oracle.connected(scene.schedule.now, link, present);
        if self.must_clean {
            // What it knows may be about another session: it begins anew.
            self.leave_link(scene);
            return;
        }
        if !present && self.version() != Version::V3_1 {
            // [MQTT-3.2.2-5]: what was said on this connection is said to the new session.
            self.flights.retain(|flight| flight.link == link);
            self.held.clear();
            self.filters.clear();
        }
        self.repeat(scene, link);
        if self.character.witness && self.filters.is_empty() {
            self.subscribe_to(scene, "will/#", QoS::ExactlyOnce);
        }
    }

    /// The connection is over, as this client sees it.
    pub(in super::super) fn notices(&mut self, scene: &mut Scene, link: usize) {
        if self.link() == Some(link) {
            let number = self.number;
            scene.trace(|| format!("c{number} has lost its connection"));
            self.refused = matches!(self.stage, Stage::Connecting(_));
            self.leave_link(scene);
        }
    }

    /// Closes what is there, without a word.
    pub(in super::super) fn leave_link(&mut self, scene: &mut Scene) {
        if let Some(link) = self.link() {
            scene.close_client(link);
            scene.oracle.parted(self.number);
            self.stage = Stage::Down;
        }
    }

    /// DISCONNECT, then the end.
    pub(super) fn disconnect(&mut self, scene: &mut Scene) {
        let Stage::Up(link) = self.stage else { return };
        let with_will = self.version().is_v5() && scene.random.chance(300);
        let reason = if with_will {
            ReasonCode::DisconnectWithWillMessage
        } else {
            ReasonCode::NORMAL_DISCONNECTION
        };
        let packet = Packet::Disconnect(Disconnect { reason, properties: Properties::EMPTY });
        if with_will {
            self.send(scene, &packet, None);
        } else {
            scene.oracle.leaves(link);
            self.send(scene, &packet, Some(Mark::Disconnect));
        }
        self.leave_link(scene);
    }

    fn forget(&mut self) {
        self.flights.clear();
        self.held.clear();
        self.filters.clear();
    }
}
