//! Plugins: those of Mosquitto itself that the broker has built in, and the others, which stop the start.

use std::path::PathBuf;

use super::line::Line;
use super::reader::Reader;
use super::{MosquittoKey, Outcome, Repeat, Scope, answered};
use crate::model::Access;
use crate::place::Place;
use crate::problem::Weight;

/// A plugin that a line names.
pub(super) struct Plugin {
    /// The name that `plugin_load` gave it.
    name: Option<String>,
    kind: Kind,
    /// For whom it decides.
    targets: Vec<Target>,
    /// The file that an option names.
    file: Option<PathBuf>,
    /// The first password of whoever administers.
    password: Option<PathBuf>,
    place: Place,
}

/// For whom a plugin decides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    All,
    Listener(usize),
}

/// The plugins that there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Users, roles and groups that change at run time.
    DynamicSecurity,
    AclFile,
    PasswordFile,
    /// One that decides nothing about clients.
    Needless,
}

impl Kind {
    /// The option that names the file of the plugin.
    const fn option(self) -> &'static str {
        match self {
            Self::DynamicSecurity => "config_file",
            Self::AclFile => "acl_file",
            Self::PasswordFile => "password_file",
            Self::Needless => "",
        }
    }
}

pub(super) const KEYS: &[&[MosquittoKey]] = &[PLUGINS];

/// What all keys that name a plugin do.
const BUILT_IN: Outcome = Outcome::Reads(
    "`dynamic_security`, `acl_file` and `password_file` of Mosquitto are built in, `persist_sqlite` is not needed; \
     any other plugin stops the start, since without it clients could do what it would refuse",
);

const PLUGINS: &[MosquittoKey] = &[
    key("plugin", Scope::Security, BUILT_IN, plugin),
    key("auth_plugin", Scope::Security, BUILT_IN, plugin),
    key("global_plugin", Scope::Broker, BUILT_IN, global_plugin),
    key("plugin_load", Scope::Broker, BUILT_IN, plugin_load),
    key(
        "plugin_use",
        Scope::Listener,
        Outcome::Reads("the listener uses what `plugin_load` named"),
        plugin_use,
    ),
    key("plugin_opt_*", Scope::Plugin, Outcome::Reads("options of the plugin before it"), option),
    key("auth_opt_*", Scope::Plugin, Outcome::Reads("options of the plugin before it"), option),
    answered(
        "auth_plugin_deny_special_chars",
        Scope::Plugin,
        Outcome::Needless(
            "patterns never count for user names and client identifiers with `+` or `#` in them",
        ),
    ),
];

const fn key(
    name: &'static str,
    scope: Scope,
    outcome: Outcome,
    apply: fn(&mut Reader<'_>, &Line<'_>) -> Result<(), String>,
) -> MosquittoKey {
    MosquittoKey { name, scope, outcome, repeat: Repeat::Allowed, apply }
}

fn plugin(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let target = match reader.listener_index().filter(|_| reader.per_listener) {
        Some(index) => Target::Listener(index),
        None => Target::All,
    };
    reader.security_was_set = true;
    load(reader, line, None, line.word()?, vec![target])
}

fn global_plugin(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    load(reader, line, None, line.word()?, vec![Target::All])
}

fn plugin_load(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let name = line.word()?;
    if reader.plugins.iter().any(|plugin| plugin.name.as_deref() == Some(name)) {
        return Err(format!("there is already a plugin `{name}`"));
    }
    load(reader, line, Some(name.to_owned()), line.after_word(), Vec::new())
}

fn plugin_use(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let name = line.text()?;
    let index = reader.listener_index().filter(|_| reader.is_below_listener());
    let index = index.ok_or("it belongs below a `listener`")?;
    let found = reader.plugins.iter().position(|plugin| plugin.name.as_deref() == Some(name));
    let found = found.ok_or_else(|| format!("no `plugin_load` before it names `{name}`"))?;
    reader.plugin = Some(found);
    if let Some(plugin) = reader.plugins.get_mut(found) {
        plugin.targets.push(Target::Listener(index));
    }
    Ok(())
}

