//! Enhanced authentication: CONNECT with an authentication method, AUTH to and fro, and AUTH again while
//! connected (3.15, 4.12).
//!
//! ```text
//!   CONNECT ──▶ Asked ──Continue──▶ AUTH 0x18 ──▶ client's AUTH ──▶ Asked …
//!                 ├──Allow──▶ the CONNECT goes on, with the proof in its CONNACK
//!                 └──Deny───▶ CONNACK that says no
//! ```
//!
//! The CONNECT is kept until the exchange is over. A connected client that authenticates itself again goes
//! on meanwhile as it was.

use core::fmt;
use core::mem;
use std::sync::Arc;

use dunlin_proto::codec;
use dunlin_proto::packet::{Auth, Connect, Packet};
use dunlin_proto::property::{Property, PropertyBuf};
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::server::{self, Received};
use dunlin_proto::version::Version;
use dunlin_proto::{Time, Violation};

use crate::broker::{Broker, Flow};
use crate::commons::View;
use crate::connection::{Admitted, ConnId, Connection, Next, Question, Stage, Verdict};
use crate::event::End;
use crate::guard::Identity;
use crate::hub::Hub;
use crate::refusal::{Caller, Refusal};
use crate::slab::NONE;

/// How a client was let in, where there is more to it than its CONNECT.
#[derive(Clone)]
pub(crate) struct Login {
    /// The authentication method; empty if none was named.
    method: Box<str>,
    /// The CONNECT, while it waits for the end of its exchange.
    connect: Box<[u8]>,
    /// AUTH packets of the client so far.
    step: u32,
    again: Again,
    /// When an exchange that was begun anew has to be over.
    due: Time,
    /// When the connection ends.
    expires: Time,
}

/// How far an exchange is that a connected client has begun.
#[derive(Debug, Clone)]
enum Again {
    /// There is none.
    No,
    /// An answer is awaited.
    Asked,
    /// It is there.
    Answered(Box<Verdict>),
    /// The client is to go on.
    Continued,
}

/// Without what is secret.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Login {
    fn new(method: &str, connect: &[u8]) -> Self {
        let (again, due, expires) = (Again::No, Time::MAX, Time::MAX);
        Self { method: method.into(), connect: connect.into(), step: 0, again, due, expires }
    }

    /// Why the connection ends, if it is time.
    pub(crate) fn timeout(&self, now: Time) -> Option<End> {
        if self.expires <= now {
            return Some(End::TokenExpired);
        }
        (self.due <= now).then_some(End::AuthenticationTimeout)
    }

    /// When [`Self::timeout`] has something to say.
    pub(crate) fn deadline(&self) -> Time {
        self.due.min(self.expires)
    }
}

impl Connection {
    /// When to look whether the connection is to be closed.
    pub(crate) fn deadline(&self) -> Time {
        let login = self.login.as_ref().map_or(Time::MAX, |login| login.deadline());
        self.engine.deadline().min(login)
    }

    /// A question about it, without what the client says.
    pub(crate) fn question(&self, connection: ConnId) -> Question {
        Question {
            connection,
            address: self.address,
            entry: Arc::clone(&self.entry),
            certificate: self.certificate.clone(),
            client_id: Box::default(),
            username: None,
            password: None,
            method: None,
            data: None,
            step: 0,
            again: false,
        }
    }
}

impl Broker {
    /// Keeps a CONNECT that names an authentication method.
    pub(crate) fn begin_exchange(&mut self, slot: u32, method: &str, connect: &[u8]) -> Flow {
        if let Some(connection) = self.hub.connections.at_mut(slot) {
            connection.login = Some(Box::new(Login::new(method, connect)));
        }
        Flow::Stop(Next::Wait)
    }

    /// A CONNECT was accepted: what its CONNACK says of the exchange [MQTT-4.12.0-5], [MQTT-4.12.0-6].
    pub(crate) fn end_exchange(
        &mut self,
        slot: u32,
        proof: Option<&[u8]>,
        properties: &mut PropertyBuf,
    ) {
        let connection = self.hub.connections.at_mut(slot);
        let Some(login) = connection.and_then(|connection| connection.login.as_mut()) else {
            return;
        };
        login.connect = Box::default();
        if !login.method.is_empty() {
            fill(&login.method, proof, properties);
        }
    }

    /// Until when a client was let in.
    pub(crate) fn note_expiry(&mut self, slot: u32, expires: Option<Time>) {
        if let Some(expires) = expires
            && let Some(connection) = self.hub.connections.at_mut(slot)
        {
            let login = connection.login.get_or_insert_with(|| Box::new(Login::new("", &[])));
            login.expires = expires;
        }
    }

