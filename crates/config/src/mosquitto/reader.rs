//! From lines to the model: sections, included files, and what can only be known at the end.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::line::Line;
use super::phrase::{self, Stage};
use super::plugin::Plugin;
use super::{MosquittoKey, Outcome, Repeat, Scope, find, keys};
use crate::model::{
    Access, Bridge, Config, Identity, Listener, Log, LogTypes, RefusalCodePolicy, Timestamps,
    Wording,
};
use crate::nearest::{advice, shown};
use crate::place::Place;
use crate::problem::{Note, Problem, Weight};
use crate::source::Source;
use crate::value::Limit;

/// What became of a file.
pub(crate) struct Read {
    pub(crate) config: Config,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<Note>,
    /// The files that it includes.
    pub(crate) included: Vec<String>,
}

/// Reads a file and those it includes.
pub(crate) fn read(
    source: &dyn Source,
    name: &str,
    text: &str,
    persistence_location: Option<&str>,
) -> Read {
    let mut reader = Reader::new(source);
    reader.file(name, text, Depth::Main);
    if let Some(location) = persistence_location {
        reader.persistence_location = Some(location.to_owned());
    }
    reader.finish();
    Read {
        config: reader.config,
        problems: reader.problems,
        notes: reader.notes,
        included: reader.included,
    }
}

/// After so many problems the rest is not looked at. 100: more than anybody repairs in one go, and what was
/// no configuration at all is not searched to its end for keys that may be meant.
const MOST_PROBLEMS: usize = 100;

/// Whether a file may include others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Main,
    Included,
}

pub(super) struct Reader<'a> {
    source: &'a dyn Source,
    pub(super) config: Config,
    problems: Vec<Problem>,
    notes: Vec<Note>,
    included: Vec<String>,
    /// The section that lines belong to, as places in the lists of the model. Each file begins without.
    listener: Option<usize>,
    bridge: Option<usize>,
    pub(super) plugin: Option<usize>,
    /// The listener that keys before the first `listener` made.
    default_listener: Option<usize>,
    pub(super) plugins: Vec<Plugin>,
    pub(super) per_listener: bool,
    /// Some security key was applied, after which `per_listener_settings` comes too late.
    pub(super) security_was_set: bool,
    /// No line opens a port, so only this machine may connect.
    pub(super) local_only: bool,
    /// The keys that may be given once: the section they were in and their name.
    once: BTreeSet<(String, &'static str)>,
    pub(super) log: LogLines,
    pub(super) persistence_file: Option<String>,
    pub(super) persistence_location: Option<String>,
}

/// What the lines about the log say; they add to each other.
#[derive(Default)]
pub(super) struct LogLines {
    pub(super) destinations: Option<Vec<String>>,
    pub(super) types: Option<LogTypes>,
    pub(super) no_timestamps: bool,
}

impl<'a> Reader<'a> {
    fn new(source: &'a dyn Source) -> Self {
        let mut config = Config::default();
        // What Mosquitto does unless told otherwise and users would miss.
        config.persistence.enabled = false;
        config.log.timestamps = Timestamps::Unix;
        config.log.wording = Wording::Mosquitto;
        config.delivery.refusal_codes = RefusalCodePolicy::Familiar;
        config.limits.maximum_queued_bytes = Limit::Unlimited;
        Self {
            source,
            config,
            problems: Vec::new(),
            notes: Vec::new(),
            included: Vec::new(),
            listener: None,
            bridge: None,
            plugin: None,
            default_listener: None,
            plugins: Vec::new(),
            per_listener: false,
            security_was_set: false,
            local_only: true,
            once: BTreeSet::new(),
            log: LogLines::default(),
            persistence_file: None,
            persistence_location: None,
        }
    }

    fn file(&mut self, name: &str, text: &str, depth: Depth) {
        (self.listener, self.bridge, self.plugin) = (None, None, None);
        let file: Arc<str> = name.into();
        for (text, number) in text.lines().zip(1..) {
            if self.problems.len() >= MOST_PROBLEMS {
                let what = "so much is wrong up to here that the rest is not looked at";
                self.problems.push(Problem::at(&Place::new(&file, number), what));
                return;
            }
            if let Some(line) = Line::new(text, Place::new(&file, number)) {
                self.line(&line, depth);
            }
        }
    }

    fn line(&mut self, line: &Line<'_>, depth: Depth) {
        let Some(key) = find(line.key) else {
            let known = keys().map(|key| key.name);
            let what = match line.key {
                comment if comment.starts_with('#') => {
                    "a comment begins in the first column".to_owned()
                }
                joined if joined.contains('\t') => {
                    let joined = shown(joined.trim());
                    format!("`{joined}`: key and value are separated by spaces, not tabs")
                }
                unknown => {
                    format!("there is no key `{}`{}", shown(unknown), advice(unknown, known))
                }
            };
            let problem = Problem::at(&line.place, what);
            self.problems.push(problem.in_mosquittos_words(phrase::of_unknown(line.key)));
            return;
        };
        if key.name == "include_dir" {
            self.include(line, depth);
            return;
        }
        let (applied, stage) = match self.scope(key, line) {
            Ok(()) => (self.apply(key, line), Stage::Value),
            misplaced => (misplaced, Stage::Place),
        };
        if let Err(why) = applied {
            let words = phrase::of(key, line, stage, &why);
            let mut problem = Problem::at(&line.place, format!("`{}`: {why}", line.key));
            (problem.mosquitto, problem.late) = (words, phrase::is_late(key, line));
            self.problems.push(problem);
        }
    }

