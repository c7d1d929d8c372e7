//! The sessions and connections of a shard, and how a message reaches them.

use std::collections::VecDeque;
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::alias::{AliasOut, Assigned};
use dunlin_proto::qos::QoS;
use dunlin_proto::topic::TopicName;

use crate::commons::View;
use crate::connection::{ConnId, Connection, Takes};
use crate::durable::{Load, Retention, Waiting, Writer};
use crate::event::{Cause, Drop, Event};
use crate::frame::{Shapes, append_head};
use crate::incoming::{Form, Incoming};
use crate::journal::{Origin, Target as Kept};
use crate::limits::Reached;
use crate::mail::{Mail, Target};
use crate::message::Message;
use crate::pace::is_paced;
use crate::pool::{Pool, Spare};
use crate::retain::Aged;
use crate::router::{GroupId, SessionKey, Subscriber};
use crate::routes::Route;
use crate::session::{Copy, Session};
use crate::settings::Settings;
use crate::slab::{NONE, Slab};
use crate::stats::Stats;
use crate::verdicts::{Choice, Denials};

/// Room for headers and what properties we add in the guess whether a packet fits into a client's maximum.
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
    pub(crate) returned: Vec<Returned>,
    /// What clients were not allowed, as far as it was told.
    pub(crate) denials: Denials,
    /// Which rules hold; 0 without.
    pub(crate) rules: u64,
    /// That there is no room for more retained messages was said, and is still so.
    pub(crate) told_retained_full: bool,
    /// The retained message of the PUBLISH at hand, if it is recorded by itself.
    pub(crate) aged: Option<Aged>,
    /// Whether clients have a rate to keep.
    pub(crate) paced: bool,
    /// Nobody is read for now.
    pub(crate) is_deaf: bool,
    /// The process has as much memory as it may.
    pub(crate) memory: Option<Reached>,
    pub(crate) pool: Pool,
    pub(crate) journal: Writer,
    /// In the order of their tokens.
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) loads: Vec<Load>,
    shapes: Shapes,
    spare: Spare,
}

/// A message of a shared subscription that a member could not take.
pub(crate) struct Returned {
    /// Which member that was.
    pub(crate) from: SessionKey,
    pub(crate) copy: Copy,
    /// Whether it is stored for that one, until the same journal says that it is not.
    pub(crate) kept: bool,
}

impl Hub {
    pub(crate) fn new(settings: Arc<Settings>, shard: u16, shards: u16) -> Self {
        let (keep, paced) = (settings.keep, is_paced(&settings));
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
            denials: Denials::new(u64::from(shard)),
            rules: 0,
            told_retained_full: false,
            aged: None,
            paced,
            is_deaf: false,
            memory: None,
            pool: Pool::default(),
            journal: Writer::new(keep),
            waiting: VecDeque::new(),
            loads: Vec::new(),
            shapes: Shapes::default(),
            spare: Spare::default(),
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
        if !route.remote.is_empty() {
            self.send_away(route, m);
        }
        for group in &route.groups {
            let choice = Choice { group: *group, not: None, route: Some(route) };
            self.deliver_shared(now, choice, m, view);
        }
    }

    fn send_away(&mut self, route: &Route, m: &Incoming<'_>) {
        for (subscriber, number) in route.remote.iter().zip(&route.numbers) {
            let message = m.message(&mut self.pool);
            self.post(*subscriber, None, message);
            self.note(*number, subscriber, m, false);
        }
    }

    /// Gives a message that a member of a shared subscription could not take to another member.
    pub(crate) fn hand_on(&mut self, now: Time, returned: Returned, view: &View<'_>) {
        let Returned { from, copy, kept } = returned;
        let Some(group) = copy.group else { return };
        // [MQTT-3.3.2-5]
        if copy.message.expired(now) {
            self.stats.dropped_expired += 1;
            self.stats.publish_dropped += 1;
            self.stats.causes.add(Cause::MessageExpired, 1);
            return;
        }
        self.shapes.clear();
        let choice = Choice { group, not: Some(from), route: None };
        let Some(to) = choice.pick(&copy.message.topic, view) else { return };
        // What nobody kept so far may be stored no more.
        let anew = self.journal.on && !kept && copy.message.id() != 0;
        let message =
            if anew { Arc::new(copy.message.unstored()) } else { Arc::clone(&copy.message) };
        let incoming = Incoming::of(&message);
        if self.journal.on {
            self.journal.begin(&incoming, view.commons.numbers());
        }
        if !self.offer(now, &to, group, &incoming, view) {
            // That one's end is not in the index yet: another time.
            self.returned.push(Returned { from: to.session, copy, kept });
        }
        if self.journal.is_noting() {
            self.journal.finish(&incoming, Origin::Client, Retention::None, None);
        }
    }

