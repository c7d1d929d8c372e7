//! The filters of rare shapes, as a trie over runs of levels.
//!
//! An edge is a whole run of levels between two wildcards, and all edges are found in one hash table
//! under their parent and text. Each node knows the lengths of the runs below it, so that the topic is
//! tried at these lengths only: every look-up thus has some child that it could have been for, and a
//! walk makes at most one for each node, whatever the filters are.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};

use super::filters::Subscribers;
use super::hashing::{Hashing, extend};
use super::levels::Levels;
use super::steps::{Step, level_count, steps};

/// A map from filters to subscribers.
#[derive(Debug)]
pub(super) struct Trie {
    hashing: Hashing,
    nodes: Vec<Node>,
    /// First of the free nodes; they are chained by `base`.
    free: u32,
    used: usize,
    /// Nodes that end a run, by their base and the run.
    runs: HashTable<u32>,
    /// How many runs of a length begin at a node.
    lengths: HashMap<u64, u32, FixedState>,
}

#[derive(Debug)]
struct Node {
    /// Where the run or the `+` that leads here begins.
    base: u32,
    /// The node behind a `+`.
    plus: u32,
    /// Bit n - 1: runs of n levels begin here.
    lengths: u32,
    /// The run that leads here. Empty behind a `+`; yet a run of one empty level is empty too.
    run: Box<[u8]>,
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
            nodes: vec![Node::default()],
            free: NONE,
            used: 0,
            runs: HashTable::new(),
            lengths: HashMap::with_hasher(FixedState::with_seed(seed)),
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
            if from < to && *node.run != *levels.text(topic, from, to) {
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
            + self.runs.allocation_size()
            + self.nodes.iter().map(|node| node.run.len()).sum::<usize>()
            + self.lengths.allocation_size()
    }

    /// Where `filter` ends, if anything was subscribed to it.
    fn find(&self, filter: &[u8]) -> Option<Place> {
        let mut node = ROOT;
        for step in steps(filter) {
            node = match step {
                Step::Run(text) => self.find_run(node, text)?,
                Step::Plus => Some(self.nodes[node as usize].plus).filter(|plus| *plus != NONE)?,
                Step::Below => return Some(Place { node, below: true }),
            };
        }
        Some(Place { node, below: false })
    }

    /// Where `filter` ends. The caller puts a subscriber there.
    fn ensure(&mut self, filter: &[u8]) -> Place {
        let mut node = ROOT;
        for step in steps(filter) {
            node = match step {
                Step::Run(text) => self.ensure_run(node, text),
                Step::Plus => match self.nodes[node as usize].plus {
                    NONE => {
                        let plus = self.add_node(Node { base: node, ..Node::default() });
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
        let mut number = place.node;
        while number != ROOT && self.nodes[number as usize].is_bare() {
            let base = self.nodes[number as usize].base;
            if self.nodes[base as usize].plus == number {
                self.nodes[base as usize].plus = NONE;
            } else {
                self.detach_run(base, number);
            }
            self.nodes[number as usize] = Node { base: self.free, ..Node::default() };
            self.free = number;
            self.used -= 1;
            number = base;
        }
        if self.used == 0 && self.nodes.len() > WORTH_FREEING {
            self.nodes.truncate(1);
            self.nodes.shrink_to_fit();
            self.free = NONE;
            self.runs = HashTable::new();
            self.lengths.shrink_to_fit();
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
            parts.push(if is_plus { b"+" } else { &node.run });
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
            for node in self.runs.iter_hash(hash).copied() {
                if self.nodes[node as usize].base == base {
                    visits.push(Visit { node, from: at, to: at + length as u32 });
                }
            }
            lengths &= lengths - 1;
        }
    }

    fn find_run(&self, base: u32, text: &[u8]) -> Option<u32> {
        let is_it = |number: &u32| {
            let node = &self.nodes[*number as usize];
            node.base == base && *node.run == *text
        };
        self.runs.find(run_hash(&self.hashing, base, text), is_it).copied()
    }

    fn ensure_run(&mut self, base: u32, text: &[u8]) -> u32 {
        if let Some(node) = self.find_run(base, text) {
            return node;
        }
        let node = self.add_node(Node { base, run: text.into(), ..Node::default() });
        let (nodes, hashing) = (&self.nodes, &self.hashing);
        self.runs.insert_unique(run_hash(hashing, base, text), node, |other| {
            let other = &nodes[*other as usize];
            run_hash(hashing, other.base, &other.run)
        });
        let length = level_count(text);
        *self.lengths.entry(length_key(base, length)).or_insert(0) += 1;
        self.nodes[base as usize].lengths |= 1 << (length - 1);
        node
    }

    fn detach_run(&mut self, base: u32, number: u32) {
        let run = &self.nodes[number as usize].run;
        let length = level_count(run);
        let hash = run_hash(&self.hashing, base, run);
        if let Ok(entry) = self.runs.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
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
        super::grow(&mut self.nodes);
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).expect("fewer filters than u32::MAX")
    }
}

impl Node {
    const fn is_bare(&self) -> bool {
        self.plus == NONE && self.lengths == 0 && self.here.is_nobody() && self.below.is_nobody()
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            base: NONE,
            plus: NONE,
            lengths: 0,
            run: Box::default(),
            here: Subscribers::Nobody,
            below: Subscribers::Nobody,
        }
    }
}

fn run_hash(hashing: &Hashing, base: u32, text: &[u8]) -> u64 {
    let levels = text.split(|byte| *byte == b'/').map(|level| hashing.bytes(level));
    levels.fold(hashing.start(base), extend)
}

const fn length_key(node: u32, length: usize) -> u64 {
    (node as u64) << 8 | length as u64
}

const ROOT: u32 = 0;
/// No node has this number.
const NONE: u32 = u32::MAX;
/// An empty trie that once had more nodes than this gives their memory back.
const WORTH_FREEING: usize = 1_024;
