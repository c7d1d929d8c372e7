//! How connections and sessions end: DISCONNECT, violations, takeover, time, shutdown.

use core::hash::BuildHasher;
use core::mem;
use core::time::Duration;
use std::sync::Arc;

use dunlin_proto::packet::{ConnAck, Disconnect, Packet};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;
use dunlin_proto::window::Resend;
use dunlin_proto::{PacketType, Time, Violation};

use crate::broker::{Broker, Flow};
use crate::commons::{Commons, View};
use crate::connection::{Next, Stage};
use crate::event::{End, Event};
use crate::guard::{Action, Identity};
use crate::hub::{Hub, Returned};
use crate::journal::{Origin, Record};
use crate::message::{Message, Stored};
use crate::pending::Pending;
use crate::publish::Source;
use crate::router::SessionKey;
use crate::session::{Copy, Outbound, Will};
use crate::slab::NONE;

/// A will whose time has come.
pub(crate) struct ReadyWill {
    who: Arc<Identity>,
    session: SessionKey,
    /// Of its session in records; 0 if it is in none.
    number: u64,
    will: Box<Will>,
}

impl Broker {
    /// DISCONNECT from the client (3.14).
    pub(crate) fn leave(&mut self, now: Time, slot: u32, packet: &Disconnect<'_>) -> Flow {
        let session = self.hub.connections.at(slot).map_or(NONE, |connection| connection.session);
        if let Some(session) = self.hub.sessions.at_mut(session) {
            if let Some(expiry) = packet.properties.session_expiry_interval() {
                session.expiry = expiry.min(self.hub.settings.maximum_session_expiry);
            }
            // [MQTT-3.14.4-3], [MQTT-3.1.2-10]; any other reason leaves the will armed.
            if packet.reason == ReasonCode::NORMAL_DISCONNECTION {
                session.will = None;
            }
        }
        self.finish(now, slot, End::Client(packet.reason));
        Flow::Stop(Next::Close)
    }

    /// A rule was broken: says so, where the version has words for it, and ends the connection
    /// [MQTT-4.13.1-1].
    pub(crate) fn violated(&mut self, now: Time, slot: u32, violation: Violation, bytes: &[u8]) {
        self.hub.stats.refused += 1;
        let Some(connection) = self.hub.connections.at(slot) else { return };
        let reason = violation.reason_code();
        if connection.session != NONE {
            // A second CONNECT may break rules that DISCONNECT has no code for.
            let told = reason.allowed_in(PacketType::Disconnect);
            let reason = if told { reason } else { ReasonCode::ProtocolError };
            self.say_goodbye(slot, reason, &violation);
        } else if let Some(version) = answerable_connect(bytes, violation)
            && self.hub.settings.refusal_codes.answers(violation)
        {
            let connack = ConnAck { session_present: false, reason, properties: Properties::EMPTY };
            self.hub.reply(slot, version, &Packet::ConnAck(connack));
        }
        self.finish(now, slot, End::Violation(violation));
    }

    /// DISCONNECT with a reason, for versions that have it.
    pub(crate) fn say_goodbye(
        &mut self,
        slot: u32,
        reason: ReasonCode,
        text: &dyn core::fmt::Display,
    ) {
        let Some(connection) = self.hub.connections.at(slot) else { return };
        let version = connection.engine.version();
        if !version.is_v5() {
            return;
        }
        let mut properties = PropertyBuf::new();
        if connection.explain {
            properties.push(Property::ReasonString(&text.to_string()));
        }
        let packet = Disconnect { reason, properties: properties.as_properties() };
        self.hub.reply(slot, version, &Packet::Disconnect(packet));
    }

    /// Ends a connection from our side: nothing more is read, what is pending is still written.
    pub(crate) fn finish(&mut self, now: Time, slot: u32, end: End) {
        self.end(now, slot, end);
        self.connection_timers.clear(slot);
        // Marks it dirty, so that it is flushed and closed.
        let _ = self.hub.buffer(slot);
        if let Some(connection) = self.hub.connections.at_mut(slot) {
            connection.output.close();
        }
    }

