//! Shared subscriptions: groups of members, one of which gets each message [MQTT-4.8.2-4].

use core::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;

use super::hashing::{Hashing, extend};
use super::roster::Roster;
use super::{SessionKey, Subscriber};

/// A group: one share name on one filter.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct GroupId {
    slot: u32,
    generation: u32,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_name: HashTable<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    group: Option<Group>,
}

#[derive(Debug)]
struct Group {
    name: Box<str>,
    filter: Box<str>,
    /// Those who are online, then those who are not.
    members: Roster,
    online: usize,
    /// Counts picks. Several shards pick at once, with only shared access.
    turn: AtomicU32,
}

impl Groups {
    pub(super) fn find(&self, name: &str, filter: &str, hashing: &Hashing) -> Option<GroupId> {
        let slot = *self.by_name.find(hash(name, filter, hashing), |slot| {
            let group = self.slots[*slot as usize].group.as_ref();
            group.is_some_and(|group| *group.name == *name && *group.filter == *filter)
        })?;
        Some(GroupId { slot, generation: self.slots[slot as usize].generation })
    }

    /// Adds a group without members.
    pub(super) fn add(&mut self, name: &str, filter: &str, hashing: &Hashing) -> GroupId {
        let group = Group {
            name: name.into(),
            filter: filter.into(),
            members: Roster::default(),
            online: 0,
            turn: AtomicU32::new(0),
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, group: None });
            u32::try_from(self.slots.len() - 1).expect("fewer groups than u32::MAX")
        });
        let entry = &mut self.slots[slot as usize];
        entry.group = Some(group);
        let generation = entry.generation;
        let slots = &self.slots;
        self.by_name.insert_unique(hash(name, filter, hashing), slot, |other| {
            let group = slots[*other as usize].group.as_ref();
            group.map_or(0, |group| hash(&group.name, &group.filter, hashing))
        });
        GroupId { slot, generation }
    }

    /// Adds or replaces a member; tells whether it was one before.
    pub(super) fn put(
        &mut self,
        id: GroupId,
        member: Subscriber,
        online: bool,
        hashing: &Hashing,
    ) -> bool {
        let Some(group) = self.get_mut(id) else { return false };
        let known = group.members.find(member.session, hashing);
        match known {
            Some(place) => group.members.replace(place, member),
            None => group.members.push(member, hashing),
        }
        group.set_online(member.session, online, hashing);
        known.is_some()
    }

    /// Removes a member: `None` if it is none, else whether the group went with it.
    pub(super) fn remove(
        &mut self,
        id: GroupId,
        session: SessionKey,
        hashing: &Hashing,
    ) -> Option<bool> {
        let group = self.get_mut(id)?;
        group.members.find(session, hashing)?;
        // Once offline it can leave without disturbing where those who are online end.
        group.set_online(session, false, hashing);
        let place = group.members.find(session, hashing)?;
        group.members.swap_remove(place, hashing);
        let empty = group.members.len() == 0;
        if empty {
            self.close(id, hashing);
        }
        Some(empty)
    }

    pub(super) fn set_online(
        &mut self,
        id: GroupId,
        session: SessionKey,
        online: bool,
        hashing: &Hashing,
    ) {
        if let Some(group) = self.get_mut(id) {
            group.set_online(session, online, hashing);
        }
    }

    pub(super) fn pick(&self, id: GroupId, may: impl Fn(SessionKey) -> bool) -> Option<Subscriber> {
        self.get(id)?.pick(may)
    }

    pub(super) fn members(&self, id: GroupId) -> &[Subscriber] {
        self.get(id).map_or(&[], |group| group.members.entries())
    }

    pub(super) fn has_online(&self, id: GroupId) -> bool {
        self.get(id).is_some_and(|group| group.online > 0)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let groups = self.slots.iter().filter_map(|slot| slot.group.as_ref());
        groups
            .map(|group| group.name.len() + group.filter.len() + group.members.memory_bytes())
            .sum::<usize>()
            + self.slots.capacity() * size_of::<Slot>()
            + self.free.capacity() * size_of::<u32>()
            + self.by_name.allocation_size()
    }

    fn get(&self, id: GroupId) -> Option<&Group> {
        let slot = self.slots.get(id.slot as usize)?;
        if slot.generation == id.generation { slot.group.as_ref() } else { None }
    }

    fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation == id.generation { slot.group.as_mut() } else { None }
    }

    fn close(&mut self, id: GroupId, hashing: &Hashing) {
        let slot = &mut self.slots[id.slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let Some(group) = slot.group.take() else { return };
        let hash = hash(&group.name, &group.filter, hashing);
        if let Ok(entry) = self.by_name.find_entry(hash, |slot| *slot == id.slot) {
            entry.remove();
        }
        self.free.push(id.slot);
    }
}

impl Group {
    fn set_online(&mut self, session: SessionKey, online: bool, hashing: &Hashing) {
        let Some(place) = self.members.find(session, hashing) else { return };
        if online == (place < self.online) {
            return;
        }
        // The first who is offline and the last who is online stand at the border.
        if online {
            self.members.swap(place, self.online, hashing);
            self.online += 1;
        } else {
            self.online -= 1;
            self.members.swap(place, self.online, hashing);
        }
    }

    fn pick(&self, may: impl Fn(SessionKey) -> bool) -> Option<Subscriber> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) as usize;
        let (online, offline) = self.members.entries().split_at_checked(self.online)?;
        [online, offline].iter().find_map(|members| {
            let (before, from) = members.split_at_checked(turn.checked_rem(members.len())?)?;
            from.iter().chain(before).find(|member| may(member.session)).copied()
        })
    }
}

fn hash(name: &str, filter: &str, hashing: &Hashing) -> u64 {
    extend(hashing.bytes(name.as_bytes()), hashing.bytes(filter.as_bytes()))
}
