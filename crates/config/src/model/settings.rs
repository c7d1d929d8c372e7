//! The part of the configuration that the broker itself needs.

use std::time::Duration;

use dunlin_broker::{
    DeniedPublish, Overlapping, QueueFull, Rate, ReasonStrings, RefusalCodes, RetainedExpiry,
    Settings, WillDelay,
};

use super::{
    Config, DeniedPublish as Configured, OverlappingSubscriptions, QueueFullPolicy,
    ReasonStringPolicy, RefusalCodePolicy, WillDelayPolicy,
};
use crate::value::Expiry;

impl Config {
    /// The settings of the broker. Whether CONNECT waits for an answer (`authenticate`) is left to who
    /// knows what asks.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let limits = &self.limits;
        let prefix = self.security.access.assigned_id_prefix.clone();
        let defaults = Settings::default();
        Settings {
            maximum_packet_size: limits.maximum_packet_size,
            maximum_payload: limits.maximum_payload_size.size(),
            receive_maximum: limits.receive_maximum,
            topic_alias_maximum: limits.topic_alias_maximum,
            topic_alias_maximum_out: limits.topic_alias_maximum_out,
            maximum_inflight: limits.maximum_inflight,
            maximum_inflight_bytes: limits.maximum_inflight_bytes.size(),
            maximum_queued_messages: limits.maximum_queued_messages.size(),
            maximum_queued_bytes: limits.maximum_queued_bytes.size(),
            maximum_held_bytes: limits.maximum_held_bytes.size(),
            queue_full: match limits.queue_full {
                QueueFullPolicy::DropNewest => QueueFull::DropNewest,
                QueueFullPolicy::DropOldest => QueueFull::DropOldest,
            },
            maximum_output: limits.maximum_output.size(),
            maximum_queue_memory: limits.maximum_queue_memory.size(),
            maximum_shard_queue_bytes: limits.maximum_shard_queue_bytes.size(),
            connect_timeout: limits.connect_timeout,
            maximum_keep_alive: limits.maximum_keep_alive,
            maximum_session_expiry: limits.maximum_session_expiry.seconds(),
            maximum_subscriptions: limits.maximum_subscriptions.size(),
            maximum_topic_levels: limits.maximum_topic_levels.into(),
            maximum_will_delay: limits.maximum_will_delay.seconds(),
            publish_rate: limits.publish_rate.get().map(Rate::per_second),
            publish_bytes_rate: limits.publish_bytes_rate.get().map(Rate::per_second),
            check_retain_source: self.retained.check_source,
            retained_expiry: self.retained_expiry(),
            denied_publish: match self.security.denied_publish {
                Configured::Acknowledge => DeniedPublish::Silent,
                Configured::Disconnect => DeniedPublish::Disconnect,
            },
            maximum_user_properties: limits.maximum_user_properties.size(),
            maximum_sessions: limits.clients.size(),
            maximum_user_connections: limits.connections_per_user.size(),
            retain_available: self.retained.available,
            maximum_retained: self.retained.maximum.size(),
            maximum_retained_bytes: self.retained.maximum_bytes.size(),
            assigned_id_prefix: prefix.unwrap_or(defaults.assigned_id_prefix),
            response_information: self.delivery.response_information.clone(),
            queue_qos0: self.delivery.queue_qos0,
            upgrade_qos: self.delivery.upgrade_qos,
            overlapping: match self.delivery.overlapping {
                OverlappingSubscriptions::Each => Overlapping::Each,
                OverlappingSubscriptions::Once => Overlapping::Once,
            },
            will_delay: match self.delivery.will_delay {
                WillDelayPolicy::Standard => WillDelay::Standard,
                WillDelayPolicy::Mosquitto => WillDelay::Mosquitto,
            },
            reason_strings: match self.delivery.reason_strings {
                ReasonStringPolicy::Asked => ReasonStrings::Asked,
                ReasonStringPolicy::Always => ReasonStrings::Always,
                ReasonStringPolicy::Never => ReasonStrings::Never,
            },
            refusal_codes: match self.delivery.refusal_codes {
                RefusalCodePolicy::Telling => RefusalCodes::Telling,
                RefusalCodePolicy::Familiar => RefusalCodes::Familiar,
                RefusalCodePolicy::Mosquitto => RefusalCodes::Mosquitto,
            },
            keep: self.persistence.enabled,
            ..defaults
        }
    }

    fn retained_expiry(&self) -> Vec<RetainedExpiry> {
        let rule = |filter: &str, expiry: &Expiry| RetainedExpiry {
            filter: filter.into(),
            after: match expiry {
                Expiry::After(after) => *after,
                Expiry::Never => Duration::MAX,
            },
        };
        let special = &self.retained.expiry_of.0;
        let mut rules: Vec<_> = special.iter().map(|(filter, at)| rule(filter, at)).collect();
        if self.retained.expiry != Expiry::Never {
            rules.push(rule("#", &self.retained.expiry));
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_told_are_named_as_they_are_set() {
        for limit in dunlin_broker::Limit::ALL {
            let key = limit.key();
            let known = match key.strip_prefix("listener.") {
                Some(key) => crate::keys::listener().any(|known| known.name == key),
                None => crate::keys::general().any(|known| known.name == key),
            };
            assert!(known, "{key}");
        }
    }

    #[test]
    fn what_is_not_configured_is_as_the_broker_has_it() {
        let kept = Settings { keep: true, ..Settings::default() };
        assert_eq!(format!("{:?}", Config::default().settings()), format!("{kept:?}"));
    }
}
