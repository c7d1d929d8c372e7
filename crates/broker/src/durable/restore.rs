//! Sessions that come back after a restart.

use core::time::Duration;
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::qos::PacketId;
use dunlin_proto::topic::TopicFilter;
use dunlin_proto::window::Resend;

use super::spill::{Spilled, group_of};
use crate::broker::Broker;
use crate::commons::Commons;
use crate::guard::Identity;
use crate::journal::{QueuedState, Record, SessionState, SubscriptionState, WillState};
use crate::pending::unshare;
use crate::router::{Index, Subscriber};
use crate::session::{Copy, Will};

impl Broker {
    pub(super) fn take_in(
        &mut self,
        now: Time,
        state: SessionState,
        index: &mut Index,
        commons: &dyn Commons,
    ) {
        // What its token granted is not kept: it has to be shown again.
        let who = Identity {
            client_id: state.client_id.as_str().into(),
            username: state.username.as_deref().map(Arc::from),
            listener: state.listener,
            claims: None,
        };
        let slot = self.new_session(&Arc::new(who));
        let key = self.hub.key(slot);
        if let Some(session) = self.hub.sessions.at(slot) {
            commons.numbers().identities.note(key, &session.who);
        }
        let keeps = state.expiry > 0;
        if keeps {
            commons.numbers().note(key, state.number);
        }
        let Some(session) = self.hub.sessions.at_mut(slot) else { return };
        session.number = state.number;
        session.keeps = keeps;
        session.expiry = state.expiry;
        // One that was connected counts from now: nobody knows when its connection ended.
        session.ends_at = state.ends_at.unwrap_or_else(|| session.outlives(now));
        session.will = state.will.map(|will| Box::new(armed(will, now, session.ends_at)));
        if keeps && state.ends_at.is_none() {
            // Should this process die as well, its times do not begin anew.
            let (number, ends_at) = (session.number, session.ends_at);
            let will_due = session.will.as_ref().map(|will| will.due);
            self.hub.journal.write(&Record::Parted { number, ends_at, will_due });
        }
        self.take_subscriptions(slot, state.subscriptions, index);
        for held in state.held {
            if let Some(session) = self.hub.sessions.at_mut(slot) {
                session.inbound_bytes += held.message.bytes();
                session.inbound.get_or_insert_default().accept(held.packet_id, held.message);
            }
        }
        self.take_queue(slot, state.queue, state.releases, index);
        let Some(session) = self.hub.sessions.at(slot) else { return };
        if session.deadline() != Time::MAX {
            self.session_timers.set(slot, session.deadline());
        }
    }

    fn take_subscriptions(
        &mut self,
        slot: u32,
        subscriptions: Vec<SubscriptionState>,
        index: &mut Index,
    ) {
        let key = self.hub.key(slot);
        let Some(session) = self.hub.sessions.at_mut(slot) else { return };
        for held in subscriptions {
            let (group, filter) = unshare(&held.filter);
            let Ok(filter) = TopicFilter::new(filter) else { continue };
            session.hold(&held.filter, group.is_some());
            let subscriber = Subscriber {
                session: key,
                identifier: held.identifier,
                qos: held.qos,
                no_local: held.no_local,
                retain_as_published: held.retain_as_published,
            };
            match group {
                Some(group) => index.subscribe_shared(group, filter, subscriber, false),
                None => index.subscribe(filter, subscriber),
            };
        }
    }

    /// What was on its way keeps its packet identifiers [MQTT-4.4.0-1]; the rest stays on disk until
    /// the client comes for it, but for messages of shared subscriptions, which others may be given.
    fn take_queue(
        &mut self,
        slot: u32,
        queue: Vec<QueuedState>,
        releases: Vec<PacketId>,
        index: &Index,
    ) {
        let Some(session) = self.hub.sessions.at_mut(slot) else { return };
        let mut sent: Vec<(PacketId, Resend<Copy>)> =
            releases.into_iter().map(|packet_id| (packet_id, Resend::Release)).collect();
        let mut waiting = Vec::new();
        for held in queue {
            let (Some(packet_id), Some(message)) = (held.target.sent, &held.message) else {
                waiting.push(held);
                continue;
            };
            let group = if held.target.shared { group_of(session, message, index) } else { None };
            let message = Arc::clone(message);
            let (identifier, retain) = (held.target.identifier, held.target.retain);
            let qos = held.target.qos;
            let copy = Copy { message, identifier, qos, retain, group };
            sent.push((packet_id, Resend::Publish { qos, message: copy }));
        }
        if sent.is_empty() && waiting.is_empty() {
            return;
        }
        in_order(&mut sent);
        let outbound = session.outbound.get_or_insert_default();
        for (packet_id, resend) in sent {
            self.hub.stats.queued_messages += u64::from(outbound.window.restore(packet_id, resend));
        }
        let shared = waiting.iter().any(|held| held.target.shared);
        for held in waiting {
            self.hub.stats.queued_messages += 1;
            outbound.spill.get_or_insert_default().push(spilled(&held));
        }
        if shared {
            self.hub.load(slot);
        }
    }
}

fn spilled(held: &QueuedState) -> Spilled {
    Spilled {
        id: held.id,
        expires: held.expires,
        bytes: held.bytes,
        identifier: held.target.identifier,
        qos: held.target.qos,
        retain: held.target.retain,
        shared: held.target.shared,
    }
}

fn armed(will: WillState, now: Time, ends_at: Time) -> Will {
    let delayed = now.saturating_add(Duration::from_secs(will.delay.into()));
    Will {
        message: Arc::new(will.message),
        expiry: will.expiry,
        delay: will.delay,
        due: will.due.unwrap_or_else(|| delayed.min(ends_at)),
    }
}

/// Sorts by the order in which the packet identifiers were given: they go round, so the first is the one
/// after the widest gap.
fn in_order<T>(sent: &mut [(PacketId, T)]) {
    sent.sort_by_key(|(packet_id, _)| *packet_id);
    let gap = |at: usize| {
        let before = sent[if at == 0 { sent.len() - 1 } else { at - 1 }].0.get();
        let gap = sent[at].0.get().wrapping_sub(before);
        // There is no identifier 0 to count between the last and the first.
        if at == 0 { gap.wrapping_sub(1) } else { gap }
    };
    if let Some(first) = (0..sent.len()).rev().max_by_key(|at| gap(*at)) {
        sent.rotate_left(first);
    }
}

#[cfg(test)]
mod tests {
    use dunlin_proto::qos::PacketId;

    use super::in_order;

    #[test]
    fn identifiers_that_went_round_are_in_the_order_they_were_given() {
        for (given, expected) in [
            (vec![3, 1, 2], vec![1, 2, 3]),
            (vec![1, 2, 65_534, 65_535], vec![65_534, 65_535, 1, 2]),
            (vec![40_000, 1, 39_999], vec![39_999, 40_000, 1]),
            (vec![7], vec![7]),
            (vec![], vec![]),
        ] {
            let mut sent: Vec<_> =
                given.into_iter().map(|id| (PacketId::new(id).unwrap(), ())).collect();
            in_order(&mut sent);
            let order: Vec<u16> = sent.iter().map(|(id, ())| id.get()).collect();
            assert_eq!(order, expected);
        }
    }
}
