//! Why? What the broker refused, dropped, lowered or ended lately, whom that concerned and which rule or
//! setting was behind it; what somebody has to look after; and the limits that no shard can keep alone.
//!
//! Shards leave their events here once a turn (`Why`), what comes in asks `Crowd`, and shard 0 looks
//! every two seconds how near the limits are (`watch.rs`, `Alarms`).

mod alarms;
mod book;
mod crowd;
mod explain;
mod memory;
mod options;
mod turned;
mod watch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use dunlin_broker::{Event, Time};
use parking_lot::{Mutex, RwLock};
use rustix::fs::statvfs;

pub use alarms::Alarm;
pub(crate) use alarms::Alarms;
use alarms::world_time;
use book::{Book, Entry};
pub(crate) use crowd::{Bounds, Crowd, network};
pub use explain::Explained;
pub(crate) use memory::Memory;
pub use options::WhyOptions;
pub(crate) use turned::{Reason, Turned};
pub(crate) use watch::{Seen, Watcher};

use crate::hush::Hush;

/// What was told, as somebody reads it who wants to know why.
#[derive(Debug, Clone)]
pub struct Told {
    /// When.
    pub at: SystemTime,
    /// The name of the cause.
    pub cause: &'static str,
    /// Whom it is about.
    pub client: Option<String>,
    /// The topic or filter it is about.
    pub topic: Option<String>,
    /// The rule behind it: where it is written, or the setting.
    pub rule: Option<String>,
    /// All of it in a sentence.
    pub text: String,
}

/// All that is known of reasons.
#[derive(Debug)]
pub(crate) struct Why {
    /// A lock and not messages: shards write once a turn in which anything was told, and who asks wants an
    /// answer from all shards at once.
    book: Mutex<Book>,
    pub(crate) alarms: Alarms,
    pub(crate) crowd: Crowd,
    pub(crate) memory: Memory,
    /// Those who are turned away below MQTT, of whom shards know nothing.
    pub(crate) turned: Turned,
    /// Refusals that the log does not tell one by one.
    pub(crate) hush: Hush,
    /// A lock and not messages: a reload replaces them as a whole, and every accept looks at them once.
    options: RwLock<Arc<WhyOptions>>,
    /// Where the store is, whose disk is looked at.
    store: Option<PathBuf>,
}

impl Why {
    pub(crate) fn new(options: WhyOptions) -> Self {
        Self {
            book: Mutex::default(),
            alarms: Alarms::default(),
            crowd: Crowd::default(),
            memory: Memory::new(options.memory),
            turned: Turned::default(),
            hush: Hush::default(),
            options: RwLock::new(Arc::new(options)),
            store: None,
        }
    }

    /// And a store in this directory, if there is one.
    pub(crate) fn beside(mut self, store: Option<PathBuf>) -> Self {
        self.store = store;
        self
    }

    /// Bytes of the disk of the store: used, and all that may be.
    pub(crate) fn disk(&self) -> Option<(u64, u64)> {
        let disk = statvfs(self.store.as_ref()?).ok()?;
        let free = disk.f_bavail;
        // What is reserved for root is nobody's here.
        let used = disk.f_blocks.saturating_sub(disk.f_bfree);
        Some((used * disk.f_frsize, (used + free) * disk.f_frsize))
    }

    /// The options of the moment.
    pub(crate) fn options(&self) -> Arc<WhyOptions> {
        Arc::clone(&self.options.read())
    }

    /// Goes on with other options.
    pub(crate) fn replace_options(&self, options: WhyOptions) {
        self.memory.set_limit(options.memory);
        *self.options.write() = Arc::new(options);
    }

    /// Takes in what a turn had to tell.
    pub(crate) fn note(&self, now: Time, events: impl Iterator<Item = Event>) {
        let mut book = self.book.lock();
        events.for_each(|event| book.note(now, event));
    }

    /// What was told of a client, the oldest first.
    pub(crate) fn of(&self, client: &str) -> Vec<Told> {
        let entries = self.book.lock().of(client);
        self.told(&entries)
    }

    /// What was told of everybody, the oldest first.
    pub(crate) fn latest(&self, most: usize) -> Vec<Told> {
        let entries = self.book.lock().latest(most);
        self.told(&entries)
    }

    fn told(&self, entries: &[Entry]) -> Vec<Told> {
        let options = self.options();
        entries.iter().map(|entry| told(entry, &options.places)).collect()
    }
}

fn told(entry: &Entry, places: &HashMap<String, String>) -> Told {
    let Entry { at, event } = entry;
    let owned = |text: &Arc<str>| text.as_ref().to_owned();
    Told {
        at: world_time(*at),
        cause: event.cause().as_str(),
        client: event.client().map(owned),
        topic: event.topic().map(owned),
        rule: event.rule().map(|rule| match places.get(rule) {
            Some(place) => format!("{place} ({rule})"),
            None => rule.to_owned(),
        }),
        text: event.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use dunlin_broker::{Drop, Limit};

    use super::*;

    #[test]
    fn a_limit_is_told_with_the_place_where_it_is_set() {
        let places = [(Limit::QueuedMessages.key().to_owned(), "dunlin.toml:7".to_owned())];
        let options = WhyOptions { places: places.into(), ..WhyOptions::default() };
        let why = Why::new(options);
        let full = Drop::QueueFull { messages: 9, limit: 9 };
        let dropping =
            Event::Dropping { client: "c".into(), topic: "t".into(), cause: full, count: 3 };
        why.note(Time::from_secs(60), [dropping].into_iter());
        let [told] = &why.of("c")[..] else { panic!("one event") };
        assert_eq!(told.cause, "queue-full");
        assert_eq!(told.topic.as_deref(), Some("t"));
        assert_eq!(told.rule.as_deref(), Some("dunlin.toml:7 (limits.maximum_queued_messages)"));
        assert_eq!(told.at, world_time(Time::from_secs(60)));
        assert!(told.text.starts_with("3 messages for client \"c\" dropped"), "{}", told.text);
        assert_eq!(why.latest(10).len(), 1);
    }

    #[test]
    fn every_cause_is_explained_in_the_documentation() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/why.md");
        let page = std::fs::read_to_string(page).expect("the page is there");
        for cause in dunlin_broker::Cause::ALL {
            let row = format!("| `{}` | {} |", cause.as_str(), cause.meaning());
            assert!(page.contains(&row), "no row {row}");
        }
    }
}