    /// Parts a connection from its session and tells why it ended.
    pub(crate) fn end(&mut self, now: Time, slot: u32, end: End) {
        let Some(connection) = self.hub.connections.at_mut(slot) else { return };
        if matches!(mem::replace(&mut connection.stage, Stage::Ended), Stage::Ended) {
            return;
        }
        let address = connection.address;
        let session = mem::replace(&mut connection.session, NONE);
        if session == NONE {
            self.left.extend(connection.claimed.take().map(Arc::from));
            self.hub.events.push(Event::Refused { client: None, user: None, address, end });
            return;
        }
        self.hub.stats.clients_connected -= 1;
        if let Some(session) = self.hub.sessions.at(session) {
            let client = Arc::clone(&session.who.client_id);
            self.hub.events.push(Event::Disconnected { client, address, end });
        }
        self.detach(now, session);
    }

    /// The session goes on without its connection, or ends with it.
    fn detach(&mut self, now: Time, slot: u32) {
        let Some(session) = self.hub.sessions.at_mut(slot) else { return };
        session.connection = NONE;
        if session.expiry == 0 {
            self.linger(now, slot);
            self.end_session(slot);
            return;
        }
        session.ends_at = session.outlives(now);
        // [MQTT-3.1.2-8]: when the delay has passed or the session ends, whichever is first.
        if let Some(will) = &mut session.will {
            let delayed = now.saturating_add(Duration::from_secs(u64::from(will.delay)));
            will.due = delayed.min(session.ends_at);
        }
        if session.number != 0 {
            let (number, ends_at) = (session.number, session.ends_at);
            let will_due = session.will.as_ref().map(|will| will.due);
            self.hub.journal.write(&Record::Parted { number, ends_at, will_due });
        }
        self.take_due_will(now, slot);
        if let Some(session) = self.hub.sessions.at(slot)
            && session.deadline() != Time::MAX
        {
            self.session_timers.set(slot, session.deadline());
        }
        self.announce(slot, false);
    }

    /// A newer connection uses the same client identifier [MQTT-3.1.4-3].
    pub(crate) fn take_over(&mut self, now: Time, session: u32, by: u32) {
        self.take_back_will(now, session);
        let Some(connection) = self.hub.sessions.at(session).map(|session| session.connection)
        else {
            return;
        };
        if connection != NONE {
            self.hub.stats.takeovers += 1;
            self.note_fight(now, session, [connection, by]);
            self.say_goodbye(connection, ReasonCode::SessionTakenOver, &End::TakenOver);
            self.finish(now, connection, End::TakenOver);
        }
    }

    /// Forgets a session and all that belongs to it.
    pub(crate) fn end_session(&mut self, slot: u32) {
        let key = self.hub.key(slot);
        let Some(mut session) = self.hub.sessions.remove(slot) else { return };
        self.session_timers.clear(slot);
        let hash = self.hasher.hash_one(&*session.who.client_id);
        if let Ok(entry) = self.clients.find_entry(hash, |known| *known == slot) {
            entry.remove();
        }
        self.hub.stats.sessions -= 1;
        let number = session.number;
        self.ended.push((key, number, hash));
        if let Some(will) = session.will.take() {
            let who = Arc::clone(&session.who);
            self.wills.push(ReadyWill { who, session: key, number, will });
        }
        let mut returned = Vec::new();
        if let Some(outbound) = session.outbound.take() {
            self.hub.stats.queued_messages -= outbound.held() as u64;
            self.hub.stats.queued_bytes -= outbound.queued_bytes as u64;
            // QoS 1 may go to another member of the group; QoS 2 must not [MQTT-4.8.2-5].
            returned.extend(unacknowledged(&outbound));
            returned.extend(outbound.queue);
        }
        let returned = returned.into_iter().filter(|copy| copy.group.is_some());
        let kept = session.keeps && number != 0;
        let returned = returned.map(|copy| Returned { from: key, copy, kept });
        self.hub.returned.extend(returned);
        self.left.push(Arc::clone(&session.who.client_id));
        if !session.subscriptions.is_empty() {
            let filters = session.subscriptions.into_iter().map(|held| held.filter).collect();
            self.pending.push(Pending::Ended { session: key, filters });
        }
    }

