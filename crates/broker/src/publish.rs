//! PUBLISH and its acknowledgements, in both directions (3.3 to 3.7, 4.3).

use core::time::Duration;
use std::sync::Arc;

use dunlin_proto::codec::{self, AckKind};
use dunlin_proto::packet::{Ack, Delivery, Packet, Publish};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::qos::PacketId;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;
use dunlin_proto::{Time, Violation};

use crate::broker::Broker;
use crate::commons::View;
use crate::hub::Incoming;
use crate::message::Message;
use crate::router::SessionKey;
use crate::slab::NONE;

impl Broker {
    /// PUBLISH from a client.
    pub(crate) fn publish(
        &mut self,
        now: Time,
        slot: u32,
        publish: &Publish<'_>,
        frame: &[u8],
        view: &View<'_>,
    ) -> Result<(), Violation> {
        let Some(connection) = self.hub.connections.at_mut(slot) else { return Ok(()) };
        let version = connection.engine.version();
        let properties = publish.properties;
        let plain = properties.is_empty();
        let alias = if plain { None } else { properties.topic_alias() };
        let topic = match (publish.topic, alias) {
            (Some(topic), None) => topic,
            (topic, alias) => connection.engine.alias_in.resolve(topic, alias)?,
        };
        let route = self.routes.find(topic, connection.route, view.index);
        if route != connection.route {
            let maximum = self.hub.settings.maximum_topic_levels;
            let levels = topic.level_count();
            if levels > maximum {
                return Err(Violation::TopicTooDeep { levels, maximum });
            }
            connection.route = route;
        }
        let session = connection.session;
        self.hub.stats.publish_received += 1;
        self.hub.stats.publish_bytes_received += publish.payload.len() as u64;

        let route = self.routes.get(route);
        if !publishable(&route.topic) {
            self.deny(slot, version, publish.delivery);
            return Ok(());
        }
        let mut incoming =
            Incoming::new(&route.topic, publish.delivery.qos(), publish.retain, publish.payload);
        if !plain {
            forwardable(properties, &mut self.forwarded);
            incoming.properties = self.forwarded.as_properties();
            if let Some(seconds) = properties.message_expiry_interval() {
                incoming.expires = now.saturating_add(Duration::from_secs(u64::from(seconds)));
            }
        } else if publish.delivery == Delivery::AtMostOnce && !publish.retain {
            incoming.frame = Some((frame, version.is_v5()));
        }
        incoming.publisher = Some(self.hub.key(session));
        let nobody = route.is_empty();
        match publish.delivery {
            Delivery::AtMostOnce => {
                if publish.retain {
                    keep(&incoming, view);
                }
                self.hub.send(now, route, &incoming, view);
            }
            Delivery::AtLeastOnce { packet_id, .. } => {
                if publish.retain {
                    keep(&incoming, view);
                }
                self.hub.send(now, route, &incoming, view);
                let reason = outcome(nobody, version);
                self.acknowledge(slot, version, AckKind::PubAck, packet_id, reason);
                self.settled(slot);
            }
            Delivery::ExactlyOnce { packet_id, dup } => {
                let message = Arc::clone(incoming.message());
                let reason = outcome(nobody, version);
                self.hold(session, packet_id, dup, message);
                // [MQTT-4.3.3-8], [MQTT-4.3.3-10]: also for one that is here already.
                self.acknowledge(slot, version, AckKind::PubRec, packet_id, reason);
            }
        }
        Ok(())
    }

    /// Keeps a QoS 2 message until it is released, once [MQTT-4.3.3-10].
    fn hold(&mut self, session: u32, packet_id: PacketId, dup: bool, message: Arc<Message>) {
        let Some(session) = self.hub.sessions.at_mut(session) else { return };
        let inbound = session.inbound.get_or_insert_default();
        // A client that uses the identifier of an unfinished exchange for another message has given
        // the first one up.
        if !dup
            && let Some(first) = inbound.get(packet_id)
            && (first.topic != message.topic || first.payload != message.payload)
        {
            inbound.release(packet_id);
        }
        inbound.accept(packet_id, message);
    }

