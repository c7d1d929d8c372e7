//! From files, the environment and the command line to one configuration.

use std::path::PathBuf;

use crate::check;
use crate::command_line::{CommandLine, Verbosity};
use crate::environment;
use crate::model::{Config, DurabilityPolicy, Listener, LogTypes};
use crate::mosquitto;
use crate::place::Place;
use crate::problem::{Note, Problem, Problems, Weight};
use crate::source::Source;
use crate::toml_file;

/// The form of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `dunlin.toml`.
    Toml,
    /// `mosquitto.conf`.
    Mosquitto,
}

impl Format {
    /// By the name of the file, and if that says nothing by its first line.
    #[must_use]
    pub fn of(path: &str, text: &str) -> Self {
        if path.ends_with(".toml") {
            return Self::Toml;
        }
        if path.ends_with(".conf") {
            return Self::Mosquitto;
        }
        let mut lines = text.lines().map(str::trim);
        let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        // A line of `mosquitto.conf` begins with a key and a space, and no key is a table or followed by `=`.
        let is_toml = first.is_some_and(|line| {
            line.starts_with('[') || line.split_whitespace().nth(1).is_some_and(|word| word == "=")
        });
        if is_toml { Self::Toml } else { Self::Mosquitto }
    }
}

/// A configuration and what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// One line each for the log at start, in the order of the file.
    pub notes: Vec<Note>,
    /// The form of the file; none without a file.
    pub format: Option<Format>,
    /// The files that were read, the main one first: what to watch for a reload.
    pub files: Vec<String>,
}

/// Reads configurations.
#[derive(Clone)]
pub struct Loader<'a> {
    source: &'a dyn Source,
    environment: Vec<(String, String)>,
}

impl<'a> Loader<'a> {
    /// Reads files from `source` and knows no variables of the environment.
    #[must_use]
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, environment: Vec::new() }
    }

    /// Applies variables of the environment: `DUNLIN_...`, and `MOSQUITTO_PERSISTENCE_LOCATION` to
    /// a `mosquitto.conf`.
    #[must_use]
    pub fn with_environment(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Reads a file, or with none only the environment.
    ///
    /// # Errors
    ///
    /// All that is wrong. Nothing of it is to be used then.
    pub fn load(&self, file: Option<&str>) -> Result<Loaded, Problems> {
        self.load_with(file, &CommandLine::default())
    }

    /// Reads what a command line names, and applies it.
    ///
    /// # Errors
    ///
    /// All that is wrong. Nothing of it is to be used then.
    pub fn load_command_line(&self, line: &CommandLine) -> Result<Loaded, Problems> {
        self.load_with(line.config_file.as_deref(), line)
    }

    /// Where operators reach the broker that runs by a file; none if there is no such place. The file may have
    /// become wrong since: what is wrong with it comes along, for who asks wants to know.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or its form is wrong, so that it says nothing.
    pub fn admin_socket(&self, file: &str) -> Result<(Option<PathBuf>, Vec<Problem>), Problems> {
        let (loaded, problems) = self.gather(Some(file), &CommandLine::default())?;
        Ok((loaded.config.admin_socket(), problems))
    }

    fn load_with(&self, file: Option<&str>, line: &CommandLine) -> Result<Loaded, Problems> {
        let (loaded, problems) = self.gather(file, line)?;
        Problems::unless_any(problems, loaded)
    }

    /// All that could be read, and all that is wrong with the rest.
    fn gather(
        &self,
        file: Option<&str>,
        line: &CommandLine,
    ) -> Result<(Loaded, Vec<Problem>), Problems> {
        let mut config = Config::default();
        let mut problems = Vec::new();
        let mut notes = Vec::new();
        let mut format = None;
        let mut files: Vec<String> = file.map(ToOwned::to_owned).into_iter().collect();
        if let Some(path) = file {
            let text = self.source.read(path).map_err(|error| {
                let what = format!("cannot read the configuration `{path}`: {error}");
                let problem = Problem::nowhere(what);
                match Format::of(path, "") {
                    Format::Toml => problem,
                    Format::Mosquitto => {
                        problem.in_mosquittos_words(format!("Unable to open config file '{path}'."))
                    }
                }
            })?;
            // Editors of other systems put a mark there.
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let found = Format::of(path, text);
            format = Some(found);
            match found {
                Format::Toml => {
                    toml_file::read(self.source, path, text, &mut config, &mut problems)?;
                }
                Format::Mosquitto => {
                    let location = self.variable("MOSQUITTO_PERSISTENCE_LOCATION");
                    let mut read = mosquitto::read(self.source, path, text, location);
                    config = read.config;
                    problems.append(&mut read.problems);
                    notes.append(&mut read.notes);
                    files.append(&mut read.included);
                }
            }
        }
        environment::apply(self.source, &self.environment, &mut config, &mut problems, &mut notes);
        environment::place_sections(&mut config);
        if config.persistence.durability == DurabilityPolicy::Off {
            config.persistence.enabled = false;
        }
        apply(line, &mut config, &mut notes);
        check::check(&config, &mut problems, &mut notes);
        if format != Some(Format::Mosquitto) {
            problems.iter_mut().for_each(|problem| problem.mosquitto = None);
        }
        Ok((Loaded { config, notes, format, files }, problems))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Debug for Loader<'_> {
    /// Variables may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").finish_non_exhaustive()
    }
}

/// Applies a command line as Mosquitto does: its ports count only if no listener is configured.
fn apply(line: &CommandLine, config: &mut Config, notes: &mut Vec<Note>) {
    match line.verbosity {
        Verbosity::Usual => {}
        Verbosity::Verbose => config.log.types = LogTypes::ALL,
        Verbosity::Quiet => config.log.types = LogTypes::NONE,
    }
    config.server.daemon |= line.daemon;
    if let Some(path) = &line.tls_keylog {
        config.server.tls_keylog = Some(path.into());
    }
    if config.listeners.is_empty() {
        let ports = if line.ports.is_empty() { &[1883][..] } else { &line.ports };
        config.listeners = ports.iter().map(|port| Listener::implied(*port)).collect();
        return;
    }
    for port in &line.ports {
        if config.listeners.iter().any(|listener| listener.port == *port) {
            continue;
        }
        let text = format!(
            "port {port} is not opened, since the configuration has listeners of its own, as in \
             Mosquitto; add `listener {port}` to it"
        );
        let place = Some(Place::whole("command line"));
        notes.push(Note { place, key: "-p".into(), weight: Weight::Warning, text });
    }
}