    /// Messages of shared subscriptions go to members who are there, when those that had them left.
    /// Called when the index knows who that is.
    pub(crate) fn redistribute(&mut self, now: Time, view: &View<'_>) {
        for key in mem::take(&mut self.leaving) {
            self.give_back_queued(key, view);
        }
        for returned in mem::take(&mut self.hub.returned) {
            self.hub.hand_on(now, returned, view);
        }
    }

    /// Takes out of the queue of a session without connection what another member can have at once.
    fn give_back_queued(&mut self, key: SessionKey, view: &View<'_>) {
        let Hub { sessions, stats, returned, journal, .. } = &mut self.hub;
        let Some(session) = sessions.get_mut(key.slot, key.generation) else { return };
        let connected = session.connected();
        let number = if session.keeps { session.number } else { 0 };
        let Some(outbound) = session.outbound.as_mut().filter(|_| !connected) else { return };
        for copy in mem::take(&mut outbound.queue) {
            if copy.group.is_some_and(|group| view.index.has_online(group)) {
                let bytes = copy.message.bytes();
                outbound.queued_bytes -= bytes;
                stats.queued_bytes -= bytes as u64;
                stats.queued_messages -= 1;
                journal.done(copy.message.id(), copy.target(number, None));
                returned.push(Returned { from: key, copy, kept: number != 0 });
            } else {
                outbound.queue.push_back(copy);
            }
        }
    }

    fn take_due_will(&mut self, now: Time, slot: u32) {
        let key = self.hub.key(slot);
        let Some(session) = self.hub.sessions.at_mut(slot) else { return };
        if session.will.as_ref().is_some_and(|will| will.due <= now)
            && let Some(will) = session.will.take()
        {
            let who = Arc::clone(&session.who);
            let number = session.number;
            self.wills.push(ReadyWill { who, session: key, number, will });
        }
    }

    /// Does what the end of connections and sessions left to do: wills to publish, client identifiers
    /// to give up.
    #[inline]
    pub(crate) fn settle(&mut self, now: Time, view: &View<'_>) {
        if !self.wills.is_empty() || !self.left.is_empty() || !self.ended.is_empty() {
            self.settle_all(now, view);
        }
        if !self.routes.refused.is_empty() {
            self.hub.left_out(now, mem::take(&mut self.routes.refused));
        }
    }

    fn settle_all(&mut self, now: Time, view: &View<'_>) {
        for will in mem::take(&mut self.wills) {
            self.publish_will(now, &will, view);
        }
        for (session, number, client) in mem::take(&mut self.ended) {
            let numbers = view.commons.numbers();
            numbers.identities.forget(session);
            if number != 0 {
                numbers.note(session, 0);
                self.hub.journal.ended(number, client);
            }
        }
        for lingering in mem::take(&mut self.lingering) {
            self.keep_will(lingering, view);
        }
        for client_id in mem::take(&mut self.left) {
            match self.hub.journal.ending(self.hasher.hash_one(&*client_id)) {
                // It stays at home here until nothing can bring its session back, so that its next
                // CONNECT waits for that.
                Some(token) => self.leaving_home.push_back((token, client_id)),
                None => self.give_up(&client_id, view.commons),
            }
        }
    }

    /// Client identifiers whose end is durable by now are given up.
    pub(crate) fn give_up_ended(&mut self, commons: &dyn Commons) {
        while let Some((token, client_id)) = self.leaving_home.pop_front() {
            if !self.hub.journal.is_durable(token) {
                self.leaving_home.push_front((token, client_id));
                return;
            }
            self.give_up(&client_id, commons);
        }
    }

    fn give_up(&self, client_id: &str, commons: &dyn Commons) {
        let here = self.hub.shard;
        // A CONNECT that was never answered may have left the claim to another shard meanwhile.
        if self.session_of(client_id).is_none() && commons.home(client_id, here) == here {
            commons.release(client_id);
        }
    }

