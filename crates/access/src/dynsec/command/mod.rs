//! The commands of `$CONTROL/dynamic-security/v1`: what they take, do and answer is the plugin's.

mod clients;
mod groups;
mod roles;

use serde_json::{Value, json};

use crate::Random;
use crate::control;
use crate::dynsec::file::{Object, integer, priority, text};
use crate::dynsec::state::{Defaults, Dynsec, Ranked, Texts};

/// Bytes of the longest name: no MQTT string is longer.
const NAME_MAX: usize = 65535;

/// What became of a message with commands.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// JSON for [`super::RESPONSE_TOPIC`].
    pub response: String,
    /// Whether the file must be written.
    pub changed: bool,
    /// Whose connections end, so that they come back under the new rules.
    pub kicks: Vec<Kick>,
    /// One line for the log for each command: what was done to whom, and the error if there was one.
    pub log: Vec<String>,
}

/// Connections that end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kick {
    /// All of this user name.
    User(String),
    /// All that gave no user name.
    Anonymous,
}

/// Why a command was not done, in the plugin's words: tools compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum CommandError {
    #[error("Unknown command")]
    Unknown,
    #[error("Invalid/missing {0}")]
    Field(&'static str),
    #[error("Empty {0}")]
    Empty(&'static str),
    #[error("{0} not valid UTF-8")]
    Text(&'static str),
    #[error("Deleting the anonymous group is forbidden")]
    AnonymousGroup,
    #[error("'groups' contains an object with an invalid 'groupname'")]
    MemberGroup,
    #[error("'groups' contains an object with a 'groupname' that does not exist")]
    MemberNoGroup,
    #[error("'clients' contains an object with an invalid 'username'")]
    MemberClient,
    #[error("'clients' contains an object with a 'username' that does not exist")]
    MemberNoClient,
    #[error("Invalid allowwildcardsubs")]
    WildcardSubs,
    #[error("{0} not found")]
    NotFound(&'static str),
    #[error("{0} already exists")]
    Exists(&'static str),
    #[error("Role does not exist")]
    NoSuchRole,
    #[error("Empty password is not allowed")]
    EmptyPassword,
    #[error("'roles' not an array or missing/invalid rolename")]
    Roles,
    #[error("Client is already in this group")]
    AlreadyInGroup,
    #[error("Group is already in this role")]
    AlreadyInRole,
    #[error("Missing/invalid actions array")]
    Actions,
    #[error("Unknown acltype")]
    AclType,
    #[error("Invalid ACL topic")]
    AclTopic,
    #[error("ACL with this topic already exists")]
    AclExists,
    #[error("ACL not found")]
    AclNotFound,
    #[error("Internal error")]
    Internal,
}

/// Data for the answer, if the command has any.
type Answer = Result<Option<Value>, CommandError>;

/// From where a user, perhaps with that client identifier only, is connected at the moment.
pub type Connections<'a> = dyn FnMut(&str, Option<&str>) -> Vec<String> + 'a;

/// Commands being run.
struct Run<'a, 'r> {
    state: &'a mut Dynsec,
    /// None: who asks about clients is not told.
    connections: Option<&'a mut Connections<'a>>,
    random: &'a mut Random<'r>,
    changed: bool,
    kicks: Vec<Kick>,
    log: Vec<String>,
}

impl Dynsec {
    /// Runs the commands of a message and answers it. It may hash passwords, which takes milliseconds
    /// each. Who may send commands is for the ACLs to say.
    #[must_use]
    pub fn handle(&mut self, payload: &[u8], random: &mut Random<'_>) -> Outcome {
        self.run(payload, random, None)
    }

    /// The same; who asks about a client is also told from where it is connected, as by the plugin of
    /// Mosquitto 2.1.
    #[must_use]
    pub fn handle_with<'a>(
        &'a mut self,
        payload: &[u8],
        random: &'a mut Random<'_>,
        connections: &'a mut Connections<'a>,
    ) -> Outcome {
        self.run(payload, random, Some(connections))
    }

    fn run<'a>(
        &'a mut self,
        payload: &[u8],
        random: &'a mut Random<'_>,
        connections: Option<&'a mut Connections<'a>>,
    ) -> Outcome {
        let (kicks, log) = (Vec::new(), Vec::new());
        let mut run = Run { state: self, connections, random, changed: false, kicks, log };
        let response = control::answer(payload, |name, object| {
            let answer = run.dispatch(name, object);
            run.log.push(log_line(name, object, &answer));
            answer.map_err(|error| error.to_string())
        });
        let Run { state, changed, mut kicks, log, .. } = run;
        kicks.sort_unstable();
        kicks.dedup();
        if changed {
            state.generation += 1;
        }
        Outcome { response, changed, kicks, log }
    }
}

impl Run<'_, '_> {
    fn dispatch(&mut self, name: &str, object: &Object) -> Answer {
        match name.to_ascii_lowercase().as_str() {
            "getdetails" => self.get_details(),
            "createclient" => self.create_client(object),
            "deleteclient" => self.delete_client(object),
            "modifyclient" => self.modify_client(object),
            "enableclient" => self.set_disabled(object, false),
            "disableclient" => self.set_disabled(object, true),
            "setclientid" => self.set_client_id(object),
            "setclientpassword" => self.set_client_password(object),
            "addclientrole" => self.add_client_role(object),
            "removeclientrole" => self.remove_client_role(object),
            "getclient" => self.get_client(object),
            "listclients" => self.list_clients(object),
            "creategroup" => self.create_group(object),
            "deletegroup" => self.delete_group(object),
            "modifygroup" => self.modify_group(object),
            "addgrouprole" => self.add_group_role(object),
            "removegrouprole" => self.remove_group_role(object),
            "addgroupclient" => self.add_group_client(object),
            "removegroupclient" => self.remove_group_client(object),
            "getgroup" => self.get_group(object),
            "listgroups" => self.list_groups(object),
            "setanonymousgroup" => self.set_anonymous_group(object),
            "getanonymousgroup" => self.get_anonymous_group(),
            "createrole" => self.create_role(object),
            "deleterole" => self.delete_role(object),
            "modifyrole" => self.modify_role(object),
            "addroleacl" => self.add_role_acl(object),
            "removeroleacl" => self.remove_role_acl(object),
            "getrole" => self.get_role(object),
            "listroles" => self.list_roles(object),
            "setdefaultaclaccess" => self.set_default_access(object),
            "getdefaultaclaccess" => self.get_default_access(),
            _ => Err(CommandError::Unknown),
        }
    }

    fn get_details(&self) -> Answer {
        let state = &self.state;
        Ok(Some(json!({
            "clientCount": state.clients.len(),
            "groupCount": state.groups.len(),
            "roleCount": state.roles.len(),
            "changeIndex": state.changes,
        })))
    }

    /// The plugin takes `"allow": true`; Debian's mosquitto_ctrl sends `"access": "allow"`.
    fn set_default_access(&mut self, object: &Object) -> Answer {
        let acls = object.get("acls").and_then(Value::as_array).ok_or(CommandError::Actions)?;
        for acl in acls.iter().filter_map(Value::as_object) {
            let allow = acl.get("allow").and_then(Value::as_bool);
            let allow = allow.or_else(|| match text(acl, "access") {
                Some("allow") => Some(true),
                Some("deny") => Some(false),
                _ => None,
            });
            let index = Defaults::NAMES.iter().position(|&name| text(acl, "acltype") == Some(name));
            if let (Some(index), Some(allow)) = (index, allow) {
                self.state.defaults.0[index] = allow;
            }
        }
        self.done()
    }

    fn get_default_access(&self) -> Answer {
        let acls: Value = Defaults::NAMES
            .into_iter()
            .zip(self.state.defaults.0)
            .map(|(name, allow)| json!({ "acltype": name, "allow": allow }))
            .collect();
        Ok(Some(json!({ "acls": acls })))
    }

    #[expect(clippy::unnecessary_wraps, reason = "the end of every command that changed something")]
    const fn done(&mut self) -> Answer {
        self.changed = true;
        self.state.changes = self.state.changes.saturating_add(1);
        Ok(None)
    }

    fn kick(&mut self, user: &str) {
        self.kicks.push(Kick::User(user.into()));
    }

    /// The members of a group, and who has no user name if it is the anonymous one.
    fn kick_group(&mut self, name: &str) {
        if let Some(group) = self.state.groups.get(name) {
            self.kicks.extend(group.clients.iter().cloned().map(Kick::User));
        }
        if self.state.anonymous_group.as_deref() == Some(name) {
            self.kicks.push(Kick::Anonymous);
        }
    }

    /// Everyone who has a role, by himself or through a group.
    fn kick_role(&mut self, role: &str) {
        let clients = self.state.clients.iter();
        let users = clients.filter(|(_, client)| client.roles.contains(role));
        self.kicks.extend(users.map(|(user, _)| Kick::User(user.clone())));
        let groups = self.state.groups.iter();
        let groups = groups.filter(|(_, group)| group.roles.contains(role));
        let groups: Vec<String> = groups.map(|(name, _)| name.clone()).collect();
        groups.iter().for_each(|group| self.kick_group(group));
    }

    /// The `roles` of an object: none if there is no such member.
    fn roles_of(
        &self,
        object: &Object,
        wrong: CommandError,
    ) -> Result<Option<Ranked>, CommandError> {
        let Some(roles) = object.get("roles") else { return Ok(None) };
        let mut ranked = Ranked::default();
        for role in roles.as_array().ok_or(wrong)? {
            let role = role.as_object().ok_or(wrong)?;
            let name = text(role, "rolename").ok_or(wrong)?;
            if !self.state.roles.contains_key(name) {
                return Err(CommandError::NotFound("Role"));
            }
            ranked.insert(name, priority(role));
        }
        Ok(Some(ranked))
    }
}

/// A member that must be a string.
fn required<'a>(object: &'a Object, key: &'static str) -> Result<&'a str, CommandError> {
    text(object, key).ok_or(CommandError::Field(key))
}

/// A member that must be a name: without control characters, as in Mosquitto.
fn named<'a>(object: &'a Object, key: &'static str) -> Result<&'a str, CommandError> {
    let name = required(object, key)?;
    if is_name(name) { Ok(name) } else { Err(CommandError::Text(in_errors(key))) }
}

/// The name of something new.
fn new_name<'a>(object: &'a Object, key: &'static str) -> Result<&'a str, CommandError> {
    if required(object, key)?.is_empty() {
        return Err(CommandError::Empty(key));
    }
    named(object, key)
}

/// A client identifier that is given; `said` is what the error calls it if it is no string.
fn client_id<'a>(object: &'a Object, said: &'static str) -> Result<Option<&'a str>, CommandError> {
    let client_id = optional(object, "clientid", said)?;
    if client_id.is_some_and(|id| !is_name(id)) {
        return Err(CommandError::Text("Client ID"));
    }
    Ok(client_id.filter(|id| !id.is_empty()))
}

/// Whether an MQTT string can be this, and no control characters are in it.
fn is_name(text: &str) -> bool {
    let is_odd = |letter: char| {
        let code = u32::from(letter);
        letter.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
    };
    text.len() <= NAME_MAX && !text.chars().any(is_odd)
}

fn in_errors(key: &'static str) -> &'static str {
    match key {
        "username" => "Username",
        "groupname" => "Group name",
        "rolename" => "Role name",
        "topic" => "Topic",
        other => other,
    }
}

/// A member that must be a string if it is there; `said` is what the error calls it.
fn optional<'a>(
    object: &'a Object,
    key: &str,
    said: &'static str,
) -> Result<Option<&'a str>, CommandError> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(CommandError::Field(said)),
    }
}

