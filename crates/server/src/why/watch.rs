//! Looks how near the limits are, and raises alarms.

use std::collections::VecDeque;
use std::time::Duration;

use dunlin_broker::{Limit, Settings, Time};

use super::{Alarms, Why, WhyOptions};
use crate::store::Condition;
use crate::sys::Totals;
use crate::transport::Expires;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Percent points below `alarm_at` at which an alarm is over.
const CALM: u64 = 5;

/// Between two marks of how many retained messages there were.
const MARKS: Duration = Duration::from_secs(30);

/// Fewer messages more than these are no growth that anybody has to look after.
const GROWTH: u64 = 1000;

/// Alarms of certificates begin so, and end with the name of the listener.
const CERTIFICATE: &str = "certificate/";

/// What is looked at besides counters.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) totals: &'a Totals,
    pub(crate) settings: &'a Settings,
    pub(crate) shards: u64,
    pub(crate) connections: (u64, u64),
    /// Bytes that are used of the disk of the store, and that it has.
    pub(crate) disk: Option<(u64, u64)>,
    /// Listeners by name, with their first certificate to expire.
    pub(crate) certificates: &'a [(String, Expires)],
}

/// Looks now and then.
#[derive(Debug)]
pub(crate) struct Watcher {
    due: Time,
    /// How many retained messages there were when.
    marks: VecDeque<(Time, u64)>,
}

impl Watcher {
    pub(crate) const fn new(now: Time) -> Self {
        Self { due: now, marks: VecDeque::new() }
    }

    pub(crate) const fn due(&self) -> Time {
        self.due
    }

    pub(crate) fn look(&mut self, now: Time, why: &Why, seen: &Seen<'_>) {
        self.due = now.saturating_add(INTERVAL);
        let (options, alarms) = (why.options(), &why.alarms);
        let near = Near { now, alarms, at: u64::from(options.alarm_at) };
        let Seen { totals, settings, .. } = seen;
        let limit = |limit: usize| limit as u64;
        near.look("connections", Limit::Connections, seen.connections);
        let retained = (totals.retained, limit(settings.maximum_retained));
        near.look("retained", Limit::Retained, retained);
        let bytes = (totals.retained_bytes, limit(settings.maximum_retained_bytes));
        near.look("retained-bytes", Limit::RetainedBytes, bytes);
        let queues = limit(settings.maximum_shard_queue_bytes).saturating_mul(seen.shards);
        near.look("queues", Limit::ShardQueueBytes, (totals.stats.queued_bytes, queues));
        near.look("memory", Limit::Memory, (totals.heap, why.memory.limit().unwrap_or(u64::MAX)));
        near.look_at_disk(seen);
        self.look_at_growth(now, alarms, &options, totals.retained);
        look_at_certificates(now, alarms, &options, seen.certificates);
    }

    fn look_at_growth(&mut self, now: Time, alarms: &Alarms, options: &WhyOptions, count: u64) {
        let begin = now.saturating_sub(options.growth_within);
        while self.marks.get(1).is_some_and(|(at, _)| *at <= begin) {
            self.marks.pop_front();
        }
        if self.marks.back().is_none_or(|(at, _)| now.since(*at) >= MARKS) {
            self.marks.push_back((now, count));
        }
        let before = self.marks.iter().map(|(_, count)| *count).min().unwrap_or(count);
        let more = count.saturating_sub(before);
        let percent = u64::from(options.retained_growth);
        let grows = percent > 0 && more >= GROWTH && more * 100 > before.saturating_mul(percent);
        let text = grows.then(|| {
            format!(
                "{count} retained messages, {before} within the last {} minutes (setting \
                 alarms.retained_growth_percent, {percent} %)",
                options.growth_within.as_secs() / 60
            )
        });
        alarms.set(now, "retained-growth", text);
    }
}

/// How near to a limit is near.
struct Near<'a> {
    now: Time,
    alarms: &'a Alarms,
    at: u64,
}

impl Near<'_> {
    fn look(&self, name: &str, limit: Limit, (value, allowed): (u64, u64)) {
        let setting = format!("setting {limit}");
        self.look_at(name, (value, allowed), limit.what(), &setting);
    }

    fn look_at(&self, name: &str, (value, allowed): (u64, u64), what: &str, setting: &str) {
        if self.at == 0 || allowed == 0 || allowed == u64::MAX {
            return self.alarms.clear(self.now, name);
        }
        let raised = self.alarms.is_raised(name);
        let at = if raised { self.at.saturating_sub(CALM) } else { self.at };
        let percent = value.saturating_mul(100) / allowed;
        let text = (percent >= at)
            .then(|| format!("{value} {what}, {percent} % of {allowed} allowed ({setting})"));
        self.alarms.set(self.now, name, text);
    }

    fn look_at_disk(&self, seen: &Seen<'_>) {
        let text = match seen.totals.store.condition {
            Condition::Off | Condition::Ready => None,
            Condition::Full => Some(
                "the disk of the store has no room: messages that have to be kept are refused".into(),
            ),
            Condition::Broken => Some(
                "the disk of the store cannot be written: messages that have to be kept are refused"
                    .into(),
            ),
        };
        self.alarms.set(self.now, "store", text);
        let (value, allowed) = seen.disk.unwrap_or((0, 0));
        self.look_at("disk", (value, allowed), "bytes of the disk of the store used", "the disk");
    }
}

