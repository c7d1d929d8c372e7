//! What clients may do: the rules of a moment, as shards ask them.

use std::sync::Arc;

use dunlin_access::acl::{self, Grants, Who};
use dunlin_access::dynsec::{By, Decision, Dynsec};
use dunlin_access::jwt::Origin;
use dunlin_broker::{Action, Guard, Identity, Ruling};

use super::world::World;

/// A world, and what dynamic security has become since it was loaded. It does not change: every change makes
/// another one, with a greater number.
pub(crate) struct Book {
    pub(super) world: Arc<World>,
    /// One for each of [`World::dynamics`].
    pub(super) dynamics: Vec<Arc<Dynsec>>,
    pub(crate) generation: u64,
}

/// How a client was let in, and what it was given with it. The broker keeps it as `claims`.
#[derive(Debug, Clone, Default)]
pub(super) struct Pass {
    pub(super) way: Way,
    /// Whether it may do everything.
    pub(super) superuser: bool,
    pub(super) groups: Vec<String>,
    pub(super) roles: Vec<String>,
    pub(super) grants: Option<Grants>,
    /// Who had vouched for it, where a token did.
    pub(super) origin: Option<Origin>,
}

/// How a client was let in: what has to hold still after a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Way {
    /// Nothing was asked of it.
    #[default]
    Open,
    /// It is in the password file.
    Password,
    /// It is in dynamic security.
    Dynamic,
    /// The certificate says who it is.
    Certificate,
    /// A token said it.
    Token,
    /// A service said it.
    Hook,
}

impl Pass {
    /// Whether its holder has no rights by it.
    const fn grants_nothing(&self) -> bool {
        let Self { superuser, groups, roles, grants, .. } = self;
        !*superuser && groups.is_empty() && roles.is_empty() && grants.is_none()
    }
}

impl Book {
    /// The dynamic security of a listener.
    pub(super) fn dynamic(&self, listener: u16) -> Option<&Arc<Dynsec>> {
        self.dynamics.get(self.world.gate(listener)?.dynamic?)
    }
}

/// What a client was let in with, where that is known.
pub(super) fn pass_of(who: &Identity) -> Option<&Pass> {
    who.claims.as_deref()?.downcast_ref()
}

impl Guard for Book {
    /// Dynamic security first, for who is known there, then files: as Mosquitto asks its plugins.
    fn check(&self, who: &Identity, action: Action, topic: &str) -> Ruling {
        let Some(gate) = self.world.gate(who.listener) else { return Ruling::denied(None) };
        let pass = pass_of(who);
        if pass.is_some_and(|pass| pass.superuser) {
            return Ruling::ALLOWED;
        }
        let client = Who {
            user: who.username.as_deref(),
            client_id: &who.client_id,
            groups: pass.map_or(&[], |pass| &pass.groups),
            roles: pass.map_or(&[], |pass| &pass.roles),
            grants: pass.and_then(|pass| pass.grants.as_ref()),
        };
        let action = action_of(action);
        if let Some(dynamic) = self.dynamic(who.listener) {
            match dynamic.check(&client, action, topic) {
                Decision { by: By::Unknown, .. } if gate.rules.is_open() => {
                    return Ruling::denied(Some("dynamic security: the user is not known".into()));
                }
                Decision { by: By::Unknown, .. } => {}
                Decision { allowed: true, .. } => return Ruling::ALLOWED,
                Decision { by, .. } => return Ruling::denied(Some(name(by))),
            }
        }
        let verdict = gate.rules.check(&client, action, topic);
        if verdict.allowed {
            return Ruling::ALLOWED;
        }
        Ruling::denied(verdict.rule.map(|rule| rule.to_string().into()))
    }

    fn knows_by_name(&self, who: &Identity) -> bool {
        pass_of(who).is_none_or(Pass::grants_nothing)
    }
}

const fn action_of(action: Action) -> acl::Action {
    match action {
        Action::Publish | Action::Retained => acl::Action::Publish,
        Action::Deliver => acl::Action::Deliver,
        Action::Subscribe => acl::Action::Subscribe,
        Action::Unsubscribe => acl::Action::Unsubscribe,
        Action::Will => acl::Action::Will,
    }
}

fn name(by: By<'_>) -> Box<str> {
    match by {
        By::Acl { role, kind, topic } => format!("role {role}: {} {topic}", kind.name()).into(),
        By::Wildcards { role } => format!("role {role}: no wildcards (allowwildcardsubs)").into(),
        By::Default(name) => format!("default of {name}").into(),
        By::Unknown => "dynamic security".into(),
    }
}