fn load(
    reader: &mut Reader<'_>,
    line: &Line<'_>,
    name: Option<String>,
    path: &str,
    targets: Vec<Target>,
) -> Result<(), String> {
    if path.is_empty() {
        return Err("it needs the path of the plugin".into());
    }
    let file = path.rsplit('/').next().unwrap_or(path);
    let (kind, text) = if file.contains("dynamic_security") {
        (Kind::DynamicSecurity, "the same commands are built in: `security.dynamic_security_file`")
    } else if file.contains("acl_file") {
        (Kind::AclFile, "it is built in: `security.acl_file`")
    } else if file.contains("password_file") {
        (Kind::PasswordFile, "it is built in: `security.password_file`")
    } else if file.contains("persist_sqlite") {
        (
            Kind::Needless,
            "it is not needed: everything acknowledged is kept with `persistence true`",
        )
    } else {
        // Its options are no mistakes of their own.
        reader.begin_plugin(Plugin::new(name, Kind::Needless, Vec::new(), &line.place));
        return Err(format!(
            "plugins of Mosquitto cannot be loaded, and without `{file}` clients could do what it refuses; take the \
             line out once `password_file` and `acl_file`, dynamic security, tokens (`security.jwt`) or a service \
             (`security.http`) decide instead"
        ));
    };
    if file.contains("persist_sqlite") {
        reader.config.persistence.enabled = true;
    }
    reader.note(line, Weight::Information, text);
    reader.begin_plugin(Plugin::new(name, kind, targets, &line.place));
    Ok(())
}

fn option(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let name = ["plugin_opt_", "auth_opt_"].iter().find_map(|start| line.key.strip_prefix(start));
    let name = name.unwrap_or_default();
    let value = line.text()?;
    let index = reader.plugin.unwrap_or(usize::MAX);
    let Some(plugin) = reader.plugins.get_mut(index) else {
        return Err("it belongs below a `plugin`".into());
    };
    if plugin.kind != Kind::Needless && plugin.kind.option() == name {
        plugin.file = Some(value.into());
    } else if plugin.kind == Kind::DynamicSecurity && name == "password_init_file" {
        plugin.password = Some(value.into());
    } else {
        let text = "there is no such option here; it is left out";
        reader.note(line, Weight::Warning, text);
    }
    Ok(())
}

impl Plugin {
    fn new(name: Option<String>, kind: Kind, targets: Vec<Target>, place: &Place) -> Self {
        Self { name, kind, targets, file: None, password: None, place: place.clone() }
    }
}

impl Reader<'_> {
    /// Options that follow are of this plugin.
    fn begin_plugin(&mut self, plugin: Plugin) {
        self.plugins.push(plugin);
        self.plugin = Some(self.plugins.len() - 1);
    }

    /// Gives the files of the plugins to those for whom they decide.
    pub(super) fn finish_plugins(&mut self) {
        for plugin in std::mem::take(&mut self.plugins) {
            if plugin.kind == Kind::Needless || plugin.targets.is_empty() {
                continue;
            }
            let Some(file) = plugin.file else {
                let option = plugin.kind.option();
                self.problem(&plugin.place, format!("the plugin needs `plugin_opt_{option}`"));
                continue;
            };
            for target in plugin.targets {
                let access = match target {
                    Target::All => Some(&mut self.config.security.access),
                    Target::Listener(index) => {
                        self.config.listeners.get_mut(index).map(|listener| &mut listener.access)
                    }
                };
                if let Some(access) = access {
                    put(access, plugin.kind, file.clone(), plugin.password.as_ref());
                }
            }
        }
    }
}

fn put(access: &mut Access, kind: Kind, file: PathBuf, password: Option<&PathBuf>) {
    match kind {
        Kind::DynamicSecurity => {
            access.dynamic_security_file = Some(file);
            if password.is_some() {
                access.dynamic_security_password_file = password.cloned();
            }
        }
        Kind::AclFile => access.acl_file = Some(file),
        Kind::PasswordFile => access.password_file = Some(file),
        Kind::Needless => {}
    }
}
