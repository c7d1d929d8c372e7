//! Who is let in: the question to whoever knows, the answer, and what rules say to the will.

use core::mem;
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::packet::Connect;

use crate::auth::ask_with;
use crate::broker::{Broker, Flow};
use crate::commons::View;
use crate::connection::{Admitted, Next, Stage, Verdict};
use crate::guard::{Action, Identity};
use crate::refusal::{Caller, Refusal};

impl Broker {
    /// The client identifier that the answer puts in the place of the one that was sent.
    pub(crate) fn replacement(&self, slot: u32) -> Option<Box<str>> {
        match &self.hub.connections.at(slot)?.stage {
            Stage::Answered(verdict) => match &**verdict {
                Verdict::Allow(admitted) => admitted.client_id.clone(),
                Verdict::Deny(_) | Verdict::Continue(_) => None,
            },
            _ => None,
        }
    }

    /// Asks who it is, where that is wanted; or the answer, if there is one.
    pub(crate) fn ask(
        &mut self,
        now: Time,
        slot: u32,
        (connect, frame): (&Connect<'_>, &[u8]),
        client_id: &str,
    ) -> Result<Admitted, Flow> {
        let (id, settings) = (self.hub.id(slot), Arc::clone(&self.hub.settings));
        let Some(connection) = self.hub.connections.at_mut(slot) else {
            return Err(Flow::Stop(Next::Close));
        };
        let username = connect.username;
        match mem::replace(&mut connection.stage, Stage::Open) {
            Stage::Answered(verdict) => match *verdict {
                Verdict::Allow(admitted) => Ok(admitted),
                Verdict::Deny(refusal) => {
                    self.left.push(client_id.into());
                    self.refuse(now, slot, &Caller::new(connect, connect.client_id), refusal);
                    Err(Flow::Stop(Next::Close))
                }
                Verdict::Continue(_) => {
                    self.left.push(client_id.into());
                    let refusal = Refusal::AuthenticationMethod;
                    self.refuse(now, slot, &Caller::new(connect, connect.client_id), refusal);
                    Err(Flow::Stop(Next::Close))
                }
            },
            _ if !settings.authenticate => {
                Ok(Admitted { username: username.map(Arc::from), ..Admitted::default() })
            }
            _ => {
                connection.stage = Stage::Asked;
                connection.claimed = Some(client_id.into());
                let mut question = connection.question(id);
                ask_with(&mut question, connect);
                self.questions.push(question);
                if let Some(method) = connect.properties.authentication_method() {
                    // Its AUTH comes behind it.
                    return Err(self.begin_exchange(slot, method, frame));
                }
                // The same CONNECT is read again once the answer is there.
                let entry = Arc::clone(&connection.entry);
                let engine = self.engine(now, &entry);
                if let Some(connection) = self.hub.connections.at_mut(slot) {
                    connection.engine = engine;
                }
                Err(Flow::Again(Next::Wait))
            }
        }
    }

    /// Who was let in.
    pub(crate) fn identify(&self, slot: u32, client_id: &str, admitted: Admitted) -> Arc<Identity> {
        let Admitted { username, claims, .. } = admitted;
        let listener = self.hub.connections.at(slot).map_or(0, |held| held.entry.number);
        Arc::new(Identity { client_id: client_id.into(), username, listener, claims })
    }

    /// Whether rules let the will be published, as they are now.
    pub(crate) fn check_will(
        &mut self,
        now: Time,
        slot: u32,
        connect: &Connect<'_>,
        who: &Arc<Identity>,
        view: &View<'_>,
    ) -> Result<(), Refusal> {
        let Some(will) = connect.will.as_ref().filter(|_| view.guard.is_some()) else {
            return Ok(());
        };
        let entry = self.hub.connections.at(slot).map(|connection| Arc::clone(&connection.entry));
        let mount = entry.as_ref().and_then(|entry| entry.mount_point.as_deref());
        let topic = format!("{}{}", mount.unwrap_or_default(), will.topic.as_str());
        let ruling = self.hub.check(now, who, Action::Will, &topic, view);
        if !ruling.allowed && self.hub.settings.refuse_denied_will {
            return Err(Refusal::WillDenied { by: ruling.rule.map(Arc::from) });
        }
        Ok(())
    }
}
