//! A message comes to a client: may it, now, in this form, again?

use std::collections::BTreeSet;

use dunlin_broker::Time;
use dunlin_proto::qos::QoS;

use super::{Message, Oracle};

/// A PUBLISH that came to a client, repetitions of a QoS 2 exchange left aside.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Receipt<'a> {
    pub(in super::super) client: usize,
    /// Which message, by its payload.
    pub(in super::super) message: usize,
    pub(in super::super) topic: &'a str,
    pub(in super::super) qos: QoS,
    pub(in super::super) dup: bool,
    pub(in super::super) retain: bool,
    /// The broker made it after this.
    pub(in super::super) made_after: Time,
    /// Message Expiry Interval, if it has one.
    pub(in super::super) interval: Option<u32>,
}

impl Oracle {
    pub(in super::super) fn received(&mut self, receipt: &Receipt<'_>) {
        let verdict = self
            .judge_content(receipt)
            .and_then(|()| self.judge_subscription(receipt))
            .and_then(|()| self.judge_settled(receipt))
            .and_then(|()| self.judge_rules(receipt));
        let verdict = verdict.and_then(|()| self.note(receipt));
        if let Err(why) = verdict {
            let sent = self.messages.get(receipt.message);
            self.fail(format!("{why}: {receipt:?}, sent as {sent:?}"));
        }
    }

