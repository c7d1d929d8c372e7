//! QoS 1 and 2 towards one session: its window, its queue, and what happens when there is no room.

use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::codec::{self, AckKind};
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::window::{Received, Resend};

use crate::commons::View;
use crate::durable::{Spilled, What};
use crate::event::{Cause, Drop};
use crate::guard::Action;
use crate::hub::Hub;
use crate::incoming::{Form, Incoming};
use crate::journal::{Record, Target};
use crate::router::{GroupId, Subscriber};
use crate::session::{Copy, Outbound};
use crate::settings::{QueueFull, Settings};
use crate::slab::NONE;

impl Hub {
    /// Gives a QoS 1 or 2 message to a session: on its way now if there is room, else to the queue; false
    /// if it did not take it.
    pub(crate) fn accept(&mut self, now: Time, slot: u32, copy: Copy, live: &Incoming<'_>) -> bool {
        let Some(session) = self.sessions.at_mut(slot) else { return false };
        let connection = session.connection;
        let outbound = session.outbound.get_or_insert_default();
        if connection != NONE && outbound.queue.is_empty() && outbound.spill.is_none() {
            let room = self.connections.at(connection).is_some_and(|connection| {
                outbound.has_room(connection.window, &self.settings)
                    && connection.output.pending() < self.settings.maximum_output
            });
            if room {
                self.dispatch(now, slot, copy, Some(live));
                return true;
            }
        }
        self.queue(now, slot, copy)
    }

    /// Takes a place in the window and sends.
    pub(crate) fn dispatch(
        &mut self,
        now: Time,
        slot: u32,
        copy: Copy,
        live: Option<&Incoming<'_>>,
    ) {
        let Some(session) = self.sessions.at_mut(slot) else { return };
        let connection = session.connection;
        let kept = session.keeps.then(|| (copy.message.id(), copy.target(session.number, None)));
        let outbound = session.outbound.get_or_insert_default();
        let (qos, retain, identifier) = (copy.qos, copy.retain, copy.identifier);
        let stored = live.is_none().then(|| Arc::clone(&copy.message));
        outbound.weigh(&copy.message, &self.settings);
        let packet_id = outbound.window.send(qos, copy);
        self.stats.queued_messages += 1;
        if let Some((id, target)) = kept
            && id != 0
        {
            self.journal.sent(id, Target { sent: Some(packet_id), ..target });
            // Under another identifier after a restart, the client would take it for another message.
            let behind = self.connections.at(connection).is_some_and(|held| held.withheld > 0);
            if (qos == QoS::ExactlyOnce || behind)
                && self.wait(connection, What::Publish { packet_id }).is_none()
            {
                return;
            }
        }
        let form = Form { qos, retain, dup: false, packet_id: Some(packet_id), identifier };
        let sent = match (live, stored) {
            (Some(incoming), _) => {
                self.forward(connection, form, incoming)
                    || self.write(now, connection, form, incoming)
            }
            (None, Some(message)) => self.write_one(now, connection, form, &Incoming::of(&message)),
            (None, None) => false,
        };
        if !sent {
            self.give_up(slot, packet_id);
        }
    }

    fn queue(&mut self, now: Time, slot: u32, copy: Copy) -> bool {
        let bytes = copy.message.bytes();
        if let Some(full) = self.make_room(now, slot, bytes) {
            self.stats.dropped_queue_full += 1;
            self.drop_for_session(now, slot, &copy.message.topic, full);
            return false;
        }
        let crowded = self.stats.queued_bytes >= self.settings.maximum_queue_memory as u64;
        let Some(session) = self.sessions.at_mut(slot) else { return false };
        let stored = session.keeps && copy.id() != 0;
        let outbound = session.outbound.get_or_insert_default();
        if outbound.queue.is_empty() {
            outbound.judged = self.rules;
        }
        self.stats.queued_messages += 1;
        // A message of a shared subscription may have to go to another member at any moment.
        if stored && (outbound.spill.is_some() || crowded && copy.group.is_none()) {
            let target = copy.target(session.number, None);
            outbound.spill(Spilled::new(copy.message.id(), bytes, copy.message.expires, target));
        } else {
            outbound.push(copy);
            self.stats.queued_bytes += bytes as u64;
        }
        true
    }