    /// What the answer to a question means in an exchange that CONNECT has begun.
    pub(crate) fn proceed(&mut self, now: Time, slot: u32, view: &View<'_>) -> Flow {
        let Some(connection) = self.hub.connections.at_mut(slot) else {
            return Flow::Stop(Next::Close);
        };
        if let Stage::Answered(verdict) = &mut connection.stage
            && let Verdict::Continue(data) = &mut **verdict
        {
            let data = mem::take(data);
            connection.stage = Stage::Open;
            // [MQTT-4.12.0-2]
            self.hub.send_auth(slot, ReasonCode::ContinueAuthentication, Some(&data));
            return Flow::Continue;
        }
        let Some(login) = &connection.login else { return Flow::Stop(Next::Close) };
        let frame = login.connect.clone();
        let packet = if connection.engine.state() == server::State::AwaitConnect {
            // It was moved to another shard, where nothing is known of it.
            match connection.engine.receive(now, &frame) {
                Ok(Received::Packet { packet, .. }) => Some(packet),
                Ok(Received::Incomplete { .. }) | Err(_) => None,
            }
        } else {
            codec::decode(&frame, Version::V5_0).ok()
        };
        let Some(Packet::Connect(connect)) = packet else {
            return Flow::Stop(Next::Close);
        };
        self.connect(now, slot, &connect, &frame, view)
    }

    /// AUTH from the client.
    pub(crate) fn auth(&mut self, now: Time, slot: u32, packet: &Auth<'_>) -> Flow {
        let timeout = self.hub.settings.connect_timeout;
        let id = self.hub.id(slot);
        let Some(connection) = self.hub.connections.at_mut(slot) else {
            return Flow::Stop(Next::Close);
        };
        let mut question = connection.question(id);
        let (session, Some(login)) = (connection.session, connection.login.as_mut()) else {
            self.violated(now, slot, Violation::AuthWithoutMethod, &[]);
            return Flow::Stop(Next::Close);
        };
        // [MQTT-4.12.0-5], [MQTT-4.12.1-1]
        if packet.properties.authentication_method() != Some(&*login.method) {
            return self.refuse_method(now, slot);
        }
        question.data = packet.properties.authentication_data().map(Into::into);
        question.method = Some(login.method.clone());
        if session == NONE {
            login.step += 1;
            question.step = login.step;
            if let Ok(Packet::Connect(connect)) = codec::decode(&login.connect, Version::V5_0) {
                question.client_id = connect.client_id.into();
                question.username = connect.username.map(Into::into);
            }
            connection.stage = Stage::Asked;
            self.questions.push(question);
            return Flow::Stop(Next::Wait);
        }
        match (packet.reason, &login.again) {
            (ReasonCode::ReAuthenticate, Again::No) => {
                login.step = 0;
                login.due = now.saturating_add(timeout);
            }
            (ReasonCode::ContinueAuthentication, Again::Continued) => login.step += 1,
            (reason, _) => {
                self.violated(now, slot, Violation::AuthOutOfTurn { reason }, &[]);
                return Flow::Stop(Next::Close);
            }
        }
        login.again = Again::Asked;
        (question.step, question.again) = (login.step, true);
        let deadline = connection.deadline();
        self.connection_timers.set(slot, deadline);
        if let Some(session) = self.hub.sessions.at(session) {
            question.client_id = (*session.who.client_id).into();
            question.username = session.who.username.as_deref().map(Into::into);
        }
        self.questions.push(question);
        Flow::Continue
    }

    /// AUTH names another method than the CONNECT.
    fn refuse_method(&mut self, now: Time, slot: u32) -> Flow {
        let refusal = Refusal::AuthenticationMethod;
        let Some(connection) = self.hub.connections.at_mut(slot) else {
            return Flow::Stop(Next::Close);
        };
        if connection.session == NONE {
            let claimed = connection.claimed.take().unwrap_or_default();
            self.left.push(Arc::from(&*claimed));
            let frame = connection.login.as_ref().map(|login| login.connect.clone());
            let frame = frame.unwrap_or_default();
            let user = match codec::decode(&frame, Version::V5_0) {
                Ok(Packet::Connect(connect)) => connect.username,
                _ => None,
            };
            let caller = Caller { version: Version::V5_0, client_id: &claimed, user };
            self.refuse(now, slot, &caller, refusal);
        } else {
            self.expel(now, slot, End::Refused(refusal));
        }
        Flow::Stop(Next::Close)
    }