    fn judge_content(&mut self, receipt: &Receipt<'_>) -> Result<(), &'static str> {
        let Some(message) = self.messages.get_mut(receipt.message) else {
            return Err("nobody sent this");
        };
        message.given = true;
        if message.topic != receipt.topic {
            return Err("it came under another topic");
        }
        if receipt.retain && !message.retain {
            return Err("RETAIN is set, but it was not when it was published");
        }
        if !message.is_will() && message.read.is_none() {
            return Err("it was never read");
        }
        // [MQTT-3.3.2-5]: unless its delivery had begun before.
        if message.expires() <= receipt.made_after && !receipt.dup {
            return Err("it had expired");
        }
        // [MQTT-3.3.2-6]
        match (receipt.interval, message.interval) {
            (Some(left), Some(whole)) if left <= whole => Ok(()),
            (None, _) => Ok(()),
            (Some(_), _) => Err("its expiry interval grew"),
        }
    }

    /// Somebody who is not subscribed gets nothing, and nobody more than was granted.
    fn judge_subscription(&self, receipt: &Receipt<'_>) -> Result<(), &'static str> {
        let (Some(session), Some(message)) =
            (self.session_of(receipt.client), self.messages.get(receipt.message))
        else {
            return Err("it came to nobody");
        };
        // A retained message is of any age when it is sent for a new subscription.
        let since = if receipt.retain { Time::MAX } else { message.sent };
        let mut possible = session.possible(&message.topic, since);
        let mut any = session.possible(&message.topic, Time::ZERO);
        let granted = |qos: QoS| qos.min(message.qos) == receipt.qos;
        let found = if receipt.retain {
            any.any(|one| granted(one.wanted.qos))
        } else {
            possible.any(|one| granted(one.wanted.qos))
        };
        if found { Ok(()) } else { Err("it was not subscribed at this QoS") }
    }

    fn judge_rules(&self, receipt: &Receipt<'_>) -> Result<(), &'static str> {
        let Some(rules) = &self.rules else { return Ok(()) };
        let message = self.messages.get(receipt.message);
        let begun = message.map_or(Time::ZERO, |message| message.begun.unwrap_or(message.sent));
        // What has begun to be sent is sent, and sent again, whatever the rules say by then. With a store it
        // may have begun some time before, if it has a packet identifier, which is stored first.
        let may_wait = self.keeps && receipt.qos > QoS::AtMostOnce;
        let made_after = match (receipt.dup, may_wait) {
            (true, _) => Time::ZERO,
            (false, true) => begun.min(receipt.made_after),
            (false, false) => receipt.made_after,
        };
        rules.judge(receipt.client, receipt.topic, made_after)
    }

    fn judge_settled(&self, receipt: &Receipt<'_>) -> Result<(), &'static str> {
        let Some(message) = self.messages.get(receipt.message) else { return Ok(()) };
        let old = self.settled.is_some_and(|settled| message.sent < settled);
        if old && !message.is_will() && !receipt.retain && message.qos > QoS::AtMostOnce {
            return Err("it came again, though everybody had acknowledged it before the restart");
        }
        Ok(())
    }

    /// How the client may come to have this message, as far as its subscriptions go.
    fn ways(&self, session: usize, message: &Message) -> Ways {
        let possible = self.sessions[session].possible(&message.topic, message.sent);
        let filters: BTreeSet<&str> =
            possible.clone().map(|one| one.wanted.filter.as_str()).collect();
        Ways {
            copies: u32::try_from(filters.len()).unwrap_or(u32::MAX),
            shared: possible.clone().any(|one| one.wanted.parts().0.is_some()),
            as_published: possible.clone().any(|one| one.wanted.retain_as_published),
            // Sent for the first time before that, it may come when it is sent again.
            ordered: message.sends == 1
                || possible.clone().all(|one| one.covers(message.sent, Time::MAX)),
        }
    }

    fn note(&mut self, receipt: &Receipt<'_>) -> Result<(), &'static str> {
        let Some(number) = self.receiving(receipt) else { return Ok(()) };
        let message = &self.messages[receipt.message];
        let ways = self.ways(number, message);
        if receipt.retain {
            let got = self.sessions[number].got.entry(receipt.message).or_default();
            got.retained += 1;
            return if ways.as_published { Ok(()) } else { self.judge_retained(number, receipt) };
        }
        let deaths = u32::try_from(self.deaths_since(message.sent)).unwrap_or(u32::MAX);
        let denied = !self.may_always_read(receipt.client, receipt.topic);
        let session = &mut self.sessions[number];
        let got = session.got.entry(receipt.message).or_default();
        let first = got.live == 0;
        got.live += 1;
        match receipt.qos {
            QoS::AtMostOnce => got.hasty += 1,
            QoS::AtLeastOnce => got.fresh += u32::from(!receipt.dup),
            QoS::ExactlyOnce => got.exact += 1,
        }
        let lives = deaths.saturating_add(1);
        // Sent once, and never kept; but a will is published again if that it was is not known.
        let most = if message.is_will() { ways.copies.saturating_mul(lives) } else { ways.copies };
        if message.qos == QoS::AtMostOnce && got.hasty > most {
            return Err("QoS 0 came more than once");
        }
        // [MQTT-4.3.3-1]
        if got.exact > ways.copies {
            return Err("QoS 2 came more than once");
        }
        let most = message.sends.saturating_mul(ways.copies).saturating_mul(lives);
        if got.fresh > most && !ways.shared {
            return Err("QoS 1 came again without DUP and without reason");
        }
        // What was dropped once may come when it is sent again, or when that it was is forgotten; so may
        // what the disk had no room for, when its publisher did not hear that.
        let droppable =
            self.lossy || receipt.qos == QoS::AtMostOnce || message.interval.is_some() || denied;
        let refused = message.unsure && message.sends > 1;
        let dropped = refused || droppable && (message.sends > 1 || deaths > 0);
        if first && !message.is_will() && ways.ordered && !ways.shared && !dropped {
            let key = (message.session, message.topic.clone(), message.qos, receipt.qos);
            let last = session.last.insert(key, receipt.message);
            let in_order = |last: usize| {
                last <= receipt.message || message.was_overtaken_on_the_way(&self.messages[last])
            };
            // [MQTT-4.6.0-6]
            if !last.is_none_or(in_order) {
                return Err("it came behind a later one of the same publisher, topic and QoS");
            }
        }
        Ok(())
    }
}

/// How a client may come to have a message.
#[derive(Debug, Clone, Copy)]
struct Ways {
    /// How many subscriptions may match.
    copies: u32,
    shared: bool,
    /// One of them keeps RETAIN as it was published.
    as_published: bool,
    /// It has a place in the order of what it comes with.
    ordered: bool,
}
