//! What dynamic security keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Random;
use crate::acl::filter;
use crate::password::{Hash, PBKDF2_ITERATIONS};

/// Bytes of a new salt: the plugin takes no other length.
const SALT_LEN: usize = 12;
/// The priority of a role or group that was given none; it is not written.
pub(super) const NO_PRIORITY: i32 = -1;

/// Clients, groups and roles with what belongs to them.
///
/// What refers to something refers to what exists: deleting a role, group or client takes it out of
/// all lists.
#[derive(Debug, Clone, Default)]
pub struct Dynsec {
    pub(super) defaults: Defaults,
    pub(super) clients: BTreeMap<String, Client>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) anonymous_group: Option<String>,
    pub(super) generation: u64,
    /// How often a command has changed something, over all restarts.
    pub(super) changes: u64,
}

/// What holds when no ACL matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defaults(pub(super) [bool; 4]);

impl Defaults {
    pub(super) const NAMES: [&'static str; 4] =
        ["publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"];
}

impl Default for Defaults {
    /// The plugin's own: nothing may be sent or subscribed to.
    fn default() -> Self {
        Self([false, true, false, true])
    }
}

/// What people call it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Client {
    pub(super) password: Option<Arc<Hash>>,
    /// The only client identifier it may connect with.
    pub(super) client_id: Option<String>,
    pub(super) texts: Texts,
    pub(super) disabled: bool,
    pub(super) roles: Ranked,
    pub(super) groups: Ranked,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) texts: Texts,
    pub(super) roles: Ranked,
    /// The clients whose `groups` name this one.
    pub(super) clients: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Role {
    pub(super) texts: Texts,
    /// Whether it denies every subscription with a wildcard (`allowwildcardsubs` is false).
    pub(super) exact_only: bool,
    pub(super) acls: [Vec<Acl>; 6],
}

/// One line of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acl {
    pub(super) topic: String,
    pub(super) priority: i32,
    pub(super) allow: bool,
    /// The plugin keeps what is no topic filter when it comes with a whole role; it never matches.
    pub(super) valid: bool,
    pub(super) template: bool,
}

/// What an ACL speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the plugin's and say it")]
pub enum AclType {
    PublishClientSend,
    PublishClientReceive,
    SubscribeLiteral,
    SubscribePattern,
    UnsubscribeLiteral,
    UnsubscribePattern,
}

/// Names in the order of their priorities, the highest first, equals by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranked(Vec<(String, i32)>);

impl Dynsec {
    /// The state that `mosquitto_ctrl dynsec init` writes: one client that may administer, and see all.
    #[must_use]
    pub fn init(admin: &str, password: &[u8], random: &mut Random<'_>) -> Self {
        let mut role = Role::default();
        let control = "$CONTROL/dynamic-security/#";
        for (kind, topics) in [
            (AclType::PublishClientSend, &[control][..]),
            (AclType::PublishClientReceive, &[control, "$SYS/#", "#"]),
            (AclType::SubscribePattern, &[control, "$SYS/#", "#"]),
            (AclType::UnsubscribePattern, &["#"]),
        ] {
            for topic in topics {
                role.insert(kind, Acl::new((*topic).into(), 0, true));
            }
        }
        let mut client = Client {
            password: Some(Arc::new(new_password(password, random))),
            ..Client::default()
        };
        client.texts.name = Some("Dynsec admin user".into());
        client.roles.insert("admin", NO_PRIORITY);
        let mut state = Self::default();
        state.roles.insert("admin".into(), role);
        state.clients.insert(admin.into(), client);
        state
    }

    /// Counts the changes, so that caches notice them.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Sets the count, for when a file was read anew: it must not be one that was before.
    pub const fn set_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    pub(super) fn delete_role(&mut self, name: &str) -> bool {
        if self.roles.remove(name).is_none() {
            return false;
        }
        self.clients.values_mut().for_each(|client| client.roles.remove(name));
        self.groups.values_mut().for_each(|group| group.roles.remove(name));
        true
    }

