//! Commands to the broker itself: what clients publish to `$CONTROL/...`, and the answers to it.

use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::{TopicFilter, TopicName};

use crate::broker::Broker;
use crate::commons::View;
use crate::connection::ConnId;
use crate::event::NotTaken;
use crate::guard::{Action, Control};
use crate::incoming::{Form, Incoming};
use crate::publish::Origin;

/// Where commands are published.
const CONTROL: &str = "$CONTROL/";

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

    /// A PUBLISH to a topic of the broker's own: a command, from a client that may give it, or nothing that
    /// is taken.
    #[cold]
    pub(crate) fn reserved(
        &mut self,
        now: Time,
        from: Origin,
        route: u32,
        payload: &[u8],
        view: &View<'_>,
    ) {
        let topic = Arc::clone(&self.routes.get(route).topic);
        if view.guard.is_none() || !topic.starts_with(CONTROL) {
            self.hub.decline(now, from, &topic, NotTaken::Reserved);
            return;
        }
        let Some(session) = self.hub.sessions.at(from.session) else { return };
        let who = Arc::clone(&session.who);
        if !self.hub.check(now, &who, Action::Publish, &topic, view).allowed {
            self.hub.stats.publish_dropped += 1;
            self.hub.answer_declined(from, ReasonCode::NotAuthorized);
            return;
        }
        let connection = self.hub.id(from.connection);
        self.controls.push(Control { connection, who, topic, payload: payload.into() });
        // The PUBREL that may follow is answered like any whose message is not known.
        self.hub.answer_declined(from, ReasonCode::Success);
    }
}