    /// Clients may not publish here: said where the version has a way to say it.
    fn deny(&mut self, slot: u32, version: Version, delivery: Delivery) {
        self.hub.stats.publish_dropped += 1;
        let reason = if version.is_v5() { ReasonCode::NotAuthorized } else { ReasonCode::Success };
        match delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.acknowledge(slot, version, AckKind::PubAck, packet_id, reason);
                self.settled(slot);
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                self.acknowledge(slot, version, AckKind::PubRec, packet_id, reason);
                if reason.is_error() {
                    self.settled(slot);
                }
            }
        }
    }

    /// One fewer of the client's messages is unacknowledged (4.9).
    fn settled(&mut self, slot: u32) {
        if let Some(connection) = self.hub.connections.at_mut(slot) {
            connection.engine.inbound_acknowledged();
        }
    }

    /// Sends PUBACK, PUBREC, PUBREL or PUBCOMP.
    #[inline]
    pub(crate) fn acknowledge(
        &mut self,
        slot: u32,
        version: Version,
        kind: AckKind,
        packet_id: PacketId,
        reason: ReasonCode,
    ) {
        if reason == ReasonCode::Success {
            let Some(buffer) = self.hub.buffer(slot) else { return };
            codec::encode_ack(kind, packet_id, buffer);
            self.hub.stats.messages_sent += 1;
            self.hub.stats.bytes_sent += 4;
            return;
        }
        let ack = Ack { packet_id, reason, properties: Properties::EMPTY };
        let packet = match kind {
            AckKind::PubAck => Packet::PubAck(ack),
            AckKind::PubRec => Packet::PubRec(ack),
            AckKind::PubRel => Packet::PubRel(ack),
            AckKind::PubComp => Packet::PubComp(ack),
        };
        self.reply(slot, version, &packet);
    }

    /// PUBACK from a client.
    #[inline]
    pub(crate) fn acknowledged(
        &mut self,
        now: Time,
        slot: u32,
        ack: &Ack<'_>,
    ) -> Result<(), Violation> {
        let session = self.session_at(slot);
        let Some(outbound) =
            self.hub.sessions.at_mut(session).and_then(|session| session.outbound.as_mut())
        else {
            return Ok(());
        };
        if outbound.window.acknowledge(ack.packet_id).is_some() {
            self.hub.stats.queued_messages -= 1;
        }
        if !outbound.queue.is_empty() {
            self.hub.pump(now, session);
        }
        Ok(())
    }

    /// PUBREC from a client [MQTT-4.3.3-4].
    pub(crate) fn received(
        &mut self,
        now: Time,
        slot: u32,
        ack: &Ack<'_>,
    ) -> Result<(), Violation> {
        let session = self.session_at(slot);
        let failed = ack.reason.is_error();
        if let Some(outbound) =
            self.hub.sessions.at_mut(session).and_then(|session| session.outbound.as_mut())
        {
            if failed {
                if outbound.window.refused(ack.packet_id).is_some() {
                    self.hub.stats.queued_messages -= 1;
                }
            } else {
                outbound.window.received(ack.packet_id);
            }
        }
        if failed {
            self.hub.pump(now, session);
        } else {
            let version = self.version_at(slot);
            // Also for one that is not known: the client repeats it after a lost PUBREL.
            self.acknowledge(slot, version, AckKind::PubRel, ack.packet_id, ReasonCode::Success);
        }
        Ok(())
    }

    /// PUBREL from a client: now the message goes on its way [MQTT-4.3.3-11].
    pub(crate) fn released(
        &mut self,
        now: Time,
        slot: u32,
        ack: &Ack<'_>,
        view: &View<'_>,
    ) -> Result<(), Violation> {
        let session = self.session_at(slot);
        let held = self
            .hub
            .sessions
            .at_mut(session)
            .and_then(|session| session.inbound.as_mut())
            .and_then(|inbound| inbound.release(ack.packet_id));
        if let Some(message) = held {
            let publisher = self.hub.key(session);
            if !message.expired(now) {
                self.distribute(now, Some(publisher), &message, view);
            }
            self.settled(slot);
        }
        let version = self.version_at(slot);
        // An unknown identifier is what a client repeats after a lost PUBCOMP.
        self.acknowledge(slot, version, AckKind::PubComp, ack.packet_id, ReasonCode::Success);
        Ok(())
    }

    /// PUBCOMP from a client.
    pub(crate) fn completed(
        &mut self,
        now: Time,
        slot: u32,
        ack: &Ack<'_>,
    ) -> Result<(), Violation> {
        let session = self.session_at(slot);
        let Some(outbound) =
            self.hub.sessions.at_mut(session).and_then(|session| session.outbound.as_mut())
        else {
            return Ok(());
        };
        if outbound.window.completed(ack.packet_id) {
            self.hub.stats.queued_messages -= 1;
        }
        self.hub.pump(now, session);
        Ok(())
    }

    /// Sends a message that exists already to everybody who is subscribed, and retains it if it says so.
    pub(crate) fn distribute(
        &mut self,
        now: Time,
        publisher: Option<SessionKey>,
        message: &Arc<Message>,
        view: &View<'_>,
    ) {
        let mut incoming = Incoming::of(message);
        incoming.publisher = publisher;
        if message.retain {
            keep(&incoming, view);
        }
        let route = self.routes.find(message.topic(), NONE, view.index);
        self.hub.send(now, self.routes.get(route), &incoming, view);
    }

    fn session_at(&self, slot: u32) -> u32 {
        self.hub.connections.at(slot).map_or(NONE, |connection| connection.session)
    }

    pub(crate) fn version_at(&self, slot: u32) -> Version {
        self.hub
            .connections
            .at(slot)
            .map_or(Version::V5_0, |connection| connection.engine.version())
    }
}