    pub(super) fn delete_group(&mut self, name: &str) -> Option<Group> {
        let group = self.groups.remove(name)?;
        for user in &group.clients {
            if let Some(client) = self.clients.get_mut(user) {
                client.groups.remove(name);
            }
        }
        if self.anonymous_group.as_deref() == Some(name) {
            self.anonymous_group = None;
        }
        Some(group)
    }

    pub(super) fn delete_client(&mut self, user: &str) -> bool {
        let Some(client) = self.clients.remove(user) else { return false };
        for (group, _) in client.groups.iter() {
            if let Some(group) = self.groups.get_mut(group) {
                group.clients.remove(user);
            }
        }
        true
    }

    /// Puts a client into a group; false if one is missing or it is in it already.
    pub(super) fn join(&mut self, user: &str, group_name: &str, priority: i32) -> bool {
        let (Some(client), Some(group)) =
            (self.clients.get_mut(user), self.groups.get_mut(group_name))
        else {
            return false;
        };
        let joined = group.clients.insert(user.into());
        if joined {
            client.groups.insert(group_name, priority);
        }
        joined
    }

    pub(super) fn leave(&mut self, user: &str, group_name: &str) {
        if let Some(client) = self.clients.get_mut(user) {
            client.groups.remove(group_name);
        }
        if let Some(group) = self.groups.get_mut(group_name) {
            group.clients.remove(user);
        }
    }
}

impl Role {
    pub(super) fn acls(&self, kind: AclType) -> &[Acl] {
        &self.acls[kind as usize]
    }

    /// Adds an ACL behind those of the same priority; false if the topic is in the list already.
    pub(super) fn insert(&mut self, kind: AclType, acl: Acl) -> bool {
        let acls = &mut self.acls[kind as usize];
        if acls.iter().any(|other| other.topic == acl.topic) {
            return false;
        }
        let place = acls.partition_point(|other| other.priority >= acl.priority);
        acls.insert(place, acl);
        true
    }

    pub(super) fn remove(&mut self, kind: AclType, topic: &str) -> bool {
        let acls = &mut self.acls[kind as usize];
        let before = acls.len();
        acls.retain(|acl| acl.topic != topic);
        acls.len() < before
    }

    pub(super) fn clear(&mut self) {
        self.acls = Default::default();
    }
}

impl Acl {
    pub(super) fn new(topic: String, priority: i32, allow: bool) -> Self {
        let valid = filter::fault(&topic).is_none();
        let template = filter::is_template(&topic);
        Self { topic, priority, allow, valid, template }
    }
}

impl AclType {
    pub(super) const ALL: [Self; 6] = [
        Self::PublishClientSend,
        Self::PublishClientReceive,
        Self::SubscribeLiteral,
        Self::SubscribePattern,
        Self::UnsubscribeLiteral,
        Self::UnsubscribePattern,
    ];

    /// The plugin's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PublishClientSend => "publishClientSend",
            Self::PublishClientReceive => "publishClientReceive",
            Self::SubscribeLiteral => "subscribeLiteral",
            Self::SubscribePattern => "subscribePattern",
            Self::UnsubscribeLiteral => "unsubscribeLiteral",
            Self::UnsubscribePattern => "unsubscribePattern",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

impl Ranked {
    /// Adds a name; false if it is in already.
    pub(super) fn insert(&mut self, name: &str, priority: i32) -> bool {
        if self.0.iter().any(|(other, _)| other == name) {
            return false;
        }
        let place = self.0.partition_point(|(other, its)| {
            (-i64::from(*its), other.as_str()) < (-i64::from(priority), name)
        });
        self.0.insert(place, (name.into(), priority));
        true
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    pub(super) fn priority(&self, name: &str) -> Option<i32> {
        self.0.iter().find(|(other, _)| other == name).map(|&(_, priority)| priority)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, i32)> {
        self.0.iter().map(|(name, priority)| (name.as_str(), *priority))
    }
}

pub(super) fn new_password(password: &[u8], random: &mut Random<'_>) -> Hash {
    let mut salt = vec![0; SALT_LEN];
    random(&mut salt);
    Hash::pbkdf2_of(password, salt, PBKDF2_ITERATIONS)
}
