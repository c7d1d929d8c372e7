//! Retained messages for new subscriptions, sent page by page as the receiver takes them.

use core::mem;
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::qos::QoS;
use dunlin_proto::topic::TopicFilter;

use crate::broker::Broker;
use crate::commons::View;
use crate::durable::Retention;
use crate::guard::{Action, Identity};
use crate::hub::Hub;
use crate::incoming::{Form, Incoming};
use crate::journal::{Origin, Target};
use crate::message::{Message, RetainedMessage};
use crate::numbers::Numbers;
use crate::router::SessionKey;
use crate::session::{Copy, Replay};
use crate::slab::NONE;

/// Retained messages read at once: enough to amortise the look-up.
const PAGE: usize = 64;
/// Pages read one after another of which rules let nothing through, before others have their turn.
const IDLE_PAGES: usize = 16;

impl Broker {
    /// Remembers what new subscriptions are to be sent, and begins.
    pub(crate) fn start_replays(
        &mut self,
        now: Time,
        key: SessionKey,
        replays: Vec<Replay>,
        view: &View<'_>,
    ) {
        if replays.is_empty() || view.commons.retained_count() == 0 {
            return;
        }
        let Some(session) = self.hub.sessions.get_mut(key.slot, key.generation) else { return };
        for replay in replays {
            // One that is still being sent begins anew: there is never more than one for a filter.
            session.stop_replay(&replay.filter);
            session.replays.get_or_insert_default().push_back(replay);
        }
        self.go_on(now, key.slot, view);
    }

    /// Sends what waits for a session: its queue first, then retained messages, while there is room.
    pub(crate) fn go_on(&mut self, now: Time, slot: u32, view: &View<'_>) {
        let mut idle = 0;
        loop {
            self.hub.pump(now, slot, view);
            let room = self.room_for_page(slot);
            if room == 0 {
                return;
            }
            let denied = self.page(now, slot, room, view);
            idle = if denied { idle + 1 } else { 0 };
            if idle == IDLE_PAGES {
                // Nothing was written, so nothing else would bring it back here.
                self.unfinished.push(self.hub.key(slot));
                return;
            }
        }
    }

    /// Goes on with the replays that gave way to others.
    pub(crate) fn finish_replays(&mut self, now: Time, view: &View<'_>) {
        for key in mem::take(&mut self.unfinished) {
            if self.hub.sessions.get(key.slot, key.generation).is_some() {
                self.go_on(now, key.slot, view);
            }
        }
    }

    /// How many retained messages a session can be sent now. They are not read before that: what is
    /// read is then never older than a live message that was sent already.
    fn room_for_page(&self, slot: u32) -> usize {
        let hub = &self.hub;
        let Some(session) = hub.sessions.at(slot) else { return 0 };
        let Some(replay) = session.replays.as_ref().and_then(|replays| replays.front()) else {
            return 0;
        };
        let Some(connection) = hub.connections.at(session.connection) else { return 0 };
        if connection.output.pending() >= hub.settings.maximum_output / 2 {
            return 0;
        }
        match &session.outbound {
            Some(outbound) if replay.qos > QoS::AtMostOnce => {
                if outbound.waiting() > 0 || !outbound.has_room(connection.window, &hub.settings) {
                    return 0;
                }
                usize::from(connection.window.saturating_sub(outbound.window.in_flight())).min(PAGE)
            }
            _ if replay.qos > QoS::AtMostOnce => usize::from(connection.window).min(PAGE),
            _ => PAGE,
        }
    }

    /// One page of the first replay, of at most so many messages; true if all there were are denied.
    fn page(&mut self, now: Time, slot: u32, room: usize, view: &View<'_>) -> bool {
        let Some(session) = self.hub.sessions.at_mut(slot) else { return false };
        let who = Arc::clone(&session.who);
        let Some(mut replays) = session.replays.take() else { return false };
        let mut denied = false;
        if let Some(mut replay) = replays.pop_front() {
            let mut messages = Vec::with_capacity(room);
            let filter = TopicFilter::new(&replay.filter).expect("only valid filters are held");
            let from = replay.cursor.take();
            let more = view.commons.retained_page(filter, from.as_ref(), room, now, &mut messages);
            denied = !messages.is_empty();
            for RetainedMessage { message, publisher } in messages {
                let topic = &message.topic;
                if !self.hub.check(now, &who, Action::Deliver, topic, view).allowed
                    || !self.hub.may_stay(now, publisher.as_ref(), topic, view)
                {
                    continue;
                }
                denied = false;
                self.replay(now, slot, &replay, message, view.commons.numbers());
            }
            if more.is_some() {
                replay.cursor = more;
                replays.push_front(replay);
            }
        }
        if !replays.is_empty()
            && let Some(session) = self.hub.sessions.at_mut(slot)
        {
            session.replays = Some(replays);
        }
        denied
    }

    /// [MQTT-3.3.1-8]: sent because of a subscription, so with RETAIN set.
    fn replay(
        &mut self,
        now: Time,
        slot: u32,
        replay: &Replay,
        message: Arc<Message>,
        numbers: &Numbers,
    ) {
        let connection = self.hub.sessions.at(slot).map_or(NONE, |session| session.connection);
        let qos = self.hub.replayed_qos(replay, &message);
        let identifier = replay.identifier;
        if qos == QoS::AtMostOnce {
            let form = Form { qos, retain: true, dup: false, packet_id: None, identifier };
            self.hub.write_one(now, connection, form, &Incoming::of(&message));
        } else {
            self.hub.keep_replayed(slot, replay, &message, numbers);
            let copy = Copy { message, identifier, qos, retain: true, group: None };
            self.hub.dispatch(now, slot, copy, None);
        }
    }
}

impl Hub {
    /// Whether who published a retained message may still write to its topic, as far as that matters.
    fn may_stay(
        &mut self,
        now: Time,
        publisher: Option<&Arc<Identity>>,
        topic: &str,
        view: &View<'_>,
    ) -> bool {
        let Some(who) = publisher.filter(|_| self.settings.check_retain_source) else {
            return true;
        };
        self.check(now, who, Action::Retained, topic, view).allowed
    }

    /// With which QoS a retained message is sent [MQTT-3.8.4-8].
    fn replayed_qos(&self, replay: &Replay, m: &Message) -> QoS {
        if self.settings.upgrade_qos { replay.qos } else { replay.qos.min(m.qos) }
    }

    /// A session that keeps its messages gets a retained one.
    fn keep_replayed(&mut self, slot: u32, replay: &Replay, m: &Arc<Message>, numbers: &Numbers) {
        let number = self.number(slot);
        if number == 0 || m.topic.starts_with("$SYS/") {
            return;
        }
        let incoming = Incoming::of(m);
        let (qos, identifier) = (self.replayed_qos(replay, m), replay.identifier);
        self.journal.begin(&incoming, numbers);
        self.journal.note(Target {
            number,
            qos,
            retain: true,
            shared: false,
            identifier,
            sent: None,
        });
        self.journal.finish(&incoming, Origin::Client, Retention::None, None);
    }
}
