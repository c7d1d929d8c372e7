//! All filters, each with its subscribers.

use super::Subscriber;
use super::hashing::Hashing;
use super::levels::Levels;
use super::shapes::{Key, Search, Shapes};
use super::trie::{Trie, Visits};

/// A map from filters to subscribers that can be searched by topic. A filter is either here or there:
/// whether its shape was served when it came decides it.
#[derive(Debug)]
pub(super) struct Filters {
    hashing: Hashing,
    shapes: Shapes,
    trie: Trie,
}

/// The subscribers of one filter. Nearly all filters have one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Subscribers {
    #[default]
    Nobody,
    One(Subscriber),
    /// A list that the index keeps.
    Many(u32),
}

/// Working memory of a search, kept from one to the next.
#[derive(Debug, Default, Clone)]
pub(super) struct Scratch {
    levels: Levels,
    search: Search,
    visits: Visits,
}

impl Filters {
    pub(super) fn new(seed: u64) -> Self {
        let hashing = Hashing::new(seed);
        Self { trie: Trie::new(seed, hashing.clone()), shapes: Shapes::new(), hashing }
    }

    pub(super) const fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// Calls `found` for every filter that matches, with its subscribers.
    pub(super) fn search(
        &self,
        topic: &[u8],
        scratch: &mut Scratch,
        mut found: impl FnMut(Subscribers),
    ) {
        let Scratch { levels, search, visits } = scratch;
        levels.split(topic, &self.hashing);
        self.shapes.search(topic, levels, search, &mut found);
        if !self.trie.is_empty() {
            self.trie.walk(topic, levels, visits, &mut found);
        }
    }

    pub(super) fn get(&self, filter: &[u8]) -> Subscribers {
        let key = Key::of(filter, &self.hashing);
        match key.map(|key| self.shapes.get(key, filter)) {
            None | Some(Subscribers::Nobody) => self.trie.get(filter),
            Some(subscribers) => subscribers,
        }
    }

    /// Adds, replaces or, with nobody, removes a filter.
    pub(super) fn set(&mut self, filter: &[u8], subscribers: Subscribers) {
        let key = Key::of(filter, &self.hashing);
        let here = key.is_some_and(|key| self.shapes.replace(key, filter, subscribers))
            || self.trie.replace(filter, subscribers)
            || subscribers.is_nobody()
            || key.is_some_and(|key| self.shapes.add(key, filter, subscribers));
        if !here {
            self.trie.add(filter, subscribers);
        }
    }

    /// The texts of the filters, in no order.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        let shaped = self.shapes.filters().map(|text| String::from_utf8_lossy(text).into_owned());
        shaped.chain(self.trie.filters())
    }

    /// Nodes of the trie that holds the filters of rare shapes.
    pub(super) const fn node_count(&self) -> usize {
        self.trie.node_count()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.shapes.memory_bytes() + self.trie.memory_bytes()
    }
}

impl Subscribers {
    #[inline]
    pub(super) const fn is_nobody(self) -> bool {
        matches!(self, Self::Nobody)
    }
}
