//! Messages that somebody is still to have, or that are retained or held.
//!
//! A message takes 40 bytes and its place in a page; one target is kept within that.

use dunlin_broker::journal::{Held, Target};
use dunlin_proto::qos::{PacketId, QoS};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::chunks::Chunks;
use super::live::Place;
use super::pages::Pages;
use crate::view::{MessageView, Targets as TargetsView};

/// Messages by their identifiers.
#[derive(Default)]
pub(crate) struct Messages {
    slots: Chunks<Slot>,
    /// The first slot that is not used; each of these names the next.
    free: Option<u32>,
    pages: Pages,
    /// QoS 2 messages that wait for their PUBREL; few.
    held: HashMap<u64, Held, FixedState>,
}

/// One message.
pub(crate) struct Slot {
    /// 0 if the slot is free.
    pub(crate) id: u64,
    pub(crate) place: Place,
    /// Where the retained store has its topic, from 1 on; 0 if it is not retained. In a free slot the next
    /// free one, in the same way. The highest bit is set for a message that is held.
    word: u32,
    targets: Targets,
}

const HELD: u32 = 1 << 31;

enum Targets {
    None,
    One(Entry),
    Many(Box<Many>),
}

struct Many {
    /// By number; entries of one session in the order in which they were given.
    entries: Vec<Entry>,
    left: usize,
}

/// A target, in sixteen bytes.
#[derive(Clone, Copy)]
struct Entry {
    number: u64,
    identifier: u32,
    sent: Option<PacketId>,
    qos: QoS,
    flags: u8,
}

const RETAIN: u8 = 1;
const SHARED: u8 = 2;
/// It has gone, but its place has not been taken back yet.
const GONE: u8 = 4;

impl Messages {
    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    #[inline]
    pub(crate) fn find(&self, id: u64) -> Option<u32> {
        self.pages.find(id)
    }

    /// The same for who goes through the log: messages mostly have the slot behind that of the one before.
    pub(crate) fn find_after(&self, before: u32, id: u64) -> Option<u32> {
        let next = before + 1;
        let is_next = self.slots.get(next as usize).is_some_and(|slot| slot.id == id);
        if is_next { Some(next) } else { self.find(id) }
    }

    #[inline]
    pub(crate) fn at(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: u32) -> &mut Slot {
        &mut self.slots[slot as usize]
    }

    /// All slots that are used when they are come to.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> + use<> {
        // Not those alone that are used now, so that slots can be freed on the way.
        0..self.slots.len() as u32
    }

    /// The first slot in use from this one on.
    pub(crate) fn used_from(&self, slot: u32) -> Option<u32> {
        (slot..self.slots.len() as u32).find(|at| self.slots[*at as usize].id != 0)
    }

    pub(crate) fn insert(&mut self, m: &MessageView<'_>, place: Place, topic: Option<u32>) -> u32 {
        let mut word = topic.map_or(0, |topic| topic + 1);
        if let Some(held) = m.held {
            word |= HELD;
            self.held.insert(m.id, held);
        }
        let new = Slot { id: m.id, place, word, targets: Targets::of(m.targets) };
        let slot = match self.free {
            Some(slot) => {
                let entry = &mut self.slots[slot as usize];
                self.free = entry.word.checked_sub(1);
                *entry = new;
                slot
            }
            None => {
                self.slots.push(new);
                self.slots.len() as u32 - 1
            }
        };
        self.pages.insert(m.id, slot);
        slot
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Place {
        let entry = &mut self.slots[slot as usize];
        if entry.word & HELD != 0 {
            self.held.remove(&entry.id);
        }
        let (id, place) = (entry.id, entry.place);
        let next = self.free.map_or(0, |free| free + 1);
        *entry = Slot { id: 0, place, word: next, targets: Targets::None };
        self.free = Some(slot);
        self.pages.remove(id);
        place
    }

    pub(crate) fn held(&self, id: u64) -> Option<Held> {
        self.held.get(&id).copied()
    }

    /// It is not held any more.
    pub(crate) fn release(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        entry.word &= !HELD;
        self.held.remove(&entry.id);
    }

    pub(crate) fn add(&mut self, slot: u32, targets: TargetsView<'_>) {
        if targets.len() > 0 {
            self.slots[slot as usize].targets.add(targets);
        }
    }

    /// A session is done with one of its copies: the one that was sent under this packet identifier, else
    /// one that was not sent and is like this, else any.
    #[inline]
    pub(crate) fn done(&mut self, slot: u32, target: Target) {
        let targets = &mut self.slots[slot as usize].targets;
        if let Targets::One(one) = targets {
            if one.number == target.number {
                *targets = Targets::None;
            }
            return;
        }
        targets.take(target.number, |copy| match (copy.sent, target.sent) {
            (Some(copy), Some(sent)) if copy == sent => 0,
            (None, _) if copy.is_like(target) => 1,
            (None, _) => 2,
            (Some(_), _) => 3,
        });
    }

    /// A session has received the copy that it was sent under this packet identifier.
    pub(crate) fn received(&mut self, slot: u32, number: u64, packet_id: PacketId) {
        let targets = &mut self.slots[slot as usize].targets;
        targets.take(number, |copy| match copy.sent {
            Some(sent) if sent == packet_id => 0,
            Some(_) => 1,
            None => 2,
        });
    }

    /// A copy is on its way: one that is like this, if there are several.
    pub(crate) fn sent(&mut self, id: u64, target: Target) {
        let Some(slot) = self.find(id) else { return };
        let copies = self.slots[slot as usize].targets.copies(target.number);
        let best = copies.min_by_key(|copy| match copy.sent {
            Some(_) if copy.sent == target.sent => 0,
            None if copy.is_like(target) => 1,
            None => 2,
            Some(_) => 3,
        });
        if let Some(copy) = best {
            copy.sent = target.sent;
        }
    }

    /// Leaves only targets in sessions for which `keep` says so, and the same for who holds it.
    pub(crate) fn retain(&mut self, slot: u32, keep: impl Fn(u64) -> bool) {
        let entry = &mut self.slots[slot as usize];
        entry.targets.retain(&keep);
        if entry.word & HELD != 0 && self.held.get(&entry.id).is_none_or(|held| !keep(held.number))
        {
            self.release(slot);
        }
    }
}