    /// [MQTT-3.1.2-8], [MQTT-3.1.2-14], [MQTT-3.1.2-15]
    fn publish_will(&mut self, now: Time, ready: &ReadyWill, view: &View<'_>) {
        let ReadyWill { who, session, number, will } = ready;
        let armed = &will.message;
        if !self.hub.check(now, who, Action::Will, &armed.topic, view).allowed {
            self.forget_will(now, *session);
            return;
        }
        let expires = will.expiry.map_or(Time::MAX, |seconds| {
            now.saturating_add(Duration::from_secs(u64::from(seconds)))
        });
        let message = Arc::new(Message {
            topic: Arc::clone(&armed.topic),
            payload: armed.payload.clone(),
            properties: armed.properties.clone(),
            expires,
            qos: if self.hub.settings.upgrade_qos { QoS::ExactlyOnce } else { armed.qos },
            retain: armed.retain,
            id: Stored::default(),
        });
        let origin = match *number {
            0 => Origin::Client,
            number => Origin::Will(number),
        };
        let source = Source { publisher: Some(*session), origin, released: None };
        let stored = self.distribute(now, source, &message, NONE, view);
        if !stored {
            self.forget_will(now, *session);
        }
        let topic = Arc::clone(&message.topic);
        self.hub.events.push(Event::WillPublished { client: Arc::clone(&who.client_id), topic });
    }

    /// Writes down that a will was published that nobody keeps.
    fn forget_will(&mut self, now: Time, key: SessionKey) {
        let Some(session) = self.hub.sessions.get(key.slot, key.generation) else { return };
        if session.number != 0 {
            let number = session.number;
            // Its connection may be about to end, and had ended if this is all that is read some day.
            let ends_at = if session.connected() { session.outlives(now) } else { session.ends_at };
            self.hub.journal.write(&Record::Parted { number, ends_at, will_due: None });
        }
    }

    /// Deals with every deadline that has come.
    pub fn tick(&mut self, now: Time, view: &View<'_>) {
        self.release_held(now);
        let mut due = mem::take(&mut self.due);
        self.connection_timers.expire(now, &mut due);
        for slot in due.drain(..) {
            self.connection_due(now, slot);
        }
        self.session_timers.expire(now, &mut due);
        for slot in due.drain(..) {
            self.session_due(now, slot);
        }
        self.due = due;
        self.finish_replays(now, view);
        self.settle(now, view);
    }

    fn connection_due(&mut self, now: Time, slot: u32) {
        let Some(connection) = self.hub.connections.at(slot) else { return };
        if connection.session == NONE {
            match self.hub.is_deaf {
                true => {
                    let again = now.saturating_add(self.hub.settings.connect_timeout);
                    self.connection_timers.set(slot, again);
                }
                false => self.finish(now, slot, End::ConnectTimeout),
            }
            return;
        }
        if let Some(end) = connection.login.as_ref().and_then(|login| login.timeout(now)) {
            self.expel(now, slot, end);
            return;
        }
        match connection.deadline() {
            Time::MAX => {}
            // It is silent because it is not read.
            _ if matches!(connection.stage, Stage::Parked) || self.is_held(slot) => {
                let again = now
                    .saturating_add(Duration::from_secs(u64::from(connection.engine.keep_alive())));
                let login = connection.login.as_ref().map_or(Time::MAX, |login| login.deadline());
                self.connection_timers.set(slot, again.min(login));
            }
            // The deadline moves with every packet; the timer follows when it is looked at.
            deadline if deadline > now => self.connection_timers.set(slot, deadline),
            _ => {
                let keep_alive = connection.engine.keep_alive();
                let end = End::KeepAlive { keep_alive };
                self.say_goodbye(slot, ReasonCode::KeepAliveTimeout, &end);
                self.finish(now, slot, end);
            }
        }
    }

