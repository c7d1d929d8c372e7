//! dynamic-security.json, as the plugin writes and reads it; and its objects, which the answers to
//! commands are made of too.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::dynsec::state::{
    Acl, AclType, Client, Defaults, Dynsec, Group, NO_PRIORITY, Ranked, Role, Texts,
};
use crate::fault::Fault;
use crate::password::Hash;

pub(super) type Object = Map<String, Value>;

/// The greatest priority.
const PRIORITY_MAX: i32 = 100_000;

impl Dynsec {
    /// Reads the file. What is incomplete in it is left out and told.
    ///
    /// # Errors
    /// It is not JSON, or not an object.
    pub fn parse(name: &str, text: &str) -> Result<(Self, Vec<Fault>), Fault> {
        let file: Arc<str> = name.into();
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let line = u32::try_from(error.line()).unwrap_or(0);
            Fault::error(&file, line, "this is not JSON; the line says where it stops being it")
        })?;
        let Value::Object(root) = value else {
            return Err(Fault::error(&file, 1, "this is not a JSON object"));
        };
        let mut reader = Reader { file, faults: Vec::new(), state: Self::default() };
        reader.read(&root);
        Ok((reader.state, reader.faults))
    }

    /// The file's new text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let defaults: Object = Defaults::NAMES
            .into_iter()
            .zip(self.defaults.0)
            .map(|(name, allow)| (name.into(), allow.into()))
            .collect();
        let clients = self.clients.iter().map(|(name, client)| {
            let mut object = describe_client(name, client);
            object.remove("groups");
            if let Some(hash) = &client.password {
                write_password(&mut object, hash);
            }
            Value::Object(object)
        });
        let groups = self.groups.iter().map(|(name, group)| {
            let mut object = describe_group(name, group);
            let members = group.clients.iter().map(|user| {
                let client = self.clients.get(user);
                let priority = client.and_then(|client| client.groups.priority(name));
                ranked("username", user, priority.unwrap_or(NO_PRIORITY))
            });
            object.insert("clients".into(), members.collect());
            Value::Object(object)
        });
        let roles = self.roles.iter().map(|(name, role)| Value::Object(describe_role(name, role)));
        let mut root = Object::new();
        root.insert("changeIndex".into(), self.changes.into());
        root.insert("defaultACLAccess".into(), defaults.into());
        root.insert("clients".into(), clients.collect());
        root.insert("groups".into(), groups.collect());
        root.insert("roles".into(), roles.collect());
        if let Some(group) = &self.anonymous_group {
            root.insert("anonymousGroup".into(), group.as_str().into());
        }
        format!("{:#}", Value::Object(root))
    }
}

pub(super) fn describe_client(name: &str, client: &Client) -> Object {
    let mut object = Object::new();
    object.insert("username".into(), name.into());
    if let Some(client_id) = &client.client_id {
        object.insert("clientid".into(), client_id.as_str().into());
    }
    describe_texts(&client.texts, &mut object);
    if client.disabled {
        object.insert("disabled".into(), true.into());
    }
    object.insert("roles".into(), describe_ranked("rolename", &client.roles));
    object.insert("groups".into(), describe_ranked("groupname", &client.groups));
    object
}

/// PBKDF2 in the three members that every version of the plugin reads, others as Mosquitto 2.1 writes all.
fn write_password(object: &mut Object, hash: &Hash) {
    if let Some((iterations, salt, password)) = hash.pbkdf2_parts() {
        object.insert("password".into(), password.into());
        object.insert("salt".into(), salt.into());
        object.insert("iterations".into(), iterations.into());
    } else {
        object.insert("encoded_password".into(), hash.encode().into());
    }
}

pub(super) fn describe_group(name: &str, group: &Group) -> Object {
    let mut object = Object::new();
    object.insert("groupname".into(), name.into());
    describe_texts(&group.texts, &mut object);
    let clients = group.clients.iter().map(|user| json!({ "username": user }));
    object.insert("clients".into(), clients.collect());
    object.insert("roles".into(), describe_ranked("rolename", &group.roles));
    object
}

pub(super) fn describe_role(name: &str, role: &Role) -> Object {
    let mut object = Object::new();
    object.insert("rolename".into(), name.into());
    describe_texts(&role.texts, &mut object);
    object.insert("allowwildcardsubs".into(), (!role.exact_only).into());
    let acls = AclType::ALL.into_iter().flat_map(|kind| {
        role.acls(kind).iter().map(move |acl| {
            json!({
                "acltype": kind.name(),
                "topic": acl.topic,
                "priority": acl.priority,
                "allow": acl.allow,
            })
        })
    });
    object.insert("acls".into(), acls.collect());
    object
}

fn describe_texts(texts: &Texts, object: &mut Object) {
    for (key, text) in [("textname", &texts.name), ("textdescription", &texts.description)] {
        if let Some(text) = text {
            object.insert(key.into(), text.as_str().into());
        }
    }
}

fn describe_ranked(key: &str, list: &Ranked) -> Value {
    list.iter().map(|(name, priority)| ranked(key, name, priority)).collect()
}

fn ranked(key: &str, name: &str, priority: i32) -> Value {
    let mut object = Object::new();
    object.insert(key.into(), name.into());
    if priority != NO_PRIORITY {
        object.insert("priority".into(), priority.into());
    }
    object.into()
}

/// A member that is a string.
pub(super) fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// A member that is a number, as the plugin reads it: without fraction and within 32 bits.
pub(super) fn integer(object: &Object, key: &str) -> Option<i32> {
    let number = object.get(key)?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates")]
    Some(number as i32)
}

