//! Who may read and write what: ACL files as Mosquitto reads them, roles and groups of dunlin.toml,
//! and the compiled rules that answer for both.
//!
//! The order of evaluation is Mosquitto's. First what belongs to the client: its section of the file
//! (the lines before the first `user` if it gave no user name), its roles and groups. In there a
//! matching `deny` wins, then a matching grant. Only if nothing there speaks of the topic, the
//! patterns for everyone are asked in the same way. What nothing grants is denied.

mod cache;
mod file;
pub(crate) mod filter;
mod index;
mod rules;
mod table;

pub use cache::Cache;
pub use rules::{Grants, Rules, Source, Subscribing};

/// The client a question is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Who<'a> {
    /// The user name it was let in with, if any.
    pub user: Option<&'a str>,
    /// Its client identifier.
    pub client_id: &'a str,
    /// Groups it is in besides those of the files: from a token, say.
    pub groups: &'a [String],
    /// Roles it has besides those of the files.
    pub roles: &'a [String],
    /// What its token grants by itself.
    pub grants: Option<&'a Grants>,
}

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// To publish to a topic.
    Publish,
    /// To be sent what was published to a topic.
    Deliver,
    /// To subscribe to a topic filter.
    Subscribe,
    /// To end the subscription to a topic filter.
    Unsubscribe,
    /// To leave a will for a topic.
    Will,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Whether it may.
    pub allowed: bool,
    /// The rule that says so; none when no rule speaks of it.
    pub rule: Option<RuleRef<'a>>,
}

/// Where a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleRef<'a> {
    /// The file.
    pub file: &'a str,
    /// The line in it, counted from 1.
    pub line: u32,
}

impl std::fmt::Display for RuleRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a rule speaks of, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Access(u8);

impl Access {
    const READ: Self = Self(1);
    const WRITE: Self = Self(2);
    const BOTH: Self = Self(3);

    const fn includes(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// One line as read, before it is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    scope: Scope,
    allow: bool,
    access: Access,
    filter: String,
    line: u32,
}

/// Whom an entry is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Scope {
    /// Clients without a user name.
    Anonymous,
    /// The user of that name.
    User(String),
    /// Who has that role.
    Role(String),
    /// Who is in that group.
    Group(String),
    /// Every client.
    Everyone,
}
