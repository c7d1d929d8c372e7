//! A crate's own `clippy.toml` replaces the one at the root, so it must repeat its keys.

use toml::{Table, Value};

use crate::Findings;
use crate::source::Repository;

pub(crate) fn check(repository: &Repository) -> Findings {
    let root = match repository.read("clippy.toml").parse::<Table>() {
        Ok(root) => root,
        Err(error) => return vec![format!("clippy.toml:1: {error}")],
    };
    let mut findings = Findings::new();
    for name in repository.crates() {
        let path = format!("crates/{name}/clippy.toml");
        if !repository.path(&path).exists() {
            continue;
        }
        match repository.read(&path).parse::<Table>() {
            Ok(copy) => findings.extend(
                root.iter()
                    .filter(|(key, value)| !covers(copy.get(*key), value))
                    .map(|(key, _)| format!("{path}:1: {key} differs from the root")),
            ),
            Err(error) => findings.push(format!("{path}:1: {error}")),
        }
    }
    findings
}

/// Whether the copy says the same, or, in a list, at least the same.
fn covers(copy: Option<&Value>, root: &Value) -> bool {
    match (copy, root) {
        (Some(Value::Array(copy)), Value::Array(root)) => root.iter().all(|v| copy.contains(v)),
        (Some(copy), root) => copy == root,
        (None, _) => false,
    }
}
