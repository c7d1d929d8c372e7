//! Reading `dunlin.toml`.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::keys::{self, Key};
use crate::model::{Bridge, Config, Definitions, Listener};
use crate::nearest::advice;
use crate::place::{Place, Places};
use crate::problem::Problem;
use crate::source::Source;
use crate::value::{Row, Secret, Value};

/// Reads a file into a configuration that holds the defaults. An error is one of the form of the file, of which
/// nothing is understood then.
pub(crate) fn read(
    source: &dyn Source,
    name: &str,
    text: &str,
    config: &mut Config,
    problems: &mut Vec<Problem>,
) -> Result<(), Problem> {
    let mut reader = Reader { source, file: name.into(), text, problems };
    match DeTable::parse(text) {
        Ok(table) => {
            reader.root(table.get_ref(), config);
            Ok(())
        }
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            let what = error.message().replace('\n', ", ");
            Err(Problem::at(&reader.place(start), what))
        }
    }
}

/// Gives a key a value, by its name; secrets also by the name of a file that holds them, which is then noted.
pub(crate) fn assign<T: 'static>(
    source: &dyn Source,
    keys: impl Iterator<Item = &'static Key<T>>,
    owner: &mut T,
    (name, place): (&str, &Place),
    places: &mut Places,
    value: Value,
) -> Result<(), Wrong> {
    let from_file = name.strip_suffix("_file");
    for key in keys {
        if key.name == name {
            key.set(owner, value).map_err(Wrong::Value)?;
            places.set(name, place);
            return Ok(());
        }
        if key.is_secret() && from_file == Some(key.name) {
            let Value::Text(path) = value else {
                return Err(Wrong::Value("expected the path of a file".into()));
            };
            let text = source
                .read(&path)
                .map_err(|error| Wrong::Value(format!("cannot read `{path}`: {error}")))?;
            let secret = text.trim_end_matches(['\r', '\n']).to_owned();
            key.set(owner, Value::Text(secret)).map_err(Wrong::Value)?;
            places.set(name, place);
            places.set_file(key.name, place, path);
            return Ok(());
        }
    }
    Err(Wrong::Key)
}

/// Why a key was not given a value.
pub(crate) enum Wrong {
    /// There is no such key.
    Key,
    /// The value is wrong.
    Value(String),
}

struct Reader<'a> {
    source: &'a dyn Source,
    file: Arc<str>,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
}

/// Tables that who compiles the access rules reads.
const DEFINITIONS: [&str; 5] = ["users", "groups", "roles", "anonymous", "everyone"];

