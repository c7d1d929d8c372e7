//! The sessions and connections of a shard, and how a message reaches them.

use core::cell::OnceCell;
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::alias::{AliasOut, Assigned};
use dunlin_proto::codec::{self, AckKind};
use dunlin_proto::packet::Delivery;
use dunlin_proto::property::{Properties, PropertyBuf};
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::topic::TopicName;
use dunlin_proto::window::Resend;

use crate::commons::View;
use crate::connection::{ConnId, Connection};
use crate::event::{Drop, Event};
use crate::frame::{Shapes, append_head};
use crate::mail::{Mail, Target};
use crate::message::Message;
use crate::router::{GroupId, SessionKey, Subscriber};
use crate::routes::Route;
use crate::session::{Copy, Outbound, Session};
use crate::settings::{QueueFull, Settings};
use crate::slab::{NONE, Slab};
use crate::stats::Stats;

/// Payloads of this size and above are shared between receivers, smaller ones copied: below, the
/// second slice of a vectored write costs more than the copy.
pub(crate) const SHARED_PAYLOAD: usize = 2048;
/// Buffers kept for the next connections that have something to say.
const SPARE_BUFFERS: usize = 64;
/// A buffer that grew beyond this is not kept.
const SPARE_CAPACITY: usize = 256 * 1024;

/// Room for headers and properties in the guess whether a packet fits into a client's maximum.
const ALIAS_MARGIN: usize = 4096;

/// Everything that delivering a message touches.
pub(crate) struct Hub {
    pub(crate) shard: u16,
    pub(crate) settings: Arc<Settings>,
    pub(crate) connections: Slab<Connection>,
    pub(crate) sessions: Slab<Session>,
    pub(crate) mails: Vec<Mail>,
    pub(crate) dirty: Vec<u32>,
    pub(crate) stats: Stats,
    pub(crate) events: Vec<Event>,
    /// Messages of shared subscriptions that a member could not take, and which member that was; the
    /// next commit hands them on.
    pub(crate) returned: Vec<(SessionKey, Copy)>,
    shapes: Shapes,
    spare: Vec<Vec<u8>>,
}

/// A message on its way through the router.
pub(crate) struct Incoming<'a> {
    pub(crate) publisher: Option<SessionKey>,
    pub(crate) topic: &'a Arc<str>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// The properties that travel on; the expiry interval is `expires`.
    pub(crate) properties: Properties<'a>,
    pub(crate) expires: Time,
    pub(crate) payload: &'a [u8],
    /// The bytes of the PUBLISH, if a receiver of the same protocol family can be sent just these at
    /// QoS 0: no flag, alias, expiry or identifier to be changed.
    pub(crate) frame: Option<(&'a [u8], bool)>,
    /// Made when the first receiver needs to keep it.
    message: OnceCell<Arc<Message>>,
}

impl<'a> Incoming<'a> {
    /// A message that exists already.
    pub(crate) fn of(message: &'a Arc<Message>) -> Self {
        Self {
            publisher: None,
            topic: &message.topic,
            qos: message.qos,
            retain: message.retain,
            properties: message.properties.as_properties(),
            expires: message.expires,
            payload: &message.payload,
            frame: None,
            message: OnceCell::from(Arc::clone(message)),
        }
    }

    /// A message that so far is only bytes.
    pub(crate) fn new(topic: &'a Arc<str>, qos: QoS, retain: bool, payload: &'a [u8]) -> Self {
        Self {
            publisher: None,
            topic,
            qos,
            retain,
            properties: Properties::EMPTY,
            expires: Time::MAX,
            payload,
            frame: None,
            message: OnceCell::new(),
        }
    }

    /// The message to keep.
    pub(crate) fn message(&self) -> &Arc<Message> {
        self.message.get_or_init(|| {
            Arc::new(Message {
                topic: Arc::clone(self.topic),
                payload: self.payload.into(),
                properties: copied(self.properties),
                expires: self.expires,
                qos: self.qos,
                retain: self.retain,
            })
        })
    }
}

/// How one receiver gets a message.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    /// `None` for QoS 0.
    pub(crate) packet_id: Option<PacketId>,
    /// 0 when there is none.
    pub(crate) identifier: u32,
}

