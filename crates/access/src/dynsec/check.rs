//! Who may connect, and what a client may do.

use std::sync::Arc;

use crate::acl::{Action, Who, filter};
use crate::dynsec::state::{Acl, AclType, Dynsec, Ranked, Role};
use crate::password::{Attempt, Hash, PasswordFile, place_of};

/// The answer to a question, and what gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether the client may.
    pub allowed: bool,
    /// What decided.
    pub by: By<'a>,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    /// An ACL of a role.
    Acl {
        /// The role.
        role: &'a str,
        /// The list in it.
        kind: AclType,
        /// The topic filter of the ACL.
        topic: &'a str,
    },
    /// The role lets nobody subscribe with wildcards.
    Wildcards {
        /// The role.
        role: &'a str,
    },
    /// No ACL matched; this default holds.
    Default(&'static str),
    /// The user name is not known here; other rules may know it.
    Unknown,
}

impl Dynsec {
    /// Prepares the check of a login. An unknown or disabled user, one without password, or one with the
    /// wrong client identifier, costs the same and fails.
    #[must_use]
    pub fn attempt(&self, user: &str, client_id: &str) -> Attempt {
        let client = self.clients.get(user);
        if let Some(client) = client
            && let Some(hash) = &client.password
        {
            let fits = client.client_id.as_deref().is_none_or(|only| only == client_id);
            return Attempt::new(Some(hash.clone()), fits && !client.disabled);
        }
        let index = place_of(user, self.hashes().count());
        Attempt::new(self.hashes().nth(index).cloned(), false)
    }

    /// Prepares the check of a login of somebody whom neither this nor the file knows: against a hash of one
    /// of them, always the same one for a name, as long as they stay. So which kind of hash it takes does not tell
    /// that it is nobody's.
    #[must_use]
    pub fn attempt_beside(&self, file: &PasswordFile, user: &str) -> Attempt {
        let mine = self.hashes().count();
        let index = place_of(user, mine + file.hashes().len());
        let hash = self.hashes().nth(index);
        let hash = hash.or_else(|| file.hashes().get(index.saturating_sub(mine)));
        Attempt::new(hash.cloned(), false)
    }

    fn hashes(&self) -> impl Iterator<Item = &Arc<Hash>> {
        self.clients.values().filter_map(|client| client.password.as_ref())
    }

    /// Whether the user name is known here.
    #[must_use]
    pub fn contains(&self, user: &str) -> bool {
        self.clients.contains_key(user)
    }

    /// Whether the user may log in here with the same password as in another state: a connection may then
    /// stay.
    #[must_use]
    pub fn same_login(&self, other: &Self, user: &str) -> bool {
        match (self.clients.get(user), other.clients.get(user)) {
            (Some(left), Some(right)) => !left.disabled && left.password == right.password,
            _ => false,
        }
    }

    /// Whether clients without a user name have a group of their own.
    #[must_use]
    pub const fn has_anonymous_group(&self) -> bool {
        self.anonymous_group.is_some()
    }

    /// Whether `who` may do `action`. For subscriptions the topic is the filter, without
    /// `$share/NAME/`.
    #[must_use]
    pub fn check(&self, who: &Who<'_>, action: Action, topic: &str) -> Decision<'_> {
        let question = Question { who, action, topic };
        let found = match who.user {
            None => self
                .anonymous_group
                .as_ref()
                .and_then(|name| self.groups.get(name))
                .and_then(|group| self.ask(&group.roles, question)),
            Some(user) => {
                let Some(client) = self.clients.get(user) else {
                    return Decision { allowed: false, by: By::Unknown };
                };
                self.ask(&client.roles, question).or_else(|| {
                    let groups = client.groups.iter();
                    let mut groups = groups.filter_map(|(name, _)| self.groups.get(name));
                    groups.find_map(|group| self.ask(&group.roles, question))
                })
            }
        };
        found.unwrap_or_else(|| self.default_for(action, topic))
    }

    fn ask(&self, roles: &Ranked, question: Question<'_>) -> Option<Decision<'_>> {
        roles.iter().find_map(|(name, _)| {
            let (name, role) = self.roles.get_key_value(name)?;
            if role.exact_only && question.has_wildcard() {
                return Some(Decision { allowed: false, by: By::Wildcards { role: name } });
            }
            let (kind, acl) = question.first(role)?;
            let by = By::Acl { role: name, kind, topic: &acl.topic };
            Some(Decision { allowed: acl.allow, by })
        })
    }

    /// No default opens the topics of commands: these have to be granted.
    fn default_for(&self, action: Action, topic: &str) -> Decision<'_> {
        let index = match action {
            Action::Publish | Action::Will => 0,
            Action::Deliver => 1,
            Action::Subscribe => 2,
            Action::Unsubscribe => 3,
        };
        let by = By::Default(super::state::Defaults::NAMES[index]);
        Decision { allowed: self.defaults.0[index] && !topic.starts_with("$CONTROL"), by }
    }
}

#[derive(Clone, Copy)]
struct Question<'a> {
    who: &'a Who<'a>,
    action: Action,
    topic: &'a str,
}

impl Question<'_> {
    /// The ACL of a role that decides: literal subscriptions before patterns.
    fn first<'r>(&self, role: &'r Role) -> Option<(AclType, &'r Acl)> {
        let kinds: &[AclType] = match self.action {
            Action::Publish | Action::Will => &[AclType::PublishClientSend],
            Action::Deliver => &[AclType::PublishClientReceive],
            Action::Subscribe => &[AclType::SubscribeLiteral, AclType::SubscribePattern],
            Action::Unsubscribe => &[AclType::UnsubscribeLiteral, AclType::UnsubscribePattern],
        };
        kinds.iter().find_map(|&kind| {
            let acl = role.acls(kind).iter().find(|acl| self.matches(kind, acl))?;
            Some((kind, acl))
        })
    }

    fn has_wildcard(&self) -> bool {
        self.action == Action::Subscribe && self.topic.contains(['+', '#'])
    }

    fn matches(&self, kind: AclType, acl: &Acl) -> bool {
        // A name that acts as a wildcard may make a denial wider, never a grant.
        if !acl.valid || acl.template && acl.allow && filter::acts_as_wildcard(self.who) {
            return false;
        }
        let expanded = if acl.template {
            let Some(expanded) = filter::expand(&acl.topic, self.who) else { return false };
            expanded
        } else {
            acl.topic.as_str().into()
        };
        match kind {
            AclType::SubscribeLiteral | AclType::UnsubscribeLiteral => *expanded == *self.topic,
            AclType::SubscribePattern
            | AclType::UnsubscribePattern
            | AclType::PublishClientSend
            | AclType::PublishClientReceive => {
                filter::same_dollar(&acl.topic, self.topic) && filter::covers(&expanded, self.topic)
            }
        }
    }
}
