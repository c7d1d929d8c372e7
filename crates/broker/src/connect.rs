//! CONNECT: who comes in, with which session, and what is told in CONNACK (3.1, 3.2).

use core::hash::BuildHasher;
use core::mem;
use std::sync::Arc;

use dunlin_proto::alias::AliasOut;
use dunlin_proto::packet::{ConnAck, Connect, Packet, Will as ConnectWill};
use dunlin_proto::property::{Property, PropertyBuf, PropertyId};
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;
use dunlin_proto::{QoS, Time, Violation};

use crate::broker::{Broker, Flow};
use crate::commons::View;
use crate::connection::{Next, Stage, Takes};
use crate::declined::too_many_user_properties;
use crate::durable::What;
use crate::event::{End, Event};
use crate::guard::Identity;
use crate::journal::{self, Record};
use crate::message::{Message, Stored};
use crate::numbers::Numbers;
use crate::pending::Pending;
use crate::publish::forwardable;
use crate::refusal::{Caller, Refusal};
use crate::session::{NEVER, Session, Will};
use crate::settings::ReasonStrings;

impl Broker {
    pub(crate) fn connect(
        &mut self,
        now: Time,
        slot: u32,
        connect: &Connect<'_>,
        frame: &[u8],
        view: &View<'_>,
    ) -> Flow {
        self.note_wishes(slot, connect);
        let maximum = self.hub.settings.maximum_topic_levels;
        let levels = connect.will.as_ref().map_or(0, |will| will.topic.level_count());
        if levels > maximum {
            self.violated(now, slot, Violation::TopicTooDeep { levels, maximum }, frame);
            return Flow::Stop(Next::Close);
        }
        let claimed = self.hub.connections.at_mut(slot).and_then(|held| held.claimed.take());
        let assigned = connect
            .client_id
            .is_empty()
            .then(|| claimed.map_or_else(|| self.assign_id(slot), String::from));
        let client_id = assigned.as_deref().unwrap_or(connect.client_id);
        if let Err(refusal) = self.admit(slot, connect, frame) {
            self.refuse(now, slot, &Caller::new(connect, client_id), refusal);
            return Flow::Stop(Next::Close);
        }
        let replaced = self.replacement(slot).filter(|other| **other != *client_id);
        let client_id = match &replaced {
            Some(other) => {
                // The one that was sent, or assigned, is free again.
                self.left.push(client_id.into());
                other
            }
            None => client_id,
        };
        let home = view.commons.home(client_id, self.hub.shard);
        if home != self.hub.shard {
            return Flow::Again(Next::Handover(home));
        }
        let mut admitted = match self.ask(now, slot, (connect, frame), client_id) {
            Ok(admitted) => admitted,
            Err(flow) => return flow,
        };
        let proof = admitted.auth_data.take();
        self.note_expiry(slot, admitted.expires);
        let who = self.identify(slot, client_id, admitted);
        if let Err(refusal) = self.check_will(now, slot, connect, &who, view) {
            self.left.push(client_id.into());
            self.refuse(now, slot, &Caller::new(connect, client_id), refusal);
            return Flow::Stop(Next::Close);
        }
        let assigned = assigned.as_ref().map(|_| client_id);
        let room = self.admit_session(client_id, view.commons);
        if let Err(refusal) = room.and_then(|()| self.count_user(slot, &who, view.commons)) {
            self.left.push(client_id.into());
            self.refuse(now, slot, &Caller::new(connect, client_id), refusal);
            return Flow::Stop(Next::Close);
        }
        let session_present = self.attach(now, slot, connect, &who, view);
        self.accept(slot, connect, (assigned, proof.as_deref()), session_present);
        self.note_downgrades(now, slot, connect);
        self.settle(now, view);
        // Last, since a will that was just published is the one of the session's time before.
        let recorded = self.record_session(slot, view.commons.numbers());
        // A client with nothing to keep can come in though the disk refuses to be written. Nothing precedes
        // CONNACK [MQTT-3.2.0-1], so all else waits with it.
        if (recorded || self.hub.journal.ending(self.hasher.hash_one(client_id)).is_some())
            && self.hub.wait(slot, What::ConnAck).is_none()
            && let Some(connection) = self.hub.connections.at_mut(slot)
        {
            connection.output.cork();
        }
        self.resume(now, slot, view);
        Flow::Continue
    }

