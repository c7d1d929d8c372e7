//! Connections that are ended from our side: by an operator, by a change of the rules, by the clock.

use dunlin_proto::Time;

use crate::broker::Broker;
use crate::commons::View;
use crate::connection::ConnId;
use crate::event::End;
use crate::guard::Identity;
use crate::slab::NONE;

impl Broker {
    /// Ends a connection, with DISCONNECT where the cause has a reason code for it.
    pub fn disconnect(&mut self, now: Time, id: ConnId, cause: End, view: &View<'_>) {
        if self.hub.connections.get(id.slot, id.epoch).is_some() {
            self.expel(now, id.slot, cause);
            self.settle(now, view);
        }
    }

    /// Ends every connection whose client gives a cause for it.
    pub fn disconnect_where(
        &mut self,
        now: Time,
        cause: &dyn Fn(&Identity) -> Option<End>,
        view: &View<'_>,
    ) {
        let connections: Vec<u32> = self.hub.connections.slots().map(|(slot, _)| slot).collect();
        for slot in connections {
            let session = self.hub.connections.at(slot).map_or(NONE, |held| held.session);
            let who = self.hub.sessions.at(session).map(|session| &*session.who);
            if let Some(cause) = who.and_then(cause) {
                self.expel(now, slot, cause);
            }
        }
        self.settle(now, view);
    }

    pub(crate) fn expel(&mut self, now: Time, slot: u32, cause: End) {
        let session = self.hub.connections.at(slot).map_or(NONE, |held| held.session);
        if session != NONE
            && let Some(reason) = cause.farewell()
        {
            match &cause {
                // Without who decided, which is for the log.
                End::Refused(refusal) => self.say_goodbye(slot, reason, refusal),
                other => self.say_goodbye(slot, reason, other),
            }
        }
        self.finish(now, slot, cause);
    }
}
