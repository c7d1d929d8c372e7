//! SUBSCRIBE and UNSUBSCRIBE (3.8, 3.10): checked here, carried out at the next commit.

use std::sync::Arc;

use dunlin_proto::packet::{Subscribe, Unsubscribe};
use dunlin_proto::property::Property;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::Subscription;
use dunlin_proto::{QoS, Time, Violation};

use crate::broker::{Broker, Flow};
use crate::commons::View;
use crate::connection::{Next, Stage};
use crate::declined::too_many_user_properties;
use crate::guard::Action;
use crate::pending::{Leave, Pending, Wish, unshare};
use crate::router::SessionKey;
use crate::slab::NONE;

impl Broker {
    pub(crate) fn subscribe(
        &mut self,
        now: Time,
        slot: u32,
        packet: &Subscribe<'_>,
        view: &View<'_>,
    ) -> Flow {
        let Some(session) = self.session_key(slot) else { return Flow::Stop(Next::Close) };
        let version = self.version_at(slot);
        let identifier = packet
            .properties
            .iter()
            .find_map(|property| match property {
                Property::SubscriptionIdentifier(identifier) => Some(identifier),
                _ => None,
            })
            .unwrap_or(0);
        let entry = self.hub.connections.at(slot).map(|connection| &connection.entry);
        let maximum_qos = entry.map_or(QoS::ExactlyOnce, |entry| entry.maximum_qos);
        let refused = too_many_user_properties(packet.properties, &self.hub.settings);
        let mut wishes = Vec::with_capacity(packet.filters.len());
        for (filter, options) in &packet.filters {
            let parsed = match Subscription::new(*filter, version) {
                Ok(parsed) => parsed,
                Err(violation) => return self.stop(now, slot, violation),
            };
            let maximum = self.hub.settings.maximum_topic_levels;
            let levels = filter.level_count();
            if levels > maximum {
                return self.stop(now, slot, Violation::TopicTooDeep { levels, maximum });
            }
            // [MQTT-3.8.3-4]
            if parsed.group.is_some() && options.no_local {
                return self.stop(now, slot, Violation::NoLocalOnShared);
            }
            let mut subscriber =
                Self::subscriber(session, options.qos.min(maximum_qos), identifier);
            subscriber.no_local = options.no_local;
            subscriber.retain_as_published = options.retain_as_published;
            let filter = self.whole_filter(slot, filter.as_str());
            // Too long with the mount point: there can be no such topic.
            let invalid = filter.is_none().then_some(ReasonCode::TopicFilterInvalid);
            let filter = filter.unwrap_or_default();
            if let Some(reached) = refused {
                self.note_refused(now, session.slot, &filter, reached);
            }
            if options.qos > maximum_qos {
                self.note_lower_qos(now, session.slot, &filter, (options.qos, maximum_qos));
            }
            let denied = self.denied_filter(now, session, Action::Subscribe, &filter, view);
            wishes.push(Wish {
                filter,
                subscriber,
                retain_handling: options.retain_handling,
                refused: refused.map(|_| ReasonCode::QuotaExceeded).or(invalid).or(denied),
            });
        }
        let connection = self.hub.id(slot);
        let packet_id = packet.packet_id;
        self.pending.push(Pending::Subscribe { connection, session, packet_id, wishes });
        self.wait_for_commit(slot)
    }

    pub(crate) fn unsubscribe(
        &mut self,
        now: Time,
        slot: u32,
        packet: &Unsubscribe<'_>,
        view: &View<'_>,
    ) -> Flow {
        let Some(session) = self.session_key(slot) else { return Flow::Stop(Next::Close) };
        let version = self.version_at(slot);
        for filter in &packet.filters {
            if let Err(violation) = Subscription::new(*filter, version) {
                return self.stop(now, slot, violation);
            }
        }
        let filters = packet.filters.iter().map(|filter| {
            // One that is too long with the mount point was never subscribed to.
            let filter = self.whole_filter(slot, filter.as_str()).unwrap_or_default();
            let refused = self.denied_filter(now, session, Action::Unsubscribe, &filter, view);
            Leave { filter, refused }
        });
        let filters = filters.collect();
        let connection = self.hub.id(slot);
        let packet_id = packet.packet_id;
        self.pending.push(Pending::Unsubscribe { connection, session, packet_id, filters });
        self.wait_for_commit(slot)
    }

    /// What the client is told if rules do not let it do this with a filter.
    fn denied_filter(
        &mut self,
        now: Time,
        session: SessionKey,
        action: Action,
        filter: &str,
        view: &View<'_>,
    ) -> Option<ReasonCode> {
        view.guard?;
        let who = Arc::clone(&self.hub.sessions.at(session.slot)?.who);
        let (_, filter) = unshare(filter);
        let ruling = self.hub.check(now, &who, action, filter, view);
        (!ruling.allowed).then_some(ReasonCode::NotAuthorized)
    }

    fn session_key(&self, slot: u32) -> Option<SessionKey> {
        let session = self.hub.connections.at(slot)?.session;
        (session != NONE).then(|| self.hub.key(session))
    }

    fn wait_for_commit(&mut self, slot: u32) -> Flow {
        if let Some(connection) = self.hub.connections.at_mut(slot) {
            connection.stage = Stage::Committing;
        }
        Flow::Stop(Next::Commit)
    }

    fn stop(&mut self, now: Time, slot: u32, violation: Violation) -> Flow {
        self.violated(now, slot, violation, &[]);
        Flow::Stop(Next::Close)
    }
}
