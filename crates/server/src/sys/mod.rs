//! `$SYS/broker/...`: what the broker tells about itself, under Mosquitto's names, so that what
//! watches Mosquitto watches dunlin.

mod collect;
mod load;
mod names;
mod why;

use std::time::Duration;

use dunlin_broker::Time;

pub(crate) use collect::{Snapshot, Totals, collect};
use load::Averages;
use why::Reasons;

use crate::store::Condition;

/// What is published, and what was last published of it.
pub(crate) struct Sys {
    interval: Duration,
    due: Time,
    started: Time,
    counts: Vec<Option<u64>>,
    loads: Vec<Averages>,
    uptime: Option<u64>,
    version_told: bool,
    store: Option<Condition>,
    peaks: Peaks,
    reasons: Reasons,
}

/// The highest values seen, which no counter keeps.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peaks {
    pub(crate) clients: u64,
    pub(crate) heap: u64,
}

impl Sys {
    /// First refreshed at once, then every `interval`.
    pub(crate) fn new(now: Time, interval: Duration) -> Self {
        Self {
            interval,
            due: now,
            started: now,
            counts: vec![None; names::COUNTS.len()],
            loads: names::LOADS.iter().map(|(name, _)| Averages::new(name)).collect(),
            uptime: None,
            version_told: false,
            store: None,
            peaks: Peaks::default(),
            reasons: Reasons::default(),
        }
    }

    pub(crate) const fn due(&self) -> Time {
        self.due
    }

    /// Hands everything that has changed to `publish`: topic and payload.
    pub(crate) fn refresh(
        &mut self,
        now: Time,
        totals: &Totals,
        mut publish: impl FnMut(&str, &[u8]),
    ) {
        self.due = now.saturating_add(self.interval);
        self.peaks.clients = self.peaks.clients.max(totals.stats.clients_connected);
        self.peaks.heap = self.peaks.heap.max(totals.heap);
        if !self.version_told {
            self.version_told = true;
            publish(
                names::VERSION,
                concat!("dunlin version ", env!("CARGO_PKG_VERSION")).as_bytes(),
            );
        }
        let uptime = now.since(self.started).as_secs();
        if self.uptime.replace(uptime) != Some(uptime) {
            publish(names::UPTIME, format!("{uptime} seconds").as_bytes());
        }
        let store = totals.store.condition;
        if self.store.replace(store) != Some(store) {
            publish(names::STORE, store.as_str().as_bytes());
        }
        for ((topic, value), last) in names::COUNTS.iter().zip(&mut self.counts) {
            let value = value(totals, &self.peaks);
            if last.replace(value) != Some(value) {
                publish(topic, value.to_string().as_bytes());
            }
        }
        let causes = totals.sys_why.then_some(&totals.stats.causes);
        self.reasons.refresh(causes, &totals.alarms, &mut publish);
        for ((_, value), averages) in names::LOADS.iter().zip(&mut self.loads) {
            averages.update(now, value(totals), &mut publish);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refresh(sys: &mut Sys, now: Time, totals: &Totals) -> Vec<(String, String)> {
        let mut published = Vec::new();
        sys.refresh(now, totals, |topic, payload| {
            published.push((topic.to_owned(), String::from_utf8(payload.to_vec()).unwrap()));
        });
        published
    }

    #[test]
    fn everything_is_told_once_and_then_only_what_has_changed() {
        let mut sys = Sys::new(Time::ZERO, Duration::from_secs(10));
        let mut totals = Totals::default();
        let first = refresh(&mut sys, Time::ZERO, &totals);
        assert!(
            first
                .iter()
                .any(|(topic, text)| topic == "$SYS/broker/version" && text.starts_with("dunlin"))
        );
        assert!(first.iter().all(|(topic, _)| topic.starts_with("$SYS/broker/")));
        assert_eq!(sys.due(), Time::from_secs(10));

        totals.stats.messages_received = 60;
        let second = refresh(&mut sys, Time::from_secs(10), &totals);
        let of = |name: &str| {
            second.iter().find(|(topic, _)| topic == name).map(|(_, text)| text.as_str())
        };
        assert_eq!(of("$SYS/broker/uptime"), Some("10 seconds"));
        assert_eq!(of("$SYS/broker/messages/received"), Some("60"));
        assert_eq!(of("$SYS/broker/messages/sent"), None);
        assert!(of("$SYS/broker/load/messages/received/1min").is_some());
        assert_eq!(of("$SYS/broker/load/messages/sent/1min"), None);
    }

    #[test]
    fn no_topic_is_named_twice() {
        let mut names: Vec<_> = names::COUNTS.iter().map(|(topic, _)| *topic).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), names::COUNTS.len());
    }

    #[test]
    fn the_maximum_of_clients_outlives_them() {
        let mut sys = Sys::new(Time::ZERO, Duration::from_secs(10));
        let mut totals = Totals::default();
        totals.stats.clients_connected = 5;
        refresh(&mut sys, Time::ZERO, &totals);
        totals.stats.clients_connected = 1;
        let published = refresh(&mut sys, Time::from_secs(10), &totals);
        assert!(published.contains(&("$SYS/broker/clients/connected".into(), "1".into())));
        assert!(!published.iter().any(|(topic, _)| topic == "$SYS/broker/clients/maximum"));
    }
}
