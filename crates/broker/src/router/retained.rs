//! The retained message of each topic.
//!
//! A hash table finds one topic. An ordered map finds the topics of a filter: it is keyed by the
//! topic with every slash replaced by U+0000, which no topic contains [MQTT-4.7.3-2], so that keys
//! compare level by level and all topics below a prefix are neighbours. A filter is answered by
//! walking the map and leaping over what cannot match. The place where a page ends is then a key and
//! not a position, and stays right whatever is added or removed before the next page.

use core::ops::Bound;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::topic::{TopicFilter, TopicName};
use hashbrown::HashTable;

use super::grow;
use super::hashing::{Hashing, spread};

/// Retained messages by topic.
#[derive(Debug)]
pub struct Retained<M> {
    hashing: Hashing,
    slots: Vec<Option<Entry<M>>>,
    free: Vec<u32>,
    /// Hash of the topic, and slot: growing then looks at no entry.
    by_topic: HashTable<(u32, u32)>,
    ordered: BTreeMap<Arc<[u8]>, u32>,
    /// When to look at a slot, at most once each: `Entry::wake`.
    deadlines: BTreeSet<(Time, u32)>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<M> {
    key: Arc<[u8]>,
    hash: u32,
    expires: Time,
    /// Not later than `expires`. A message that is replaced again and again by one that expires
    /// later then costs nothing until the first deadline.
    wake: Time,
    bytes: usize,
    message: M,
}

/// Where the next page of a walk begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    key: Box<[u8]>,
    /// The topic with this very key was dealt with.
    after: bool,
}

impl<M> Retained<M> {
    /// No messages. The seed only affects speed; one that peers cannot guess keeps them from choosing
    /// topics that hash alike.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            hashing: Hashing::new(seed),
            slots: Vec::new(),
            free: Vec::new(),
            by_topic: HashTable::new(),
            ordered: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Stores the message of a topic, accounted as `bytes`; returns the one it replaces
    /// [MQTT-3.3.1-5], which may have expired.
    pub fn put(
        &mut self,
        topic: TopicName<'_>,
        expires: Option<Time>,
        bytes: usize,
        message: M,
    ) -> Option<M> {
        let expires = expires.unwrap_or(Time::MAX);
        self.bytes += bytes;
        if let Some(slot) = self.find(topic)
            && let Some(entry) = self.slots[slot as usize].as_mut()
        {
            self.bytes -= entry.bytes;
            entry.bytes = bytes;
            entry.expires = expires;
            let old = core::mem::replace(&mut entry.message, message);
            if expires < entry.wake {
                self.deadlines.remove(&(entry.wake, slot));
                entry.wake = expires;
                self.deadlines.insert((expires, slot));
            }
            return Some(old);
        }
        let name = topic.as_str().as_bytes();
        let hash = self.hashing.bytes(name) as u32;
        let key: Arc<[u8]> = name.iter().map(|byte| key_byte(*byte)).collect();
        let entry = Entry { key: Arc::clone(&key), hash, expires, wake: expires, bytes, message };
        let slot = self.add(entry);
        self.ordered.insert(key, slot);
        if expires != Time::MAX {
            self.deadlines.insert((expires, slot));
        }
        None
    }

    /// Removes the message of a topic [MQTT-3.3.1-6].
    pub fn remove(&mut self, topic: TopicName<'_>) -> Option<M> {
        let slot = self.find(topic)?;
        self.remove_slot(slot)
    }

    /// The message of a topic, even if it has expired and was not dropped yet.
    #[must_use]
    pub fn get(&self, topic: TopicName<'_>) -> Option<&M> {
        let slot = self.find(topic)?;
        self.slots[slot as usize].as_ref().map(|entry| &entry.message)
    }

