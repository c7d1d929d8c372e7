//! Variables of the environment that say otherwise than the file: `DUNLIN_SECTION_KEY`.

use crate::keys::{self, Key};
use crate::model::{Bridge, Config, Listener};
use crate::nearest::advice;
use crate::place::{Place, Places};
use crate::problem::{Note, Problem, Weight};
use crate::source::Source;
use crate::toml_file::{Wrong, assign};
use crate::value::Value;

/// What all variables begin with.
const PREFIX: &str = "DUNLIN_";

/// The variable for a key: `limits.connections` is `DUNLIN_LIMITS_CONNECTIONS`.
#[must_use]
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// Listeners and bridges that variables may make one after the other. Far more than anybody writes so.
const SECTIONS: usize = 64;

/// Applies all variables that are meant for us, in the order of their names.
pub(crate) fn apply(
    source: &dyn Source,
    variables: &[(String, String)],
    config: &mut Config,
    problems: &mut Vec<Problem>,
    notes: &mut Vec<Note>,
) {
    let mut ours: Vec<_> = variables.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    for (name, text) in ours {
        let set = set(source, name, text, config);
        let place = Place::whole(name);
        match set {
            Ok(()) => {}
            Err(Wrong::Value(why)) => problems.push(Problem::at(&place, why)),
            // Container platforms make variables of their own for a service that is called so.
            Err(Wrong::Key) => {
                let known: Vec<_> = keys::general().map(|key| variable(key.name)).collect();
                let advice = advice(name, known.iter().map(String::as_str));
                let text = format!("no key belongs to this variable, so it is not used{advice}");
                notes.push(Note { place: None, key: name.clone(), weight: Weight::Warning, text });
            }
        }
    }
}

fn set(source: &dyn Source, name: &str, text: &str, config: &mut Config) -> Result<(), Wrong> {
    if let Some((index, key)) = section(name, "LISTENER_") {
        let listener = nth(&mut config.listeners, index)?;
        let mut places = std::mem::take(&mut listener.places);
        let set = set_in(source, keys::listener, listener, &mut places, (name, &key, text));
        listener.places = places;
        return set;
    }
    if let Some((index, key)) = section(name, "BRIDGE_") {
        let bridge: &mut Bridge = nth(&mut config.bridges, index)?;
        let mut places = std::mem::take(&mut bridge.places);
        let set = set_in(source, keys::bridge, bridge, &mut places, (name, &key, text));
        bridge.places = places;
        return set;
    }
    let known = keys::general().map(|key| key.name);
    let files = keys::general().filter(|key| key.is_secret()).map(|key| key.name);
    let mut names = known.map(ToOwned::to_owned).chain(files.map(|key| format!("{key}_file")));
    let key = names.find(|key| variable(key) == name).ok_or(Wrong::Key)?;
    let mut places = std::mem::take(&mut config.places);
    let set = set_in(source, keys::general, config, &mut places, (name, &key, text));
    config.places = places;
    set
}

/// The number and the key of a variable such as `DUNLIN_LISTENER_1_PORT`.
fn section(name: &str, kind: &str) -> Option<(usize, String)> {
    let (number, key) = name.strip_prefix(PREFIX)?.strip_prefix(kind)?.split_once('_')?;
    let number: usize = number.parse().ok().filter(|number| (1..=SECTIONS).contains(number))?;
    Some((number - 1, key.to_lowercase()))
}

/// One of a list, which grows by one if it is the next.
fn nth<T: Default>(list: &mut Vec<T>, index: usize) -> Result<&mut T, Wrong> {
    if index == list.len() {
        list.push(T::default());
    }
    let count = list.len();
    list.get_mut(index).ok_or_else(|| {
        Wrong::Value(format!("there are only {count}: number {} cannot be the next", index + 1))
    })
}

fn set_in<T: 'static, I: Iterator<Item = &'static Key<T>>>(
    source: &dyn Source,
    keys: fn() -> I,
    owner: &mut T,
    places: &mut Places,
    (variable, key, text): (&str, &str, &str),
) -> Result<(), Wrong> {
    let mut last = Wrong::Key;
    for value in readings(text) {
        match assign(source, keys(), owner, (key, &Place::whole(variable)), places, value) {
            Ok(()) => return Ok(()),
            Err(wrong) => last = wrong,
        }
    }
    Err(last)
}

/// What a text without quotes and brackets can mean, the most special first; the last is the text itself.
fn readings(text: &str) -> impl Iterator<Item = Value> {
    let list = text
        .contains(',')
        .then(|| Value::List(text.split(',').map(|part| part.trim().to_owned()).collect()));
    let scalar = match text {
        "true" => Some(Value::Flag(true)),
        "false" => Some(Value::Flag(false)),
        number => number.parse().ok().map(Value::Number),
    };
    [list, scalar, Some(Value::Text(text.to_owned()))].into_iter().flatten()
}

/// A listener that a variable made has no place of its own; the first variable is as good.
pub(crate) fn place_sections(config: &mut Config) {
    for (index, listener) in config.listeners.iter_mut().enumerate() {
        let made: &mut Listener = listener;
        if made.place().is_none() && !made.is_implied() {
            let place = Place::whole(&format!("{PREFIX}LISTENER_{}", index + 1));
            made.places.set("listener", &place);
        }
    }
}
