//! The subscription index: what is subscribed, and who gets a message.

use dunlin_proto::topic::{TopicFilter, TopicName};

use super::filters::{Filters, Scratch, Subscribers};
use super::hashing::Hashing;
use super::roster::Roster;
use super::shared::{GroupId, Groups};
use super::{SessionKey, Subscriber};

/// All subscriptions of all shards.
#[derive(Debug)]
pub struct Index {
    pub(super) filters: Filters,
    lists: Lists,
    groups: Groups,
    version: u64,
    filter_count: usize,
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
    scratch: Scratch,
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
            filters: Filters::new(seed),
            lists: Lists::default(),
            groups: Groups::default(),
            version: 0,
            filter_count: 0,
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
        let text = filter.as_str().as_bytes();
        // [MQTT-3.8.4-3]: one subscription of a session to a filter, with the newest options.
        let existed = match self.filters.get(text) {
            Subscribers::Nobody => {
                self.filter_count += 1;
                self.filters.set(text, Subscribers::One(subscriber));
                false
            }
            Subscribers::One(old) if old.session == subscriber.session => {
                self.filters.set(text, Subscribers::One(subscriber));
                true
            }
            Subscribers::One(_) | Subscribers::Many(_) => {
                let list = self.list(text);
                self.lists.lists[list as usize].put(subscriber, self.filters.hashing())
            }
        };
        self.plain += usize::from(!existed);
        existed
    }

    /// Removes a subscription; tells whether there was one.
    pub fn unsubscribe(&mut self, filter: TopicFilter<'_>, session: SessionKey) -> bool {
        let text = filter.as_str().as_bytes();
        match self.filters.get(text) {
            Subscribers::One(only) if only.session == session => {
                self.filters.set(text, Subscribers::Nobody);
                self.filter_count -= 1;
            }
            Subscribers::Many(list) => {
                let plain = &mut self.lists.lists[list as usize].plain;
                let Some(at) = plain.find(session, self.filters.hashing()) else {
                    return false;
                };
                plain.swap_remove(at, self.filters.hashing());
                self.simplify(text, list);
            }
            Subscribers::Nobody | Subscribers::One(_) => return false,
        }
        self.plain -= 1;
        self.version += 1;
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
        let text = filter.as_str().as_bytes();
        if matches!(self.filters.get(text), Subscribers::Nobody) {
            self.filter_count += 1;
        }
        let hashing = self.filters.hashing();
        let id = match self.groups.find(group, filter.as_str(), hashing) {
            Some(id) => id,
            None => {
                let id = self.groups.add(group, filter.as_str(), hashing);
                let list = self.list(text);
                self.lists.lists[list as usize].groups.push(id);
                id
            }
        };
        let existed = self.groups.put(id, subscriber, online, self.filters.hashing());
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
        let Some(id) = self.groups.find(group, filter.as_str(), self.filters.hashing()) else {
            return false;
        };
        let Some(was_last) = self.groups.remove(id, session, self.filters.hashing()) else {
            return false;
        };
        self.shared -= 1;
        let text = filter.as_str().as_bytes();
        if was_last && let Subscribers::Many(list) = self.filters.get(text) {
            self.lists.lists[list as usize].groups.retain(|other| *other != id);
            self.simplify(text, list);
        }
        self.version += 1;
        true
    }

    /// The group of this name on this filter.
    #[must_use]
    pub fn group(&self, name: &str, filter: TopicFilter<'_>) -> Option<GroupId> {
        self.groups.find(name, filter.as_str(), self.filters.hashing())
    }

    /// Tells that a member's session connected or disconnected.
    pub fn set_online(
        &mut self,
        group: &str,
        filter: TopicFilter<'_>,
        session: SessionKey,
        online: bool,
    ) {
        let hashing = self.filters.hashing();
        if let Some(id) = self.groups.find(group, filter.as_str(), hashing) {
            self.groups.set_online(id, session, online, hashing);
        }
    }

    /// Finds who gets a message that is published to `topic`; what `out` had is gone.
    ///
    /// The subscribers of one filter come in the order in which they subscribed, except that where
    /// one left the newest took its place.
    pub fn matches(&self, topic: TopicName<'_>, out: &mut Matches) {
        let Matches { plain, groups, scratch } = out;
        plain.clear();
        groups.clear();
        self.filters.search(topic.as_str().as_bytes(), scratch, |subscribers| match subscribers {
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
        self.groups.pick(group, |session| Some(session) != exclude)
    }

    /// The same among those of whom `may` says yes.
    pub(crate) fn pick_where(
        &self,
        group: GroupId,
        may: impl Fn(SessionKey) -> bool,
    ) -> Option<Subscriber> {
        self.groups.pick(group, may)
    }

    /// Everybody in a group.
    pub(crate) fn members(&self, group: GroupId) -> &[Subscriber] {
        self.groups.members(group)
    }

    /// Whether any member of a group is online.
    #[must_use]
    pub fn has_online(&self, group: GroupId) -> bool {
        self.groups.has_online(group)
    }

    /// Distinct filters, those of shared subscriptions included.
    #[must_use]
    pub const fn filter_count(&self) -> usize {
        self.filter_count
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

    /// Nodes of the trie that holds the filters of rare shapes.
    #[must_use]
    pub const fn node_count(&self) -> usize {
        self.filters.node_count()
    }

    /// Bytes of memory in use, without the allocator's own. Looks at every list: not for each message.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.filters.memory_bytes() + self.lists.memory_bytes() + self.groups.memory_bytes()
    }

    /// The list of a filter, made from what is there.
    fn list(&mut self, text: &[u8]) -> u32 {
        let first = match self.filters.get(text) {
            Subscribers::Many(list) => return list,
            Subscribers::One(subscriber) => Some(subscriber),
            Subscribers::Nobody => None,
        };
        let list = self.lists.add();
        if let Some(subscriber) = first {
            self.lists.lists[list as usize].plain.push(subscriber, self.filters.hashing());
        }
        self.filters.set(text, Subscribers::Many(list));
        list
    }

    /// Gives up the list of a filter if what is left needs none.
    fn simplify(&mut self, text: &[u8], list: u32) {
        let List { plain, groups } = &self.lists.lists[list as usize];
        let left = match plain.entries() {
            _ if !groups.is_empty() => return,
            [] => Subscribers::Nobody,
            [only] => Subscribers::One(*only),
            [_, _, ..] => return,
        };
        self.filter_count -= usize::from(left.is_nobody());
        self.filters.set(text, left);
        self.lists.remove(list);
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