impl Form {
    pub(crate) const fn delivery(self) -> Delivery {
        match (self.qos, self.packet_id) {
            (QoS::AtLeastOnce, Some(packet_id)) => {
                Delivery::AtLeastOnce { packet_id, dup: self.dup }
            }
            (QoS::ExactlyOnce, Some(packet_id)) => {
                Delivery::ExactlyOnce { packet_id, dup: self.dup }
            }
            _ => Delivery::AtMostOnce,
        }
    }
}

fn copied(properties: Properties<'_>) -> PropertyBuf {
    let mut copy = PropertyBuf::new();
    copy.extend(properties);
    copy
}

impl Hub {
    pub(crate) fn new(settings: Arc<Settings>, shard: u16, shards: u16) -> Self {
        Self {
            shard,
            settings,
            connections: Slab::new(),
            sessions: Slab::new(),
            mails: (0..shards).map(|_| Mail::default()).collect(),
            dirty: Vec::new(),
            stats: Stats::default(),
            events: Vec::new(),
            returned: Vec::new(),
            shapes: Shapes::default(),
            spare: Vec::new(),
        }
    }

    /// The session in `slot` as the index names it.
    pub(crate) fn key(&self, slot: u32) -> SessionKey {
        SessionKey { shard: self.shard, slot, generation: self.sessions.generation(slot) }
    }

    /// The connection in `slot` as the server names it.
    pub(crate) fn id(&self, slot: u32) -> ConnId {
        ConnId { slot, epoch: self.connections.generation(slot) }
    }

    /// Sends a message to everybody on its route.
    #[inline]
    pub(crate) fn send(&mut self, now: Time, route: &Route, m: &Incoming<'_>, view: &View<'_>) {
        self.shapes.clear();
        for subscriber in &route.local {
            self.deliver(now, subscriber, None, m);
        }
        for subscriber in &route.remote {
            self.post(*subscriber, None, m.message());
        }
        for group in &route.groups {
            self.deliver_shared(now, *group, None, m, view);
        }
    }

    /// Gives a message that a member of a shared subscription could not take to another member.
    pub(crate) fn hand_on(&mut self, now: Time, from: SessionKey, copy: &Copy, view: &View<'_>) {
        let Some(group) = copy.group else { return };
        self.shapes.clear();
        if let Some(to) = view.index.pick(group, Some(from)) {
            self.offer(now, &to, group, &Incoming::of(&copy.message));
        }
    }

    /// Sends a message to one receiver that another shard chose.
    pub(crate) fn receive(&mut self, now: Time, m: &Arc<Message>, to: &Target, view: &View<'_>) {
        self.shapes.clear();
        let incoming = Incoming::of(m);
        if !self.deliver(now, &to.subscriber, to.group, &incoming)
            && let Some(group) = to.group
        {
            self.deliver_shared(now, group, Some(to.subscriber.session), &incoming, view);
        }
    }

    /// Sends a message to one member of a shared subscription (4.8.2). If that member's session has
    /// ended just now, the choice is made anew once the index knows.
    fn deliver_shared(
        &mut self,
        now: Time,
        group: GroupId,
        exclude: Option<SessionKey>,
        m: &Incoming<'_>,
        view: &View<'_>,
    ) {
        let Some(to) = view.index.pick(group, exclude) else { return };
        if !self.offer(now, &to, group, m) {
            let message = Arc::clone(m.message());
            let (identifier, qos, retain) = (to.identifier, to.qos, m.retain);
            let copy = Copy { message, identifier, qos, retain, group: Some(group) };
            self.returned.push((to.session, copy));
        }
    }

    /// Gives a message to a member; false if its session was here and is gone.
    fn offer(&mut self, now: Time, to: &Subscriber, group: GroupId, m: &Incoming<'_>) -> bool {
        if to.session.shard == self.shard {
            return self.deliver(now, to, Some(group), m);
        }
        self.post(*to, Some(group), m.message());
        true
    }

    fn post(&mut self, subscriber: Subscriber, group: Option<GroupId>, message: &Arc<Message>) {
        if let Some(mail) = self.mails.get_mut(usize::from(subscriber.session.shard)) {
            mail.add(message, Target { subscriber, group });
        }
    }

