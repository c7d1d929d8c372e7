//! What was told lately: of everybody, and of each client.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use dunlin_broker::{Event, Time};

/// Events kept of one client.
const PER_CLIENT: usize = 50;

/// Events kept of all together.
const LATEST: usize = 1000;

/// Clients of which any are kept; the one that was quiet longest makes room.
const CLIENTS: usize = 10_000;

/// Bytes of what is kept of clients. 32 MiB: some 3 kB for each.
const BYTES: usize = 32 << 20;

/// Bytes of what is kept of all together. 4 MiB: some 4 kB for each event, of which most have 300 bytes.
const LATEST_BYTES: usize = 4 << 20;

/// What was told, and when.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) at: Time,
    pub(super) event: Arc<Event>,
}

/// The events of the last while, within bounds.
#[derive(Debug, Default)]
pub(super) struct Book {
    latest: VecDeque<Entry>,
    clients: HashMap<Arc<str>, Page>,
    /// Clients by the turn in which they were last spoken of.
    order: BTreeMap<u64, Arc<str>>,
    turn: u64,
    /// Of the clients.
    bytes: usize,
    /// Of the latest.
    latest_bytes: usize,
}

#[derive(Debug, Default)]
struct Page {
    turn: u64,
    entries: VecDeque<Entry>,
}

impl Entry {
    /// What it counts for. Whoever is refused has chosen its own names, of 64 KiB each perhaps.
    fn bytes(&self) -> usize {
        let topic = self.event.topic().map_or(0, |topic| topic.len());
        let client = self.event.client().map_or(0, |client| client.len());
        let user = self.event.user().map_or(0, |user| user.len());
        size_of::<Self>() + size_of::<Event>() + topic + client + user
    }
}

impl Book {
    pub(super) fn note(&mut self, at: Time, event: Event) {
        let entry = Entry { at, event: Arc::new(event) };
        self.latest_bytes += entry.bytes();
        self.latest.push_back(entry.clone());
        while self.latest.len() > LATEST || self.latest_bytes > LATEST_BYTES {
            self.latest_bytes -= self.latest.pop_front().map_or(0, |oldest| oldest.bytes());
        }
        if let Some(client) = entry.event.client().cloned() {
            self.note_client(client, entry);
        }
    }

    fn note_client(&mut self, client: Arc<str>, entry: Entry) {
        self.turn += 1;
        let page = self.clients.entry(Arc::clone(&client)).or_default();
        self.order.remove(&page.turn);
        page.turn = self.turn;
        self.bytes += entry.bytes();
        page.entries.push_back(entry);
        if page.entries.len() > PER_CLIENT {
            self.bytes -= page.entries.pop_front().map_or(0, |oldest| oldest.bytes());
        }
        self.order.insert(self.turn, client);
        while self.clients.len() > CLIENTS || self.bytes > BYTES {
            let Some((_, quiet)) = self.order.pop_first() else { return };
            let page = self.clients.remove(&quiet).unwrap_or_default();
            self.bytes -= page.entries.iter().map(Entry::bytes).sum::<usize>();
        }
    }

    /// Of one client, the oldest first.
    pub(super) fn of(&self, client: &str) -> Vec<Entry> {
        let page = self.clients.get(client);
        page.map(|page| page.entries.iter().cloned().collect()).unwrap_or_default()
    }

    /// Of everybody, the oldest first.
    pub(super) fn latest(&self, most: usize) -> Vec<Entry> {
        let skip = self.latest.len().saturating_sub(most);
        self.latest.iter().skip(skip).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(client: &str) -> Event {
        Event::SessionExpired { client: client.into() }
    }

    fn published(client: &str, topic: String) -> Event {
        Event::WillPublished { client: client.into(), topic: topic.into() }
    }

    #[test]
    fn the_last_fifty_of_each_client_and_the_last_thousand_of_all_are_kept() {
        let mut book = Book::default();
        for second in 0..600 {
            book.note(Time::from_secs(second), expired("a"));
            book.note(Time::from_secs(second), expired("b"));
        }
        let of = book.of("a");
        assert_eq!(of.len(), PER_CLIENT);
        assert_eq!(of[0].at, Time::from_secs(550));
        assert_eq!(book.latest(usize::MAX).len(), LATEST);
        assert_eq!(book.latest(3).len(), 3);
        assert!(book.of("c").is_empty());
    }

    #[test]
    fn the_client_that_was_quiet_longest_is_forgotten_first() {
        let mut book = Book::default();
        for number in 0..CLIENTS {
            book.note(Time::ZERO, expired(&number.to_string()));
        }
        book.note(Time::ZERO, expired("0"));
        book.note(Time::ZERO, expired("one more"));
        assert_eq!(book.clients.len(), CLIENTS);
        assert_eq!(book.of("0").len(), 2);
        assert!(book.of("1").is_empty());
    }

    #[test]
    fn long_topics_do_not_fill_the_memory() {
        let mut book = Book::default();
        for number in 0..2000 {
            book.note(Time::ZERO, published(&number.to_string(), "x".repeat(60_000)));
        }
        let held: usize =
            book.clients.values().flat_map(|page| page.entries.iter().map(Entry::bytes)).sum();
        assert_eq!(held, book.bytes);
        assert!(held <= BYTES, "{held}");
        assert_eq!(book.order.len(), book.clients.len());
    }

    #[test]
    fn long_names_of_clients_do_not_fill_the_memory() {
        let mut book = Book::default();
        for number in 0..2000 {
            book.note(Time::ZERO, expired(&format!("{number}{}", "x".repeat(60_000))));
        }
        let names: usize = book.clients.keys().map(|name| name.len()).sum();
        assert!(names <= BYTES, "{names}");
        let latest: usize = book.latest.iter().map(Entry::bytes).sum();
        assert_eq!(latest, book.latest_bytes);
        assert!(latest <= LATEST_BYTES && !book.latest.is_empty(), "{latest}");
    }
}