    fn apply(&mut self, key: &'static MosquittoKey, line: &Line<'_>) -> Result<(), String> {
        match key.outcome {
            Outcome::Stops(text) => return line.text().and_then(|_| Err(text.into())),
            Outcome::Needless(text) => self.note(line, Weight::Information, text),
            Outcome::Answered(text) => self.note(line, Weight::Warning, text),
            Outcome::Sets(_) | Outcome::Reads(_) => {}
        }
        if key.repeat == Repeat::Refused && !self.once.insert((self.section(key.scope), key.name)) {
            return Err(phrase::TWICE.into());
        }
        (key.apply)(self, line)?;
        if let Outcome::Sets(toml) = key.outcome {
            self.remember(key.scope, toml, &line.place);
        }
        Ok(())
    }

    /// What a key belongs to, as something that can be compared.
    fn section(&self, scope: Scope) -> String {
        match scope {
            Scope::Broker | Scope::Section | Scope::Plugin => String::new(),
            Scope::Listener | Scope::AnyListener => format!("listener {:?}", self.listener),
            Scope::Security if self.per_listener => format!("listener {:?}", self.listener),
            Scope::Security => String::new(),
            Scope::Bridge => format!("bridge {:?}", self.bridge),
        }
    }

    /// Whether the key may stand here; a default listener is made where one is needed.
    fn scope(&mut self, key: &MosquittoKey, line: &Line<'_>) -> Result<(), String> {
        let below_listener = || "it belongs below a `listener`".to_owned();
        match key.scope {
            Scope::Broker | Scope::Section => Ok(()),
            Scope::Listener if self.listener.is_none() => Err(below_listener()),
            Scope::Security if self.per_listener && self.listener.is_none() => {
                Err("with `per_listener_settings true` it belongs below a `listener`".into())
            }
            Scope::Bridge if self.bridge.is_none() => {
                Err("it belongs below a `connection`, which begins a bridge".into())
            }
            Scope::Plugin if self.plugin.is_none() => Err("it belongs below a `plugin`".into()),
            Scope::AnyListener if self.listener.is_none() => {
                self.default_listener(line);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes the default listener the current one.
    pub(super) fn default_listener(&mut self, line: &Line<'_>) {
        if self.default_listener.is_none() {
            let text = "it makes a default listener on port 1883; it is better to write `listener 1883` before it";
            self.note(line, Weight::Information, text);
            self.begin_listener(Listener::default(), &line.place);
            self.default_listener = self.listener;
        }
        self.listener = self.default_listener;
    }

    pub(super) fn begin_listener(&mut self, mut listener: Listener, place: &Place) {
        listener.places.set("listener", place);
        self.config.listeners.push(listener);
        self.listener = Some(self.config.listeners.len() - 1);
    }

    pub(super) fn begin_bridge(&mut self, mut bridge: Bridge, place: &Place) {
        bridge.places.set("bridge", place);
        self.config.bridges.push(bridge);
        self.bridge = Some(self.config.bridges.len() - 1);
    }

    /// The current listener. [`Reader::scope`] has seen to it that there is one.
    pub(super) fn listener(&mut self) -> Result<&mut Listener, String> {
        let index = self.listener.unwrap_or(usize::MAX);
        self.config.listeners.get_mut(index).ok_or_else(|| "it belongs below a `listener`".into())
    }

    /// The listener that lines belong to, as its place in the list.
    pub(super) fn listener_index(&self) -> Option<usize> {
        self.listener
    }

    /// Whether that is one that a `listener` line began.
    pub(super) fn is_below_listener(&self) -> bool {
        self.listener.is_some() && self.listener != self.default_listener
    }

    pub(super) fn bridge(&mut self) -> Result<&mut Bridge, String> {
        let index = self.bridge.unwrap_or(usize::MAX);
        self.config.bridges.get_mut(index).ok_or_else(|| "it belongs below a `connection`".into())
    }

    /// What security keys set.
    pub(super) fn access(&mut self) -> Result<&mut Access, String> {
        self.security_was_set = true;
        if self.per_listener {
            return self.listener().map(|listener| &mut listener.access);
        }
        Ok(&mut self.config.security.access)
    }

    /// Whether what a key sets is of the current listener.
    fn is_of_listener(&self, scope: Scope) -> bool {
        match scope {
            Scope::Listener | Scope::AnyListener => true,
            Scope::Security => self.per_listener,
            Scope::Broker | Scope::Section | Scope::Bridge | Scope::Plugin => false,
        }
    }

    fn remember(&mut self, scope: Scope, toml: &'static str, place: &Place) {
        let (of_listener, toml) = match toml.strip_prefix("listener.") {
            Some(key) => (true, key),
            None => (self.is_of_listener(scope), toml),
        };
        if of_listener {
            let key = toml.strip_prefix("security.").unwrap_or(toml);
            if let Ok(listener) = self.listener() {
                listener.places.set(key, place);
            }
        } else if scope == Scope::Bridge {
            if let Ok(bridge) = self.bridge() {
                bridge.places.set(toml, place);
            }
        } else {
            self.config.places.set(toml, place);
        }
    }

    pub(super) fn note(&mut self, line: &Line<'_>, weight: Weight, text: impl Into<String>) {
        let place = Some(line.place.clone());
        self.notes.push(Note { place, key: line.key.to_owned(), weight, text: text.into() });
    }

    pub(super) fn problem(&mut self, place: &Place, what: impl Into<String>) {
        self.problems.push(Problem::at(place, what));
    }

    fn include(&mut self, line: &Line<'_>, depth: Depth) {
        if depth == Depth::Included {
            let what =
                "`include_dir` is only possible in the main file, not in one that is included";
            self.problem(&line.place, what);
            return;
        }
        let directory = match line.text() {
            Ok(directory) => directory,
            Err(why) => return self.problem(&line.place, format!("`include_dir`: {why}")),
        };
        let names = match self.source.list(directory) {
            Ok(names) => names,
            Err(error) => {
                let what = format!("cannot read the directory `{directory}`: {error}");
                return self.problem(&line.place, what);
            }
        };
        let section = (self.listener, self.bridge, self.plugin);
        for name in loading_order(names) {
            let path = Path::new(directory).join(name).to_string_lossy().into_owned();
            match self.source.read(&path) {
                Ok(text) => {
                    self.file(&path, &text, Depth::Included);
                    self.included.push(path);
                }
                Err(error) => self.problem(&line.place, format!("cannot read `{path}`: {error}")),
            }
        }
        (self.listener, self.bridge, self.plugin) = section;
    }

    /// What can only be known when all lines are read.
    fn finish(&mut self) {
        self.finish_log();
        self.finish_persistence();
        self.finish_plugins();
        if self.local_only {
            // Mosquitto then forgets what was said of the default listener.
            for listener in std::mem::take(&mut self.config.listeners) {
                let text = "there is no `listener`, so only this machine can connect, on port 1883 and \
                            without what was said of listeners";
                let (place, key) = (listener.place().cloned(), "listener".to_owned());
                let text = text.to_owned();
                self.notes.push(Note { place, key, weight: Weight::Warning, text });
            }
        }
    }

    fn finish_log(&mut self) {
        let log: &mut Log = &mut self.config.log;
        if let Some(destinations) = self.log.destinations.take() {
            log.destinations = destinations;
        }
        log.types = self.log.types.unwrap_or(log.types);
        if self.log.no_timestamps {
            log.timestamps = Timestamps::None;
        } else if log.timestamp_format.is_some() {
            log.timestamps = Timestamps::Format;
        }
    }

    /// Mosquitto keeps everything in one file; the store is a directory beside it, so that two brokers
    /// which shared a location do not share a store.
    fn finish_persistence(&mut self) {
        let name = self.persistence_file.as_deref().unwrap_or("mosquitto.db");
        let location = Path::new(self.persistence_location.as_deref().unwrap_or_default());
        let persistence = &mut self.config.persistence;
        if persistence.enabled {
            persistence.directory = location.join(format!("{name}.dunlin"));
            persistence.mosquitto_file = Some(location.join(name));
        }
    }
}

/// The files of a directory that are read, in Mosquitto's order: alphabetical, of the same letter the capital
/// first.
fn loading_order(names: Vec<String>) -> Vec<String> {
    let named = |name: &String| name.strip_suffix(".conf").is_some_and(|stem| !stem.is_empty());
    let mut names: Vec<_> = names.into_iter().filter(named).collect();
    let folded = |name: &String| -> Vec<(char, bool)> {
        name.chars()
            .map(|letter| (letter.to_ascii_lowercase(), letter.is_ascii_lowercase()))
            .collect()
    };
    names.sort_by_key(folded);
    names
}

/// The user name of a client comes from its certificate, or no longer: the common name wins over the subject.
pub(super) fn identity(now: Identity, asked: Identity, on: bool) -> Identity {
    match (on, now) {
        (true, Identity::CommonName) => now,
        (true, _) => asked,
        (false, now) if now == asked => Identity::Login,
        (false, now) => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_files_are_read_in_the_order_of_the_manual() {
        let names =
            ["b.conf", "A.conf", "01.conf", "a.conf", "B.conf", "00.conf", "x.txt", ".conf"];
        let order = loading_order(names.map(ToOwned::to_owned).into());
        assert_eq!(order, ["00.conf", "01.conf", "A.conf", "a.conf", "B.conf", "b.conf"]);
    }
}