impl Slot {
    /// Nobody wants it.
    #[inline]
    pub(crate) const fn is_dead(&self) -> bool {
        self.id != 0 && self.word == 0 && matches!(self.targets, Targets::None)
    }

    pub(crate) const fn is_retained(&self) -> bool {
        self.word & !HELD != 0
    }

    /// Where the retained store has its topic, if it is retained.
    pub(crate) const fn topic(&self) -> u32 {
        (self.word & !HELD).saturating_sub(1)
    }

    pub(crate) const fn unretain(&mut self) {
        self.word &= HELD;
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        let entries: &[Entry] = match &self.targets {
            Targets::None => &[],
            Targets::One(one) => std::slice::from_ref(one),
            Targets::Many(many) => &many.entries,
        };
        entries.iter().filter(|entry| entry.flags & GONE == 0).map(Entry::target)
    }
}

impl Targets {
    #[inline]
    fn of(mut targets: TargetsView<'_>) -> Self {
        match targets.len() {
            0 => Self::None,
            1 => targets.next().map_or(Self::None, |one| Self::One(Entry::of(&one))),
            _ => {
                let mut all = Self::None;
                all.add(targets);
                all
            }
        }
    }

    fn add(&mut self, targets: TargetsView<'_>) {
        let mut entries = match std::mem::replace(self, Self::None) {
            Self::None => Vec::new(),
            Self::One(one) => vec![one],
            Self::Many(many) => many.entries,
        };
        entries.retain(|entry| entry.flags & GONE == 0);
        entries.extend(targets.map(|target| Entry::of(&target)));
        entries.sort_by_key(|entry| entry.number);
        self.set(entries);
    }

    fn set(&mut self, mut entries: Vec<Entry>) {
        *self = match entries[..] {
            [] => Self::None,
            [one] => Self::One(one),
            _ => {
                entries.shrink_to_fit();
                let left = entries.len();
                Self::Many(Box::new(Many { entries, left }))
            }
        };
    }

    /// What a session is still to have of it, once for each of its subscriptions that it came by.
    fn copies(&mut self, number: u64) -> impl Iterator<Item = &mut Entry> {
        let entries: &mut [Entry] = match self {
            Self::None => &mut [],
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => {
                let from = many.entries.partition_point(|entry| entry.number < number);
                &mut many.entries[from..]
            }
        };
        entries
            .iter_mut()
            .take_while(move |entry| entry.number == number)
            .filter(|entry| entry.flags & GONE == 0)
    }

    /// Takes the copy away for which `rank` is the lowest.
    fn take(&mut self, number: u64, rank: impl Fn(&Entry) -> u8) {
        let Some(copy) = self.copies(number).min_by_key(|copy| rank(copy)) else { return };
        copy.flags |= GONE;
        match self {
            Self::Many(many) => {
                many.left -= 1;
                // Now and then, so that it costs a constant for each.
                if many.left <= many.entries.len() / 4 {
                    let mut entries = std::mem::take(&mut many.entries);
                    entries.retain(|entry| entry.flags & GONE == 0);
                    self.set(entries);
                }
            }
            _ => *self = Self::None,
        }
    }

    fn retain(&mut self, keep: impl Fn(u64) -> bool) {
        match self {
            Self::None => {}
            Self::One(one) => {
                if !keep(one.number) {
                    *self = Self::None;
                }
            }
            Self::Many(many) => {
                let stays = |entry: &Entry| entry.flags & GONE != 0 || keep(entry.number);
                if !many.entries.iter().all(stays) {
                    let mut entries = std::mem::take(&mut many.entries);
                    entries.retain(|entry| entry.flags & GONE == 0 && keep(entry.number));
                    self.set(entries);
                }
            }
        }
    }
}

impl Entry {
    /// Whether it came through the same kind of subscription.
    const fn is_like(&self, target: Target) -> bool {
        (self.flags & SHARED != 0) == target.shared
            && self.identifier == target.identifier
            && self.qos as u8 == target.qos as u8
            && (self.flags & RETAIN != 0) == target.retain
    }

    fn of(target: &Target) -> Self {
        let Target { number, qos, retain, shared, identifier, sent } = *target;
        let flags = if retain { RETAIN } else { 0 } | if shared { SHARED } else { 0 };
        Self { number, identifier, sent, qos, flags }
    }

    fn target(&self) -> Target {
        let Self { number, identifier, sent, qos, flags } = *self;
        let (retain, shared) = (flags & RETAIN != 0, flags & SHARED != 0);
        Target { number, qos, retain, shared, identifier, sent }
    }
}

const _: () = assert!(size_of::<Slot>() == 40, "as the head of this file says");
