//! Filters found by their shape.
//!
//! At a million filters a match costs what it waits for memory, so it must not learn from one miss
//! where the next will be. The filters of a real system have few shapes: how many levels, which of
//! them `+`, whether `#` follows. For each shape there is only one filter that can match a topic, and
//! its hash is known from the topic alone: one look-up for each shape, none waiting for another.
//!
//! Nobody is kept from using many shapes, so only a limited number is served here; [`super::trie`]
//! has the filters of all others.

use super::filters::Subscribers;
use super::hashing::Hashing;
use super::levels::{Level, Levels};
use super::segment::Segment;
use super::slots::Hint;

/// The filters of a few shapes.
#[derive(Debug)]
pub(super) struct Shapes {
    shapes: Vec<Counted>,
    /// The segment for each value of the first `bits` bits of a tag.
    directory: Vec<u32>,
    bits: u8,
    segments: Vec<Segment>,
    used: usize,
}

/// What filters may have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bit n: level n is `+`.
    plus: u32,
    /// Without the `#`.
    levels: u32,
    /// Ends with `#`.
    open: bool,
}

#[derive(Debug)]
struct Counted {
    shape: Shape,
    filters: usize,
}

/// Where a filter would be found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    shape: Shape,
    tag: u32,
}

/// Working memory of a search, kept from one to the next.
#[derive(Debug, Default, Clone)]
pub(super) struct Search {
    probes: Vec<Probe>,
    hits: Vec<Hit>,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    key: Key,
    segment: u32,
    hint: Hint,
}

/// A record to look at.
#[derive(Debug, Clone, Copy)]
struct Hit {
    key: Key,
    segment: u32,
    record: u16,
    its_tag: u32,
}

impl Shapes {
    pub(super) fn new() -> Self {
        Self {
            shapes: Vec::new(),
            directory: vec![0],
            bits: 0,
            segments: vec![Segment::new(0)],
            used: 0,
        }
    }

    /// Calls `found` for every filter that matches. Each step is done for all shapes before the next
    /// is begun, so that their waits for memory overlap.
    pub(super) fn search(
        &self,
        topic: &[u8],
        levels: &Levels,
        search: &mut Search,
        mut found: impl FnMut(Subscribers),
    ) {
        let Search { probes, hits } = search;
        probes.clear();
        hits.clear();
        for Counted { shape, .. } in &self.shapes {
            if shape.fits(levels) {
                let key = shape.key(levels.all());
                let segment = self.segment_of(key.tag);
                let hint = self.segments[segment as usize].hint(key.tag);
                probes.push(Probe { key, segment, hint });
            }
        }
        for Probe { key, segment, hint } in probes {
            let here = &self.segments[*segment as usize];
            for record in here.find(key.tag, *hint) {
                let its_tag = here.tag(record);
                hits.push(Hit { key: *key, segment: *segment, record, its_tag });
            }
        }
        for Hit { key, segment, record, its_tag } in hits {
            if *its_tag != key.tag {
                continue;
            }
            let (filter, subscribers) = self.segments[*segment as usize].get(*record);
            if key.shape.is_of(filter, topic, levels) {
                found(subscribers);
            }
        }
    }

    pub(super) fn get(&self, key: Key, filter: &[u8]) -> Subscribers {
        let segment = &self.segments[self.segment_of(key.tag) as usize];
        let record = segment.find_filter(key.tag, filter);
        record.map_or(Subscribers::Nobody, |record| segment.get(record).1)
    }

    /// Replaces the subscribers of a filter; tells whether it is here.
    pub(super) fn replace(&mut self, key: Key, filter: &[u8], subscribers: Subscribers) -> bool {
        let at = self.segment_of(key.tag) as usize;
        let segment = &mut self.segments[at];
        let Some(record) = segment.find_filter(key.tag, filter) else {
            return false;
        };
        if subscribers.is_nobody() {
            segment.remove(record);
            self.forget(key.shape);
        } else {
            segment.set(record, subscribers);
        }
        true
    }