    /// Queues a message at QoS 0 for a session that is away. The copy is never stored: what is, is done with only
    /// when it is acknowledged. Another member of a group may be given it at another QoS, which is stored anew then.
    #[cold]
    pub(crate) fn queue_at_most_once(
        &mut self,
        now: Time,
        to: &Subscriber,
        group: Option<GroupId>,
        m: &Incoming<'_>,
    ) {
        // Unlike others it cannot wait on disk.
        if let Some(full) = self.shard_full(m.bytes()) {
            self.stats.dropped_queue_full += 1;
            self.drop_for_session(now, to.session.slot, m.topic, full);
            return;
        }
        let message = m.message(&mut self.pool);
        let message =
            if group.is_some() { Arc::new(message.unstored()) } else { Arc::clone(message) };
        let (identifier, qos) = (to.identifier, QoS::AtMostOnce);
        let retain = m.retain && to.retain_as_published;
        self.queue(now, to.session.slot, Copy { message, identifier, qos, retain, group });
    }

    /// Sends everything at QoS 0 in a queue: it needs no place in the window, and is not to come behind what is
    /// sent live from now on [MQTT-4.6.0-6].
    #[cold]
    fn pump_at_most_once(&mut self, now: Time, slot: u32) {
        let Some(session) = self.sessions.at_mut(slot) else { return };
        let connection = session.connection;
        let Some(outbound) = session.outbound.as_mut() else { return };
        for copy in outbound.take_at_most_once() {
            self.stats.queued_messages -= 1;
            self.stats.queued_bytes -= copy.message.bytes() as u64;
            self.write_queued(now, slot, connection, &copy);
        }
    }

    /// Sends a message at QoS 0 that waited.
    #[cold]
    fn write_queued(&mut self, now: Time, slot: u32, connection: u32, copy: &Copy) {
        if copy.message.expired(now) {
            self.stats.dropped_expired += 1;
            self.drop_for_session(now, slot, &copy.message.topic, Drop::Expired);
            return;
        }
        let Copy { identifier, qos, retain, .. } = *copy;
        let form = Form { qos, retain, dup: false, packet_id: None, identifier };
        self.write_one(now, connection, form, &Incoming::of(&copy.message));
    }

    /// Queues a message behind others that are on disk only, without making a message of it; false if
    /// there is no room.
    pub(crate) fn spill(&mut self, now: Time, slot: u32, target: Target, m: &Incoming<'_>) -> bool {
        let bytes = m.bytes();
        if let Some(full) = self.make_room(now, slot, bytes) {
            self.stats.dropped_queue_full += 1;
            self.drop_for_session(now, slot, m.topic, full);
            return false;
        }
        let Some(session) = self.sessions.at_mut(slot) else { return false };
        self.stats.queued_messages += 1;
        let spilled = Spilled::new(m.id.get(), bytes, m.expires, target);
        session.outbound.get_or_insert_default().spill(spilled);
        true
    }

    /// Makes room in a queue for so many bytes, as far as the settings allow; the limit that is in the
    /// way if that was not enough.
    fn make_room(&mut self, now: Time, slot: u32, bytes: usize) -> Option<Drop> {
        let session = self.sessions.at_mut(slot)?;
        let number = if session.keeps { session.number } else { 0 };
        let outbound = session.outbound.get_or_insert_default();
        if is_full(outbound, bytes, &self.settings).is_some() {
            let journal = &mut self.journal;
            let (messages, expired) = outbound.drop_expired(now, number, |id, target| {
                journal.done(id, target);
            });
            self.stats.dropped_expired += messages;
            self.stats.causes.add(Cause::MessageExpired, messages);
            self.stats.publish_dropped += messages;
            self.stats.queued_messages -= messages;
            self.stats.queued_bytes -= expired;
        }
        let never = bytes > self.settings.maximum_queued_bytes;
        loop {
            let outbound = self.sessions.at_mut(slot)?.outbound.as_mut()?;
            let Some(full) = is_full(outbound, bytes, &self.settings) else { break };
            if never || self.settings.queue_full == QueueFull::DropNewest {
                return Some(full);
            }
            let Some(oldest) = outbound.pop() else {
                // The rest waits on disk.
                let Some(oldest) = outbound.pop_spilled() else { return Some(full) };
                self.stats.dropped_queue_full += 1;
                self.stats.publish_dropped += 1;
                self.stats.queued_messages -= 1;
                self.journal.done(oldest.id, oldest.target(number));
                continue;
            };
            self.journal.done(oldest.id(), oldest.target(number, None));
            self.stats.dropped_queue_full += 1;
            self.stats.queued_messages -= 1;
            self.stats.queued_bytes -= oldest.message.bytes() as u64;
            self.drop_for_session(now, slot, &oldest.message.topic, full);
        }
        if number != 0 {
            // It may wait on disk.
            return None;
        }
        self.shard_full(bytes)
    }