    /// Sends a message to one receiver that another shard chose.
    pub(crate) fn receive(&mut self, now: Time, m: &Arc<Message>, to: &Target, view: &View<'_>) {
        self.shapes.clear();
        let incoming = Incoming::of(m);
        if !self.deliver(now, &to.subscriber, to.group, &incoming)
            && let Some(group) = to.group
        {
            self.choose_again(now, group, to.subscriber.session, &incoming, view);
        }
    }

    /// Gives a message to another member of a shared subscription than the one another shard chose, whose
    /// session is over. What was stored for that one is over with it, so it is stored again.
    fn choose_again(
        &mut self,
        now: Time,
        group: GroupId,
        gone: SessionKey,
        m: &Incoming<'_>,
        view: &View<'_>,
    ) {
        let choice = Choice { group, not: Some(gone), route: None };
        if !self.journal.on {
            self.deliver_shared(now, choice, m, view);
            return;
        }
        let copy = Arc::new(m.message(&mut self.pool).unstored());
        let again = Incoming::of(&copy);
        self.journal.begin(&again, view.commons.numbers());
        self.deliver_shared(now, choice, &again, view);
        self.journal.finish(&again, Origin::Client, Retention::None, None);
    }

    /// Notes a receiver that keeps its messages.
    #[inline]
    fn note(&mut self, number: u64, to: &Subscriber, m: &Incoming<'_>, shared: bool) {
        let qos = to.qos.min(m.qos);
        if number != 0 && qos > QoS::AtMostOnce {
            let retain = m.retain && to.retain_as_published;
            let identifier = to.identifier;
            self.journal.note(Kept { number, qos, retain, shared, identifier, sent: None });
        }
    }

    /// The number of a session that keeps its messages; 0 if it does not.
    pub(crate) fn number(&self, slot: u32) -> u64 {
        self.sessions.at(slot).map_or(0, |session| if session.keeps { session.number } else { 0 })
    }

    /// Sends a message to one member of a shared subscription (4.8.2). If that member's session has
    /// ended just now, the choice is made anew once the index knows.
    fn deliver_shared(&mut self, now: Time, choice: Choice<'_>, m: &Incoming<'_>, view: &View<'_>) {
        let group = choice.group;
        let Some(to) = choice.pick(m.topic, view) else { return };
        if !self.offer(now, &to, group, m, view) {
            // Whoever gets it at the next commit, the publisher waits for that.
            if self.journal.on {
                self.journal.expect();
            }
            let message = Arc::clone(m.message(&mut self.pool));
            let (identifier, qos, retain) = (to.identifier, to.qos, m.retain);
            let copy = Copy { message, identifier, qos, retain, group: Some(group) };
            self.returned.push(Returned { from: to.session, copy, kept: false });
        }
    }

