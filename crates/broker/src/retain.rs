//! What becomes of the retained message of a topic when a message to it is published with RETAIN.

use core::mem;
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::topic::{TopicFilter, TopicName};

use crate::commons::{Commons, View};
use crate::durable::Retention;
use crate::event::{Cause, Event};
use crate::guard::Identity;
use crate::hub::Hub;
use crate::incoming::Incoming;
use crate::journal::Origin;
use crate::limits::{Limit, Reached};
use crate::message::{Message, RetainedMessage, Stored};
use crate::router::SessionKey;

/// A retained message that ends sooner than the message it is a copy of, so that it is recorded by itself.
pub(crate) struct Aged {
    message: Arc<Message>,
    stamp: u64,
}

impl Hub {
    /// Replaces or removes the retained message of the topic [MQTT-3.3.1-5], [MQTT-3.3.1-6]; another
    /// topic gets one only while there is room. One that was `accepted` before is not refused because the
    /// disk has become full since.
    pub(crate) fn keep(
        &mut self,
        now: Time,
        message: &Arc<Message>,
        accepted: bool,
        publisher: Option<SessionKey>,
        view: &View<'_>,
    ) -> Retention {
        let (commons, topic) = (view.commons, message.topic());
        // A shorter record than any, so there is room for it.
        if message.payload.is_empty() {
            return Retention::Cleared(commons.unretain(topic));
        }
        let own = message.topic.starts_with("$SYS/");
        if self.journal.full && !accepted && !own {
            self.stats.retained_refused += 1;
            return Retention::None;
        }
        if let Some(reached) = self.retained_full(now, message, own, commons) {
            self.stats.retained_refused += 1;
            self.stats.causes.add(Cause::RetainedFull, 1);
            if !mem::replace(&mut self.told_retained_full, true) {
                let topic = Arc::clone(&message.topic);
                let local = publisher.filter(|key| key.shard == self.shard);
                let session = local.and_then(|key| self.sessions.get(key.slot, key.generation));
                let client = session.map(|session| Arc::clone(&session.who.client_id));
                self.events.push(Event::RetainedFull { client, topic, reached });
            }
            return Retention::None;
        }
        self.told_retained_full = false;
        let publisher = publisher_of(publisher, view);
        if self.journal.on {
            self.journal.publisher.clone_from(&publisher);
        }
        let kept = |message| RetainedMessage { message, publisher };
        if let Some(aged) = self.aged(now, message) {
            let stamp = commons.retain(topic, kept(Arc::clone(&aged)));
            if self.journal.on {
                self.aged = Some(Aged { message: aged, stamp });
            }
            return Retention::None;
        }
        Retention::Set(commons.retain(topic, kept(Arc::clone(message))))
    }

    /// The limit that is in the way of one more retained message. In place of an earlier one that is not
    /// smaller it is never in the way.
    fn retained_full(
        &self,
        now: Time,
        message: &Message,
        own: bool,
        commons: &dyn Commons,
    ) -> Option<Reached> {
        let (messages, bytes) = commons.retained_usage();
        let settings = &self.settings;
        let reached = if messages >= settings.maximum_retained {
            Reached::new(Limit::Retained, messages, settings.maximum_retained)
        } else if bytes.saturating_add(message.bytes()) > settings.maximum_retained_bytes && !own {
            Reached::new(Limit::RetainedBytes, bytes, settings.maximum_retained_bytes)
        } else {
            self.memory.filter(|_| !own)?
        };
        let before = retained_bytes(message.topic(), now, commons);
        let fits = match reached.limit {
            Limit::Retained => before.is_some(),
            _ => before.is_some_and(|before| before >= message.bytes()),
        };
        (!fits).then_some(reached)
    }

    /// The message as it is retained, if settings end it sooner than it would end itself.
    fn aged(&self, now: Time, message: &Message) -> Option<Arc<Message>> {
        let mut rules = self.settings.retained_expiry.iter();
        let topic = message.topic();
        let rule = rules.find(|rule| {
            TopicFilter::new(&rule.filter).is_ok_and(|filter| filter.matches(topic))
        })?;
        let expires = now.saturating_add(rule.after);
        (expires < message.expires).then(|| {
            Arc::new(Message {
                topic: Arc::clone(&message.topic),
                payload: message.payload.clone(),
                properties: message.properties.clone(),
                expires,
                qos: message.qos,
                retain: message.retain,
                id: Stored::default(),
            })
        })
    }

    /// Writes down a retained message that ends sooner than the one it was made from; true if there was one.
    /// To be called when that one is written.
    #[inline]
    pub(crate) fn record_aged(&mut self, view: &View<'_>) -> bool {
        let Some(Aged { message, stamp }) = self.aged.take() else { return false };
        let incoming = Incoming::of(&message);
        self.journal.begin(&incoming, view.commons.numbers());
        self.journal.finish(&incoming, Origin::Client, Retention::Set(stamp), None)
    }
}

/// Who is noted as the publisher of a retained message.
fn publisher_of(session: Option<SessionKey>, view: &View<'_>) -> Option<Arc<Identity>> {
    let who = view.commons.numbers().identities.of(session?)?;
    view.guard.is_none_or(|guard| guard.rules.knows_by_name(&who)).then_some(who)
}

/// Bytes of the retained message of a topic.
fn retained_bytes(topic: TopicName<'_>, now: Time, commons: &dyn Commons) -> Option<usize> {
    let mut found = Vec::new();
    let filter = TopicFilter::new(topic.as_str()).ok()?;
    commons.retained_page(filter, None, 1, now, &mut found);
    found.first().map(|kept| kept.message.bytes())
}
