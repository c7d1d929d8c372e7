//! PUBLISH and its acknowledgements, in both directions (3.3 to 3.7, 4.3).

use core::time::Duration;
use std::sync::Arc;

use dunlin_proto::codec::AckKind;
use dunlin_proto::packet::{Delivery, Publish};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;
use dunlin_proto::{Time, Violation};

use crate::broker::{Broker, Flow};
use crate::commons::View;
use crate::durable::Retention;
use crate::event::NotTaken;
use crate::hub::Hub;
use crate::incoming::{Incoming, Wire};
use crate::journal::{self, Held};
use crate::limits::{Limit, Reached};
use crate::message::Message;
use crate::mount;
use crate::router::SessionKey;
use crate::routes::Route;
use crate::settings::RefusalCodes;
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
    ) -> Result<Flow, Violation> {
        let Some(connection) = self.hub.connections.at_mut(slot) else {
            return Ok(Flow::Continue);
        };
        let version = connection.engine.version();
        let properties = publish.properties;
        let plain = properties.is_empty();
        let alias = if plain { None } else { properties.topic_alias() };
        let topic = match (publish.topic, alias) {
            (Some(topic), None) => topic,
            (topic, alias) => connection.engine.alias_in.resolve(topic, alias)?,
        };
        let mounted = connection.mounted;
        let (session, delivery) = (connection.session, publish.delivery);
        let origin = Origin { connection: slot, session, version, delivery };
        let number = if mounted {
            let mount = connection.entry.mount_point.as_deref().unwrap_or_default();
            let Some(whole) = mount::topic(mount, topic.as_str(), &mut self.whole_topic) else {
                let topic = topic.as_str().into();
                self.hub.decline(now, origin, &topic, NotTaken::Mounted);
                return Ok(Flow::Continue);
            };
            self.routes.find(whole, NONE, view)
        } else {
            self.routes.find(topic.as_str(), connection.route, view)
        };
        if number != connection.route {
            let (levels, maximum) = (topic.level_count(), self.hub.settings.maximum_topic_levels);
            if levels > maximum {
                return Err(Violation::TopicTooDeep { levels, maximum });
            }
            // What follows in a burst is compared with the route, which for these has another topic.
            connection.route = if mounted { NONE } else { number };
        }
        self.hub.stats.publish_received += 1;
        self.hub.stats.publish_bytes_received += publish.payload.len() as u64;

        let route = self.routes.get(number);
        if !publishable(&route.topic) {
            self.reserved(now, origin, number, publish.payload, view);
            return Ok(Flow::Continue);
        }
        if let Some(guard) = view.guard
            && !self.hub.is_permitted(slot, route, guard)
            && let Some(flow) = self.forbid(now, origin, number, view)
        {
            return Ok(flow);
        }
        self.hub.note_repetition(slot, publish.delivery)?;
        let route = self.routes.get(number);
        if let Some(why) = self.hub.objection(publish) {
            self.hub.decline(now, origin, &route.topic, why);
            return Ok(Flow::Continue);
        }
        if let Some(why) = self.hub.shortage(session, route, publish) {
            let topic = Arc::clone(&route.topic);
            return Ok(self.no_room(now, origin, &topic, why));
        }
        let mut incoming =
            Incoming::new(&route.topic, publish.delivery.qos(), publish.retain, publish.payload);
        if self.hub.settings.upgrade_qos {
            // Then it is the subscription that counts.
            incoming.qos = QoS::ExactlyOnce;
        } else if plain && !mounted {
            incoming.wire = Wire::of(frame, publish, version);
        }
        if !plain {
            forwardable(properties, &mut self.forwarded);
            incoming.properties = self.forwarded.as_properties();
            incoming.expires = expires(now, properties);
        }
        incoming.publisher = Some(self.hub.key(session));
        self.hub.take(now, origin, route, &incoming, view);
        Ok(Flow::Continue)
    }

    /// Sends a message that exists already to everybody who is subscribed, and retains it if it says so.
    /// `hint` is where its route may be. True if anything was stored.
    pub(crate) fn distribute(
        &mut self,
        now: Time,
        source: Source,
        message: &Arc<Message>,
        hint: u32,
        view: &View<'_>,
    ) -> bool {
        let mut incoming = Incoming::of(message);
        let Source { publisher, origin, released } = source;
        incoming.publisher = publisher;
        let route = self.routes.find(&message.topic, hint, view);
        let route = self.routes.get(route);
        if released.is_some() {
            self.hub.journal.begin(&incoming, view.commons.numbers());
        } else {
            self.hub.begin(route, &incoming, view);
        }
        let retention = if message.retain {
            self.hub.keep(now, message, true, publisher, view)
        } else {
            Retention::None
        };
        self.hub.send(now, route, &incoming, view);
        let stored = self.hub.journal.is_noting()
            && self.hub.journal.finish(&incoming, origin, retention, released);
        self.hub.record_aged(view) || stored
    }
}