    /// Appends messages whose topics match `filter` and that have not expired, at most `limit`, in
    /// the order of their topics by level. Returns where to go on, for the same filter; `None` if that
    /// was all.
    ///
    /// A page may end early, even empty, because it looks at a bounded number of topics. The messages
    /// may change between pages: a topic that has one during the whole walk is given exactly once.
    pub fn page(
        &self,
        filter: TopicFilter<'_>,
        from: Option<&Cursor>,
        limit: usize,
        now: Time,
        out: &mut Vec<M>,
    ) -> Option<Cursor>
    where
        M: Clone,
    {
        if let Ok(topic) = TopicName::new(filter.as_str()) {
            let entry = self.find(topic).and_then(|slot| self.slots[slot as usize].as_ref());
            out.extend(
                entry.filter(|entry| now < entry.expires).map(|entry| entry.message.clone()),
            );
            return None;
        }
        let pattern = Pattern::new(filter.as_str());
        let mut range = self.range(from.map_or(Bound::Unbounded, Cursor::bound));
        let end = out.len().saturating_add(limit);
        let mut visits = limit.saturating_add(VISITS);
        let mut last: Option<Cursor> = from.cloned();
        while let Some((key, slot)) = range.next() {
            if visits == 0 || out.len() == end {
                return Some(last.unwrap_or_else(|| Cursor { key: Box::default(), after: false }));
            }
            visits -= 1;
            let mut leap = None;
            match pattern.judge(key) {
                Verdict::Match => {
                    let entry = self.slots[*slot as usize].as_ref();
                    let live = entry.filter(|entry| now < entry.expires);
                    out.extend(live.map(|entry| entry.message.clone()));
                }
                Verdict::Next => {}
                Verdict::Leap(to) => leap = Some(to),
                Verdict::End => return None,
            }
            // Only the last place of the page is worth a copy of its key.
            let stops = visits == 0 || out.len() == end;
            match leap {
                Some(to) => {
                    range = self.range(Bound::Included(&to));
                    if stops {
                        last = Some(Cursor { key: to.into(), after: false });
                    }
                }
                None if stops => last = Some(Cursor { key: Box::from(&**key), after: true }),
                None => {}
            }
        }
        None
    }

    /// Drops messages that have expired, spending at most `budget` steps; returns how many.
    pub fn expire(&mut self, now: Time, budget: usize) -> usize {
        self.expire_each(now, budget, drop)
    }

    /// The same, and hands every one of them to `expired`.
    pub fn expire_each(&mut self, now: Time, budget: usize, mut expired: impl FnMut(M)) -> usize {
        let mut dropped = 0;
        for _ in 0..budget {
            let Some(&(wake, slot)) = self.deadlines.first() else { break };
            if now < wake {
                break;
            }
            self.deadlines.pop_first();
            let Some(entry) = self.slots[slot as usize].as_mut() else { continue };
            entry.wake = entry.expires;
            if now < entry.expires {
                if entry.expires != Time::MAX {
                    self.deadlines.insert((entry.expires, slot));
                }
            } else if let Some(message) = self.remove_slot(slot) {
                expired(message);
                dropped += 1;
            }
        }
        dropped
    }

    /// When [`Retained::expire`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(wake, _)| *wake)
    }

    /// Number of messages, expired ones that were not dropped yet included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ordered.len()
    }

    /// Sum of their accounted sizes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn range(&self, from: Bound<&[u8]>) -> std::collections::btree_map::Range<'_, Arc<[u8]>, u32> {
        self.ordered.range::<[u8], _>((from, Bound::Unbounded))
    }

    fn find(&self, topic: TopicName<'_>) -> Option<u32> {
        let name = topic.as_str().as_bytes();
        let hash = self.hashing.bytes(name) as u32;
        let is_it = |(its, slot): &(u32, u32)| {
            let entry = self.slots[*slot as usize].as_ref();
            *its == hash && entry.is_some_and(|entry| is_key_of(&entry.key, name))
        };
        self.by_topic.find(spread(hash), is_it).map(|(_, slot)| *slot)
    }

    fn add(&mut self, entry: Entry<M>) -> u32 {
        let hash = entry.hash;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(entry);
                slot
            }
            None => {
                grow(&mut self.slots);
                self.slots.push(Some(entry));
                u32::try_from(self.slots.len() - 1).expect("fewer topics than u32::MAX")
            }
        };
        self.by_topic.insert_unique(spread(hash), (hash, slot), |(hash, _)| spread(*hash));
        slot
    }

    fn remove_slot(&mut self, slot: u32) -> Option<M> {
        let entry = self.slots[slot as usize].take()?;
        if let Ok(found) = self.by_topic.find_entry(spread(entry.hash), |(_, other)| *other == slot)
        {
            found.remove();
        }
        self.ordered.remove(&entry.key);
        self.deadlines.remove(&(entry.wake, slot));
        self.bytes -= entry.bytes;
        self.free.push(slot);
        if self.ordered.is_empty() {
            self.slots = Vec::new();
            self.free = Vec::new();
            self.by_topic = HashTable::new();
        }
        Some(entry.message)
    }
}