    /// What the client wants to be told, which also decides the form of a refusal.
    fn note_wishes(&mut self, slot: u32, connect: &Connect<'_>) {
        let settings = &self.hub.settings;
        let Some(connection) = self.hub.connections.at_mut(slot) else { return };
        let asked = connect.properties.find(PropertyId::RequestProblemInformation);
        connection.explain = connect.version.is_v5()
            && match (settings.reason_strings, asked) {
                // [MQTT-3.1.2-29]
                (ReasonStrings::Never, _)
                | (_, Some(Property::RequestProblemInformation(false)))
                | (ReasonStrings::Asked, None) => false,
                (ReasonStrings::Asked | ReasonStrings::Always, _) => true,
            };
        let client = connect.properties.receive_maximum().unwrap_or(u16::MAX);
        connection.window = settings.maximum_inflight.min(client).max(1);
    }

    /// [MQTT-3.1.3-6], [MQTT-3.1.3-7]: an identifier that nobody else has.
    fn assign_id(&mut self, slot: u32) -> String {
        let (a, b) = (self.random(), self.random());
        let connection = self.hub.connections.at(slot);
        let own = connection.and_then(|held| held.entry.assigned_id_prefix.as_deref());
        format!(
            "{}{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            own.unwrap_or(&self.hub.settings.assigned_id_prefix),
            a >> 32,
            (a >> 16) & 0xFFFF,
            a & 0x0FFF,
            0x8000 | (b >> 48) & 0x3FFF,
            b & 0xFFFF_FFFF_FFFF,
        )
    }

    fn admit(&self, slot: u32, connect: &Connect<'_>, frame: &[u8]) -> Result<(), Refusal> {
        let settings = &self.hub.settings;
        if let Some(connection) = self.hub.connections.at(slot)
            && let Stage::Unwelcome(refusal) = &connection.stage
        {
            return Err(Refusal::clone(refusal));
        }
        if self.stopping {
            return Err(Refusal::ShuttingDown);
        }
        let entry = self.hub.connections.at(slot).map(|connection| &connection.entry);
        if entry.is_some_and(|entry| !entry.versions.has(connect.version)) {
            return Err(Refusal::Version { asked: connect.version });
        }
        // [MQTT-4.12.0-1]; where somebody is asked, that one knows which there are.
        if !settings.authenticate && connect.properties.authentication_method().is_some() {
            return Err(Refusal::AuthenticationMethod);
        }
        // [MQTT-3.1.3-8]; MQTT 3.1 knows no empty identifier.
        let may_be_empty = match connect.version {
            Version::V3_1 => false,
            Version::V3_1_1 => connect.clean_start,
            Version::V5_0 => true,
        };
        if connect.client_id.is_empty() && !may_be_empty {
            return Err(Refusal::ClientIdRequired);
        }
        let limit = settings.maximum_keep_alive;
        let asked = connect.keep_alive;
        if !connect.version.is_v5() && (asked > limit || asked == 0 && limit < u16::MAX) {
            return Err(Refusal::KeepAlive { asked, limit });
        }
        if let Some(reached) = too_many_user_properties(connect.properties, settings) {
            return Err(Refusal::Limit(reached));
        }
        match &connect.will {
            Some(will) => self.admit_will(slot, will, frame.len()),
            None => Ok(()),
        }
    }

