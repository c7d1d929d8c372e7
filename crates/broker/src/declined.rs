//! Messages that are not taken from clients, and how they are told.

use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::codec::AckKind;
use dunlin_proto::packet::{Delivery, Publish, Will};
use dunlin_proto::property::{Properties, PropertyId};
use dunlin_proto::reason::ReasonCode;

use crate::broker::{Broker, Flow};
use crate::commons::View;
use crate::connection::{ConnId, Next, Stage};
use crate::event::{End, NotTaken};
use crate::guard::Action;
use crate::hub::Hub;
use crate::limits::{Limit, Reached};
use crate::publish::{Origin, publishable};
use crate::refusal::Refusal;
use crate::routes::Route;
use crate::settings::{DeniedPublish, Settings};
use crate::slab::NONE;
use crate::verdicts::Permits;

/// The fewest bytes that a user property takes in a packet: its identifier and two lengths.
const SHORTEST_USER_PROPERTY: usize = 5;

/// The limit that a packet breaks with its user properties, if it does.
pub(crate) fn too_many_user_properties(
    properties: Properties<'_>,
    settings: &Settings,
) -> Option<Reached> {
    let allowed = settings.maximum_user_properties;
    // Most packets are too short to have so many.
    if properties.as_bytes().len() <= allowed.saturating_mul(SHORTEST_USER_PROPERTY) {
        return None;
    }
    let named = properties.iter().filter(|property| property.id() == PropertyId::UserProperty);
    let count = named.count();
    (count > allowed).then(|| Reached::new(Limit::UserProperties, count, allowed))
}

impl NotTaken {
    /// What the acknowledgement says in 5.0.
    const fn reason(self) -> ReasonCode {
        match self {
            Self::Reserved => ReasonCode::NotAuthorized,
            // As Mosquitto, though the table of 5.0 knows it for CONNACK and DISCONNECT only.
            Self::Limit(Reached { limit: Limit::PayloadSize, .. }) => ReasonCode::PacketTooLarge,
            Self::Limit(_) | Self::DiskFull => ReasonCode::QuotaExceeded,
            Self::Mounted => ReasonCode::TopicNameInvalid,
        }
    }
}

impl Hub {
    /// What is wrong with a PUBLISH by itself.
    #[inline]
    pub(crate) fn objection(&self, publish: &Publish<'_>) -> Option<NotTaken> {
        let (size, allowed) = (publish.payload.len(), self.settings.maximum_payload);
        if size > allowed {
            return Some(NotTaken::Limit(Reached::new(Limit::PayloadSize, size, allowed)));
        }
        if publish.properties.is_empty() {
            return None;
        }
        too_many_user_properties(publish.properties, &self.settings).map(NotTaken::Limit)
    }

    /// What is in the way of a message for which there would have to be room on the disk or in memory.
    #[inline]
    pub(crate) fn shortage(
        &self,
        session: u32,
        route: &Route,
        publish: &Publish<'_>,
    ) -> Option<NotTaken> {
        if self.journal.full && self.is_to_be_kept(session, route, publish) {
            return Some(NotTaken::DiskFull);
        }
        let reached = self.memory?;
        let waits = match publish.delivery {
            Delivery::AtMostOnce => false,
            Delivery::AtLeastOnce { .. } => !route.is_empty() || publish.retain,
            Delivery::ExactlyOnce { packet_id, dup } => !(dup && self.holds(session, packet_id)),
        };
        waits.then_some(NotTaken::Limit(reached))
    }

    /// Does not take a message: the acknowledgement says so where the version has a way to.
    #[cold]
    pub(crate) fn decline(&mut self, now: Time, from: Origin, topic: &Arc<str>, why: NotTaken) {
        self.not_taken(now, from.session, topic, why);
        self.answer_declined(from, why.reason());
    }

    /// Acknowledges a message that is not taken.
    pub(crate) fn answer_declined(&mut self, from: Origin, reason: ReasonCode) {
        let reason = if from.version.is_v5() { reason } else { ReasonCode::Success };
        match from.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.answer(from.connection, AckKind::PubAck, packet_id, reason, false);
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                self.answer(from.connection, AckKind::PubRec, packet_id, reason, false);
            }
        }
    }
}

impl Broker {
    /// Asks the rules whether a client may publish to the topic of this route, and says so if it may not:
    /// before 5.0, as the setting wants.
    #[cold]
    pub(crate) fn forbid(
        &mut self,
        now: Time,
        from: Origin,
        route: u32,
        view: &View<'_>,
    ) -> Option<Flow> {
        let topic = Arc::clone(&self.routes.get(route).topic);
        let Origin { connection: slot, version, .. } = from;
        let ruling = self.hub.permit(now, slot, &topic, view);
        if ruling.allowed {
            self.remember_permit(slot, route, view);
            return None;
        }
        if !version.is_v5() && self.hub.settings.denied_publish == DeniedPublish::Disconnect {
            let (action, rule) = (Action::Publish, ruling.rule);
            self.expel(now, slot, End::Denied { action, topic, rule });
            return Some(Flow::Stop(Next::Close));
        }
        self.hub.stats.publish_dropped += 1;
        self.hub.answer_declined(from, ReasonCode::NotAuthorized);
        Some(Flow::Continue)
    }