    /// Answers a question of a connected client's own exchange.
    pub(crate) fn answer_again(&mut self, id: ConnId, verdict: Verdict) {
        if let Some(connection) = self.hub.connections.get_mut(id.slot, id.epoch)
            && let Some(login) = &mut connection.login
            && matches!(login.again, Again::Asked)
        {
            login.again = Again::Answered(Box::new(verdict));
            self.resumed.push(id);
        }
    }

    /// Does what an answer to that says, if there is one.
    #[inline]
    pub(crate) fn renew(&mut self, now: Time, slot: u32, view: &View<'_>) {
        if let Some(connection) = self.hub.connections.at_mut(slot)
            && let Some(login) = &mut connection.login
            && let Again::Answered(verdict) = &mut login.again
        {
            let verdict = mem::replace(&mut **verdict, Verdict::Continue(Box::default()));
            self.renewed(now, slot, verdict, view);
        }
    }

    #[cold]
    fn renewed(&mut self, now: Time, slot: u32, verdict: Verdict, view: &View<'_>) {
        let verdict = match verdict {
            Verdict::Allow(admitted) => self.readmit(slot, admitted, view),
            other => other,
        };
        let Some(connection) = self.hub.connections.at_mut(slot) else { return };
        let Some(login) = connection.login.as_mut() else { return };
        match verdict {
            Verdict::Continue(data) => {
                login.again = Again::Continued;
                self.hub.send_auth(slot, ReasonCode::ContinueAuthentication, Some(&data));
            }
            Verdict::Allow(admitted) => {
                login.again = Again::No;
                login.due = Time::MAX;
                login.expires = admitted.expires.unwrap_or(Time::MAX);
                match connection.deadline() {
                    Time::MAX => self.connection_timers.clear(slot),
                    deadline => self.connection_timers.set(slot, deadline),
                }
                self.hub.send_auth(slot, ReasonCode::Success, admitted.auth_data.as_deref());
            }
            // [MQTT-4.12.1-2]
            Verdict::Deny(refusal) => self.expel(now, slot, End::Refused(refusal)),
        }
    }

    /// A client has shown anew who it is: the same as before, with other rights perhaps.
    fn readmit(&mut self, slot: u32, mut admitted: Admitted, view: &View<'_>) -> Verdict {
        let refused = Verdict::Deny(Refusal::NotAuthorized { by: None });
        let Some(connection) = self.hub.connections.at_mut(slot) else { return refused };
        let key = connection.session;
        let Some(session) = self.hub.sessions.at_mut(key) else { return refused };
        let before = &session.who;
        if admitted.username.is_some() && admitted.username != before.username {
            return refused;
        }
        let who = Arc::new(Identity {
            client_id: Arc::clone(&before.client_id),
            username: before.username.clone(),
            listener: before.listener,
            claims: admitted.claims.take(),
        });
        connection.permits = None;
        if let Some(outbound) = &mut session.outbound {
            outbound.judged = 0;
        }
        session.who = Arc::clone(&who);
        view.commons.numbers().identities.note(self.hub.key(key), &who);
        Verdict::Allow(admitted)
    }
}

impl Hub {
    fn send_auth(&mut self, slot: u32, reason: ReasonCode, data: Option<&[u8]>) {
        let mut properties = PropertyBuf::new();
        let connection = self.connections.at(slot);
        if let Some(login) = connection.and_then(|connection| connection.login.as_ref()) {
            fill(&login.method, data, &mut properties);
        }
        let packet = Packet::Auth(Auth { reason, properties: properties.as_properties() });
        self.reply(slot, Version::V5_0, &packet);
    }
}

/// [MQTT-4.12.0-5]: every packet of an exchange names its method.
fn fill(method: &str, data: Option<&[u8]>, properties: &mut PropertyBuf) {
    properties.push(Property::AuthenticationMethod(method));
    if let Some(data) = data {
        properties.push(Property::AuthenticationData(data));
    }
}

/// What a CONNECT says of its authentication.
pub(crate) fn ask_with(question: &mut Question, connect: &Connect<'_>) {
    question.client_id = connect.client_id.into();
    question.username = connect.username.map(Into::into);
    question.password = connect.password.map(Into::into);
    question.method = connect.properties.authentication_method().map(Into::into);
    question.data = connect.properties.authentication_data().map(Into::into);
}
