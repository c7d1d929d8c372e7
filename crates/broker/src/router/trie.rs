//! The filters of rare shapes, as a trie over runs of levels.
//!
//! An edge is a whole run of levels between two wildcards, and all edges are found in one hash table
//! under their parent and text. Each node knows the lengths of the runs below it, so that the topic is
//! tried at these lengths only: every look-up thus has some child that it could have been for, and a
//! walk makes at most one for each node, whatever the filters are.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::hashing::{Hashing, extend, tag};
use super::levels::Levels;
use super::slots::Slots;
use super::steps::{Step, level_count, steps};
use super::subscribers::Subscribers;
use super::texts::{Text, Texts, grow};

/// A map from filters to subscribers.
#[derive(Debug)]
pub(super) struct Trie {
    hashing: Hashing,
    nodes: Vec<Node>,
    /// First of the free nodes; they are chained by `base`.
    free: u32,
    used: usize,
    /// Nodes that end a run, by the hash of their base and text.
    slots: Slots,
    texts: Texts,
    /// How many runs of a length begin at a node.
    lengths: HashMap<u64, u32, FixedState>,
    /// While texts are being moved: the next node whose text may be in the old place.
    move_next: usize,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// Where the run or the `+` that leads here begins.
    base: u32,
    /// The node behind a `+`.
    plus: u32,
    /// Bit n - 1: runs of n levels begin here.
    lengths: u32,
    /// The run that leads here.
    run: Text,
    /// Of the filter that ends here.
    here: Subscribers,
    /// Of the filter that goes on with `#`.
    below: Subscribers,
}

/// Where a filter ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    node: u32,
    below: bool,
}

/// Working memory of a walk, kept from one to the next.
pub(super) type Visits = Vec<Visit>;

/// A node to visit, with the levels of the topic that its run stands for: not compared yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    node: u32,
    from: u32,
    to: u32,
}

impl Trie {
    pub(super) fn new(seed: u64, hashing: Hashing) -> Self {
        Self {
            hashing,
            nodes: vec![Node::new(NONE, Text::default())],
            free: NONE,
            used: 0,
            slots: Slots::new(0),
            texts: Texts::default(),
            lengths: HashMap::with_hasher(FixedState::with_seed(seed)),
            move_next: 0,
        }
    }

    /// Nodes besides the root.
    pub(super) const fn node_count(&self) -> usize {
        self.used
    }