    /// Whether so many bytes more are too many for the memory of all queues.
    fn shard_full(&self, bytes: usize) -> Option<Drop> {
        let limit = self.settings.maximum_shard_queue_bytes;
        let waiting = usize::try_from(self.stats.queued_bytes).unwrap_or(usize::MAX);
        (waiting.saturating_add(bytes) > limit)
            .then_some(Drop::QueueBytes { bytes: waiting, limit })
    }

    /// Sends what waits for a session, as far as window and output have room: first what was in flight
    /// when the previous connection ended [MQTT-4.4.0-1], then the queue, in order [MQTT-4.6.0-6].
    pub(crate) fn pump(&mut self, now: Time, slot: u32, view: &View<'_>) {
        if view.guard.is_some() {
            self.judge_queue(now, slot, view);
        }
        loop {
            let Some(session) = self.sessions.at_mut(slot) else { return };
            let Some(outbound) = session.outbound.as_mut() else { return };
            let Some(connection) = self.connections.at(session.connection) else { return };
            if connection.output.pending() >= self.settings.maximum_output {
                return;
            }
            if let Some((packet_id, resend)) = outbound.window.next_resend(connection.window) {
                let copy = match resend {
                    Resend::Publish { message, .. } => Some(message.clone()),
                    Resend::Release => None,
                };
                self.send_again(now, slot, packet_id, copy, view);
                continue;
            }
            if !outbound.has_room(connection.window, &self.settings) {
                if outbound.has_at_most_once {
                    self.pump_at_most_once(now, slot);
                }
                return;
            }
            let connection = session.connection;
            let has_denied = outbound.has_denied;
            let Some(copy) = outbound.pop() else {
                outbound.has_denied = false;
                self.load(slot);
                return;
            };
            self.stats.queued_messages -= 1;
            self.stats.queued_bytes -= copy.message.bytes() as u64;
            if has_denied && self.leave_out(now, slot, &copy, view) {
                continue;
            }
            if copy.qos == QoS::AtMostOnce {
                self.write_queued(now, slot, connection, &copy);
            } else if copy.message.expired(now) {
                self.skip_identifier(slot);
                self.stats.dropped_expired += 1;
                self.drop_for_session(now, slot, &copy.message.topic, Drop::Expired);
                let number = self.number(slot);
                self.journal.done(copy.message.id(), copy.target(number, None));
            } else {
                self.dispatch(now, slot, copy, None);
            }
        }
    }

    /// Leaves out what rules deny that have changed since it was queued; true if they do.
    fn leave_out(&mut self, now: Time, slot: u32, copy: &Copy, view: &View<'_>) -> bool {
        let Some(session) = self.sessions.at(slot) else { return false };
        let number = if session.keeps { session.number } else { 0 };
        let who = Arc::clone(&session.who);
        if self.check(now, &who, Action::Deliver, &copy.message.topic, view).allowed {
            return false;
        }
        self.journal.done(copy.id(), copy.target(number, None));
        self.stats.publish_dropped += 1;
        self.skip_identifier(slot);
        true
    }

    fn skip_identifier(&mut self, slot: u32) {
        let outbound = self.sessions.at_mut(slot).and_then(|session| session.outbound.as_mut());
        if let Some(outbound) = outbound {
            outbound.window.skip();
        }
    }

