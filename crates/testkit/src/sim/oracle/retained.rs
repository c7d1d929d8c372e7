//! Retained messages: the last write counts, and which one that is may be open.

use core::time::Duration;
use std::collections::BTreeMap;

use dunlin_broker::Time;
use dunlin_proto::qos::QoS;

use super::message::Message;
use super::{Oracle, Receipt};

impl Oracle {
    /// Writes to the retained message of a topic.
    fn writes<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = (usize, &'a Message)> + Clone {
        let messages = self.messages.iter().enumerate();
        messages.filter(move |(_, one)| one.retain && !one.is_will() && one.topic == topic)
    }

    /// The write has happened for certain, and survives.
    fn is_certain(&self, write: &Message) -> bool {
        match write.qos {
            // Not acknowledged, so not promised to anybody who dies.
            QoS::AtMostOnce => {
                !write.unsure && write.dealt.is_some_and(|dealt| self.deaths_since(dealt) == 0)
            }
            // What expires before its release is not published.
            _ => {
                let lasts = write.interval.map(|seconds| Duration::from_secs(u64::from(seconds)));
                let ends = lasts.map_or(Time::MAX, |lasts| write.sent.saturating_add(lasts));
                write.is_accepted() && write.done.is_some_and(|done| done < ends)
            }
        }
    }

    /// Whether another write came after this one for certain, and before `by`.
    fn is_overwritten(&self, write: &Message, by: Time) -> bool {
        // What was not acknowledged happened when the broker read it, if at all.
        let Some(end) = write.done.or(write.dealt) else { return true };
        self.writes(&write.topic).any(|(_, other)| {
            other.sent > end
                && self.is_certain(other)
                && other.done.or(other.dealt).is_some_and(|done| done < by)
        })
    }

    /// A retained message came because of a subscription: it may be old by now, but not at that time.
    pub(super) fn judge_retained(
        &self,
        session: usize,
        receipt: &Receipt<'_>,
    ) -> Result<(), &'static str> {
        let (Some(session), Some(message)) =
            (self.sessions.get(session), self.messages.get(receipt.message))
        else {
            return Ok(());
        };
        if message.is_will() {
            return Ok(());
        }
        let matching = session.subscriptions.iter().filter(|one| one.matches(receipt.topic));
        let first = matching.map(|one| one.sent).min().unwrap_or(Time::ZERO);
        if self.is_overwritten(message, first) {
            return Err("this retained message was overwritten before");
        }
        Ok(())
    }

    /// What a new subscriber to everything was sent: just what is retained.
    pub(in super::super) fn judge_all_retained(
        &mut self,
        now: Time,
        topics: &[&str],
        found: &BTreeMap<String, usize>,
    ) {
        for topic in topics {
            if let Err(why) = self.judge_topic(now, topic, found.get(*topic).copied()) {
                self.fail(why);
            }
        }
    }

    fn judge_topic(&self, now: Time, topic: &str, found: Option<usize>) -> Result<(), String> {
        let possible = |write: &Message| !self.is_overwritten(write, Time::MAX);
        if let Some(found) = found {
            let legal = self.messages.get(found).is_some_and(|one| possible(one) && !one.empty);
            return if legal {
                Ok(())
            } else {
                Err(format!("retained at {topic} is {found}, which is not the last write"))
            };
        }
        let initial = !self.writes(topic).any(|(_, write)| self.is_certain(write));
        let nothing = |write: &Message| write.empty || write.expires() <= now;
        if initial || self.writes(topic).any(|(_, write)| nothing(write) && possible(write)) {
            return Ok(());
        }
        let last = self.writes(topic).filter(|(_, write)| possible(write)).last();
        Err(format!("nothing is retained at {topic}; it should be {last:?}"))
    }
}
