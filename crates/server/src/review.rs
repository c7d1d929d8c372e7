//! Connections that are there when the rules of their listener change: each is looked at once more.
//!
//! That is done a bit in each turn, since a signature takes a tenth of a millisecond to verify and
//! messages of others are not to wait for all of them. Whoever is on the way to another shard meanwhile is
//! looked at there when it arrives, and whoever is in its handshakes when it is through with them.

use std::sync::Arc;

use dunlin_broker::{ConnId, End, Refusal, Time, View};
use rustls::pki_types::CertificateDer;

use crate::connection::Connection;
use crate::entrance::Unwelcome;
use crate::layered::HANDSHAKES;
use crate::listener::HERE;
use crate::shard::Shard;

/// Connections that are looked at in one turn, of which most cost some comparisons.
const LOOKS: u32 = 1_024;

/// How far a review has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Review {
    /// The slot that is next.
    next: u32,
}

impl Shard<'_> {
    /// Rules have changed: from the first connection on, also if a review was under way.
    pub(crate) fn begin_review(&mut self) {
        self.reviewing = Some(Review { next: 0 });
    }

    /// Goes on with a review, if there is one.
    pub(crate) fn review(&mut self, now: Time, view: &View<'_>) {
        let Some(Review { mut next }) = self.reviewing.take() else { return };
        let verified = self.verified;
        for _ in 0..LOOKS {
            let Some(id) = self.connections.from(next) else { return };
            next = id.slot + 1;
            self.still_welcome(now, id, view);
            if self.verified.wrapping_sub(verified) >= HANDSHAKES {
                break;
            }
        }
        self.reviewing = Some(Review { next });
    }

    /// Judges a connection by the rules of the moment, unless it was; true if it may stay.
    pub(crate) fn still_welcome(&mut self, now: Time, id: ConnId, view: &View<'_>) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let rules = connection.pass.entrance.rules();
        let is_opening = connection.transport.as_ref().is_some_and(|layers| !layers.is_open());
        if is_opening || Arc::ptr_eq(&rules, &connection.pass.rules) {
            return true;
        }
        let before = std::mem::replace(&mut connection.pass.rules, Arc::clone(&rules));
        let Some(address) = self.broker.address_of(id) else { return false };
        let believed = before.trust.as_ref();
        let is_same =
            believed.zip(rules.trust.as_ref()).is_some_and(|(one, other)| one.equals(other));
        if !is_same {
            self.verified = self.verified.wrapping_add(1);
        }
        let socket = || connection.stream.peer_addr().unwrap_or(HERE).ip();
        let judged = rules.check_proxy(socket).map_err(Unwelcome::from);
        let judged =
            judged.and_then(|()| rules.check_present(address.ip(), chain(connection), believed));
        let Err(why) = judged else { return true };
        self.broker.disconnect(now, id, end(&why), view);
        false
    }
}

fn chain(connection: &Connection) -> Option<&[CertificateDer<'static>]> {
    match &connection.transport {
        Some(transport) => transport.chain(),
        None => connection.pass.chain.as_deref(),
    }
}

fn end(why: &Unwelcome) -> End {
    End::Refused(Refusal::NoLongerAllowed { by: Some(why.to_string().into()) })
}
