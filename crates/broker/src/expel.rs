//! Connections that are ended from our side: by an operator, by a change of the rules, by the clock.

use std::net::SocketAddr;

use dunlin_proto::Time;

use crate::broker::Broker;
use crate::commons::View;
use crate::connection::ConnId;
use crate::entry::Certified;
use crate::event::End;
use crate::guard::Identity;
use crate::slab::NONE;

/// A client that is connected, as whoever may end that sees it.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// Who it is.
    pub who: &'a Identity,
    /// From where it comes.
    pub address: SocketAddr,
    /// What its certificate says.
    pub certificate: Option<&'a Certified>,
}

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
        cause: &dyn Fn(&Present<'_>) -> Option<End>,
        view: &View<'_>,
    ) {
        let connections: Vec<u32> = self.hub.connections.slots().map(|(slot, _)| slot).collect();
        for slot in connections {
            let present = self.present(slot);
            if let Some(cause) = present.as_ref().and_then(cause) {
                self.expel(now, slot, cause);
            }
        }
        self.settle(now, view);
    }

    /// From where a connection comes, as far as that is known by now.
    #[must_use]
    pub fn address_of(&self, id: ConnId) -> Option<SocketAddr> {
        Some(self.hub.connections.get(id.slot, id.epoch)?.address)
    }

    fn present(&self, slot: u32) -> Option<Present<'_>> {
        let connection = self.hub.connections.at(slot)?;
        let session = self.hub.sessions.at(connection.session)?;
        let certificate = connection.certificate.as_deref();
        Some(Present { who: &session.who, address: connection.address, certificate })
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
