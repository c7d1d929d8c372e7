//! Mosquitto's ACL file.

use std::sync::Arc;

use crate::acl::filter;
use crate::acl::{Access, Entry, Scope};
use crate::fault::{Fault, numbered};

/// Reads the lines of a file. Words are separated by spaces, as in Mosquitto; a filter may contain
/// spaces when the access stands before it.
pub(super) fn parse(file: &Arc<str>, text: &str, faults: &mut Vec<Fault>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut scope = Scope::Anonymous;
    for (line, text) in numbered(text) {
        let text = text.trim_end();
        let text = text.trim_start_matches(' ');
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim_matches(' ');
        let scope = match word {
            "user" if rest.is_empty() => {
                faults.push(Fault::error(file, line, "`user` without a name"));
                continue;
            }
            "user" => {
                scope = Scope::User(rest.into());
                continue;
            }
            "topic" => scope.clone(),
            "pattern" => Scope::Everyone,
            _ => {
                let message = format!(
                    "expected `user`, `topic` or `pattern` and a space, not {}",
                    quoted(text)
                );
                faults.push(Fault::error(file, line, message));
                continue;
            }
        };
        match rule(rest) {
            Ok((allow, access, filter)) => {
                if word == "pattern" && !filter::is_template(filter) {
                    let message = format!(
                        "pattern {} has neither %c nor %u, so it is for every client",
                        quoted(filter)
                    );
                    faults.push(Fault::warning(file, line, message));
                }
                entries.push(Entry { scope, allow, access, filter: filter.into(), line });
            }
            Err(why) => faults.push(Fault::error(file, line, why)),
        }
    }
    entries
}

/// What stands behind `topic` or `pattern`, and in the lists of dunlin.toml: an access, if not both,
/// and a filter. A single word is a filter, even if it is `read`.
pub(super) fn rule(text: &str) -> Result<(bool, Access, &str), String> {
    let (allow, access, filter) = match text.split_once(' ') {
        None => (true, Access::BOTH, text),
        Some((access, filter)) => {
            let (allow, access) = match access {
                "read" => (true, Access::READ),
                "write" => (true, Access::WRITE),
                "readwrite" => (true, Access::BOTH),
                "deny" => (false, Access::BOTH),
                _ => {
                    return Err(format!(
                        "{} is no access; it is read, write, readwrite or deny, and must be given \
                         if the topic has spaces",
                        quoted(access)
                    ));
                }
            };
            (allow, access, filter.trim_start_matches(' '))
        }
    };
    if filter.is_empty() {
        return Err("the topic is missing".into());
    }
    match filter::fault(filter) {
        None => Ok((allow, access, filter)),
        Some(why) => Err(format!("{} is no topic filter: {why}", quoted(filter))),
    }
}

/// A piece of a line for a message: not more of it than helps.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(SHOWN).collect();
    let more = if characters.next().is_some() { ".." } else { "" };
    format!("{head:?}{more}")
}
