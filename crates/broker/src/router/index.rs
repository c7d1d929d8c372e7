//! The subscription index: what is subscribed, and who gets a message.

use dunlin_proto::topic::{TopicFilter, TopicName};

use super::hashing::Hashing;
use super::roster::Roster;
use super::shared::{GroupId, Groups};
use super::trie::{Place, Subscribers, Trie, Walk};
use super::{SessionKey, Subscriber};

/// All subscriptions of all shards.
#[derive(Debug)]
pub struct Index {
    pub(super) trie: Trie,
    lists: Lists,
    groups: Groups,
    version: u64,
    filters: usize,
    plain: usize,
    shared: usize,
}

/// Who gets a message.
#[derive(Debug, Default, Clone)]
pub struct Matches {
    /// One for each matching subscription that is not shared. A session may be in it repeatedly.
    pub plain: Vec<Subscriber>,
    /// The groups, a member of each of which [`Index::pick`] names.
    pub groups: Vec<GroupId>,
    walk: Walk,
}

/// Of the filters that have more than one subscriber, or shared subscriptions.
#[derive(Debug, Default)]
struct Lists {
    lists: Vec<List>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct List {
    plain: Roster,
    /// In the order of their first member.
    groups: Vec<GroupId>,
}

impl Index {
    /// An empty index. The seed only affects speed; one that peers cannot guess keeps them from
    /// choosing filters that hash alike.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            trie: Trie::new(seed),
            lists: Lists::default(),
            groups: Groups::default(),
            version: 0,
            filters: 0,
            plain: 0,
            shared: 0,
        }
    }

    /// Changes whenever the answer of [`Index::matches`] may.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Adds a subscription or replaces the options of one; tells whether there was one.
    pub fn subscribe(&mut self, filter: TopicFilter<'_>, subscriber: Subscriber) -> bool {
        self.version += 1;
        let place = self.trie.ensure(filter.as_str().as_bytes());
        // [MQTT-3.8.4-3]: one subscription of a session to a filter, with the newest options.
        let existed = match self.trie.at(place) {
            Subscribers::Nobody => {
                self.filters += 1;
                self.trie.set(place, Subscribers::One(subscriber));
                false
            }
            Subscribers::One(old) if old.session == subscriber.session => {
                self.trie.set(place, Subscribers::One(subscriber));
                true
            }
            Subscribers::One(_) | Subscribers::Many(_) => {
                let list = self.list(place);
                self.lists.lists[list as usize].put(subscriber, self.trie.hashing())
            }
        };
        self.plain += usize::from(!existed);
        existed
    }

    /// Removes a subscription; tells whether there was one.
    pub fn unsubscribe(&mut self, filter: TopicFilter<'_>, session: SessionKey) -> bool {
        let Some(place) = self.trie.find(filter.as_str().as_bytes()) else {
            return false;
        };
        match self.trie.at(place) {
            Subscribers::One(only) if only.session == session => {
                self.trie.set(place, Subscribers::Nobody);
            }
            Subscribers::Many(list) => {
                let plain = &mut self.lists.lists[list as usize].plain;
                let Some(at) = plain.find(session, self.trie.hashing()) else {
                    return false;
                };
                plain.swap_remove(at, self.trie.hashing());
                self.simplify(place, list);
            }
            Subscribers::Nobody | Subscribers::One(_) => return false,
        }
        self.plain -= 1;
        self.removed_at(place);
        true
    }

    /// Adds a member to the group of this share name and filter, or replaces its options; tells
    /// whether it was a member.
    pub fn subscribe_shared(
        &mut self,
        group: &str,
        filter: TopicFilter<'_>,
        subscriber: Subscriber,
        online: bool,
    ) -> bool {
        self.version += 1;
        let place = self.trie.ensure(filter.as_str().as_bytes());
        if matches!(self.trie.at(place), Subscribers::Nobody) {
            self.filters += 1;
        }
        let hashing = self.trie.hashing();
        let id = match self.groups.find(place, group, hashing) {
            Some(id) => id,
            None => {
                let id = self.groups.add(place, group, hashing);
                let list = self.list(place);
                self.lists.lists[list as usize].groups.push(id);
                id
            }
        };
        let existed = self.groups.put(id, subscriber, online, self.trie.hashing());
        self.shared += usize::from(!existed);
        existed
    }

    /// Removes a member; tells whether it was one.
    pub fn unsubscribe_shared(
        &mut self,
        group: &str,
        filter: TopicFilter<'_>,
        session: SessionKey,
    ) -> bool {
        let Some((place, id)) = self.find_group(group, filter) else {
            return false;
        };
        let Some(was_last) = self.groups.remove(id, session, self.trie.hashing()) else {
            return false;
        };
        self.shared -= 1;
        if was_last && let Subscribers::Many(list) = self.trie.at(place) {
            self.lists.lists[list as usize].groups.retain(|other| *other != id);
            self.simplify(place, list);
        }
        self.removed_at(place);
        true
    }

    /// Tells that a member's session connected or disconnected.
    pub fn set_online(
        &mut self,
        group: &str,
        filter: TopicFilter<'_>,
        session: SessionKey,
        online: bool,
    ) {
        if let Some((_, id)) = self.find_group(group, filter) {
            self.groups.set_online(id, session, online, self.trie.hashing());
        }
    }

    /// Finds who gets a message that is published to `topic`; what `out` had is gone.
    ///
    /// The subscribers of one filter come in the order in which they subscribed, except that where
    /// one left the newest took its place.
    pub fn matches(&self, topic: TopicName<'_>, out: &mut Matches) {
        let Matches { plain, groups, walk } = out;
        plain.clear();
        groups.clear();
        self.trie.walk(topic.as_str().as_bytes(), walk, |subscribers| match subscribers {
            Subscribers::Nobody => {}
            Subscribers::One(subscriber) => plain.push(subscriber),
            Subscribers::Many(list) => {
                let list = &self.lists.lists[list as usize];
                plain.extend_from_slice(list.plain.entries());
                groups.extend_from_slice(&list.groups);
            }
        });
    }

    /// Chooses the member that gets the next message of a group: those who are online take turns;
    /// if nobody is, those who are not. Never `exclude`, the member that just gave the message back.
    /// `None` if nobody else is left, or the group is gone.
    #[must_use]
    pub fn pick(&self, group: GroupId, exclude: Option<SessionKey>) -> Option<Subscriber> {
        self.groups.pick(group, exclude)
    }

    /// Whether any member of a group is online.
    #[must_use]
    pub fn has_online(&self, group: GroupId) -> bool {
        self.groups.has_online(group)
    }

    /// Distinct filters, those of shared subscriptions included.
    #[must_use]
    pub const fn filter_count(&self) -> usize {
        self.filters
    }

    /// Subscriptions, shared ones included.
    #[must_use]
    pub const fn subscription_count(&self) -> usize {
        self.plain + self.shared
    }

    /// Shared subscriptions: members of all groups.
    #[must_use]
    pub const fn shared_count(&self) -> usize {
        self.shared
    }

    /// Nodes of the trie that holds the filters; at most one for each level of each filter.
    #[must_use]
    pub const fn node_count(&self) -> usize {
        self.trie.node_count()
    }

    /// Bytes of memory in use, without the allocator's own. Looks at every list: not for each message.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.trie.memory_bytes() + self.lists.memory_bytes() + self.groups.memory_bytes()
    }

    /// The list of a place, made from what is there.
    fn list(&mut self, place: Place) -> u32 {
        let first = match self.trie.at(place) {
            Subscribers::Many(list) => return list,
            Subscribers::One(subscriber) => Some(subscriber),
            Subscribers::Nobody => None,
        };
        let list = self.lists.add();
        if let Some(subscriber) = first {
            self.lists.lists[list as usize].plain.push(subscriber, self.trie.hashing());
        }
        self.trie.set(place, Subscribers::Many(list));
        list
    }

    /// Gives up the list of a place if what is left needs none.
    fn simplify(&mut self, place: Place, list: u32) {
        let List { plain, groups } = &self.lists.lists[list as usize];
        let left = match plain.entries() {
            _ if !groups.is_empty() => return,
            [] => Subscribers::Nobody,
            [only] => Subscribers::One(*only),
            [_, _, ..] => return,
        };
        self.trie.set(place, left);
        self.lists.remove(list);
    }

    /// A subscription at `place` was removed.
    fn removed_at(&mut self, place: Place) {
        self.version += 1;
        if matches!(self.trie.at(place), Subscribers::Nobody) {
            self.filters -= 1;
            self.trie.prune(place);
        }
    }

    fn find_group(&self, group: &str, filter: TopicFilter<'_>) -> Option<(Place, GroupId)> {
        let place = self.trie.find(filter.as_str().as_bytes())?;
        Some((place, self.groups.find(place, group, self.trie.hashing())?))
    }
}

impl Lists {
    fn add(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.lists.push(List::default());
            u32::try_from(self.lists.len() - 1).expect("fewer filters than u32::MAX")
        })
    }

    fn remove(&mut self, list: u32) {
        self.lists[list as usize] = List::default();
        self.free.push(list);
        if self.free.len() == self.lists.len() {
            *self = Self::default();
        }
    }

    fn memory_bytes(&self) -> usize {
        let of =
            |list: &List| list.plain.memory_bytes() + list.groups.capacity() * size_of::<GroupId>();
        self.lists.iter().map(of).sum::<usize>()
            + self.lists.capacity() * size_of::<List>()
            + self.free.capacity() * size_of::<u32>()
    }
}

impl List {
    fn put(&mut self, subscriber: Subscriber, hashing: &Hashing) -> bool {
        let known = self.plain.find(subscriber.session, hashing);
        match known {
            Some(place) => self.plain.replace(place, subscriber),
            None => self.plain.push(subscriber, hashing),
        }
        known.is_some()
    }
}