    /// Gives a message to a session of this shard; false if that session is gone.
    #[inline]
    fn deliver(
        &mut self,
        now: Time,
        to: &Subscriber,
        group: Option<GroupId>,
        m: &Incoming<'_>,
    ) -> bool {
        // [MQTT-3.8.3-3]
        if to.no_local && m.publisher == Some(to.session) {
            return true;
        }
        let Some(session) = self.sessions.get(to.session.slot, to.session.generation) else {
            return false;
        };
        // [MQTT-3.8.4-8]: the lower of the two.
        let qos = to.qos.min(m.qos);
        // [MQTT-3.3.1-12], [MQTT-3.3.1-13]; before 5.0 `retain_as_published` is never set [MQTT-3.3.1-9].
        let retain = m.retain && to.retain_as_published;
        let connection = session.connection;
        if qos == QoS::AtMostOnce {
            if !self.forward(connection, to.identifier, retain, m) && connection != NONE {
                let identifier = to.identifier;
                let form = Form { qos, retain, dup: false, packet_id: None, identifier };
                self.write_at_most_once(now, connection, form, m);
            }
            return true;
        }
        let copy = Copy {
            message: Arc::clone(m.message()),
            identifier: to.identifier,
            qos,
            retain,
            group,
        };
        self.accept(now, to.session.slot, copy, Some(m));
        true
    }

    /// The frame as it came is the frame as it goes; false if that is not so for this receiver.
    #[inline]
    fn forward(&mut self, slot: u32, identifier: u32, retain: bool, m: &Incoming<'_>) -> bool {
        let Some((frame, v5)) = m.frame else { return false };
        let Some(connection) = self.connections.at_mut(slot) else { return false };
        let engine = &connection.engine;
        if identifier != 0
            || retain
            || engine.version().is_v5() != v5
            || engine.alias_out.maximum() != 0
            || frame.len() > engine.maximum_packet_size() as usize
            || m.payload.len() >= SHARED_PAYLOAD
            || connection.output.pending() + frame.len() > self.settings.maximum_output
            || !connection.output.has_buffer()
        {
            return false;
        }
        connection.output.buffer().extend_from_slice(frame);
        self.stats.publish_sent += 1;
        self.stats.messages_sent += 1;
        self.stats.publish_bytes_sent += m.payload.len() as u64;
        self.stats.bytes_sent += frame.len() as u64;
        if !connection.output.dirty {
            connection.output.dirty = true;
            self.dirty.push(slot);
        }
        true
    }

    /// QoS 0: now or never.
    fn write_at_most_once(&mut self, now: Time, slot: u32, form: Form, m: &Incoming<'_>) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        let pending = connection.output.pending();
        let limit = self.settings.maximum_output;
        if pending + m.payload.len() > limit && pending > 0 {
            self.stats.dropped_slow_reader += 1;
            self.drop_message(slot, m.topic, Drop::SlowReader { pending, limit });
            return;
        }
        self.write(now, slot, form, m);
    }

    /// Appends a PUBLISH for one receiver alone.
    pub(crate) fn write_one(&mut self, now: Time, slot: u32, form: Form, m: &Incoming<'_>) -> bool {
        self.shapes.clear();
        self.write(now, slot, form, m)
    }

    /// Appends a PUBLISH to the output of a connection, in the form that this receiver gets.
    pub(crate) fn write(&mut self, now: Time, slot: u32, form: Form, m: &Incoming<'_>) -> bool {
        let Some(connection) = self.connections.at_mut(slot) else { return false };
        let v5 = connection.engine.version().is_v5();
        if !connection.output.has_buffer() {
            connection.output.lend(self.spare.pop().unwrap_or_default());
        }
        let limit = connection.engine.maximum_packet_size();
        let before = connection.output.buffer().len();
        let alias = if m.topic.len() + m.payload.len() + ALIAS_MARGIN < limit as usize {
            named(&mut connection.engine.alias_out, m.topic)
        } else {
            // An alias once set has to be sent, and this message may be too large.
            None
        };
        let plain = form.identifier == 0 && alias.is_none();
        let shared = m.payload.len() >= SHARED_PAYLOAD;
        let buffer = connection.output.buffer();
        let size = if plain && m.expires == Time::MAX {
            self.shapes.append(v5, form, m, shared, buffer)
        } else {
            let (head, _) = append_head(v5, form, m, alias, now, buffer);
            if !shared {
                buffer.extend_from_slice(m.payload);
            }
            head + m.payload.len()
        };
        // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
        if size > limit as usize {
            connection.output.buffer().truncate(before);
            self.stats.dropped_too_large += 1;
            self.drop_message(slot, m.topic, Drop::TooLarge { size, limit });
            return false;
        }
        if shared {
            connection.output.share(Arc::clone(m.message()));
        }
        self.stats.publish_sent += 1;
        self.stats.messages_sent += 1;
        self.stats.publish_bytes_sent += m.payload.len() as u64;
        self.stats.bytes_sent += size as u64;
        if !connection.output.dirty {
            connection.output.dirty = true;
            self.dirty.push(slot);
        }
        true
    }