/// Where a message that exists already comes from.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) publisher: Option<SessionKey>,
    pub(crate) origin: journal::Origin,
    /// The QoS 2 exchange that ends with this.
    pub(crate) released: Option<Held>,
}

/// Where a PUBLISH came from, and what it is owed.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) connection: u32,
    pub(crate) session: u32,
    pub(crate) version: Version,
    pub(crate) delivery: Delivery,
}

impl Hub {
    /// Sends a PUBLISH on its way, or keeps it until its release, and acknowledges it.
    #[inline]
    pub(crate) fn take(
        &mut self,
        now: Time,
        from: Origin,
        route: &Route,
        m: &Incoming<'_>,
        view: &View<'_>,
    ) {
        if let Delivery::ExactlyOnce { packet_id, dup } = from.delivery {
            if let Some(promises) = self.hold(from.session, packet_id, dup, m, view) {
                // [MQTT-4.3.3-8], [MQTT-4.3.3-10]: also for one that is here already.
                // Who gets it is known when it is released: so PUBREC does not say that nobody does.
                let reason = ReasonCode::Success;
                self.answer(from.connection, AckKind::PubRec, packet_id, reason, promises);
            } else {
                let held = self.sessions.at(from.session).map_or(0, |held| held.inbound_bytes);
                let reached =
                    Reached::new(Limit::HeldBytes, held, self.settings.maximum_held_bytes);
                self.not_taken(now, from.session, m.topic, NotTaken::Limit(reached));
                if from.version.is_v5() {
                    let reason = ReasonCode::QuotaExceeded;
                    self.answer(from.connection, AckKind::PubRec, packet_id, reason, false);
                }
            }
            return;
        }
        self.begin(route, m, view);
        let mut retention = Retention::None;
        if m.retain {
            let message = Arc::clone(m.message(&mut self.pool));
            retention = self.keep(now, &message, false, m.publisher, view);
        }
        self.send(now, route, m, view);
        let mut promises = self.journal.is_noting()
            && self.journal.finish(m, journal::Origin::Client, retention, None);
        if m.retain {
            promises |= self.record_aged(view);
        }
        if let Delivery::AtLeastOnce { packet_id, .. } = from.delivery {
            let reason = outcome(route.has_no_subscribers(), from.version);
            let promises = promises || self.journal.is_awaited();
            self.answer(from.connection, AckKind::PubAck, packet_id, reason, promises);
        }
    }

    /// Begins to note who is to keep a message, if it may be that anybody is. What the broker says of
    /// itself is not kept.
    #[inline]
    pub(crate) fn begin(&mut self, route: &Route, m: &Incoming<'_>, view: &View<'_>) {
        let wanted = m.retain || route.stored && m.qos > QoS::AtMostOnce;
        if self.journal.on && wanted && !m.topic.starts_with("$SYS/") {
            self.journal.begin(m, view.commons.numbers());
        }
    }

