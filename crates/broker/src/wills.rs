//! Wills whose delay outlasts their session ([`WillDelay::Mosquitto`]).

use core::time::Duration;
use std::sync::Arc;

use dunlin_proto::Time;

use crate::broker::Broker;
use crate::commons::View;
use crate::guard::Identity;
use crate::journal::{self, Record};
use crate::session::Will;
use crate::settings::WillDelay;

/// A will that goes on without its session.
pub(crate) struct Lingering {
    who: Arc<Identity>,
    will: Box<Will>,
}

impl Broker {
    /// Takes the will of a session that is about to end with its connection, if it is to wait longer.
    pub(crate) fn linger(&mut self, now: Time, slot: u32) {
        if self.hub.settings.will_delay == WillDelay::Standard || self.stopping {
            return;
        }
        let Some(session) = self.hub.sessions.at_mut(slot) else { return };
        if let Some(mut will) = session.will.take_if(|will| will.delay > 0) {
            will.due = now.saturating_add(Duration::from_secs(will.delay.into()));
            self.lingering.push(Lingering { who: Arc::clone(&session.who), will });
        }
    }

    /// Makes a session that is only this will: without expiry, it is over when the will is published.
    pub(crate) fn keep_will(&mut self, lingering: Lingering, view: &View<'_>) {
        let Lingering { who, will } = lingering;
        let numbers = view.commons.numbers();
        let slot = self.new_session(&who);
        numbers.identities.note(self.hub.key(slot), &who);
        let Some(session) = self.hub.sessions.at_mut(slot) else { return };
        let due = will.due;
        session.ends_at = due;
        if self.hub.journal.on {
            session.number = numbers.session();
            let number = session.number;
            let (message, expiry, delay) = (will.message.stored(), will.expiry, will.delay);
            self.hub.journal.write(&Record::Session {
                number,
                client_id: &who.client_id,
                username: who.username.as_deref(),
                listener: who.listener,
                expiry: 0,
                will: Some(journal::Will { message, expiry, delay }),
            });
            let will_due = Some(due);
            self.hub.journal.write(&Record::Parted { number, ends_at: due, will_due });
        }
        session.will = Some(will);
        self.session_timers.set(slot, due);
    }

    /// A client is back before the delay of its will was over, with whichever session.
    pub(crate) fn take_back_will(&mut self, now: Time, slot: u32) {
        if self.hub.settings.will_delay == WillDelay::Mosquitto
            && let Some(session) = self.hub.sessions.at_mut(slot)
        {
            session.will.take_if(|will| will.delay > 0 && will.due > now);
        }
    }

    /// Whether a session is only there for its will: nobody goes on with it.
    pub(crate) fn is_only_will(&self, slot: u32) -> bool {
        let session = self.hub.sessions.at(slot);
        session.is_some_and(|session| session.expiry == 0 && !session.connected())
    }
}