    /// Gives a QoS 1 or 2 message to a session: on its way now if there is room, else to the queue.
    pub(crate) fn accept(&mut self, now: Time, slot: u32, copy: Copy, live: Option<&Incoming<'_>>) {
        let Some(session) = self.sessions.at_mut(slot) else { return };
        let connection = session.connection;
        let outbound = session.outbound.get_or_insert_default();
        if connection != NONE && outbound.queue.is_empty() && session.replays.is_none() {
            let room = self.connections.at(connection).is_some_and(|connection| {
                outbound.window.can_send(connection.window)
                    && connection.output.pending() < self.settings.maximum_output
            });
            if room {
                self.dispatch(now, slot, copy, live);
                return;
            }
        }
        self.queue(now, slot, copy);
    }

    /// Takes a place in the window and sends.
    fn dispatch(&mut self, now: Time, slot: u32, copy: Copy, live: Option<&Incoming<'_>>) {
        let Some(session) = self.sessions.at_mut(slot) else { return };
        let connection = session.connection;
        let Some(outbound) = session.outbound.as_mut() else { return };
        let (qos, retain, identifier) = (copy.qos, copy.retain, copy.identifier);
        let stored = live.is_none().then(|| Arc::clone(&copy.message));
        let packet_id = outbound.window.send(qos, copy);
        self.stats.queued_messages += 1;
        let form = Form { qos, retain, dup: false, packet_id: Some(packet_id), identifier };
        let sent = match (live, stored) {
            (Some(incoming), _) => self.write(now, connection, form, incoming),
            (None, Some(message)) => self.write_one(now, connection, form, &Incoming::of(&message)),
            (None, None) => false,
        };
        if !sent {
            self.give_up(slot, packet_id);
        }
    }

    fn queue(&mut self, now: Time, slot: u32, copy: Copy) {
        let Some(session) = self.sessions.at_mut(slot) else { return };
        let outbound = session.outbound.get_or_insert_default();
        let settings = &self.settings;
        let bytes = copy.message.bytes();
        if let Some(full) = is_full(outbound, bytes, settings) {
            let expired = outbound.drop_expired(now);
            self.stats.dropped_expired += expired as u64;
            self.stats.publish_dropped += expired as u64;
            self.stats.queued_messages -= expired as u64;
            if is_full(outbound, bytes, settings).is_some() {
                self.stats.dropped_queue_full += 1;
                if settings.queue_full == QueueFull::DropNewest {
                    let topic = Arc::clone(&copy.message.topic);
                    self.drop_for_session(slot, &topic, full);
                    return;
                }
                if let Some(oldest) = outbound.pop() {
                    self.stats.queued_messages -= 1;
                    self.stats.queued_bytes -= oldest.message.bytes() as u64;
                    self.drop_for_session(slot, &oldest.message.topic, full);
                }
            }
        }
        let limit = self.settings.maximum_shard_queue_bytes;
        if self.stats.queued_bytes + bytes as u64 > limit as u64 {
            self.stats.dropped_queue_full += 1;
            let topic = Arc::clone(&copy.message.topic);
            let bytes = usize::try_from(self.stats.queued_bytes).unwrap_or(usize::MAX);
            self.drop_for_session(slot, &topic, Drop::QueueBytes { bytes, limit });
            return;
        }
        self.stats.queued_messages += 1;
        self.stats.queued_bytes += bytes as u64;
        if let Some(outbound) =
            self.sessions.at_mut(slot).and_then(|session| session.outbound.as_mut())
        {
            outbound.push(copy);
        }
    }

