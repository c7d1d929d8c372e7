//! What a reload changes, and when each change takes effect.

use crate::keys::{self, Key};
use crate::model::{Bridge, Config, Listener};
use crate::place::{Place, Places};
use crate::value::Value;

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// While connections stay as they are.
    AtOnce,
    /// For connections that are made afterwards; those that there are keep what they were told.
    NewConnections,
    /// The listener is closed and opened anew.
    Reopen,
    /// When the process is started the next time.
    Restart,
}

impl Effect {
    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::NewConnections => "for new connections",
            Self::Reopen => "the listener is opened anew",
            Self::Restart => "after a restart",
        }
    }
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub what: What,
    /// When it takes effect.
    pub effect: Effect,
    /// Where the new value is, if it is somewhere.
    pub place: Option<Place>,
}

/// What differs. Values are as `dunlin.toml` writes them, none for a key that is left out; secrets are
/// shown as `***`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what the variants say")]
pub enum What {
    /// A key that is not of one listener or bridge.
    Key { key: &'static str, from: Option<String>, to: Option<String> },
    /// A listener that was not there.
    ListenerAdded { listener: String },
    /// A listener that is no longer there.
    ListenerRemoved { listener: String },
    /// A key of a listener.
    Listener { listener: String, key: &'static str, from: Option<String>, to: Option<String> },
    /// A bridge that was not there.
    BridgeAdded { bridge: String },
    /// A bridge that is no longer there.
    BridgeRemoved { bridge: String },
    /// A key of a bridge.
    Bridge { bridge: String, key: &'static str, from: Option<String>, to: Option<String> },
    /// Roles, groups and users of `dunlin.toml`.
    Definitions,
}

/// What has to change to get from one configuration to another: keys, listeners, bridges. Files that are
/// only named (certificates, passwords, rules) are not looked into: a reload reads them again in any case.
#[must_use]
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(keys::general(), old, new, &new.places, |effect, place, difference| {
        let Difference { key, from, to } = difference;
        changes.push(Change { what: What::Key { key, from, to }, effect, place });
    });
    if old.definitions != new.definitions {
        changes.push(Change { what: What::Definitions, effect: Effect::AtOnce, place: None });
    }
    compare_listeners(old, new, &mut changes);
    compare_bridges(old, new, &mut changes);
    changes
}

fn compare_listeners(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    let find = |config: &'_ Config, wanted: &Listener| {
        let same = |listener: &Listener| !listener.is_retired() && same_socket(listener, wanted);
        config.listeners.iter().position(same)
    };
    let open = |config: &'_ Config| -> Vec<Listener> {
        config.listeners.iter().filter(|listener| !listener.is_retired()).cloned().collect()
    };
    for listener in open(old).iter().filter(|listener| find(new, listener).is_none()) {
        let what = What::ListenerRemoved { listener: listener.label() };
        changes.push(Change { what, effect: Effect::AtOnce, place: None });
    }
    for listener in &open(new) {
        let place = listener.place().cloned();
        let Some(before) = find(old, listener).and_then(|index| old.listeners.get(index)) else {
            let what = What::ListenerAdded { listener: listener.label() };
            changes.push(Change { what, effect: Effect::AtOnce, place });
            continue;
        };
        let label = listener.label();
        compare(
            keys::listener(),
            before,
            listener,
            &listener.places,
            |effect, place, difference| {
                let Difference { key, from, to } = difference;
                let what = What::Listener { listener: label.clone(), key, from, to };
                changes.push(Change { what, effect, place });
            },
        );
    }
}

/// Whether a listener can keep the socket of another: when this differs, another one has to be opened.
pub(crate) fn same_socket(one: &Listener, other: &Listener) -> bool {
    keys::listener()
        .filter(|key| key.effect == Effect::Reopen)
        .all(|key| key.get(one) == key.get(other))
}

fn compare_bridges(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    let find = |config: &'_ Config, name: &str| {
        config.bridges.iter().position(|bridge: &Bridge| bridge.name == name)
    };
    for bridge in old.bridges.iter().filter(|bridge| find(new, &bridge.name).is_none()) {
        let what = What::BridgeRemoved { bridge: bridge.name.clone() };
        changes.push(Change { what, effect: Effect::AtOnce, place: None });
    }
    for bridge in &new.bridges {
        let place = bridge.place().cloned();
        let Some(before) = find(old, &bridge.name).and_then(|index| old.bridges.get(index)) else {
            let what = What::BridgeAdded { bridge: bridge.name.clone() };
            changes.push(Change { what, effect: Effect::AtOnce, place });
            continue;
        };
        compare(keys::bridge(), before, bridge, &bridge.places, |effect, place, difference| {
            let Difference { key, from, to } = difference;
            let what = What::Bridge { bridge: bridge.name.clone(), key, from, to };
            changes.push(Change { what, effect, place });
        });
    }
}

struct Difference {
    key: &'static str,
    from: Option<String>,
    to: Option<String>,
}

fn compare<T: 'static>(
    keys: impl Iterator<Item = &'static Key<T>>,
    old: &T,
    new: &T,
    places: &Places,
    mut tell: impl FnMut(Effect, Option<Place>, Difference),
) {
    for key in keys {
        let (from, to) = (key.get(old), key.get(new));
        if from == to {
            continue;
        }
        let show = |value: Option<Value>| {
            value.map(|value| if key.is_secret() { "***".to_owned() } else { value.to_string() })
        };
        let difference = Difference { key: key.name, from: show(from), to: show(to) };
        tell(key.effect, places.get(key.name).cloned(), difference);
    }
}
