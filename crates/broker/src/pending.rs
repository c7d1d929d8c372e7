//! Changes of the shared subscription index, collected while input is handled under a read guard and
//! applied together under a write guard.

use dunlin_proto::Time;
use dunlin_proto::packet::{RetainHandling, SubAck};
use dunlin_proto::property::Properties;
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::TopicFilter;
use dunlin_proto::version::Version;

use crate::broker::Broker;
use crate::commons::{Commons, View};
use crate::connection::{ConnId, Stage};
use crate::durable::What;
use crate::guard::Guarded;
use crate::journal::Record;
use crate::limits::{Limit, Reached};
use crate::router::{Index, SessionKey, Subscriber};
use crate::session::Replay;

/// A change that waits.
pub(crate) enum Pending {
    /// A SUBSCRIBE to be carried out and answered.
    Subscribe { connection: ConnId, session: SessionKey, packet_id: PacketId, wishes: Vec<Wish> },
    /// An UNSUBSCRIBE to be carried out and answered.
    Unsubscribe {
        connection: ConnId,
        session: SessionKey,
        packet_id: PacketId,
        filters: Vec<Leave>,
    },
    /// A session that ended.
    Ended { session: SessionKey, filters: Vec<Box<str>> },
    /// A session with shared subscriptions came or went.
    Online { session: SessionKey, filters: Vec<Box<str>>, online: bool },
}

/// One topic filter of a SUBSCRIBE.
pub(crate) struct Wish {
    pub(crate) filter: Box<str>,
    pub(crate) subscriber: Subscriber,
    pub(crate) retain_handling: RetainHandling,
    /// Already refused, with this.
    pub(crate) refused: Option<ReasonCode>,
}

/// One topic filter of an UNSUBSCRIBE.
pub(crate) struct Leave {
    pub(crate) filter: Box<str>,
    /// Already refused, with this.
    pub(crate) refused: Option<ReasonCode>,
}

/// A filter without its `$share/group/`, and the group. What only looks like a shared subscription is
/// refused in 5.0 and an ordinary filter before, so it is one here.
pub(crate) fn unshare(filter: &str) -> (Option<&str>, &str) {
    match TopicFilter::new(filter).and_then(TopicFilter::shared) {
        Ok(Some((group, shared))) => (Some(group), shared.as_str()),
        Ok(None) | Err(_) => (None, filter),
    }
}

fn parsed(filter: &str) -> TopicFilter<'_> {
    TopicFilter::new(filter).expect("only valid filters are held")
}

impl Broker {
    pub(crate) fn apply(
        &mut self,
        now: Time,
        change: Pending,
        index: &mut Index,
        commons: &dyn Commons,
        guard: Option<Guarded<'_>>,
    ) {
        match change {
            Pending::Subscribe { connection, session, packet_id, wishes } => {
                let (reasons, replays) = self.apply_subscribe(now, session, wishes, index);
                let view = View { index, commons, guard };
                let answer = |ack| What::SubAck(Box::new((ack, session, replays)));
                self.answer_change(now, (connection, packet_id), reasons, answer, &view);
            }
            Pending::Unsubscribe { connection, session, packet_id, filters } => {
                let mut reasons = Vec::with_capacity(filters.len());
                for Leave { filter, refused } in &filters {
                    if let Some(reason) = refused {
                        reasons.push(*reason);
                        continue;
                    }
                    let existed = self.drop_subscription(session, filter, index);
                    // [MQTT-3.11.3-2]
                    reasons.push(if existed {
                        ReasonCode::Success
                    } else {
                        ReasonCode::NoSubscriptionExisted
                    });
                }
                let view = View { index, commons, guard };
                let answer = |ack| What::UnsubAck(Box::new(ack));
                self.answer_change(now, (connection, packet_id), reasons, answer, &view);
            }
            Pending::Ended { session, filters } => {
                for filter in &filters {
                    remove(session, filter, index);
                }
            }
            Pending::Online { session, filters, online } => {
                for filter in &filters {
                    if let (Some(group), filter) = unshare(filter) {
                        index.set_online(group, parsed(filter), session, online);
                    }
                }
                if !online {
                    self.leaving.push(session);
                }
            }
        }
    }

