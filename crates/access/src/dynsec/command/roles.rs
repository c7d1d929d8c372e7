//! Commands about roles.

use serde_json::{Value, json};

use crate::acl::filter;
use crate::dynsec::command::{
    Answer, CommandError, Run, is_name, modify_texts, named, new_name, page, required, texts,
};
use crate::dynsec::file::{Object, acl_priority, describe_role, read_acls};
use crate::dynsec::state::{Acl, AclType, Role};

const NOT_FOUND: CommandError = CommandError::NotFound("Role");

impl Run<'_, '_> {
    pub(super) fn create_role(&mut self, object: &Object) -> Answer {
        let name = new_name(object, "rolename")?;
        let texts = texts(object)?;
        let exact_only = match object.get("allowwildcardsubs") {
            None => false,
            Some(Value::Bool(allowed)) => !allowed,
            Some(_) => return Err(CommandError::WildcardSubs),
        };
        let mut role = Role { texts, exact_only, ..Role::default() };
        if self.state.roles.contains_key(name) {
            return Err(CommandError::Exists("Role"));
        }
        read_acls(object, &mut role);
        self.state.roles.insert(name.into(), role);
        self.done()
    }

    pub(super) fn delete_role(&mut self, object: &Object) -> Answer {
        let name = named(object, "rolename")?;
        self.kick_role(name);
        if !self.state.delete_role(name) {
            return Err(NOT_FOUND);
        }
        self.done()
    }

    pub(super) fn modify_role(&mut self, object: &Object) -> Answer {
        let name = named(object, "rolename")?;
        let role = self.state.roles.get_mut(name).ok_or(CommandError::NoSuchRole)?;
        modify_texts(object, &mut role.texts);
        if let Some(Value::Bool(allowed)) = object.get("allowwildcardsubs") {
            role.exact_only = !allowed;
        }
        if object.get("acls").is_some_and(Value::is_array) {
            role.clear();
            read_acls(object, role);
        }
        self.kick_role(name);
        self.done()
    }

    pub(super) fn add_role_acl(&mut self, object: &Object) -> Answer {
        let (name, kind, topic) = self.acl(object)?;
        let allow = object.get("allow").and_then(Value::as_bool).unwrap_or(false);
        let acl = Acl::new(topic.into(), acl_priority(object), allow);
        let role = self.state.roles.get_mut(name).ok_or(NOT_FOUND)?;
        if !role.insert(kind, acl) {
            return Err(CommandError::AclExists);
        }
        self.kick_role(name);
        self.done()
    }

    pub(super) fn remove_role_acl(&mut self, object: &Object) -> Answer {
        let (name, kind, topic) = self.acl(object)?;
        let role = self.state.roles.get_mut(name).ok_or(NOT_FOUND)?;
        if !role.remove(kind, topic) {
            return Err(CommandError::AclNotFound);
        }
        self.kick_role(name);
        self.done()
    }

    pub(super) fn get_role(&self, object: &Object) -> Answer {
        let name = named(object, "rolename")?;
        let role = self.state.roles.get(name).ok_or(NOT_FOUND)?;
        Ok(Some(json!({ "role": describe_role(name, role) })))
    }

    #[expect(clippy::unnecessary_wraps, reason = "one of many commands")]
    pub(super) fn list_roles(&self, object: &Object) -> Answer {
        let roles = &self.state.roles;
        Ok(Some(page(object, "roles", roles.len(), roles.iter(), describe_role)))
    }

    fn acl<'o>(&self, object: &'o Object) -> Result<(&'o str, AclType, &'o str), CommandError> {
        let name = named(object, "rolename")?;
        if !self.state.roles.contains_key(name) {
            return Err(NOT_FOUND);
        }
        let kind = required(object, "acltype")?;
        let kind = AclType::from_name(kind).ok_or(CommandError::AclType)?;
        let topic = required(object, "topic")?;
        if !is_name(topic) {
            return Err(CommandError::Text("Topic"));
        }
        if filter::fault(topic).is_some() {
            return Err(CommandError::AclTopic);
        }
        Ok((name, kind, topic))
    }
}