impl Reader<'_> {
    fn root(&mut self, root: &DeTable<'_>, config: &mut Config) {
        let mut definitions = String::new();
        for (name, value) in root {
            let place = self.place(name.span().start);
            match name.get_ref().as_ref() {
                "listener" => self.sections(value, "listener", |reader, table, place| {
                    config.listeners.push(reader.listener(table, place));
                }),
                "bridge" => self.sections(value, "bridge", |reader, table, place| {
                    config.bridges.push(reader.bridge(table, place));
                }),
                known if DEFINITIONS.contains(&known) => {
                    definitions.push_str(known);
                    canonical(value.get_ref(), &mut definitions);
                }
                name => self.general(name, value, config, &place),
            }
        }
        if !definitions.is_empty() {
            config.definitions = Some(Definitions {
                file: self.file.to_string(),
                text: Secret::new(self.text),
                content: Secret::new(definitions),
            });
        }
    }

    /// A key of the whole broker, or a table of them.
    fn general(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        config: &mut Config,
        place: &Place,
    ) {
        let inside = format!("{name}.");
        let is_table = keys::general().any(|key| key.name.starts_with(&inside));
        match value.get_ref() {
            DeValue::Table(table) if is_table => {
                for (name, value) in table {
                    let place = self.place(name.span().start);
                    self.general(&format!("{inside}{}", name.get_ref()), value, config, &place);
                }
            }
            _ if is_table => {
                self.problems
                    .push(Problem::at(place, format!("`{name}` is a table: write [{name}]")));
            }
            value => {
                let set = match value {
                    DeValue::Table(_) => Err(Wrong::Key),
                    value => self.simple(value).map_err(Wrong::Value).and_then(|value| {
                        let mut places = std::mem::take(&mut config.places);
                        let at = (name, place);
                        let set =
                            assign(self.source, keys::general(), config, at, &mut places, value);
                        config.places = places;
                        set
                    }),
                };
                let known = || keys::general().map(|key| key.name).chain(tables());
                if let Err(wrong) = set {
                    self.wrong(place, name, wrong, known());
                }
            }
        }
    }

    /// An array of tables, each for one listener or bridge.
    fn sections(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        name: &str,
        mut each: impl FnMut(&mut Self, &DeTable<'_>, &Place),
    ) {
        let DeValue::Array(array) = value.get_ref() else {
            let what = format!("there can be several: write [[{name}]]");
            self.problem(value.span().start, what);
            return;
        };
        for item in array {
            match item.get_ref() {
                DeValue::Table(table) => {
                    let place = self.place(item.span().start);
                    each(self, table, &place);
                }
                _ => self.problem(item.span().start, format!("expected a table: write [[{name}]]")),
            }
        }
    }

    fn listener(&mut self, table: &DeTable<'_>, place: &Place) -> Listener {
        let mut listener = Listener::default();
        listener.places.set("listener", place);
        let mut places = std::mem::take(&mut listener.places);
        self.keys_of(table, keys::listener, &mut listener, &mut places);
        // Who names a socket in the file system, or one that is open already, needs no port.
        let named = listener.unix_path.is_some() || listener.socket.is_some();
        if named && places.get("port").is_none() {
            listener.port = 0;
        }
        listener.places = places;
        listener
    }

    fn bridge(&mut self, table: &DeTable<'_>, place: &Place) -> Bridge {
        let mut bridge = Bridge::default();
        let mut places = Places::default();
        places.set("bridge", place);
        self.keys_of(table, keys::bridge, &mut bridge, &mut places);
        bridge.places = places;
        bridge
    }

    fn keys_of<T: 'static, I: Iterator<Item = &'static Key<T>>>(
        &mut self,
        table: &DeTable<'_>,
        keys: fn() -> I,
        owner: &mut T,
        places: &mut Places,
    ) {
        for (name, value) in table {
            let place = self.place(name.span().start);
            let name = name.get_ref().as_ref();
            let set = self.simple(value.get_ref()).map_err(Wrong::Value).and_then(|value| {
                assign(self.source, keys(), owner, (name, &place), places, value)
            });
            if let Err(wrong) = set {
                self.wrong(&place, name, wrong, keys().map(|key| key.name));
            }
        }
    }

    /// A value that is no table.
    fn simple(&self, value: &DeValue<'_>) -> Result<Value, String> {
        Ok(match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map(Value::Number)
                .map_err(|_| format!("{number} is too large"))?,
            DeValue::Array(array) => {
                let values = array.iter().map(|item| item.get_ref());
                if values.clone().any(|value| matches!(value, DeValue::Table(_))) {
                    Value::Rows(values.map(|value| self.row(value)).collect::<Result<_, _>>()?)
                } else {
                    Value::List(values.map(|value| self.item(value)).collect::<Result<_, _>>()?)
                }
            }
            DeValue::Float(_) => return Err("expected a whole number".into()),
            DeValue::Datetime(_) => return Err("no key takes a date".into()),
            DeValue::Table(_) => return Err("there is no such table".into()),
        })
    }

    fn item(&self, value: &DeValue<'_>) -> Result<String, String> {
        match self.simple(value)? {
            Value::Text(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err("expected a list of texts".into()),
        }
    }

    fn row(&self, value: &DeValue<'_>) -> Result<Row, String> {
        let DeValue::Table(table) = value else { return Err("expected a list of tables".into()) };
        let simple = |value: &Spanned<DeValue<'_>>| self.simple(value.get_ref());
        table.iter().map(|(name, value)| Ok((name.get_ref().to_string(), simple(value)?))).collect()
    }

    fn wrong<'k>(
        &mut self,
        place: &Place,
        name: &str,
        wrong: Wrong,
        known: impl Iterator<Item = &'k str>,
    ) {
        let what = match wrong {
            Wrong::Key => format!("there is no key `{name}`{}", advice(name, known)),
            Wrong::Value(why) => format!("`{name}`: {why}"),
        };
        self.problems.push(Problem::at(place, what));
    }

    fn problem(&mut self, start: usize, what: impl Into<String>) {
        let place = self.place(start);
        self.problems.push(Problem::at(&place, what));
    }

    fn place(&self, start: usize) -> Place {
        let before = self.text.as_bytes().iter().take(start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Place::new(&self.file, u32::try_from(line).unwrap_or(u32::MAX))
    }
}

/// The tables of general keys, which somebody may have misspelt, and the others that there are.
fn tables() -> impl Iterator<Item = &'static str> {
    let tables = keys::general().filter_map(|key| key.name.rsplit_once('.'));
    tables.map(|(table, _)| table).chain(["listener", "bridge"]).chain(DEFINITIONS)
}

/// Writes a value without places, so that two of them can be compared.
fn canonical(value: &DeValue<'_>, text: &mut String) {
    match value {
        DeValue::Table(table) => {
            text.push('{');
            for (name, value) in table {
                text.push_str(&format!("{:?}=", name.get_ref()));
                canonical(value.get_ref(), text);
            }
            text.push('}');
        }
        DeValue::Array(array) => {
            text.push('[');
            for item in array {
                canonical(item.get_ref(), text);
            }
            text.push(']');
        }
        value => text.push_str(&format!("{value:?};")),
    }
}