    fn apply_subscribe(
        &mut self,
        now: Time,
        key: SessionKey,
        wishes: Vec<Wish>,
        index: &mut Index,
    ) -> (Vec<ReasonCode>, Vec<Replay>) {
        let mut reasons = Vec::with_capacity(wishes.len());
        let mut replays = Vec::new();
        let limit = self.hub.settings.maximum_subscriptions;
        for wish in wishes {
            let Some(session) = self.hub.sessions.get_mut(key.slot, key.generation) else { break };
            if let Some(reason) = wish.refused {
                reasons.push(reason);
                continue;
            }
            let (group, filter) = unshare(&wish.filter);
            if session.subscriptions.len() >= limit && !session.holds(&wish.filter) {
                let held = session.subscriptions.len();
                reasons.push(ReasonCode::QuotaExceeded);
                self.note_refused(
                    now,
                    key.slot,
                    &wish.filter,
                    Reached::new(Limit::Subscriptions, held, limit),
                );
                continue;
            }
            session.hold(&wish.filter, group.is_some());
            if session.keeps {
                let Subscriber { qos, no_local, retain_as_published, identifier, .. } =
                    wish.subscriber;
                self.hub.journal.write(&Record::Subscribed {
                    number: session.number,
                    filter: &wish.filter,
                    qos,
                    no_local,
                    retain_as_published,
                    identifier,
                });
            }
            let online = session.connected();
            let existed = match group {
                Some(group) => {
                    index.subscribe_shared(group, parsed(filter), wish.subscriber, online)
                }
                None => index.subscribe(parsed(filter), wish.subscriber),
            };
            reasons.push(ReasonCode::granted(wish.subscriber.qos));
            // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; never for shared subscriptions (4.8.2).
            let wanted = match wish.retain_handling {
                RetainHandling::Always => true,
                RetainHandling::IfNew => !existed,
                RetainHandling::Never => false,
            };
            if wanted && group.is_none() {
                replays.push(Replay {
                    filter: filter.into(),
                    cursor: None,
                    identifier: wish.subscriber.identifier,
                    qos: wish.subscriber.qos,
                });
            }
        }
        (reasons, replays)
    }

    fn drop_subscription(&mut self, key: SessionKey, filter: &str, index: &mut Index) -> bool {
        let Some(session) = self.hub.sessions.get_mut(key.slot, key.generation) else {
            return false;
        };
        // [MQTT-3.10.4-2]
        session.stop_replay(filter);
        if session.keeps && session.holds(filter) {
            let number = session.number;
            self.hub.journal.write(&Record::Unsubscribed { number, filter });
        }
        session.release(filter) && remove(key, filter, index)
    }

    /// Sends SUBACK or UNSUBACK, when the change is durable if it is to be, and lets the connection go on
    /// [MQTT-3.8.4-1], [MQTT-3.10.4-4].
    fn answer_change(
        &mut self,
        now: Time,
        (id, packet_id): (ConnId, PacketId),
        mut reasons: Vec<ReasonCode>,
        answer: impl FnOnce(SubAck<'static>) -> What,
        view: &View<'_>,
    ) {
        let Some(connection) = self.hub.connections.get_mut(id.slot, id.epoch) else { return };
        if !matches!(connection.stage, Stage::Committing) {
            return;
        }
        connection.stage = Stage::Open;
        if connection.engine.version() != Version::V5_0 {
            // [MQTT-3.9.3-2] of 3.1.1: one code for all failures.
            for reason in reasons.iter_mut().filter(|reason| reason.is_error()) {
                *reason = ReasonCode::UnspecifiedError;
            }
        }
        let session = connection.session;
        let promises = self.hub.number(session) != 0;
        let answer = answer(SubAck { packet_id, properties: Properties::EMPTY, reasons });
        let answer = if promises { self.hub.wait(id.slot, answer) } else { Some(answer) };
        if let Some(answer) = answer {
            self.send_waiting(now, id.slot, answer, view);
        }
    }

    /// A subscriber as it goes into the index.
    pub(crate) fn subscriber(key: SessionKey, qos: QoS, identifier: u32) -> Subscriber {
        Subscriber { session: key, identifier, qos, no_local: false, retain_as_published: false }
    }
}

fn remove(session: SessionKey, filter: &str, index: &mut Index) -> bool {
    match unshare(filter) {
        (Some(group), filter) => index.unsubscribe_shared(group, parsed(filter), session),
        (None, filter) => index.unsubscribe(parsed(filter), session),
    }
}
