//! Commands to the broker itself: what clients publish to `$CONTROL/...`, and the answers to it.

use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::codec::AckKind;
use dunlin_proto::packet::Delivery;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::{TopicFilter, TopicName};

use crate::broker::Broker;
use crate::commons::View;
use crate::connection::ConnId;
use crate::guard::{Action, Control};
use crate::incoming::{Form, Incoming};

/// Where commands are published.
pub(crate) const CONTROL: &str = "$CONTROL/";

impl Broker {
    /// Adds the commands that came in.
    pub fn take_controls(&mut self, into: &mut Vec<Control>) {
        into.append(&mut self.controls);
    }

    /// Sends a client the answer to a command, if it is subscribed to the topic of answers.
    pub fn answer_control(
        &mut self,
        now: Time,
        id: ConnId,
        topic: &str,
        payload: &[u8],
        view: &View<'_>,
    ) {
        let Some(connection) = self.hub.connections.get(id.slot, id.epoch) else { return };
        let Some(session) = self.hub.sessions.at(connection.session) else { return };
        let Ok(name) = TopicName::new(topic) else { return };
        let subscribed = session.subscriptions.iter().any(|held| {
            !held.shared && TopicFilter::new(&held.filter).is_ok_and(|filter| filter.matches(name))
        });
        let who = Arc::clone(&session.who);
        if subscribed && view.allows(&who, Action::Deliver, topic) {
            let topic: Arc<str> = topic.into();
            let answer = Incoming::new(&topic, QoS::AtMostOnce, false, payload);
            let form = Form {
                qos: QoS::AtMostOnce,
                retain: false,
                dup: false,
                packet_id: None,
                identifier: 0,
            };
            self.hub.write_one(now, id.slot, form, &answer);
        }
    }

    /// Whether rules let a client give commands; without rules nobody may.
    pub(crate) fn may_control(&self, session: u32, topic: &str, view: &View<'_>) -> bool {
        view.guard.is_some()
            && self
                .hub
                .sessions
                .at(session)
                .is_some_and(|session| view.allows(&session.who, Action::Publish, topic))
    }

    /// A command from a client that may give it.
    pub(crate) fn control(
        &mut self,
        slot: u32,
        topic: &Arc<str>,
        delivery: Delivery,
        payload: &[u8],
    ) {
        let connection = self.hub.id(slot);
        let session = self.hub.connections.at(slot).map(|held| held.session);
        if let Some(session) = session.and_then(|session| self.hub.sessions.at(session)) {
            self.controls.push(Control {
                connection,
                who: Arc::clone(&session.who),
                topic: Arc::clone(topic),
                payload: payload.into(),
            });
        }
        match delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.hub.answer(slot, AckKind::PubAck, packet_id, ReasonCode::Success, false);
            }
            // Its PUBREL is answered like any whose message is not known.
            Delivery::ExactlyOnce { packet_id, .. } => {
                self.hub.answer(slot, AckKind::PubRec, packet_id, ReasonCode::Success, false);
            }
        }
    }
}
