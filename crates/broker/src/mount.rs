//! Mount points: what a listener puts before every topic and filter of its clients, and takes away again
//! before they are told of it.
//!
//! Inside the broker there are only whole names: rules, routes, records and retained messages know nothing
//! of mount points. Names that begin with `$` are mounted like all others, as Mosquitto does: clients of
//! such a listener see neither `$SYS` nor `$CONTROL`.

use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::topic::{TopicFilter, TopicName};

use crate::broker::Broker;
use crate::hub::Hub;
use crate::incoming::{Form, Incoming};
use crate::pending::unshare;

/// Writes the whole name of a topic; `None` if there can be no such topic.
pub(crate) fn topic<'a>(mount: &str, name: &str, whole: &'a mut String) -> Option<&'a str> {
    whole.clear();
    whole.push_str(mount);
    whole.push_str(name);
    TopicName::new(whole).ok().map(TopicName::as_str)
}

/// The whole form of a filter, behind its `$share/GROUP/` where it has one; `None` if there can be no such
/// filter.
pub(crate) fn filter(mount: &str, filter: &str) -> Option<Box<str>> {
    let whole = match unshare(filter) {
        (Some(group), rest) => format!("$share/{group}/{mount}{rest}"),
        (None, filter) => format!("{mount}{filter}"),
    };
    TopicFilter::new(&whole).ok()?;
    Some(whole.into())
}

impl Broker {
    /// A filter as a client of this connection sent it, with the mount point of its listener; `None` if
    /// there can be no such filter.
    pub(crate) fn whole_filter(&self, slot: u32, sent: &str) -> Option<Box<str>> {
        let connection = self.hub.connections.at(slot)?;
        match &connection.entry.mount_point {
            Some(mount) => filter(mount, sent),
            None => Some(sent.into()),
        }
    }

    /// The same for a topic.
    pub(crate) fn whole_topic(&self, slot: u32, sent: &str) -> Option<String> {
        let connection = self.hub.connections.at(slot)?;
        let Some(mount) = &connection.entry.mount_point else { return Some(sent.into()) };
        let mut whole = String::new();
        topic(mount, sent, &mut whole)?;
        Some(whole)
    }
}

impl Hub {
    /// Sends a message to a client that is told topics without the mount point of its listener; false
    /// if the topic lies outside, which a session reaches that had another listener before.
    pub(crate) fn write_unmounted(
        &mut self,
        now: Time,
        slot: u32,
        form: Form,
        m: &Incoming<'_>,
    ) -> bool {
        let Some(connection) = self.connections.at(slot) else { return false };
        let mount = connection.entry.mount_point.as_deref().unwrap_or_default();
        let inside = m.topic.strip_prefix(mount);
        let Some(name) = inside.filter(|name| TopicName::new(name).is_ok()) else {
            self.stats.publish_dropped += 1;
            return false;
        };
        let name: Arc<str> = name.into();
        let mut inside = Incoming::new(&name, m.qos, m.retain, m.payload);
        inside.properties = m.properties;
        inside.expires = m.expires;
        // What other receivers of this message are sent has the whole topic.
        self.clear_shapes();
        let written = self.write_as(now, slot, form, &inside);
        self.clear_shapes();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_mounted_behind_the_group_of_a_shared_subscription() {
        assert_eq!(filter("m/", "a/+").as_deref(), Some("m/a/+"));
        assert_eq!(filter("m/", "$share/g/a/#").as_deref(), Some("$share/g/m/a/#"));
        assert_eq!(filter("m/", "$SYS/#").as_deref(), Some("m/$SYS/#"));
        assert_eq!(filter("m/", &"x".repeat(65_535)), None, "too long");
    }

    #[test]
    fn a_topic_that_becomes_too_long_is_none() {
        let mut whole = String::new();
        assert_eq!(topic("m/", "a", &mut whole), Some("m/a"));
        assert_eq!(topic("m/", &"x".repeat(65_534), &mut whole), None);
        assert_eq!(topic("+/", "a", &mut whole), None, "a mount point that is none");
    }
}