    /// Rules let a connection publish to the topic of a route: that is noted with the route, or with the
    /// connection if the route has many others already.
    fn remember_permit(&mut self, slot: u32, route: u32, view: &View<'_>) {
        let Some(guard) = view.guard else { return };
        let connections = &self.hub.connections;
        let remain = |other: ConnId| connections.get(other.slot, other.epoch).is_some();
        if self.routes.allow(route, self.hub.id(slot), remain) {
            return;
        }
        let serial = self.routes.get(route).serial;
        if let Some(connection) = self.hub.connections.at_mut(slot) {
            Permits::add(&mut connection.permits, guard.generation, serial);
        }
    }

    /// What is wrong with the will of a CONNECT of so many bytes.
    pub(crate) fn admit_will(
        &self,
        slot: u32,
        will: &Will<'_>,
        packet: usize,
    ) -> Result<(), Refusal> {
        let settings = &self.hub.settings;
        let topic = self.whole_topic(slot, will.topic.as_str());
        if !topic.is_some_and(|topic| publishable(&topic)) {
            return Err(Refusal::WillTopic);
        }
        let limit = settings.maximum_packet_size;
        if packet > limit as usize {
            return Err(Refusal::WillTooLarge { size: packet, limit });
        }
        let size = will.payload.len();
        if size > settings.maximum_payload {
            let limit = u32::try_from(settings.maximum_payload).unwrap_or(u32::MAX);
            return Err(Refusal::WillTooLarge { size, limit });
        }
        match too_many_user_properties(will.properties, settings) {
            Some(reached) => Err(Refusal::Limit(reached)),
            None => Ok(()),
        }
    }

    /// There is no room for this message. 5.0 can be told so; earlier clients are not read on until
    /// there is room, which loses nothing.
    #[cold]
    pub(crate) fn no_room(
        &mut self,
        now: Time,
        from: Origin,
        topic: &Arc<str>,
        why: NotTaken,
    ) -> Flow {
        if from.version.is_v5() {
            self.hub.decline(now, from, topic, why);
            return Flow::Continue;
        }
        let id = self.hub.id(from.connection);
        if let Some(connection) = self.hub.connections.at_mut(from.connection) {
            connection.stage = Stage::Parked;
            // It is offered again.
            connection.engine.inbound_acknowledged();
            if self.parked.len() as u64 > 2 * self.hub.stats.clients_connected + 64 {
                let connections = &self.hub.connections;
                self.parked.retain(|id| connections.get(id.slot, id.epoch).is_some());
            }
            self.parked.push(id);
        }
        Flow::Again(Next::Wait)
    }

    /// A connection that has not sent its CONNECT is to be refused, for what was learned of it since it came.
    pub fn unwelcome(&mut self, id: ConnId, refusal: Refusal) {
        if let Some(connection) = self.hub.connections.get_mut(id.slot, id.epoch)
            && connection.session == NONE
            && matches!(connection.stage, Stage::Open)
        {
            connection.stage = Stage::Unwelcome(Box::new(refusal));
        }
    }

    /// A connection that has not sent its CONNECT was turned away, and that is told already: its end is no
    /// event of its own.
    pub fn dismiss(&mut self, id: ConnId) {
        if let Some(connection) = self.hub.connections.get_mut(id.slot, id.epoch)
            && connection.session == NONE
            && connection.claimed.is_none()
            && matches!(connection.stage, Stage::Open | Stage::Unwelcome(_))
        {
            connection.stage = Stage::Ended;
            self.connection_timers.clear(id.slot);
        }
    }

    /// The process has as much memory as it may, or has less again: while it has, messages that may have
    /// to wait for somebody are refused like those for which the disk has no room.
    pub fn set_memory(&mut self, reached: Option<Reached>) {
        self.hub.memory = reached;
        self.unpark();
    }

    /// Reads on those for whose messages there was no room.
    pub(crate) fn unpark(&mut self) {
        if self.hub.journal.full || self.hub.memory.is_some() {
            return;
        }
        for id in core::mem::take(&mut self.parked) {
            if let Some(connection) = self.hub.connections.get_mut(id.slot, id.epoch)
                && matches!(connection.stage, Stage::Parked)
            {
                connection.stage = Stage::Open;
                self.resumed.push(id);
            }
        }
    }
}