    /// Finds or makes the session and ties it to the connection; true if it was there before.
    fn attach(
        &mut self,
        now: Time,
        slot: u32,
        connect: &Connect<'_>,
        who: &Arc<Identity>,
        view: &View<'_>,
    ) -> bool {
        let client_id = &*who.client_id;
        let known = self.session_of(client_id);
        if let Some(session) = known {
            self.take_over(now, session, slot);
            // What was due by now has happened, though its timer was not looked at yet.
            self.session_due(now, session);
        }
        // The old connection's end may have ended its session.
        let known = self.session_of(client_id);
        let (session, present) = match known {
            // [MQTT-3.1.2-5]
            Some(session) if !connect.clean_start && !self.is_only_will(session) => (session, true),
            Some(session) => {
                // [MQTT-3.1.2-4]: the old session goes, and its will with it.
                self.end_session(session);
                (self.new_session(who), false)
            }
            // [MQTT-3.1.2-6]
            None => (self.new_session(who), false),
        };
        let expiry = self.expiry_of(connect);
        let will = connect.will.as_ref().map(|will| Box::new(self.arm(slot, will)));
        if let Some(session) = self.hub.sessions.at_mut(session) {
            if !session.who.is_same(who)
                && let Some(outbound) = &mut session.outbound
            {
                outbound.judged = 0;
            }
            session.who = Arc::clone(who);
            session.connection = slot;
            session.expiry = expiry;
            session.ends_at = Time::MAX;
            // [MQTT-3.1.3-9]: back before the delay was over, so the old will is not sent.
            session.will = will;
            session.told = None;
            // Before anything new comes in, so that it stays behind what is to be sent again.
            if let Some(outbound) = &mut session.outbound {
                outbound.window.restart();
            }
        }
        view.commons.numbers().identities.note(self.hub.key(session), who);
        self.session_timers.clear(session);
        if let Some(connection) = self.hub.connections.at_mut(slot) {
            connection.session = session;
        }
        self.announce(session, true);
        present
    }

    /// Writes down what CONNACK promises: that the session outlives this connection, that its will is
    /// known, that an earlier session is over. Says whether there was anything to write.
    fn record_session(&mut self, slot: u32, numbers: &Numbers) -> bool {
        let hub = &mut self.hub;
        let Some(connection) = hub.connections.at(slot) else { return false };
        let slot = connection.session;
        let key = hub.key(slot);
        let Some(session) = hub.sessions.at_mut(slot).filter(|_| hub.journal.on) else {
            return false;
        };
        let kept = session.keeps;
        session.keeps = session.expiry > 0;
        if kept != session.keeps {
            session.number = if kept { session.number } else { numbers.session() };
            numbers.note(key, if kept { 0 } else { session.number });
        }
        if session.keeps || session.will.is_some() {
            if session.number == 0 {
                session.number = numbers.session();
            }
            let will = session.will.as_ref().map(|will| journal::Will {
                message: will.message.stored(),
                expiry: will.expiry,
                delay: will.delay,
            });
            let (who, number, expiry) = (&session.who, session.number, session.expiry);
            hub.journal.write(&Record::Session {
                number,
                client_id: &who.client_id,
                username: who.username.as_deref(),
                listener: who.listener,
                expiry,
                will,
            });
            return true;
        }
        let number = mem::take(&mut session.number);
        if number != 0 {
            let client = self.hasher.hash_one(&*session.who.client_id);
            hub.journal.ended(number, client);
        }
        number != 0
    }

    pub(crate) fn new_session(&mut self, who: &Arc<Identity>) -> u32 {
        let hash = self.hasher.hash_one(&*who.client_id);
        let (slot, _) = self.hub.sessions.insert(Session::new(Arc::clone(who)));
        let (sessions, hasher) = (&self.hub.sessions, &self.hasher);
        self.clients.insert_unique(hash, slot, |slot| {
            sessions.at(*slot).map_or(0, |session| hasher.hash_one(&*session.who.client_id))
        });
        self.hub.stats.sessions += 1;
        slot
    }