    /// Adds a filter that is not here; tells whether its shape is one of those that are served.
    pub(super) fn add(&mut self, key: Key, filter: &[u8], subscribers: Subscribers) -> bool {
        match self.shapes.iter().position(|counted| counted.shape == key.shape) {
            Some(at) => self.shapes[at].filters += 1,
            None if self.shapes.len() == MOST_SHAPES => return false,
            None => self.shapes.push(Counted { shape: key.shape, filters: 1 }),
        }
        self.used += 1;
        let mut at = self.segment_of(key.tag) as usize;
        if self.segments[at].len() >= SEGMENT && self.segments[at].depth < DEEPEST {
            self.split(at);
            at = self.segment_of(key.tag) as usize;
        }
        self.segments[at].add(key.tag, filter, subscribers);
        true
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &[u8]> {
        self.segments.iter().flat_map(Segment::filters)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.segments.iter().map(Segment::memory_bytes).sum::<usize>()
            + self.directory.capacity() * size_of::<u32>()
            + (self.segments.capacity() - self.segments.len()) * size_of::<Segment>()
    }

    #[inline]
    fn segment_of(&self, tag: u32) -> u32 {
        self.directory[((u64::from(tag) << self.bits) >> u32::BITS) as usize]
    }

    fn split(&mut self, at: usize) {
        let depth = self.segments[at].depth;
        if depth == self.bits {
            self.directory = self.directory.iter().flat_map(|segment| [*segment; 2]).collect();
            self.bits += 1;
        }
        let other = self.segments[at].split();
        let number = u32::try_from(self.segments.len()).expect("there are at most 2^DEEPEST");
        self.segments.push(other);
        // Of the entries that name the segment, the later half has the next bit set.
        let mut named: Vec<_> =
            self.directory.iter_mut().filter(|segment| **segment as usize == at).collect();
        let half = named.len() / 2;
        for segment in named.iter_mut().skip(half) {
            **segment = number;
        }
    }

    /// A filter of this shape was removed.
    fn forget(&mut self, shape: Shape) {
        self.used -= 1;
        if self.used == 0 {
            *self = Self::new();
        } else if let Some(at) = self.shapes.iter().position(|counted| counted.shape == shape) {
            self.shapes[at].filters -= 1;
            if self.shapes[at].filters == 0 {
                self.shapes.remove(at);
            }
        }
    }
}

impl Key {
    /// `None` if the filter is too deep to be here.
    pub(super) fn of(filter: &[u8], hashing: &Hashing) -> Option<Self> {
        let mut shape = Shape { plus: 0, levels: 0, open: false };
        let mut sum = 0u64;
        for level in filter.split(|byte| *byte == b'/') {
            if level == b"#" {
                shape.open = true;
                break;
            }
            if shape.levels == MOST_LEVELS {
                return None;
            }
            if level == b"+" {
                shape.plus |= 1 << shape.levels;
            } else {
                sum = sum.wrapping_add(hashing.share(hashing.bytes(level), shape.levels));
            }
            shape.levels += 1;
        }
        Some(Self { shape, tag: shape.tag(sum) })
    }
}

impl Shape {
    /// Whether a filter of this shape could match.
    #[inline]
    fn fits(self, levels: &Levels) -> bool {
        let depth = self.levels == levels.count() || (self.open && self.levels < levels.count());
        // [MQTT-4.7.2-1]
        depth && !(levels.is_dollar() && (self.plus & 1 == 1 || self.levels == 0))
    }

    /// Of the one filter of this shape that matches the topic with these levels.
    #[inline]
    fn key(self, levels: &[Level]) -> Key {
        let last = (self.levels as usize).checked_sub(1).and_then(|last| levels.get(last));
        let mut sum = last.map_or(0, |level| level.sum);
        let mut plus = self.plus;
        while plus != 0 {
            sum = sum.wrapping_sub(levels[plus.trailing_zeros() as usize].share);
            plus &= plus - 1;
        }
        Key { shape: self, tag: self.tag(sum) }
    }

    /// Of the filter of this shape whose levels that are not `+` have shares that add up to `sum`.
    #[inline]
    fn tag(self, sum: u64) -> u32 {
        let shape = (self.plus as u64) << 8 | (self.levels as u64) << 1 | self.open as u64;
        Hashing::tag(sum, shape)
    }

    /// Whether `filter` is the one filter of this shape that matches `topic`.
    #[inline]
    fn is_of(self, filter: &[u8], topic: &[u8], levels: &Levels) -> bool {
        let mut rest = filter;
        let mut at = 0;
        while at < self.levels {
            let to_plus = (self.plus >> at).trailing_zeros();
            let (part, next): (&[u8], _) = if to_plus == 0 {
                (b"+", at + 1)
            } else {
                let next = at.saturating_add(to_plus).min(self.levels);
                (levels.text(topic, at, next), next)
            };
            at = next;
            let Some(behind) = rest.strip_prefix(part) else { return false };
            rest = match behind.split_first() {
                Some((b'/', behind)) if at < self.levels || self.open => behind,
                None if at == self.levels && !self.open => return true,
                _ => return false,
            };
        }
        rest == b"#"
    }
}

/// Shapes served. Each costs a match one look-up that waits for nothing but its own memory; 32 of
/// them about as much as finding the way through the trie.
const MOST_SHAPES: usize = 32;
/// The bits of [`Shape::plus`].
const MOST_LEVELS: u32 = u32::BITS;
/// Filters in a segment before it is split, which takes less than 100 us.
const SEGMENT: usize = 800;
/// Bits of a tag that name the segment; the next 16 tell its filters apart.
const DEEPEST: u8 = 16;
