//! `mosquitto.conf` as Mosquitto 2.1 reads it.
//!
//! [`keys`] has every key: where it may stand and what becomes of it. Most set something of the model; the
//! others are answered with a note, or stop the start if leaving them out would be less secure.

mod bridge;
mod broker;
mod line;
mod listener;
mod log;
mod phrase;
mod plugin;
mod reader;
mod security;
mod tls;

use std::fmt;

use line::Line;
use reader::Reader;
pub(crate) use reader::read;

/// One key of `mosquitto.conf`.
#[derive(Debug)]
pub struct MosquittoKey {
    /// The key; with a star at the end, all keys that begin so.
    pub name: &'static str,
    /// Where it may stand.
    pub scope: Scope,
    /// What becomes of it.
    pub outcome: Outcome,
    repeat: Repeat,
    apply: fn(&mut Reader<'_>, &Line<'_>) -> Result<(), String>,
}

/// Where a key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere: it is of the whole broker.
    Broker,
    /// It begins a listener or a bridge.
    Section,
    /// Below `listener`.
    Listener,
    /// Below `listener`, or before all of them for the default listener.
    AnyListener,
    /// Below `listener` if `per_listener_settings` is true, else anywhere for all listeners.
    Security,
    /// Below `connection`.
    Bridge,
    /// Below `plugin`, `global_plugin`, `plugin_load` or `plugin_use`.
    Plugin,
}

impl Scope {
    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Broker => "anywhere",
            Self::Section => "begins a section",
            Self::Listener => "below `listener`",
            Self::AnyListener => "below `listener`, or before the first",
            Self::Security => "anywhere, or below `listener` with `per_listener_settings true`",
            Self::Bridge => "below `connection`",
            Self::Plugin => "below a plugin",
        }
    }
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It means the same as this key of `dunlin.toml`.
    Sets(&'static str),
    /// It says how the file is read.
    Reads(&'static str),
    /// Nothing behaves differently without it; the text is told at start.
    Needless(&'static str),
    /// What it asks for does not happen; the text is told at start as a warning.
    Answered(&'static str),
    /// Leaving it out would be less secure, so the text stops the start.
    Stops(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sets(key) => write!(f, "the same: `{key}`"),
            Self::Reads(text) => write!(f, "the same: {text}"),
            Self::Needless(text) => write!(f, "no effect: {text}"),
            Self::Answered(text) => write!(f, "**not done:** {text}"),
            Self::Stops(text) => write!(f, "**stops the start:** {text}"),
        }
    }
}

/// What a second line with the same key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// It replaces the first, or adds to it.
    Allowed,
    /// It is an error.
    Refused,
}

/// Every key.
pub fn keys() -> impl Iterator<Item = &'static MosquittoKey> {
    [broker::KEYS, listener::KEYS, security::KEYS, tls::KEYS, log::KEYS, plugin::KEYS, bridge::KEYS]
        .into_iter()
        .flatten()
        .copied()
        .flatten()
}

/// The key with a name as it stands in a file.
fn find(name: &str) -> Option<&'static MosquittoKey> {
    keys().find(|key| {
        key.name.strip_suffix('*').map_or(key.name == name, |start| {
            name.strip_prefix(start).is_some_and(|rest| !rest.is_empty())
        })
    })
}

/// A table of keys that set something: name, scope, key of `dunlin.toml`, what a second line means, how.
macro_rules! sets {
    ($($name:literal $scope:ident $toml:literal $repeat:ident $apply:expr;)*) => {
        &[$(crate::mosquitto::MosquittoKey {
            name: $name,
            scope: crate::mosquitto::Scope::$scope,
            outcome: crate::mosquitto::Outcome::Sets($toml),
            repeat: crate::mosquitto::Repeat::$repeat,
            apply: $apply,
        }),*]
    };
}

/// A key that sets nothing; its text is told.
const fn answered(name: &'static str, scope: Scope, outcome: Outcome) -> MosquittoKey {
    MosquittoKey { name, scope, outcome, repeat: Repeat::Allowed, apply: |_, _| Ok(()) }
}

use sets;