    /// Sends what waits for a session, as far as window and output have room: first what was in flight
    /// when the previous connection ended [MQTT-4.4.0-1], then the queue, in order [MQTT-4.6.0-6].
    pub(crate) fn pump(&mut self, now: Time, slot: u32) {
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
                self.send_again(now, slot, packet_id, copy);
                continue;
            }
            if outbound.queue.is_empty() || !outbound.window.can_send(connection.window) {
                return;
            }
            let Some(copy) = outbound.pop() else { return };
            self.stats.queued_messages -= 1;
            self.stats.queued_bytes -= copy.message.bytes() as u64;
            if copy.message.expired(now) {
                self.stats.dropped_expired += 1;
                self.stats.publish_dropped += 1;
            } else {
                self.dispatch(now, slot, copy, None);
            }
        }
    }

    /// A PUBLISH with DUP [MQTT-3.3.1-1], or a PUBREL, once more.
    fn send_again(&mut self, now: Time, slot: u32, packet_id: PacketId, copy: Option<Copy>) {
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
        let form = Form {
            qos: copy.qos,
            retain: copy.retain,
            dup: true,
            packet_id: Some(packet_id),
            identifier: copy.identifier,
        };
        if !self.write_one(now, connection, form, &Incoming::of(&copy.message)) {
            self.give_up(slot, packet_id);
        }
    }

    /// A message that can never be sent to this client counts as delivered [MQTT-3.1.2-25].
    fn give_up(&mut self, slot: u32, packet_id: PacketId) {
        if let Some(outbound) =
            self.sessions.at_mut(slot).and_then(|session| session.outbound.as_mut())
            && outbound
                .window
                .acknowledge(packet_id)
                .or_else(|| outbound.window.refused(packet_id))
                .is_some()
        {
            self.stats.queued_messages -= 1;
        }
    }

    /// Takes an empty buffer back and makes the connection ready for the next turn.
    pub(crate) fn reclaim(&mut self, slot: u32) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        connection.output.compact();
        if let Some(buffer) = connection.output.reclaim()
            && self.spare.len() < SPARE_BUFFERS
            && buffer.capacity() <= SPARE_CAPACITY
        {
            self.spare.push(buffer);
        }
    }

    /// The output buffer of a connection, which is marked as having something to write.
    #[inline]
    pub(crate) fn buffer(&mut self, slot: u32) -> Option<&mut Vec<u8>> {
        let connection = self.connections.at_mut(slot)?;
        if !connection.output.dirty {
            connection.output.dirty = true;
            self.dirty.push(slot);
        }
        if !connection.output.has_buffer() {
            connection.output.lend(self.spare.pop().unwrap_or_default());
        }
        Some(connection.output.buffer())
    }

    /// Counts a message that the client of a connection should have had, and says so once.
    fn drop_message(&mut self, connection: u32, topic: &Arc<str>, cause: Drop) {
        let session = self.connections.at(connection).map_or(NONE, |connection| connection.session);
        self.drop_for_session(session, topic, cause);
    }

    fn drop_for_session(&mut self, slot: u32, topic: &Arc<str>, cause: Drop) {
        self.stats.publish_dropped += 1;
        let Some(session) = self.sessions.at_mut(slot) else { return };
        let bit = match cause {
            Drop::SlowReader { .. } => 1,
            Drop::QueueFull { .. } => 2,
            Drop::QueueBytes { .. } => 4,
            Drop::TooLarge { .. } => 8,
        };
        if session.told & bit == 0 {
            session.told |= bit;
            let client = Arc::clone(&session.client_id);
            self.events.push(Event::Dropping { client, topic: Arc::clone(topic), cause });
        }
    }
}

/// A topic alias for a receiver that takes them, and whether it knows it already.
#[inline]
fn named(aliases: &mut AliasOut, topic: &str) -> Option<(u16, bool)> {
    if aliases.maximum() == 0 {
        return None;
    }
    match aliases.lookup(TopicName::new(topic).ok()?) {
        Assigned::New(alias) => Some((alias, false)),
        Assigned::Known(alias) => Some((alias, true)),
        Assigned::None => None,
    }
}

/// Which limit of a queue one more message would break.
fn is_full(outbound: &Outbound, bytes: usize, settings: &Settings) -> Option<Drop> {
    let messages = outbound.queue.len();
    if messages >= settings.maximum_queued_messages {
        return Some(Drop::QueueFull { messages, limit: settings.maximum_queued_messages });
    }
    if outbound.queued_bytes + bytes > settings.maximum_queued_bytes {
        let limit = settings.maximum_queued_bytes;
        return Some(Drop::QueueBytes { bytes: outbound.queued_bytes, limit });
    }
    None
}