fn texts(object: &Object) -> Result<Texts, CommandError> {
    Ok(Texts {
        name: optional(object, "textname", "textname")?.map(Into::into),
        description: optional(object, "textdescription", "textdescription")?.map(Into::into),
    })
}

/// Where something is modified, what is no string is passed over.
fn modify_texts(object: &Object, texts: &mut Texts) {
    for (key, place) in [("textname", &mut texts.name), ("textdescription", &mut texts.description)]
    {
        if let Some(text) = text(object, key) {
            *place = Some(text.into());
        }
    }
}

/// A page of a list, as `count`, `offset` and `verbose` ask for it. A count of 0 gives one, as in the
/// plugin; a negative one gives all.
fn page<'a, T: 'a>(
    object: &Object,
    key: &str,
    total: usize,
    entries: impl Iterator<Item = (&'a String, &'a T)>,
    mut describe: impl FnMut(&str, &T) -> Object,
) -> Value {
    let verbose = object.get("verbose").and_then(Value::as_bool).unwrap_or(false);
    let count = match integer(object, "count").unwrap_or(-1) {
        0 => 1,
        count => usize::try_from(count).unwrap_or(usize::MAX),
    };
    let offset = usize::try_from(integer(object, "offset").unwrap_or(0)).unwrap_or(0);
    let list: Value = entries
        .skip(offset)
        .take(count)
        .map(
            |(name, entry)| {
                if verbose { describe(name, entry).into() } else { Value::from(name.as_str()) }
            },
        )
        .collect();
    json!({ "totalCount": total, key: list })
}

/// Who and what, but no password.
fn log_line(name: &str, object: &Object, answer: &Answer) -> String {
    let mut line = format!("dynamic security: {name}");
    for key in ["username", "clientid", "groupname", "rolename", "acltype", "topic"] {
        if let Some(text) = text(object, key) {
            line.push_str(&format!(" {key}={text:?}"));
        }
    }
    if let Err(error) = answer {
        line.push_str(&format!(": {error}"));
    }
    line
}
