//! Roles, groups and users as dunlin.toml writes them.
//!
//! ```toml
//! [roles.sensor]
//! rules = ["write sensors/%c/#", "read commands/%c/#"]
//!
//! [groups.plant1]
//! roles = ["sensor"]
//! rules = ["read plant1/#"]
//!
//! [users.anna]
//! groups = ["plant1"]
//! rules = ["readwrite anna/#", "deny anna/private"]
//!
//! [groups.anonymous]
//! rules = ["read public/#"]
//!
//! [groups.everyone]
//! rules = ["readwrite people/%u/#"]
//! ```
//!
//! Who gave no user name is in the group `anonymous`, and every client is in `everyone`.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::acl::{Entry, Scope, file};
use crate::fault::Fault;

/// As much of a name as a message repeats.
const NAME_SHOWN: usize = 60;

/// What a dunlin.toml says about access.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    /// Of users, groups and [`Scope::Anonymous`].
    pub(super) members: Vec<(Scope, Membership)>,
}

/// The roles and groups of someone.
#[derive(Debug, Clone, Default)]
pub(super) struct Membership {
    pub(super) roles: Vec<String>,
    pub(super) groups: Vec<String>,
}

impl Membership {
    pub(super) fn join(&mut self, other: Self) {
        self.roles.extend(other.roles);
        self.groups.extend(other.groups);
    }
}

/// Reads the three tables and leaves the others to whom they belong.
pub(super) fn parse(file: &Arc<str>, text: &str, faults: &mut Vec<Fault>) -> Table {
    let line_ends =
        text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    let mut reader = Reader { file, line_ends, faults, table: Table::default(), used: Vec::new() };
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => {
            reader.fault(error.span().unwrap_or_default(), error.message());
            return reader.table;
        }
    };
    let (mut roles, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for (key, value) in root.get_ref() {
        let kind @ ("users" | "groups" | "roles") = &**key.get_ref() else { continue };
        let DeValue::Table(named) = value.get_ref() else {
            reader.fault(value.span(), &format!("`{kind}` must be a table of tables"));
            continue;
        };
        for (name, value) in named {
            let name = name.get_ref().to_string();
            let scope = match (kind, name.as_str()) {
                ("users", _) => Scope::User(name),
                ("roles", _) => {
                    roles.insert(name.clone());
                    Scope::Role(name)
                }
                (_, "anonymous") => Scope::Anonymous,
                (_, "everyone") => Scope::Everyone,
                (..) => {
                    groups.insert(name.clone());
                    Scope::Group(name)
                }
            };
            reader.party(scope, value);
        }
    }
    reader.undefined(&roles, &groups);
    reader.table
}

type Value<'a> = toml::Spanned<DeValue<'a>>;

struct Reader<'a> {
    file: &'a Arc<str>,
    /// Where lines end: every rule has its line, and to count them each time would take long.
    line_ends: Vec<usize>,
    faults: &'a mut Vec<Fault>,
    table: Table,
    /// Roles (`true`) and groups that were named, with their places.
    used: Vec<(bool, String, Range<usize>)>,
}

impl Reader<'_> {
    fn party(&mut self, scope: Scope, value: &Value<'_>) {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(value.span(), "this must be a table with `rules`, `roles` or `groups`");
            return;
        };
        let mut member = Membership::default();
        for (key, value) in table {
            match (&**key.get_ref(), &scope) {
                ("rules", _) => self.rules(&scope, value),
                ("roles", Scope::User(_) | Scope::Group(_) | Scope::Anonymous) => {
                    member.roles = self.names(true, value);
                }
                ("groups", Scope::User(_)) => {
                    member.groups = self.names(false, value);
                }
                (other, _) => {
                    let other: String = other.chars().take(NAME_SHOWN).collect();
                    let message = format!("`{other}` is not known here; {}", known(&scope));
                    self.fault(key.span(), &message);
                }
            }
        }
        if !matches!(scope, Scope::Role(_) | Scope::Everyone) {
            self.table.members.push((scope, member));
        }
    }

    fn rules(&mut self, scope: &Scope, value: &Value<'_>) {
        for (text, span) in self.strings(value) {
            match file::rule(text.trim()) {
                Ok((allow, access, filter)) => {
                    let line = self.line(span.start);
                    let scope = scope.clone();
                    let filter = filter.into();
                    self.table.entries.push(Entry { scope, allow, access, filter, line });
                }
                Err(why) => self.fault(span, &why),
            }
        }
    }

    fn names(&mut self, role: bool, value: &Value<'_>) -> Vec<String> {
        let names = self.strings(value);
        self.used.extend(names.iter().map(|(name, span)| (role, name.clone(), span.clone())));
        names.into_iter().map(|(name, _)| name).collect()
    }

    fn strings(&mut self, value: &Value<'_>) -> Vec<(String, Range<usize>)> {
        let DeValue::Array(values) = value.get_ref() else {
            self.fault(value.span(), "this must be a list of strings");
            return Vec::new();
        };
        let mut strings = Vec::new();
        for value in values {
            match value.get_ref() {
                DeValue::String(text) => strings.push((text.to_string(), value.span())),
                _ => self.fault(value.span(), "this must be a string"),
            }
        }
        strings
    }

    /// A name that is used must be defined: a misspelt one would silently grant nothing.
    fn undefined(&mut self, roles: &BTreeSet<String>, groups: &BTreeSet<String>) {
        for (role, name, span) in std::mem::take(&mut self.used) {
            let (kind, defined) = if role { ("roles", roles) } else { ("groups", groups) };
            if !defined.contains(name.as_str()) {
                let name: String = name.chars().take(NAME_SHOWN).collect();
                self.fault(span, &format!("there is no [{kind}.{name}]"));
            }
        }
    }

    fn fault(&mut self, span: Range<usize>, message: &str) {
        let line = self.line(span.start);
        self.faults.push(Fault::error(self.file, line, message));
    }

    fn line(&self, offset: usize) -> u32 {
        let lines = self.line_ends.partition_point(|end| *end < offset);
        u32::try_from(lines).map_or(u32::MAX, |lines| lines.saturating_add(1))
    }
}

const fn known(scope: &Scope) -> &'static str {
    match scope {
        Scope::Role(_) | Scope::Everyone => "known is `rules`",
        Scope::Group(_) | Scope::Anonymous => "known are `roles` and `rules`",
        Scope::User(_) => "known are `groups`, `roles` and `rules`",
    }
}