/// The priority that something is given; the plugin of 2.1 takes none beyond these.
pub(super) fn priority(object: &Object) -> i32 {
    integer(object, "priority").unwrap_or(NO_PRIORITY).clamp(-PRIORITY_MAX, PRIORITY_MAX)
}

/// That of an ACL.
pub(super) fn acl_priority(object: &Object) -> i32 {
    integer(object, "priority").unwrap_or(0).clamp(-PRIORITY_MAX, PRIORITY_MAX)
}

/// The objects of a member that is an array.
pub(super) fn objects<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a Object> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// The ACLs of a role; incomplete ones are left out, as by the plugin.
pub(super) fn read_acls(object: &Object, role: &mut Role) {
    for acl in objects(object, "acls") {
        let kind = text(acl, "acltype").and_then(AclType::from_name);
        if let (Some(kind), Some(topic)) = (kind, text(acl, "topic")) {
            let allow = acl.get("allow").and_then(Value::as_bool).unwrap_or(false);
            role.insert(kind, Acl::new(topic.into(), acl_priority(acl), allow));
        }
    }
}

struct Reader {
    file: Arc<str>,
    faults: Vec<Fault>,
    state: Dynsec,
}

impl Reader {
    fn read(&mut self, root: &Object) {
        self.state.changes = root.get("changeIndex").and_then(Value::as_u64).unwrap_or(0);
        if let Some(defaults) = root.get("defaultACLAccess").and_then(Value::as_object) {
            for (name, place) in Defaults::NAMES.into_iter().zip(&mut self.state.defaults.0) {
                *place = defaults.get(name).and_then(Value::as_bool).unwrap_or(*place);
            }
        }
        for object in objects(root, "roles") {
            if let Some(name) = self.name(object, "rolename") {
                let wildcards = object.get("allowwildcardsubs").and_then(Value::as_bool);
                let exact_only = wildcards == Some(false);
                let mut role = Role { texts: read_texts(object), exact_only, ..Role::default() };
                read_acls(object, &mut role);
                self.state.roles.insert(name, role);
            }
        }
        for object in objects(root, "clients") {
            if let Some(name) = self.name(object, "username") {
                let client = self.client(&name, object);
                self.state.clients.insert(name, client);
            }
        }
        for object in objects(root, "groups") {
            if let Some(name) = self.name(object, "groupname") {
                self.group(&name, object);
            }
        }
        if let Some(name) = text(root, "anonymousGroup").filter(|name| !name.is_empty()) {
            if self.state.groups.contains_key(name) {
                self.state.anonymous_group = Some(name.into());
            } else {
                self.warn(format!("the anonymous group {name:?} does not exist"));
            }
        }
    }

    fn client(&mut self, name: &str, object: &Object) -> Client {
        let password = self.password(name, object);
        Client {
            password,
            client_id: text(object, "clientid").filter(|id| !id.is_empty()).map(Into::into),
            texts: read_texts(object),
            disabled: object.get("disabled").and_then(Value::as_bool).unwrap_or(false),
            roles: self.roles_of(name, object),
            groups: Ranked::default(),
        }
    }

    /// As Mosquitto 2.1 writes it, or as versions before do.
    fn password(&mut self, name: &str, object: &Object) -> Option<Arc<Hash>> {
        let encoded = match text(object, "encoded_password") {
            Some(encoded) => encoded.into(),
            None => {
                let (password, salt) = text(object, "password").zip(text(object, "salt"))?;
                let iterations = integer(object, "iterations").unwrap_or(0);
                format!("$7${iterations}${salt}${password}")
            }
        };
        let hash = Hash::parse(&encoded);
        if let Err(fault) = hash {
            self.warn(format!("client {name:?} has no usable password: {fault}"));
        }
        hash.ok().map(Arc::new)
    }

    fn group(&mut self, name: &str, object: &Object) {
        let roles = self.roles_of(name, object);
        let group = Group { texts: read_texts(object), roles, ..Group::default() };
        self.state.groups.insert(name.into(), group);
        for member in objects(object, "clients") {
            let Some(user) = text(member, "username") else { continue };
            if !self.state.join(user, name, priority(member)) {
                self.warn(format!(
                    "group {name:?} names the client {user:?}, which does not exist"
                ));
            }
        }
    }

    fn roles_of(&mut self, owner: &str, object: &Object) -> Ranked {
        let mut roles = Ranked::default();
        for role in objects(object, "roles") {
            let Some(name) = text(role, "rolename") else { continue };
            if self.state.roles.contains_key(name) {
                roles.insert(name, priority(role));
            } else {
                self.warn(format!("{owner:?} has the role {name:?}, which does not exist"));
            }
        }
        roles
    }

    fn name(&mut self, object: &Object, key: &str) -> Option<String> {
        let name = text(object, key).filter(|name| !name.is_empty());
        if name.is_none() {
            self.warn(format!("an object without `{key}` is left out"));
        }
        name.map(Into::into)
    }

    fn warn(&mut self, message: String) {
        self.faults.push(Fault::warning(&self.file, 0, message));
    }
}

/// Older tools wrote `textName` and `textDescription`.
fn read_texts(object: &Object) -> Texts {
    let either = |one, other| text(object, one).or_else(|| text(object, other)).map(Into::into);
    Texts {
        name: either("textname", "textName"),
        description: either("textdescription", "textDescription"),
    }
}