    /// Whether it holds no filter: `#` needs no node besides the root.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0 && self.nodes[ROOT as usize].below.is_nobody()
    }

    /// Calls `found` for every filter that matches.
    pub(super) fn walk(
        &self,
        topic: &[u8],
        levels: &Levels,
        visits: &mut Visits,
        mut found: impl FnMut(Subscribers),
    ) {
        visits.clear();
        visits.push(Visit { node: ROOT, from: 0, to: 0 });
        while let Some(Visit { node: number, from, to }) = visits.pop() {
            let node = &self.nodes[number as usize];
            if from < to && self.texts.get(node.run) != levels.text(topic, from, to) {
                continue;
            }
            // [MQTT-4.7.2-1]: a wildcard at the root does not match a topic that begins with `$`.
            let wild = !(levels.is_dollar() && to == 0);
            if wild {
                found(node.below);
            }
            if to == levels.count() {
                found(node.here);
                continue;
            }
            if node.plus != NONE && wild {
                visits.push(Visit { node: node.plus, from: to + 1, to: to + 1 });
            }
            if node.lengths != 0 {
                self.try_runs(number, node.lengths, to, levels, visits);
            }
        }
    }

    pub(super) fn get(&self, filter: &[u8]) -> Subscribers {
        self.find(filter).map_or(Subscribers::Nobody, |place| self.at(place))
    }

    /// Replaces the subscribers of a filter; tells whether it is here.
    pub(super) fn replace(&mut self, filter: &[u8], subscribers: Subscribers) -> bool {
        let place = self.find(filter).filter(|place| !self.at(*place).is_nobody());
        let Some(place) = place else { return false };
        self.set(place, subscribers);
        if subscribers.is_nobody() {
            self.prune(place);
        }
        true
    }

    /// Adds a filter that is not here.
    pub(super) fn add(&mut self, filter: &[u8], subscribers: Subscribers) {
        let place = self.ensure(filter);
        self.set(place, subscribers);
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().zip(0u32..).flat_map(move |(node, number)| {
            let ends = [(node.here, false), (node.below, true)];
            let ends = ends.into_iter().filter(|(subscribers, _)| !subscribers.is_nobody());
            ends.map(move |(_, below)| self.filter(Place { node: number, below }))
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.slots.memory_bytes()
            + self.texts.memory_bytes()
            + self.lengths.allocation_size()
    }

    /// Where `filter` ends, if anything was subscribed to it.
    fn find(&self, filter: &[u8]) -> Option<Place> {
        let mut node = ROOT;
        for step in steps(filter) {
            node = match step {
                Step::Run(text) => self.find_run(node, text, self.tag(node, text))?,
                Step::Plus => Some(self.nodes[node as usize].plus).filter(|plus| *plus != NONE)?,
                Step::Below => return Some(Place { node, below: true }),
            };
        }
        Some(Place { node, below: false })
    }

    /// Where `filter` ends. The caller puts a subscriber there.
    fn ensure(&mut self, filter: &[u8]) -> Place {
        self.move_some_texts();
        let mut node = ROOT;
        for step in steps(filter) {
            node = match step {
                Step::Run(text) => self.ensure_run(node, text),
                Step::Plus => match self.nodes[node as usize].plus {
                    NONE => {
                        let plus = self.add_node(Node::new(node, Text::default()));
                        self.nodes[node as usize].plus = plus;
                        plus
                    }
                    plus => plus,
                },
                Step::Below => return Place { node, below: true },
            };
        }
        Place { node, below: false }
    }

    fn at(&self, place: Place) -> Subscribers {
        let node = &self.nodes[place.node as usize];
        if place.below { node.below } else { node.here }
    }

    fn set(&mut self, place: Place, subscribers: Subscribers) {
        let node = &mut self.nodes[place.node as usize];
        if place.below {
            node.below = subscribers;
        } else {
            node.here = subscribers;
        }
    }

    /// Removes the nodes that nothing needs any longer, from `place` towards the root.
    fn prune(&mut self, place: Place) {
        self.move_some_texts();
        let mut number = place.node;
        while number != ROOT && self.nodes[number as usize].is_bare() {
            let base = self.nodes[number as usize].base;
            if self.nodes[base as usize].plus == number {
                self.nodes[base as usize].plus = NONE;
            } else {
                self.detach_run(base, number);
            }
            self.nodes[number as usize] =
                Node { base: self.free, ..Node::new(NONE, Text::default()) };
            self.free = number;
            self.used -= 1;
            number = base;
        }
        if self.used == 0 && self.nodes.len() > WORTH_FREEING {
            self.nodes.truncate(1);
            self.nodes.shrink_to_fit();
            self.free = NONE;
            self.lengths.shrink_to_fit();
            self.texts = Texts::default();
        }
    }

    /// The text of the filter that ends at `place`.
    fn filter(&self, place: Place) -> String {
        let mut parts: Vec<&[u8]> = Vec::new();
        if place.below {
            parts.push(b"#");
        }
        let mut number = place.node;
        while number != ROOT {
            let node = &self.nodes[number as usize];
            let is_plus = self.nodes[node.base as usize].plus == number;
            parts.push(if is_plus { b"+" } else { self.texts.get(node.run) });
            number = node.base;
        }
        parts.reverse();
        String::from_utf8_lossy(&parts.join(&b'/')).into_owned()
    }

    /// Puts the nodes that may be reached from `base` by one run, from level `at` on, on the list.
    #[inline]
    fn try_runs(&self, base: u32, lengths: u32, at: u32, levels: &Levels, visits: &mut Visits) {
        let rest = &levels.all()[at as usize..];
        let mut lengths = match 1u32.checked_shl(rest.len() as u32) {
            Some(beyond) => lengths & (beyond - 1),
            None => lengths,
        };
        let mut hash = self.hashing.start(base);
        let mut done = 0;
        while lengths != 0 {
            let length = lengths.trailing_zeros() as usize + 1;
            for level in &rest[done..length] {
                hash = extend(hash, level.hash);
            }
            done = length;
            for node in self.slots.find(tag(hash)) {
                if self.nodes[node as usize].base == base {
                    visits.push(Visit { node, from: at, to: at + length as u32 });
                }
            }
            lengths &= lengths - 1;
        }
    }

    fn find_run(&self, base: u32, text: &[u8], tag: u32) -> Option<u32> {
        self.slots.find(tag).find(|number| {
            let node = &self.nodes[*number as usize];
            // A `+` has no text, yet neither has a run of one empty level.
            node.base == base && self.texts.get(node.run) == text
        })
    }

    fn ensure_run(&mut self, base: u32, text: &[u8]) -> u32 {
        let tag = self.tag(base, text);
        if let Some(node) = self.find_run(base, text, tag) {
            return node;
        }
        let run = self.texts.add(text);
        let node = self.add_node(Node::new(base, run));
        self.slots.insert(tag, node);
        let length = level_count(text);
        *self.lengths.entry(length_key(base, length)).or_insert(0) += 1;
        self.nodes[base as usize].lengths |= 1 << (length - 1);
        node
    }

    fn detach_run(&mut self, base: u32, number: u32) {
        let run = self.nodes[number as usize].run;
        let text = self.texts.get(run);
        let length = level_count(text);
        self.slots.remove(self.tag(base, text), number);
        self.texts.remove(run);
        let key = length_key(base, length);
        if let Some(count) = self.lengths.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&key);
                self.nodes[base as usize].lengths &= !(1 << (length - 1));
            }
        }
    }

    fn add_node(&mut self, node: Node) -> u32 {
        self.used += 1;
        if self.free != NONE {
            let number = self.free;
            self.free = self.nodes[number as usize].base;
            self.nodes[number as usize] = node;
            return number;
        }
        grow(&mut self.nodes, 1);
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).expect("fewer filters than u32::MAX")
    }

    fn tag(&self, base: u32, text: &[u8]) -> u32 {
        let levels = text.split(|byte| *byte == b'/').map(|level| self.hashing.bytes(level));
        tag(levels.fold(self.hashing.start(base), extend))
    }

    /// A little of what remains to be done when texts are being moved.
    fn move_some_texts(&mut self) {
        if self.texts.start_moving() {
            self.move_next = 0;
        }
        if !self.texts.is_moving() {
            return;
        }
        let end = self.nodes.len().min(self.move_next + MOVES_PER_CHANGE);
        for node in &mut self.nodes[self.move_next.min(end)..end] {
            node.run = self.texts.moved(node.run);
        }
        self.move_next = end;
        if end == self.nodes.len() {
            self.texts.end_moving();
        }
    }
}

impl Node {
    const fn new(base: u32, run: Text) -> Self {
        let here = Subscribers::Nobody;
        Self { base, plus: NONE, lengths: 0, run, here, below: Subscribers::Nobody }
    }

    const fn is_bare(&self) -> bool {
        self.plus == NONE && self.lengths == 0 && self.here.is_nobody() && self.below.is_nobody()
    }
}

const fn length_key(node: u32, length: usize) -> u64 {
    (node as u64) << 8 | length as u64
}

const ROOT: u32 = 0;
/// No node has this number.
const NONE: u32 = u32::MAX;
/// Enough to be done moving long before as much text is dead again, and about a microsecond.
const MOVES_PER_CHANGE: usize = 16;
/// An empty trie that once had more nodes than this gives their memory back.
const WORTH_FREEING: usize = 1_024;
