//! Every key of `dunlin.toml`: one table from which reading, writing, the environment, the reference page
//! and the comparison for a reload are made.

mod bridge;
mod limits;
mod listener;
mod process;
mod security;

use crate::changes::Effect;
use crate::measure::Measure;
use crate::model::{Bridge, Config, Listener};
use crate::value::{Setting, Value};

/// One key of something that is configured.
#[derive(Debug)]
pub struct Key<T: 'static> {
    /// With its tables, as `limits.connections`; within a listener or bridge without.
    pub name: &'static str,
    /// What a number counts, and between which bounds.
    pub measure: fn() -> Measure,
    /// What it is for, and why the default is what it is.
    pub why: &'static str,
    /// When a change of it takes effect.
    pub effect: Effect,
    /// What may be written.
    pub kind: fn() -> String,
    get: fn(&T) -> Option<Value>,
    set: fn(&mut T, Measure, Value) -> Result<(), String>,
}

impl<T> Key<T> {
    /// The value, if there is one.
    #[must_use]
    pub fn get(&self, of: &T) -> Option<Value> {
        (self.get)(of)
    }

    /// Gives it a value.
    ///
    /// # Errors
    ///
    /// What would have been right, if the value is wrong; then nothing changes.
    pub fn set(&self, of: &mut T, value: Value) -> Result<(), String> {
        (self.set)(of, (self.measure)(), value)
    }

    /// Whether the number that it has is one that it can have: other forms of a configuration than ours set it by
    /// themselves.
    ///
    /// # Errors
    ///
    /// What would have been right.
    pub(crate) fn check(&self, of: &T) -> Result<(), String> {
        match self.get(of) {
            Some(Value::Number(number)) => (self.measure)().check(number),
            _ => Ok(()),
        }
    }

    /// Whether the value must not be seen. Then a file can hold it: the key with `_file` names the file.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        SECRETS.iter().any(|end| self.name.ends_with(end))
    }
}

/// What the names of keys end in whose values must not be seen.
const SECRETS: [&str; 3] = ["password", "jwt.secret", "http.token"];

/// The tables of all keys of [`Config`] itself.
pub fn general() -> impl Iterator<Item = &'static Key<Config>> {
    [process::KEYS, limits::KEYS, security::KEYS].into_iter().flatten()
}

/// The keys of one listener.
pub fn listener() -> impl Iterator<Item = &'static Key<Listener>> {
    listener::KEYS.iter()
}

/// The keys of one bridge.
pub fn bridge() -> impl Iterator<Item = &'static Key<Bridge>> {
    bridge::KEYS.iter()
}

/// The kind of a field; the field only says which type it has.
fn kind_of<T, S: Setting>(_field: fn(&T) -> &S, measure: Measure) -> String {
    S::kind_in(measure)
}

/// What the number of a field counts, and its bounds: those of its type if the table names none.
fn measure_of<T, S: Setting>(
    _field: fn(&T) -> &S,
    unit: &'static str,
    bounds: Option<(i64, i64)>,
) -> Measure {
    Measure { unit, bounds: bounds.or_else(S::bounds) }
}

/// A table of keys: name, field, unit with bounds that are narrower than those of the type, effect, and what it is
/// for.
macro_rules! keys {
    ($owner:ty; $(
        $name:literal $($field:ident).+, $unit:literal $(from $least:literal to $most:literal)?, $effect:ident,
        $why:literal;
    )+) => {
        &[$({
            fn measure() -> crate::measure::Measure {
                let bounds: &[(i64, i64)] = &[$(($least, $most))?];
                crate::keys::measure_of(
                    |owner: &$owner| &owner.$($field).+,
                    $unit,
                    bounds.first().copied(),
                )
            }
            crate::keys::Key {
                name: $name,
                measure,
                why: $why,
                effect: crate::changes::Effect::$effect,
                kind: || crate::keys::kind_of(|owner: &$owner| &owner.$($field).+, measure()),
                get: |owner| crate::value::Setting::to_value(&owner.$($field).+),
                set: |owner, measure, value| {
                    owner.$($field).+ = crate::value::Setting::from_value_in(measure, value)?;
                    Ok(())
                },
            }
        }),+]
    };
}

use keys;

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Default + 'static>(keys: impl Iterator<Item = &'static Key<T>>) {
        let mut names = std::collections::BTreeSet::new();
        for key in keys {
            assert!(names.insert(key.name), "{} is there twice", key.name);
            assert!(key.why.ends_with('.'), "{} has no reason", key.name);
            let mut owner = T::default();
            if let Some(value) = key.get(&owner) {
                key.set(&mut owner, value.clone())
                    .unwrap_or_else(|why| panic!("{}: {why}", key.name));
                assert_eq!(key.get(&owner), Some(value), "{}", key.name);
            }
        }
    }

    #[test]
    fn every_default_can_be_written_and_read() {
        check(general());
        check(listener());
        check(bridge());
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        let secrets: Vec<_> = general().filter(|key| key.is_secret()).map(|key| key.name).collect();
        assert_eq!(secrets, ["security.jwt.secret", "security.http.token"]);
        let secrets: Vec<_> = bridge().filter(|key| key.is_secret()).map(|key| key.name).collect();
        assert_eq!(secrets, ["remote_password", "local_password"]);
    }
}