    /// Seconds the session outlives the connection [MQTT-3.1.2-23].
    fn expiry_of(&self, connect: &Connect<'_>) -> u32 {
        let asked = match connect.version {
            Version::V5_0 => connect.properties.session_expiry_interval().unwrap_or(0),
            Version::V3_1 | Version::V3_1_1 if connect.clean_start => 0,
            Version::V3_1 | Version::V3_1_1 => NEVER,
        };
        asked.min(self.hub.settings.maximum_session_expiry)
    }

    /// [MQTT-3.1.2-7]: the will is kept with the session while the connection lives.
    fn arm(&mut self, slot: u32, will: &ConnectWill<'_>) -> Will {
        let expiry = will.properties.message_expiry_interval();
        forwardable(will.properties, &mut self.forwarded);
        let delay = will.properties.will_delay_interval().unwrap_or(0);
        Will {
            message: Arc::new(Message {
                topic: self.whole_topic(slot, will.topic.as_str()).unwrap_or_default().into(),
                payload: will.payload.into(),
                properties: self.forwarded.clone(),
                expires: Time::MAX,
                qos: will.qos,
                retain: will.retain,
                id: Stored::default(),
            }),
            expiry,
            delay: delay.min(self.hub.settings.maximum_will_delay),
            due: Time::MAX,
        }
    }

    /// Sends CONNACK with success and starts the keep alive.
    fn accept(
        &mut self,
        slot: u32,
        connect: &Connect<'_>,
        (assigned, proof): (Option<&str>, Option<&[u8]>),
        session_present: bool,
    ) {
        let keep_alive = self.agreed_keep_alive(connect);
        let mut properties = PropertyBuf::new();
        if connect.version.is_v5() {
            self.fill_connack(slot, connect, assigned, keep_alive, &mut properties);
        }
        self.end_exchange(slot, proof, &mut properties);
        let connack = ConnAck {
            session_present,
            reason: ReasonCode::Success,
            properties: properties.as_properties(),
        };
        self.hub.reply(slot, connect.version, &Packet::ConnAck(connack));
        let Some(connection) = self.hub.connections.at_mut(slot) else { return };
        connection.engine.accept(Some(keep_alive));
        let aliases = connection.engine.alias_out.maximum();
        let ours = connection.entry.topic_alias_maximum_out;
        let ours = ours.unwrap_or(self.hub.settings.topic_alias_maximum_out);
        let aliases = aliases.min(ours);
        connection.engine.alias_out = AliasOut::new(aliases);
        connection.takes = match aliases {
            0 if !connection.mounted => Takes::as_it_came(connect.version.is_v5()),
            _ => Takes::None,
        };
        match connection.deadline() {
            Time::MAX => self.connection_timers.clear(slot),
            deadline => self.connection_timers.set(slot, deadline),
        }
        let (address, session) = (connection.address, connection.session);
        self.hub.stats.clients_connected += 1;
        self.hub.stats.connects_accepted += 1;
        let Some(session) = self.hub.sessions.at(session) else { return };
        self.hub.events.push(Event::Connected {
            client: Arc::clone(&session.who.client_id),
            address,
            version: connect.version,
            keep_alive,
            clean_start: connect.clean_start,
            session_present,
            user: session.who.username.clone(),
        });
    }

    /// [MQTT-3.1.2-21]: the server's keep alive is the one that counts.
    pub(crate) fn agreed_keep_alive(&self, connect: &Connect<'_>) -> u16 {
        let limit = self.hub.settings.maximum_keep_alive;
        if connect.keep_alive == 0 && limit < u16::MAX {
            limit
        } else {
            connect.keep_alive.min(limit)
        }
    }

