//! Commands about clients.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::dynsec::command::{
    Answer, CommandError, Run, client_id, modify_texts, named, new_name, optional, page, required,
    texts,
};
use crate::dynsec::file::{Object, describe_client, objects, priority, text};
use crate::dynsec::state::{Client, Ranked, new_password};

const NOT_FOUND: CommandError = CommandError::NotFound("Client");

impl Run<'_, '_> {
    pub(super) fn create_client(&mut self, object: &Object) -> Answer {
        let user = new_name(object, "username")?;
        let password = optional(object, "password", "password")?;
        let client_id = client_id(object, "client id")?;
        let texts = texts(object)?;
        if self.state.clients.contains_key(user) {
            return Err(CommandError::Exists("Client"));
        }
        let roles = self.roles_of(object, CommandError::Roles)?.unwrap_or_default();
        let groups = groups_of(object);
        if groups.iter().any(|(name, _)| !self.state.groups.contains_key(*name)) {
            return Err(CommandError::NotFound("Group"));
        }
        let client = Client {
            password: self.hash(password),
            client_id: client_id.map(Into::into),
            texts,
            disabled: false,
            roles,
            groups: Ranked::default(),
        };
        self.state.clients.insert(user.into(), client);
        for (group, priority) in groups {
            self.state.join(user, group, priority);
        }
        self.done()
    }

    /// Also one with a name that is not taken any more.
    pub(super) fn delete_client(&mut self, object: &Object) -> Answer {
        let user = required(object, "username")?;
        if !self.state.delete_client(user) {
            return Err(NOT_FOUND);
        }
        self.kick(user);
        self.done()
    }

    /// Texts that are none are passed over.
    pub(super) fn modify_client(&mut self, object: &Object) -> Answer {
        let user = named(object, "username")?;
        if !self.state.clients.contains_key(user) {
            return Err(NOT_FOUND);
        }
        if text(object, "clientid").is_some() {
            client_id(object, "client ID")?;
        }
        let roles = self.roles_of(object, CommandError::Roles)?;
        let groups = self.new_groups(object)?;
        let password = self.hash(text(object, "password"));
        let client = self.client(user)?;
        modify_texts(object, &mut client.texts);
        if let Some(client_id) = text(object, "clientid") {
            client.client_id = Some(client_id.into()).filter(|id: &String| !id.is_empty());
        }
        if password.is_some() {
            client.password = password;
        }
        if let Some(roles) = roles {
            client.roles = roles;
        }
        if let Some(groups) = groups {
            let old = std::mem::take(&mut client.groups);
            for (group, _) in old.iter() {
                self.state.leave(user, group);
            }
            for (group, priority) in groups {
                self.state.join(user, group, priority);
            }
        }
        self.kick(user);
        self.done()
    }

    pub(super) fn set_disabled(&mut self, object: &Object, disabled: bool) -> Answer {
        let user = named(object, "username")?;
        self.client(user)?.disabled = disabled;
        if disabled {
            self.kick(user);
        }
        self.done()
    }

    /// Without a client identifier any will do.
    pub(super) fn set_client_id(&mut self, object: &Object) -> Answer {
        let user = named(object, "username")?;
        let client_id = client_id(object, "client ID")?;
        self.client(user)?.client_id = client_id.map(Into::into);
        self.kick(user);
        self.done()
    }

    pub(super) fn set_client_password(&mut self, object: &Object) -> Answer {
        let user = named(object, "username")?;
        let password = required(object, "password")?;
        if password.is_empty() {
            return Err(CommandError::EmptyPassword);
        }
        self.client(user)?;
        let hash = self.hash(Some(password));
        self.client(user)?.password = hash;
        self.kick(user);
        self.done()
    }

    pub(super) fn add_client_role(&mut self, object: &Object) -> Answer {
        let user = named(object, "username")?;
        let role = named(object, "rolename")?;
        self.client(user)?;
        if !self.state.roles.contains_key(role) {
            return Err(CommandError::NotFound("Role"));
        }
        if !self.client(user)?.roles.insert(role, priority(object)) {
            return Err(CommandError::Internal);
        }
        self.kick(user);
        self.done()
    }

    pub(super) fn remove_client_role(&mut self, object: &Object) -> Answer {
        let user = named(object, "username")?;
        let role = named(object, "rolename")?;
        self.client(user)?;
        if !self.state.roles.contains_key(role) {
            return Err(CommandError::NotFound("Role"));
        }
        self.client(user)?.roles.remove(role);
        self.kick(user);
        self.done()
    }

    pub(super) fn get_client(&mut self, object: &Object) -> Answer {
        let user = named(object, "username")?;
        let client = self.state.clients.get(user).ok_or(NOT_FOUND)?;
        let mut described = describe_client(user, client);
        if let Some(connections) = &mut self.connections {
            describe_connections(&mut described, connections(user, client.client_id.as_deref()));
        }
        Ok(Some(json!({ "client": described })))
    }

    #[expect(clippy::unnecessary_wraps, reason = "one of many commands")]
    pub(super) fn list_clients(&mut self, object: &Object) -> Answer {
        let (clients, connections) = (&self.state.clients, &mut self.connections);
        let describe = |user: &str, client: &Client| {
            let mut described = describe_client(user, client);
            if let Some(connections) = connections {
                let found = connections(user, client.client_id.as_deref());
                describe_connections(&mut described, found);
            }
            described
        };
        Ok(Some(page(object, "clients", clients.len(), clients.iter(), describe)))
    }

    /// The groups that a client is to be in from now on, if that is said: all of them exist.
    fn new_groups<'o>(
        &self,
        object: &'o Object,
    ) -> Result<Option<Vec<(&'o str, i32)>>, CommandError> {
        if !object.get("groups").is_some_and(Value::is_array) {
            return Ok(None);
        }
        let groups = objects(object, "groups").map(|group| {
            let name = text(group, "groupname").ok_or(CommandError::MemberGroup)?;
            let exists = self.state.groups.contains_key(name);
            exists.then(|| (name, priority(group))).ok_or(CommandError::MemberNoGroup)
        });
        groups.collect::<Result<_, _>>().map(Some)
    }

    fn client(&mut self, user: &str) -> Result<&mut Client, CommandError> {
        self.state.clients.get_mut(user).ok_or(NOT_FOUND)
    }

    /// An empty password is none.
    fn hash(&mut self, password: Option<&str>) -> Option<Arc<crate::password::Hash>> {
        let password = password.filter(|password| !password.is_empty())?;
        Some(Arc::new(new_password(password.as_bytes(), self.random)))
    }
}

fn describe_connections(client: &mut Object, addresses: Vec<String>) {
    let connections = addresses.into_iter().map(|address| json!({ "address": address }));
    client.insert("connections".into(), connections.collect());
}

fn groups_of(object: &Object) -> Vec<(&str, i32)> {
    objects(object, "groups")
        .filter_map(|group| Some((text(group, "groupname")?, priority(group))))
        .collect()
}