    pub(crate) fn session_due(&mut self, now: Time, slot: u32) {
        self.take_due_will(now, slot);
        let Some(session) = self.hub.sessions.at(slot) else { return };
        if session.connected() {
            return;
        }
        if session.ends_at <= now {
            if session.expiry > 0 {
                self.hub.stats.sessions_expired += 1;
                let client = Arc::clone(&session.who.client_id);
                self.hub.events.push(Event::SessionExpired { client });
            }
            self.end_session(slot);
        } else if session.deadline() != Time::MAX {
            self.session_timers.set(slot, session.deadline());
        }
    }

    /// The broker stops: wills are published while their receivers are still there, then everybody is
    /// told and let go.
    ///
    /// Where there are several shards, each calls [`Self::publish_wills`] first, and this when all have and
    /// their mail has arrived.
    pub fn shutdown(&mut self, now: Time, view: &View<'_>) {
        self.publish_wills(now, view);
        let connections: Vec<u32> = self.hub.connections.slots().map(|(slot, _)| slot).collect();
        for slot in connections {
            if self.hub.connections.at(slot).is_some_and(|connection| connection.session != NONE) {
                self.say_goodbye(slot, ReasonCode::ServerShuttingDown, &End::ShuttingDown);
            }
            self.finish(now, slot, End::ShuttingDown);
        }
        self.settle(now, view);
    }

    /// The broker is about to stop: every will is published, and no CONNECT is accepted any more.
    pub fn publish_wills(&mut self, now: Time, view: &View<'_>) {
        self.stopping = true;
        let sessions: Vec<u32> = self.hub.sessions.slots().map(|(slot, _)| slot).collect();
        for slot in sessions {
            let key = self.hub.key(slot);
            let Some(session) = self.hub.sessions.at_mut(slot) else { continue };
            if let Some(will) = session.will.take() {
                let who = Arc::clone(&session.who);
                let number = session.number;
                self.wills.push(ReadyWill { who, session: key, number, will });
            }
        }
        self.settle(now, view);
    }

    /// Publishes what the broker itself has to say, retained.
    pub fn publish_system(&mut self, now: Time, topic: &str, payload: &[u8], view: &View<'_>) {
        let message = Arc::new(Message {
            topic: topic.into(),
            payload: payload.into(),
            properties: PropertyBuf::new(),
            expires: Time::MAX,
            qos: QoS::ExactlyOnce,
            retain: true,
            id: Stored::default(),
        });
        let source = Source { publisher: None, origin: Origin::Client, released: None };
        self.distribute(now, source, &message, NONE, view);
    }
}

/// QoS 1 messages in flight of shared subscriptions.
fn unacknowledged(outbound: &Outbound) -> impl Iterator<Item = Copy> {
    outbound.window.iter_resend().filter_map(|(_, resend)| match resend {
        Resend::Publish { qos: QoS::AtLeastOnce, message } => Some(message.clone()),
        Resend::Publish { .. } | Resend::Release => None,
    })
}

/// The version in which a CONNECT that cannot be accepted is answered; `None` to close without a word.
///
/// A level that is not supported is told so in the form of 3.1.1, or of 5.0 if the level is above it
/// [MQTT-3.1.2-2]. A broken CONNECT is answered only in 5.0, where CONNACK has a code for it.
fn answerable_connect(bytes: &[u8], violation: Violation) -> Option<Version> {
    if bytes.first()? >> 4 != 1 {
        return None;
    }
    let length = bytes.iter().skip(1).take(4).position(|byte| byte & 0x80 == 0)? + 1;
    let body = bytes.get(1 + length..)?;
    let name = usize::from(*body.first()?) << 8 | usize::from(*body.get(1)?);
    let level = *body.get(2 + name)?;
    match violation {
        Violation::ProtocolLevelUnsupported { .. } if level < 5 => Some(Version::V3_1_1),
        Violation::ProtocolLevelUnsupported { .. } => Some(Version::V5_0),
        // [MQTT-3.1.3-8]
        _ if level == 5 && body.get(2..6) == Some(b"MQTT") => Some(Version::V5_0),
        _ => None,
    }
}
