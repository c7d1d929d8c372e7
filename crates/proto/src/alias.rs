//! Topic aliases (5.0): numbers that stand for topics as long as the connection lasts.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::topic::TopicName;
use crate::violation::Violation;

/// The aliases that the peer set, up to the topic alias maximum that it was told.
///
/// Holds at most that many topics of at most 65 535 bytes; nothing before the first is set.
#[derive(Debug, Default)]
pub struct AliasIn {
    maximum: u16,
    /// By alias minus one; empty where none was set. Boxed because few connections use aliases.
    #[expect(clippy::box_collection, reason = "one word in a connection that uses no alias")]
    topics: Option<Box<Vec<Box<str>>>>,
}

impl AliasIn {
    /// A table for aliases up to `maximum`; 0 allows none. Does not allocate.
    #[must_use]
    pub const fn new(maximum: u16) -> Self {
        Self { maximum, topics: None }
    }

    /// The highest alias allowed.
    #[must_use]
    pub const fn maximum(&self) -> u16 {
        self.maximum
    }

    /// The topic of a PUBLISH with that topic and alias; a topic with an alias sets it.
    ///
    /// # Errors
    /// The alias is 0, above the maximum or not set, or there is neither topic nor alias.
    #[inline]
    pub fn resolve<'a>(
        &'a mut self,
        topic: Option<TopicName<'a>>,
        alias: Option<u16>,
    ) -> Result<TopicName<'a>, Violation> {
        match (topic, alias) {
            (Some(topic), None) => Ok(topic),
            (Some(topic), Some(alias)) => {
                let index = self.index(alias)?;
                self.set(index, topic);
                Ok(topic)
            }
            (None, Some(alias)) => {
                let index = self.index(alias)?;
                self.topics
                    .as_ref()
                    .and_then(|topics| topics.get(index))
                    .filter(|topic| !topic.is_empty())
                    .map(|topic| TopicName::from_checked(topic))
                    .ok_or(Violation::TopicAliasUnknown { alias })
            }
            (None, None) => Err(Violation::TopicNameEmpty),
        }
    }

    fn index(&self, alias: u16) -> Result<usize, Violation> {
        // [MQTT-3.3.2-9], [MQTT-3.3.2-11]
        if alias > self.maximum {
            return Err(Violation::TopicAliasTooLarge { alias, maximum: self.maximum });
        }
        // [MQTT-3.3.2-8]
        usize::from(alias).checked_sub(1).ok_or(Violation::TopicAliasZero)
    }

    fn set(&mut self, index: usize, topic: TopicName<'_>) {
        let topics = self.topics.get_or_insert_default();
        if topics.len() <= index {
            topics.resize_with(index + 1, Box::default);
        }
        if let Some(place) = topics.get_mut(index)
            && **place != *topic.as_str()
        {
            *place = topic.as_str().into();
        }
    }
}

/// The aliases that were set for the peer: the first topics that come get one, up to the maximum
/// that the peer named.
///
/// Holds at most that many topics of together at most [`AliasOut::MAX_BYTES`]; nothing before
/// the first is set.
#[derive(Debug, Default)]
pub struct AliasOut {
    maximum: u16,
    table: Option<Box<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    aliases: BTreeMap<Box<str>, u16>,
    bytes: usize,
}

/// How to name a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assigned {
    /// By its name together with this alias, which is thereby set. It has to be sent.
    New(u16),
    /// By this alias alone.
    Known(u16),
    /// By its name alone.
    None,
}

impl AliasOut {
    /// Bytes of topics that the table holds at most: with them a peer cannot make it grow.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// A table for aliases up to `maximum`; 0 allows none. Does not allocate.
    #[must_use]
    pub const fn new(maximum: u16) -> Self {
        Self { maximum, table: None }
    }

    /// The highest alias that the peer takes.
    #[must_use]
    pub const fn maximum(&self) -> u16 {
        self.maximum
    }

    /// Finds the alias of a topic, or sets one for it.
    pub fn lookup(&mut self, topic: TopicName<'_>) -> Assigned {
        // [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.2.2-17], [MQTT-3.2.2-18]
        if self.maximum == 0 {
            return Assigned::None;
        }
        let table = self.table.get_or_insert_default();
        if let Some(&alias) = table.aliases.get(topic.as_str()) {
            return Assigned::Known(alias);
        }
        let bytes = table.bytes.saturating_add(topic.as_str().len());
        let taken = u16::try_from(table.aliases.len()).unwrap_or(u16::MAX);
        if taken >= self.maximum || bytes > Self::MAX_BYTES {
            return Assigned::None;
        }
        let alias = taken + 1;
        table.bytes = bytes;
        table.aliases.insert(topic.as_str().into(), alias);
        Assigned::New(alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName<'_> {
        TopicName::new(name).unwrap()
    }

    #[test]
    fn an_alias_stands_for_the_topic_it_was_last_set_to() {
        let mut aliases = AliasIn::new(3);
        assert_eq!(aliases.resolve(Some(topic("a")), Some(3)), Ok(topic("a")));
        assert_eq!(aliases.resolve(None, Some(3)), Ok(topic("a")));
        assert_eq!(aliases.resolve(Some(topic("b")), Some(3)), Ok(topic("b")));
        assert_eq!(aliases.resolve(None, Some(3)), Ok(topic("b")));
        assert_eq!(aliases.resolve(Some(topic("c")), None), Ok(topic("c")));
    }

    #[test]
    fn aliases_out_of_range_or_not_set_are_violations() {
        let mut aliases = AliasIn::new(3);
        assert_eq!(aliases.resolve(None, Some(0)), Err(Violation::TopicAliasZero));
        assert_eq!(
            aliases.resolve(Some(topic("a")), Some(4)),
            Err(Violation::TopicAliasTooLarge { alias: 4, maximum: 3 })
        );
        assert_eq!(aliases.resolve(None, Some(1)), Err(Violation::TopicAliasUnknown { alias: 1 }));
        assert_eq!(aliases.resolve(Some(topic("a")), Some(2)), Ok(topic("a")));
        assert_eq!(aliases.resolve(None, Some(1)), Err(Violation::TopicAliasUnknown { alias: 1 }));
        assert_eq!(aliases.resolve(None, None), Err(Violation::TopicNameEmpty));
    }

    #[test]
    fn the_first_topics_get_the_aliases() {
        let mut aliases = AliasOut::new(2);
        assert_eq!(aliases.lookup(topic("a")), Assigned::New(1));
        assert_eq!(aliases.lookup(topic("b")), Assigned::New(2));
        assert_eq!(aliases.lookup(topic("c")), Assigned::None);
        assert_eq!(aliases.lookup(topic("a")), Assigned::Known(1));
        assert_eq!(AliasOut::new(0).lookup(topic("a")), Assigned::None);
    }

    #[test]
    fn long_topics_do_not_make_the_table_grow_without_bound() {
        let long = alloc::format!("a{}", "b".repeat(AliasOut::MAX_BYTES));
        let mut aliases = AliasOut::new(u16::MAX);
        assert_eq!(aliases.lookup(topic(&long)), Assigned::None);
        assert_eq!(aliases.lookup(topic("a")), Assigned::New(1));
    }
}
