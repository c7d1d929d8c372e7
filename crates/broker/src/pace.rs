//! Clients that publish faster than they may are read more slowly.
//!
//! Nothing is dropped and nothing refused: what was not read waits in the kernel, and then at the client.
//! A connection over its rate takes no packet, acknowledgements included, until it is below again.

use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_proto::Time;

use crate::broker::{Broker, Flow};
use crate::commons::View;
use crate::connection::{ConnId, Next, Progress};
use crate::event::{Cause, Event};
use crate::limits::{Limit, Reached};
use crate::rate::{Meter, Rate};
use crate::settings::Settings;
use crate::slab::NONE;

/// What is counted of one connection, where any of it has a limit.
#[derive(Debug, Default)]
pub(crate) struct Metered {
    messages: Meter,
    bytes: Meter,
    /// It is not read until its time has come.
    held: bool,
    /// The user it is counted for.
    pub(crate) user: Option<Arc<str>>,
}

/// Connections that are not read, by the time when they will be.
#[derive(Debug, Default)]
pub(crate) struct Held(BTreeSet<(Time, u32, u32)>);

impl Held {
    pub(crate) fn next(&self) -> Option<Time> {
        self.0.first().map(|(until, ..)| *until)
    }
}

/// Whether clients have a rate to keep.
pub(crate) const fn is_paced(settings: &Settings) -> bool {
    settings.publish_rate.is_some() || settings.publish_bytes_rate.is_some()
}

impl Broker {
    /// As [`Self::take_packets`], but no more packets than the rate of the connection allows.
    #[cold]
    pub(crate) fn take_paced(
        &mut self,
        now: Time,
        id: ConnId,
        bytes: &[u8],
        view: &View<'_>,
    ) -> Progress {
        let mut consumed = 0;
        loop {
            if self.hold_back(now, id) {
                return Progress { consumed, next: Next::Wait };
            }
            let published = self.hub.stats.publish_received;
            let (used, flow) = self.step(now, id.slot, bytes.get(consumed..).unwrap_or(&[]), view);
            let again = matches!(flow, Flow::Again(_));
            if self.hub.stats.publish_received > published && !again {
                self.charge(now, id.slot, used);
            }
            match flow {
                Flow::Continue => consumed += used,
                Flow::Stop(next) => return Progress { consumed: consumed + used, next },
                Flow::Again(next) => return Progress { consumed, next },
            }
        }
    }

    /// A PUBLISH of so many bytes was taken.
    fn charge(&mut self, now: Time, slot: u32, bytes: usize) {
        let Some(connection) = self.hub.connections.at_mut(slot) else { return };
        let metered = connection.metered.get_or_insert_default();
        if let Some(rate) = self.hub.settings.publish_rate {
            metered.messages.take(now, rate, 1);
        }
        if let Some(rate) = self.hub.settings.publish_bytes_rate {
            metered.bytes.take(now, rate, bytes as u64);
        }
    }

    /// Whether a connection has to wait; if so, it is resumed when its time has come.
    fn hold_back(&mut self, now: Time, id: ConnId) -> bool {
        let Some(connection) = self.hub.connections.at_mut(id.slot) else { return false };
        let session = connection.session;
        let Some(metered) = connection.metered.as_mut().filter(|_| session != NONE) else {
            return false;
        };
        let settings = &self.hub.settings;
        let rates = [
            (Limit::PublishRate, settings.publish_rate, metered.messages),
            (Limit::PublishBytesRate, settings.publish_bytes_rate, metered.bytes),
        ];
        let over = rates.into_iter().filter_map(|(limit, rate, meter)| {
            let rate = rate.filter(|rate| !meter.is_left(now, *rate))?;
            Some((ready(now, rate, meter), limit, rate))
        });
        let Some((until, limit, rate)) = over.max_by_key(|(until, ..)| *until) else {
            return false;
        };
        if !core::mem::replace(&mut metered.held, true) {
            self.held.0.insert((until, id.slot, id.epoch));
        }
        let reached = Reached { limit, value: rate.per_second, allowed: rate.per_second };
        self.hub.tell(now, session, Cause::PublishRate, |client, count| Event::Slowed {
            client,
            reached,
            count,
        });
        true
    }

    /// Reads on those whose time has come.
    pub(crate) fn release_held(&mut self, now: Time) {
        while let Some(&(until, slot, epoch)) = self.held.0.first() {
            if until > now {
                return;
            }
            self.held.0.pop_first();
            let held = self.hub.connections.get_mut(slot, epoch);
            if let Some(metered) = held.and_then(|connection| connection.metered.as_mut()) {
                metered.held = false;
                self.resumed.push(ConnId { slot, epoch });
            }
        }
    }

    /// Says whether the caller reads nobody for now, since it has too much to do as it is: silence is nobody's
    /// fault then, and ends no connection.
    pub const fn set_deaf(&mut self, is_deaf: bool) {
        self.hub.is_deaf = is_deaf;
    }

    /// Whether a connection is silent because it is not read.
    pub(crate) fn is_held(&self, slot: u32) -> bool {
        let connection = self.hub.connections.at(slot);
        self.hub.is_deaf
            || connection.and_then(|held| held.metered.as_ref()).is_some_and(|metered| metered.held)
    }
}

/// When to look again at a connection that is over its rate.
fn ready(now: Time, rate: Rate, meter: Meter) -> Time {
    meter.ready_at(now, rate).saturating_add(rate.pause())
}