    /// What differs from the client's wish, and the limits of the broker, in Mosquitto's order, for tools that
    /// compare bytes; what is at its protocol default is left out (3.2.2.3).
    fn fill_connack(
        &self,
        slot: u32,
        connect: &Connect<'_>,
        assigned: Option<&str>,
        keep_alive: u16,
        properties: &mut PropertyBuf,
    ) {
        let settings = &self.hub.settings;
        let expiry = self.expiry_of(connect);
        if expiry != connect.properties.session_expiry_interval().unwrap_or(0) {
            properties.push(Property::SessionExpiryInterval(expiry));
        }
        if keep_alive != connect.keep_alive {
            properties.push(Property::ServerKeepAlive(keep_alive));
        }
        let entry = self.hub.connections.at(slot).map(|connection| &*connection.entry);
        let aliases = entry.and_then(|entry| entry.topic_alias_maximum);
        let aliases = aliases.unwrap_or(settings.topic_alias_maximum);
        if aliases > 0 {
            properties.push(Property::TopicAliasMaximum(aliases));
        }
        // [MQTT-3.2.2-16]
        if let Some(id) = assigned {
            properties.push(Property::AssignedClientIdentifier(id));
        }
        // [MQTT-3.1.2-28]
        let wanted = connect.properties.find(PropertyId::RequestResponseInformation);
        if let Some(prefix) = &settings.response_information
            && wanted == Some(Property::RequestResponseInformation(true))
        {
            let client = self.hub.connections.at(slot).map(|connection| connection.session);
            let client = client.and_then(|session| self.hub.sessions.at(session));
            let id = client.map_or("", |session| &*session.who.client_id);
            properties.push(Property::ResponseInformation(&format!("{prefix}{id}/")));
        }
        // [MQTT-3.2.2-13]
        if !settings.retain_available {
            properties.push(Property::RetainAvailable(false));
        }
        properties.push(Property::MaximumPacketSize(settings.maximum_packet_size));
        if settings.receive_maximum < u16::MAX {
            properties.push(Property::ReceiveMaximum(settings.receive_maximum));
        }
        // [MQTT-3.2.2-9]
        if let Some(maximum) = entry.map(|entry| entry.maximum_qos)
            && maximum != QoS::ExactlyOnce
        {
            properties.push(Property::MaximumQoS(maximum));
        }
    }

    /// CONNACK with a reason, then the end [MQTT-3.2.2-6].
    pub(crate) fn refuse(&mut self, now: Time, slot: u32, caller: &Caller<'_>, refusal: Refusal) {
        let &Caller { version, client_id, user } = caller;
        let mut properties = PropertyBuf::new();
        let text = refusal.to_string();
        if self.hub.connections.at(slot).is_some_and(|connection| connection.explain) {
            properties.push(Property::ReasonString(&text));
        }
        if let Some(reason) = refusal.answer(self.hub.settings.refusal_codes, version) {
            let properties = properties.as_properties();
            let connack = ConnAck { session_present: false, reason, properties };
            self.hub.reply(slot, version, &Packet::ConnAck(connack));
        }
        self.hub.stats.refused += 1;
        if let Some(connection) = self.hub.connections.at_mut(slot) {
            connection.stage = Stage::Ended;
            self.hub.events.push(Event::Refused {
                client: (!client_id.is_empty()).then(|| client_id.into()),
                user: user.map(Into::into),
                address: connection.address,
                end: End::Refused(refusal.clone()),
            });
        }
        self.finish(now, slot, End::Refused(refusal));
    }

    /// What was in flight when the client left is sent again, and then what came in meanwhile.
    fn resume(&mut self, now: Time, slot: u32, view: &View<'_>) {
        let Some(connection) = self.hub.connections.at(slot) else { return };
        self.go_on(now, connection.session, view);
    }

    /// Shared subscriptions choose among members that are connected.
    pub(crate) fn announce(&mut self, session: u32, online: bool) {
        let Some(held) = self.hub.sessions.at(session) else { return };
        let shared: Vec<Box<str>> = held
            .subscriptions
            .iter()
            .filter(|held| held.shared)
            .map(|held| held.filter.clone())
            .collect();
        if !shared.is_empty() {
            let session = self.hub.key(session);
            self.pending.push(Pending::Online { session, filters: shared, online });
        }
    }
}