    /// Gives a message to a member; false if its session was here and is gone.
    fn offer(
        &mut self,
        now: Time,
        to: &Subscriber,
        group: GroupId,
        m: &Incoming<'_>,
        view: &View<'_>,
    ) -> bool {
        if to.session.shard == self.shard {
            return self.deliver(now, to, Some(group), m);
        }
        let message = m.message(&mut self.pool);
        self.post(*to, Some(group), message);
        if self.journal.is_noting() {
            self.note(view.commons.numbers().of(to.session), to, m, true);
        }
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
            let identifier = to.identifier;
            let form = Form { qos, retain, dup: false, packet_id: None, identifier };
            if !self.forward(connection, form, m) {
                if connection != NONE {
                    self.write_at_most_once(now, connection, form, m);
                } else if self.settings.queue_qos0 {
                    self.queue_at_most_once(now, to, group, m);
                }
            }
            return true;
        }
        if session.is_spilling() && group.is_none() && m.id.get() != 0 {
            let (number, identifier) = (session.number, to.identifier);
            let target = Kept { number, qos, retain, shared: false, identifier, sent: None };
            let taken = self.spill(now, to.session.slot, target, m);
            self.taken(m.id.get(), target, taken);
            return true;
        }
        let copy = Copy {
            message: Arc::clone(m.message(&mut self.pool)),
            identifier: to.identifier,
            qos,
            retain,
            group,
        };
        if !session.keeps {
            self.accept(now, to.session.slot, copy, m);
            return true;
        }
        let (id, target) = (copy.message.id(), copy.target(session.number, None));
        let taken = self.accept(now, to.session.slot, copy, m);
        self.taken(id, target, taken);
        true
    }

    /// A session that keeps its messages took one, or has no room for it.
    #[inline]
    fn taken(&mut self, id: u64, target: Kept, taken: bool) {
        if taken {
            self.journal.note(target);
        } else if !self.journal.is_noting() {
            // The shard it came from has stored it for this session.
            self.journal.done(id, target);
        }
    }

    /// Sends the frame as it came, but for the packet identifier; false if this receiver needs another.
    #[inline]
    pub(crate) fn forward(&mut self, slot: u32, form: Form, m: &Incoming<'_>) -> bool {
        let Some(wire) = m.wire else { return false };
        let Some(connection) = self.connections.at_mut(slot) else { return false };
        let engine = &connection.engine;
        let output = &mut connection.output;
        if form.qos != m.qos
            || form.identifier != 0
            || form.retain
            || connection.takes != Takes::as_it_came(wire.v5)
            || wire.frame.len() > engine.maximum_packet_size() as usize
            || m.is_shared()
            || output.pending() + wire.frame.len() > self.settings.maximum_output
        {
            return false;
        }
        if !output.has_buffer() {
            output.lend(self.spare.take());
        }
        let buffer = output.buffer();
        if let Some(packet_id) = form.packet_id
            && let Some((before, rest)) = wire.frame.split_at_checked(wire.packet_id_at)
            && let Some(after) = rest.get(2..)
        {
            buffer.extend_from_slice(before);
            buffer.extend_from_slice(&packet_id.get().to_be_bytes());
            buffer.extend_from_slice(after);
        } else {
            buffer.extend_from_slice(wire.frame);
        }
        self.stats.publish_sent += 1;
        self.stats.messages_sent += 1;
        self.stats.publish_bytes_sent += m.payload.len() as u64;
        self.stats.bytes_sent += wire.frame.len() as u64;
        if !output.dirty {
            output.dirty = true;
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
            self.drop_message(now, slot, m.topic, Drop::SlowReader { pending, limit });
            return;
        }
        self.write(now, slot, form, m);
    }

    /// Appends a PUBLISH for one receiver alone.
    pub(crate) fn write_one(&mut self, now: Time, slot: u32, form: Form, m: &Incoming<'_>) -> bool {
        self.shapes.clear();
        self.write(now, slot, form, m)
    }

    /// Forgets the encodings of the previous message.
    pub(crate) fn clear_shapes(&mut self) {
        self.shapes.clear();
    }

    /// Appends a PUBLISH to the output of a connection, in the form that this receiver gets.
    pub(crate) fn write(&mut self, now: Time, slot: u32, form: Form, m: &Incoming<'_>) -> bool {
        if self.connections.at(slot).is_some_and(|connection| connection.mounted) {
            return self.write_unmounted(now, slot, form, m);
        }
        self.write_as(now, slot, form, m)
    }

    /// The same, with the topic as it is.
    #[inline]
    pub(crate) fn write_as(&mut self, now: Time, slot: u32, form: Form, m: &Incoming<'_>) -> bool {
        let Some(connection) = self.connections.at_mut(slot) else { return false };
        let v5 = connection.engine.version().is_v5();
        if !connection.output.has_buffer() {
            connection.output.lend(self.spare.take());
        }
        let limit = connection.engine.maximum_packet_size();
        let before = connection.output.buffer().len();
        let content = m.topic.len() + m.payload.len() + m.properties.as_bytes().len();
        let alias = if content + ALIAS_MARGIN < limit as usize {
            named(&mut connection.engine.alias_out, m.topic)
        } else {
            // An alias once set has to be sent, and this message may be too large.
            None
        };
        let plain = form.identifier == 0 && alias.is_none();
        let shared = m.is_shared();
        let buffer = connection.output.buffer();
        let size = if plain && m.expires == Time::MAX {
            self.shapes.append(v5, form, m, buffer)
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
            self.drop_message(now, slot, m.topic, Drop::TooLarge { size, limit });
            return false;
        }
        if shared {
            connection.output.share(Arc::clone(m.message(&mut self.pool)));
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

    /// Takes an empty buffer back and makes the connection ready for the next turn.
    pub(crate) fn reclaim(&mut self, slot: u32) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        connection.output.compact();
        if let Some(buffer) = connection.output.reclaim() {
            self.spare.keep(buffer);
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
            connection.output.lend(self.spare.take());
        }
        Some(connection.output.buffer())
    }

    /// Counts a message that the client of a connection should have had.
    fn drop_message(&mut self, now: Time, connection: u32, topic: &Arc<str>, cause: Drop) {
        let session = self.connections.at(connection).map_or(NONE, |connection| connection.session);
        self.drop_for_session(now, session, topic, cause);
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
