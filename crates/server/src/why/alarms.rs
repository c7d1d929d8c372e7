//! Alarms: what somebody has to look after, from when it begins until it is over.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use dunlin_broker::Time;
use parking_lot::Mutex;

/// Something that somebody has to look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Its name, which does not change while it lasts: `memory`, `certificate/1883`.
    pub name: String,
    /// Since when.
    pub since: SystemTime,
    /// What it is, with values, limits and settings.
    pub text: String,
}

/// The alarms that are raised.
///
/// A lock and not messages: they are raised by whoever sees the cause, and read by operators, seldom.
#[derive(Debug, Default)]
pub(crate) struct Alarms(Mutex<BTreeMap<String, Raised>>);

#[derive(Debug)]
struct Raised {
    since: Time,
    text: String,
}

/// Alarms at once: there are fewer causes, but for certificates.
const MOST: usize = 1000;

impl Alarms {
    /// Raises an alarm, or says of one that is raised how it is now.
    pub(crate) fn raise(&self, now: Time, name: &str, text: String) {
        let mut raised = self.0.lock();
        if let Some(raised) = raised.get_mut(name) {
            raised.text = text;
        } else if raised.len() < MOST {
            tracing::warn!("alarm {name}: {text}");
            raised.insert(name.to_owned(), Raised { since: now, text });
        }
    }

    /// An alarm is over, if it was raised.
    pub(crate) fn clear(&self, now: Time, name: &str) {
        if let Some(Raised { since, text }) = self.0.lock().remove(name) {
            let lasted = now.since(since).as_secs();
            tracing::info!("alarm {name} is over after {lasted} s: {text}");
        }
    }

    /// Raises an alarm, or ends it where there is nothing to say.
    pub(crate) fn set(&self, now: Time, name: &str, text: Option<String>) {
        match text {
            Some(text) => self.raise(now, name, text),
            None => self.clear(now, name),
        }
    }

    /// Whether it is raised.
    pub(crate) fn is_raised(&self, name: &str) -> bool {
        self.0.lock().contains_key(name)
    }

    /// Those of this kind whose names `keep` does not want any more are over.
    pub(crate) fn clear_others(&self, now: Time, kind: &str, keep: impl Fn(&str) -> bool) {
        let over: Vec<String> = {
            let raised = self.0.lock();
            let names = raised.keys().filter(|name| name.starts_with(kind) && !keep(name));
            names.cloned().collect()
        };
        over.iter().for_each(|name| self.clear(now, name));
    }

    /// All that are raised, by name.
    pub(crate) fn list(&self) -> Vec<Alarm> {
        let raised = self.0.lock();
        let list = raised.iter().map(|(name, raised)| Alarm {
            name: name.clone(),
            since: world_time(raised.since),
            text: raised.text.clone(),
        });
        list.collect()
    }
}

/// Times of the broker are microseconds since 1970 here.
pub(super) fn world_time(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(time.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_lasts_from_when_it_was_raised_and_says_how_it_is_now() {
        let alarms = Alarms::default();
        alarms.raise(Time::from_secs(10), "memory", "81 %".into());
        alarms.raise(Time::from_secs(20), "memory", "90 %".into());
        let list = alarms.list();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].since, world_time(Time::from_secs(10)));
        assert_eq!(list[0].text, "90 %");
        alarms.set(Time::from_secs(30), "memory", None);
        assert!(alarms.list().is_empty());
        alarms.clear(Time::from_secs(40), "memory");
    }

    #[test]
    fn alarms_of_a_kind_end_when_what_they_are_about_is_gone() {
        let alarms = Alarms::default();
        for name in ["certificate/a", "certificate/b", "disk"] {
            alarms.raise(Time::ZERO, name, String::new());
        }
        alarms.clear_others(Time::ZERO, "certificate/", |name| name.ends_with("/b"));
        let names: Vec<_> = alarms.list().into_iter().map(|alarm| alarm.name).collect();
        assert_eq!(names, ["certificate/b", "disk"]);
    }
}
