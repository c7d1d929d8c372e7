//! Retained messages for new subscriptions, sent page by page as the receiver takes them.

use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::qos::QoS;
use dunlin_proto::topic::TopicFilter;

use crate::broker::Broker;
use crate::commons::Commons;
use crate::hub::{Form, Incoming};
use crate::message::Message;
use crate::router::SessionKey;
use crate::session::{Copy, Replay};
use crate::slab::NONE;

/// Retained messages read at once: enough to amortise the look-up, few enough that a receiver with
/// a small window has not many of them queued.
const PAGE: usize = 64;

impl Broker {
    /// Remembers what new subscriptions are to be sent, and begins.
    pub(crate) fn start_replays(
        &mut self,
        now: Time,
        key: SessionKey,
        replays: Vec<Replay>,
        commons: &dyn Commons,
    ) {
        if replays.is_empty() || commons.retained_count() == 0 {
            return;
        }
        let Some(session) = self.hub.sessions.get_mut(key.slot, key.generation) else { return };
        session.replays.get_or_insert_default().extend(replays);
        self.go_on(now, key.slot, commons);
    }

    /// Sends what waits for a session: its queue first, then retained messages, while there is room.
    pub(crate) fn go_on(&mut self, now: Time, slot: u32, commons: &dyn Commons) {
        loop {
            self.hub.pump(now, slot);
            let Some(session) = self.hub.sessions.at_mut(slot) else { return };
            if session.replays.is_none() || !session.connected() {
                return;
            }
            let waiting = session.outbound.as_ref().is_some_and(|out| !out.queue.is_empty());
            let connection = session.connection;
            let room = self.hub.connections.at(connection).is_some_and(|connection| {
                connection.output.pending() < self.hub.settings.maximum_output / 2
            });
            if waiting || !room {
                return;
            }
            self.page(now, slot, connection, commons);
        }
    }

    /// One page of the first replay. It is taken out meanwhile: while one is there, live messages wait
    /// behind it.
    fn page(&mut self, now: Time, slot: u32, connection: u32, commons: &dyn Commons) {
        let Some(session) = self.hub.sessions.at_mut(slot) else { return };
        let Some(mut replays) = session.replays.take() else { return };
        if let Some(mut replay) = replays.pop_front() {
            let mut messages = Vec::with_capacity(PAGE);
            let filter = TopicFilter::new(&replay.filter).expect("only valid filters are held");
            let from = replay.cursor.take();
            let more = commons.retained_page(filter, from.as_ref(), PAGE, now, &mut messages);
            for message in messages {
                self.replay(now, slot, connection, &replay, message);
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
    }

    /// [MQTT-3.3.1-8]: sent because of a subscription, so with RETAIN set.
    fn replay(
        &mut self,
        now: Time,
        slot: u32,
        connection: u32,
        replay: &Replay,
        message: Arc<Message>,
    ) {
        let qos = replay.qos.min(message.qos);
        if qos == QoS::AtMostOnce {
            if connection != NONE {
                let identifier = replay.identifier;
                let form = Form { qos, retain: true, dup: false, packet_id: None, identifier };
                self.hub.write_one(now, connection, form, &Incoming::of(&message));
            }
        } else {
            let identifier = replay.identifier;
            let copy = Copy { message, identifier, qos, retain: true, group: None };
            self.hub.accept(now, slot, copy, None);
        }
    }
}