fn look_at_certificates(
    now: Time,
    alarms: &Alarms,
    options: &WhyOptions,
    certificates: &[(String, Expires)],
) {
    let soon = now.saturating_add(options.certificates_within);
    alarms.clear_others(now, CERTIFICATE, |name| {
        certificates.iter().any(|(listener, _)| name.strip_prefix(CERTIFICATE) == Some(listener))
    });
    for (listener, expires) in certificates {
        let (file, expires) = (&expires.file, Time::from_secs(expires.at));
        let text = (expires <= soon).then(|| {
            let days = expires.since(now).as_secs() / 86_400;
            if expires <= now {
                format!("the certificate of listener {listener} has expired: {file}")
            } else {
                format!("the certificate of listener {listener} expires in {days} days: {file}")
            }
        });
        alarms.set(now, &format!("{CERTIFICATE}{listener}"), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        why: Why,
        watcher: Watcher,
        totals: Totals,
        settings: Settings,
        certificates: Vec<(String, Expires)>,
        connections: (u64, u64),
    }

    impl Scene {
        fn new() -> Self {
            Self {
                why: Why::new(WhyOptions::default()),
                watcher: Watcher::new(Time::ZERO),
                totals: Totals::default(),
                settings: Settings { maximum_retained: 100_000, ..Settings::default() },
                certificates: Vec::new(),
                connections: (0, 1000),
            }
        }

        /// The names of what is raised after another look.
        fn look(&mut self, now: Time) -> Vec<String> {
            let seen = Seen {
                totals: &self.totals,
                settings: &self.settings,
                shards: 2,
                connections: self.connections,
                disk: None,
                certificates: &self.certificates,
            };
            self.watcher.look(now, &self.why, &seen);
            self.why.alarms.list().into_iter().map(|alarm| alarm.name).collect()
        }
    }

    #[test]
    fn four_fifths_of_a_limit_are_an_alarm_until_it_is_calm_again() {
        let mut scene = Scene::new();
        let mut raised = Vec::new();
        for connections in [799, 800, 760, 749, 799] {
            scene.connections.0 = connections;
            raised.push(scene.look(Time::ZERO).len());
        }
        assert_eq!(raised, [0, 1, 1, 0, 0]);
        scene.connections.0 = 900;
        scene.look(Time::ZERO);
        assert_eq!(
            scene.why.alarms.list()[0].text,
            "900 connections, 90 % of 1000 allowed (setting limits.connections, in mosquitto.conf \
             global_max_connections)"
        );
    }

    #[test]
    fn each_limit_has_its_alarm() {
        let mut scene = Scene::new();
        scene.why.memory.set_limit(Some(1000));
        scene.totals.heap = 900;
        scene.totals.retained = 90_000;
        scene.totals.retained_bytes = 2 << 30;
        scene.totals.stats.queued_bytes = 2 << 30;
        scene.totals.store.condition = Condition::Full;
        let raised = scene.look(Time::ZERO);
        assert_eq!(raised, ["memory", "queues", "retained", "retained-bytes", "store"]);
        scene.totals = Totals::default();
        assert!(scene.look(Time::ZERO).is_empty());
    }

    #[test]
    fn retained_messages_that_grow_fast_are_an_alarm() {
        let mut scene = Scene::new();
        scene.settings.maximum_retained = 1_000_000;
        let mut raised_at = None;
        for minute in 0..240u64 {
            // Steady, then a device that publishes to a new topic each time.
            scene.totals.retained = 10_000 + minute.saturating_sub(100) * 1000;
            let raised = scene.look(Time::from_secs(60 * minute));
            if raised.contains(&"retained-growth".into()) {
                raised_at.get_or_insert(minute);
            }
        }
        assert_eq!(raised_at, Some(111), "more than twice as many as an hour ago");
        scene.look(Time::from_secs(60 * 239 + 30));
        assert!(scene.look(Time::from_secs(60 * 239 + 3640)).is_empty(), "and then they stay");
    }

    #[test]
    fn certificates_are_an_alarm_a_month_before_they_expire() {
        const DAY: u64 = 86_400;
        let mut scene = Scene::new();
        let expires = Expires { at: 100 * DAY, file: "s.pem (d.toml:3)".into() };
        scene.certificates = vec![("8883".into(), expires)];
        assert!(scene.look(Time::from_secs(69 * DAY)).is_empty());
        assert_eq!(scene.look(Time::from_secs(80 * DAY)), ["certificate/8883"]);
        assert!(scene.why.alarms.list()[0].text.ends_with("expires in 20 days: s.pem (d.toml:3)"));
        scene.look(Time::from_secs(101 * DAY));
        assert!(scene.why.alarms.list()[0].text.ends_with("has expired: s.pem (d.toml:3)"));
        // It is renewed.
        scene.certificates[0].1.at = 200 * DAY;
        assert!(scene.look(Time::from_secs(101 * DAY)).is_empty());
    }
}