    /// A PUBLISH with DUP [MQTT-3.3.1-1], or a PUBREL, once more.
    fn send_again(
        &mut self,
        now: Time,
        slot: u32,
        packet_id: PacketId,
        copy: Option<Copy>,
        view: &View<'_>,
    ) {
        let Some(session) = self.sessions.at(slot) else { return };
        let connection = session.connection;
        let Some(copy) = copy else {
            if let Some(buffer) = self.buffer(connection) {
                codec::encode_ack(AckKind::PubRel, packet_id, buffer);
                self.stats.messages_sent += 1;
                self.stats.bytes_sent += 4;
            }
            return;
        };
        let who = Arc::clone(&session.who);
        if !self.check(now, &who, Action::Deliver, &copy.message.topic, view).allowed {
            self.take_back(slot, packet_id);
            return;
        }
        let form = Form {
            qos: copy.qos,
            retain: copy.retain,
            dup: true,
            packet_id: Some(packet_id),
            identifier: copy.identifier,
        };
        if !self.write_one(now, connection, form, &Incoming::of(&copy.message)) {
            self.take_back(slot, packet_id);
        }
    }

    /// A message that was sent before cannot be sent again to this client. It may have the packet identifier of
    /// one at QoS 2 and wait for its release, without which it would take the next message under it for the same.
    fn take_back(&mut self, slot: u32, packet_id: PacketId) {
        let Some(session) = self.sessions.at(slot) else { return };
        let Some(outbound) = session.outbound.as_ref() else { return };
        match outbound.window.get(packet_id) {
            Some(Resend::Publish { qos: QoS::ExactlyOnce, .. }) => {
                self.received(slot, session.connection, packet_id);
            }
            _ => self.give_up(slot, packet_id),
        }
    }

    /// The client has a QoS 2 message, so only its release is repeated from now on [MQTT-4.3.3-4].
    pub(crate) fn received(&mut self, session: u32, connection: u32, packet_id: PacketId) {
        if let Some(held) = self.sessions.at_mut(session)
            && let Some(outbound) = held.outbound.as_mut()
            && let Received::First(done) = outbound.window.received(packet_id)
        {
            if held.keeps {
                let (number, id) = (held.number, done.message.id());
                self.journal.write(&Record::Received { number, packet_id, id });
            }
            outbound.landed(&done.message);
            self.pool.recycle(done.message);
        }
        // Else a restart could send the message again after the client has forgotten it.
        let promises = self.number(session) != 0;
        self.answer(connection, AckKind::PubRel, packet_id, ReasonCode::Success, promises);
    }

    /// A QoS 2 message whose packet identifier is durable now.
    pub(crate) fn send_stored(&mut self, now: Time, slot: u32, packet_id: PacketId) {
        let session = self.connections.at(slot).map_or(NONE, |connection| connection.session);
        let Some(outbound) = self.sessions.at(session).and_then(|held| held.outbound.as_ref())
        else {
            return;
        };
        let Some(Resend::Publish { message: copy, qos }) = outbound.window.get(packet_id) else {
            return;
        };
        let copy = copy.clone();
        if copy.message.expired(now) {
            self.stats.dropped_expired += 1;
            self.drop_for_session(now, session, &copy.message.topic, Drop::Expired);
            self.give_up(session, packet_id);
            return;
        }
        let (retain, identifier) = (copy.retain, copy.identifier);
        let form = Form { qos, retain, dup: false, packet_id: Some(packet_id), identifier };
        if !self.write_one(now, slot, form, &Incoming::of(&copy.message)) {
            self.give_up(session, packet_id);
        }
    }

    /// A message that can never be sent to this client counts as delivered [MQTT-3.1.2-25].
    fn give_up(&mut self, slot: u32, packet_id: PacketId) {
        let number = self.number(slot);
        if let Some(outbound) =
            self.sessions.at_mut(slot).and_then(|session| session.outbound.as_mut())
            && let Some(copy) = outbound
                .window
                .acknowledge(packet_id)
                .or_else(|| outbound.window.refused(packet_id))
        {
            outbound.landed(&copy.message);
            self.stats.queued_messages -= 1;
            self.journal.done(copy.message.id(), copy.target(number, Some(packet_id)));
        }
    }
}

/// Which limit of a queue one more message would break.
fn is_full(outbound: &Outbound, bytes: usize, settings: &Settings) -> Option<Drop> {
    let messages = outbound.waiting();
    if messages >= settings.maximum_queued_messages {
        return Some(Drop::QueueFull { messages, limit: settings.maximum_queued_messages });
    }
    let waiting = outbound.waiting_bytes();
    if waiting + bytes > settings.maximum_queued_bytes {
        let limit = settings.maximum_queued_bytes;
        return Some(Drop::QueueBytes { bytes: waiting, limit });
    }
    None
}
