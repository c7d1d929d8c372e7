//! Commands about groups.

use serde_json::{Value, json};

use crate::dynsec::command::{
    Answer, CommandError, Kick, Run, modify_texts, named, new_name, page, texts,
};
use crate::dynsec::file::{Object, describe_group, objects, priority, text};
use crate::dynsec::state::Group;

const NOT_FOUND: CommandError = CommandError::NotFound("Group");

impl Run<'_, '_> {
    pub(super) fn create_group(&mut self, object: &Object) -> Answer {
        let name = new_name(object, "groupname")?;
        let texts = texts(object)?;
        if self.state.groups.contains_key(name) {
            return Err(CommandError::Exists("Group"));
        }
        let roles = self.roles_of(object, CommandError::Internal)?.unwrap_or_default();
        self.state.groups.insert(name.into(), Group { texts, roles, ..Group::default() });
        self.done()
    }

    pub(super) fn delete_group(&mut self, object: &Object) -> Answer {
        let name = named(object, "groupname")?;
        if self.state.anonymous_group.as_deref() == Some(name) {
            return Err(CommandError::AnonymousGroup);
        }
        self.kick_group(name);
        self.state.delete_group(name).ok_or(NOT_FOUND)?;
        self.done()
    }

    /// Roles and clients must exist.
    pub(super) fn modify_group(&mut self, object: &Object) -> Answer {
        let name = named(object, "groupname")?;
        self.group(name)?;
        let roles = self.roles_of(object, CommandError::Roles)?;
        let clients = self.new_clients(object)?;
        self.kick_group(name);
        let group = self.group(name)?;
        modify_texts(object, &mut group.texts);
        if let Some(roles) = roles {
            group.roles = roles;
        }
        if let Some(clients) = clients {
            for user in group.clients.clone() {
                self.state.leave(&user, name);
            }
            for (user, priority) in clients {
                self.state.join(user, name, priority);
            }
            self.kick_group(name);
        }
        self.done()
    }

    pub(super) fn add_group_role(&mut self, object: &Object) -> Answer {
        let (name, role) = self.group_and_role(object)?;
        if !self.group(name)?.roles.insert(role, priority(object)) {
            return Err(CommandError::AlreadyInRole);
        }
        self.kick_group(name);
        self.done()
    }

    pub(super) fn remove_group_role(&mut self, object: &Object) -> Answer {
        let (name, role) = self.group_and_role(object)?;
        self.group(name)?.roles.remove(role);
        self.kick_group(name);
        self.done()
    }

    pub(super) fn add_group_client(&mut self, object: &Object) -> Answer {
        let (user, name) = self.client_and_group(object)?;
        if !self.state.join(user, name, priority(object)) {
            return Err(CommandError::AlreadyInGroup);
        }
        self.kick(user);
        self.done()
    }

    pub(super) fn remove_group_client(&mut self, object: &Object) -> Answer {
        let (user, name) = self.client_and_group(object)?;
        self.state.leave(user, name);
        self.kick(user);
        self.done()
    }

    pub(super) fn get_group(&self, object: &Object) -> Answer {
        let name = named(object, "groupname")?;
        let group = self.state.groups.get(name).ok_or(NOT_FOUND)?;
        Ok(Some(json!({ "group": describe_group(name, group) })))
    }

    #[expect(clippy::unnecessary_wraps, reason = "one of many commands")]
    pub(super) fn list_groups(&self, object: &Object) -> Answer {
        let groups = &self.state.groups;
        Ok(Some(page(object, "groups", groups.len(), groups.iter(), describe_group)))
    }

    pub(super) fn set_anonymous_group(&mut self, object: &Object) -> Answer {
        let name = named(object, "groupname")?;
        self.group(name)?;
        self.state.anonymous_group = Some(name.into());
        self.kicks.push(Kick::Anonymous);
        self.done()
    }

    #[expect(clippy::unnecessary_wraps, reason = "one of many commands")]
    pub(super) fn get_anonymous_group(&self) -> Answer {
        let name = self.state.anonymous_group.as_deref().unwrap_or("");
        Ok(Some(json!({ "group": { "groupname": name } })))
    }

    /// The clients that are to be in a group from now on, if that is said: all of them exist.
    fn new_clients<'o>(
        &self,
        object: &'o Object,
    ) -> Result<Option<Vec<(&'o str, i32)>>, CommandError> {
        if !object.get("clients").is_some_and(Value::is_array) {
            return Ok(None);
        }
        let clients = objects(object, "clients").map(|client| {
            let user = text(client, "username").ok_or(CommandError::MemberClient)?;
            let exists = self.state.clients.contains_key(user);
            exists.then(|| (user, priority(client))).ok_or(CommandError::MemberNoClient)
        });
        clients.collect::<Result<_, _>>().map(Some)
    }

    fn group(&mut self, name: &str) -> Result<&mut Group, CommandError> {
        self.state.groups.get_mut(name).ok_or(NOT_FOUND)
    }

    fn group_and_role<'o>(&self, object: &'o Object) -> Result<(&'o str, &'o str), CommandError> {
        let name = named(object, "groupname")?;
        let role = named(object, "rolename")?;
        if !self.state.groups.contains_key(name) {
            return Err(NOT_FOUND);
        }
        if !self.state.roles.contains_key(role) {
            return Err(CommandError::NotFound("Role"));
        }
        Ok((name, role))
    }

    fn client_and_group<'o>(&self, object: &'o Object) -> Result<(&'o str, &'o str), CommandError> {
        let user = named(object, "username")?;
        let name = named(object, "groupname")?;
        if !self.state.clients.contains_key(user) {
            return Err(CommandError::NotFound("Client"));
        }
        if !self.state.groups.contains_key(name) {
            return Err(NOT_FOUND);
        }
        Ok((user, name))
    }
}