    /// Whether a message would have to be stored, and is not already.
    pub(crate) fn is_to_be_kept(&self, session: u32, route: &Route, publish: &Publish<'_>) -> bool {
        match publish.delivery {
            Delivery::AtMostOnce if !self.settings.upgrade_qos => false,
            Delivery::AtMostOnce | Delivery::AtLeastOnce { .. } => route.stored || publish.retain,
            Delivery::ExactlyOnce { packet_id, dup } => {
                let kept = route.stored || publish.retain || self.number(session) != 0;
                kept && !(dup && self.holds(session, packet_id))
            }
        }
    }

    /// Whether a QoS 2 message waits for its release.
    pub(crate) fn holds(&self, session: u32, packet_id: PacketId) -> bool {
        let inbound = self.sessions.at(session).and_then(|session| session.inbound.as_ref());
        inbound.is_some_and(|inbound| inbound.get(packet_id).is_some())
    }

    /// A message that a client repeats on one connection gets its PUBREC each time [MQTT-4.3.3-10]. Mosquitto
    /// puts up with it once, as clients are not to repeat anything there [MQTT-4.4.0-1].
    fn note_repetition(&mut self, slot: u32, delivery: Delivery) -> Result<(), Violation> {
        let Delivery::ExactlyOnce { packet_id, dup: true } = delivery else { return Ok(()) };
        if self.settings.refusal_codes != RefusalCodes::Mosquitto {
            return Ok(());
        }
        let Some(connection) = self.connections.at(slot) else { return Ok(()) };
        if connection.waiting > 0 || !self.holds(connection.session, packet_id) {
            return Ok(());
        }
        let Some(connection) = self.connections.at_mut(slot) else { return Ok(()) };
        if connection.repeated.replace(packet_id) == Some(packet_id) {
            return Err(Violation::PublishRepeated { packet_id });
        }
        Ok(())
    }

    /// Keeps a QoS 2 message until it is released, once [MQTT-4.3.3-10]; `None` if there is no room. It is
    /// not acknowledged then, so before 5.0 the client sends it again on its next connection. True if it
    /// is to be durable before it is acknowledged.
    fn hold(
        &mut self,
        session_slot: u32,
        packet_id: PacketId,
        dup: bool,
        m: &Incoming<'_>,
        view: &View<'_>,
    ) -> Option<bool> {
        let limit = self.settings.maximum_held_bytes;
        let number = self.number(session_slot);
        let Some(session) = self.sessions.at_mut(session_slot) else { return Some(false) };
        let first = session.inbound.get_or_insert_default().get(packet_id);
        // A client that uses the identifier of an unfinished exchange for another message has given
        // the first one up.
        let given_up =
            |first: &Arc<Message>| !dup && (first.topic != *m.topic || first.payload != m.payload);
        let known = first.map(given_up);
        let connection = session.connection;
        let held = Held { number, packet_id };
        if known == Some(true)
            && let Some(first) = session.release_inbound(packet_id)
            && number != 0
        {
            self.journal.release(first.id(), held);
        }
        if known.is_some() {
            // It was counted when it came first.
            self.settled(connection);
        }
        if known == Some(false) {
            return Some(number != 0);
        }
        let Some(session) = self.sessions.at_mut(session_slot) else { return Some(false) };
        if session.inbound_bytes + m.bytes() > limit {
            return None;
        }
        if number != 0 {
            self.journal.begin(m, view.commons.numbers());
            self.journal.hold(m, held);
        }
        let message = Arc::clone(m.message(&mut self.pool));
        session.inbound_bytes += message.bytes();
        session.inbound.get_or_insert_default().accept(packet_id, message);
        Some(number != 0)
    }
}

/// When a message with these properties is over [MQTT-3.3.2-5].
fn expires(now: Time, properties: Properties<'_>) -> Time {
    properties
        .message_expiry_interval()
        .map_or(Time::MAX, |seconds| now.saturating_add(Duration::from_secs(u64::from(seconds))))
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
