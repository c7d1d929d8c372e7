//! A configuration as `dunlin.toml`.

use crate::keys::{self, Key};
use crate::model::Config;
use crate::problem::Note;

/// The same configuration as `dunlin.toml`: what is as by default is left out. The notes, if any, become
/// comments at the head, so that nothing of the file it was made from is lost silently.
///
/// Roles, groups and users are not written: only `dunlin.toml` has them.
#[must_use]
pub fn to_toml(config: &Config, notes: &[Note]) -> String {
    let mut text = String::new();
    for note in notes {
        // A value may hold anything, but a comment ends with its line.
        for line in note.to_string().lines() {
            line_of(&mut text, &format!("# {}", line.replace(char::is_control, " ")));
        }
    }
    let mut section = "";
    for (key, value) in given(keys::general(), config, &Config::default()) {
        let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
        if table != section {
            section = table;
            line_of(&mut text, &format!("\n[{table}]"));
        }
        line_of(&mut text, &format!("{name} = {value}"));
    }
    for listener in config.listeners.iter().filter(|listener| !listener.is_implied()) {
        line_of(&mut text, "\n[[listener]]");
        // The port is what a reader looks for, so it is there even if it is the usual one.
        if listener.port == 1883 {
            line_of(&mut text, "port = 1883");
        }
        write_all(&mut text, keys::listener(), listener);
    }
    for bridge in &config.bridges {
        line_of(&mut text, "\n[[bridge]]");
        write_all(&mut text, keys::bridge(), bridge);
    }
    text.trim_start().to_owned()
}

fn write_all<T: Default + 'static>(
    text: &mut String,
    keys: impl Iterator<Item = &'static Key<T>>,
    owner: &T,
) {
    for (key, value) in given(keys, owner, &T::default()) {
        line_of(text, &format!("{key} = {value}"));
    }
}

/// The keys whose values differ from the default.
fn given<'a, T: 'static>(
    keys: impl Iterator<Item = &'static Key<T>> + 'a,
    owner: &'a T,
    default: &'a T,
) -> impl Iterator<Item = (&'static str, crate::value::Value)> + 'a {
    keys.filter_map(|key| {
        let value = key.get(owner);
        let value = value.filter(|value| key.get(default).as_ref() != Some(value))?;
        Some((key.name, value))
    })
}

fn line_of(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