impl Cursor {
    const fn bound(&self) -> Bound<&[u8]> {
        if self.after { Bound::Excluded(&self.key) } else { Bound::Included(&self.key) }
    }
}

/// A filter with wildcards.
struct Pattern<'a> {
    /// `None` for `+`.
    levels: Vec<Option<&'a [u8]>>,
    /// Ends with `#`, which is not among the levels.
    open: bool,
    wild_root: bool,
}

/// What to do about a key.
enum Verdict {
    /// It matches.
    Match,
    /// It does not, yet its next neighbour may.
    Next,
    /// Nothing before this later key matches.
    Leap(Vec<u8>),
    /// Nothing later matches.
    End,
}

impl<'a> Pattern<'a> {
    fn new(filter: &'a str) -> Self {
        let mut levels: Vec<_> = filter.split('/').map(str::as_bytes).collect();
        let wild_root = matches!(levels.first(), Some(&(b"+" | b"#")));
        let open = levels.pop_if(|level| *level == b"#").is_some();
        let levels = levels.into_iter().map(|level| Some(level).filter(|it| *it != b"+")).collect();
        Self { levels, open, wild_root }
    }

    fn judge(&self, key: &[u8]) -> Verdict {
        // [MQTT-4.7.2-1]
        if self.wild_root && key.first() == Some(&b'$') {
            return Verdict::Leap(vec![b'$' + 1]);
        }
        // `rest`: the levels of the key that were not looked at; `at`: how long those before are,
        // with the separator behind each.
        let mut rest = Some(key);
        let mut at = 0;
        for level in &self.levels {
            let Some(levels) = rest else {
                return match level {
                    Some(wanted) => Verdict::Leap([key, wanted].join(&SEPARATOR)),
                    None => Verdict::Next,
                };
            };
            let end = levels.iter().position(|byte| *byte == SEPARATOR);
            let (first, behind) = levels.split_at(end.unwrap_or(levels.len()));
            match level.map(|wanted| wanted.cmp(first)) {
                None | Some(core::cmp::Ordering::Equal) => {}
                Some(core::cmp::Ordering::Greater) => {
                    let wanted = level.unwrap_or_default();
                    return Verdict::Leap([key.get(..at).unwrap_or_default(), wanted].concat());
                }
                Some(core::cmp::Ordering::Less) => return past(key, at),
            }
            at += first.len() + 1;
            rest = behind.split_first().map(|(_, rest)| rest);
        }
        if rest.is_none() || self.open { Verdict::Match } else { past(key, at) }
    }
}

/// Behind everything that begins with the levels in `key[..at]`.
fn past(key: &[u8], at: usize) -> Verdict {
    match key.get(..at.saturating_sub(1)) {
        Some(levels) if at > 0 => Verdict::Leap([levels, &[SEPARATOR + 1]].concat()),
        _ => Verdict::End,
    }
}

fn is_key_of(key: &[u8], topic: &[u8]) -> bool {
    // No early way out: this lets the comparison run many bytes at a time.
    let difference = |sum, (key, byte): (&u8, &u8)| sum | (key ^ key_byte(*byte));
    key.len() == topic.len() && key.iter().zip(topic).fold(0, difference) == 0
}

const fn key_byte(byte: u8) -> u8 {
    if byte == b'/' { SEPARATOR } else { byte }
}

const SEPARATOR: u8 = 0;
/// Topics that a page looks at beyond its limit: a leap costs about a microsecond.
const VISITS: usize = 512;
