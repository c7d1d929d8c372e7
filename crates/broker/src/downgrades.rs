//! What clients get less of than they asked for, told once for each of them.

use std::sync::Arc;

use dunlin_proto::packet::Connect;
use dunlin_proto::{QoS, Time};

use crate::broker::Broker;
use crate::event::{Cause, Downgrade, Event};
use crate::limits::Reached;

impl Broker {
    /// A subscription is granted a lower `QoS` than was asked for: `qos` has both.
    #[cold]
    pub(crate) fn note_lower_qos(
        &mut self,
        now: Time,
        session: u32,
        filter: &str,
        (asked, granted): (QoS, QoS),
    ) {
        self.hub.tell(now, session, Cause::QosLowered, |client, _| {
            let what = Downgrade::Qos { filter: filter.into(), asked, granted };
            Event::Downgraded { client, what }
        });
    }

    /// What CONNACK said differs from what was asked for.
    pub(crate) fn note_downgrades(&mut self, now: Time, slot: u32, connect: &Connect<'_>) {
        let Some(session) = self.hub.connections.at(slot).map(|held| held.session) else { return };
        let (asked, granted) = (connect.keep_alive, self.agreed_keep_alive(connect));
        if asked != granted {
            let what = Downgrade::KeepAlive { asked, granted };
            self.downgraded(now, session, what);
        }
        // Earlier versions have no interval to ask for.
        if let Some(asked) = connect.properties.session_expiry_interval()
            && asked > self.hub.settings.maximum_session_expiry
        {
            let granted = self.hub.settings.maximum_session_expiry;
            self.downgraded(now, session, Downgrade::SessionExpiry { asked, granted });
        }
    }

    /// A subscription is refused because of a limit.
    #[cold]
    pub(crate) fn note_refused(&mut self, now: Time, session: u32, filter: &str, reached: Reached) {
        self.hub.tell(now, session, reached.limit.cause(), |client, count| {
            Event::SubscriptionRefused { client, filter: filter.into(), reached, count }
        });
    }

    #[cold]
    fn downgraded(&mut self, now: Time, session: u32, what: Downgrade) {
        let cause = what.cause();
        self.hub
            .tell(now, session, cause, |client: Arc<str>, _| Event::Downgraded { client, what });
    }
}