/// Replaces or removes the retained message of the topic [MQTT-3.3.1-5], [MQTT-3.3.1-6].
fn keep(incoming: &Incoming<'_>, view: &View<'_>) {
    let message = incoming.message();
    if message.payload.is_empty() {
        view.commons.unretain(message.topic());
    } else {
        view.commons.retain(message.topic(), Arc::clone(message));
    }
}

/// What 5.0 publishers are told when nobody is subscribed.
const fn outcome(nobody: bool, version: Version) -> ReasonCode {
    if nobody && version.is_v5() { ReasonCode::NoMatchingSubscribers } else { ReasonCode::Success }
}

/// Whether clients may publish to a topic: what begins with `$SYS`, `$share` or `$CONTROL` is the
/// broker's own, but for the state that bridges report of themselves.
#[inline]
pub(crate) fn publishable(topic: &str) -> bool {
    if !topic.starts_with('$') {
        return true;
    }
    let first = topic.split('/').next().unwrap_or(topic);
    match first {
        "$SYS" => topic
            .strip_prefix("$SYS/broker/connection/")
            .and_then(|rest| rest.strip_suffix("/state"))
            .is_some_and(|bridge| !bridge.is_empty()),
        "$share" | "$CONTROL" => false,
        _ => true,
    }
}

/// Collects the properties that travel with a message, in their order [MQTT-3.3.2-15],
/// [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18], [MQTT-3.3.2-20]. The expiry interval is kept as a time.
pub(crate) fn forwardable(properties: Properties<'_>, into: &mut PropertyBuf) {
    into.clear();
    for property in properties.iter() {
        if matches!(
            property,
            Property::PayloadFormatIndicator(_)
                | Property::ContentType(_)
                | Property::ResponseTopic(_)
                | Property::CorrelationData(_)
                | Property::UserProperty(_, _)
        ) {
            into.push(property);
        }
    }
}
