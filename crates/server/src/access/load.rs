//! From the configuration and its files to a [`World`].

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_access::acl::{Rules, Source, Subscribing};
use dunlin_access::ban::FlappingLimits;
use dunlin_access::dynsec::Dynsec;
use dunlin_access::identifier::{Policy, UserRule};
use dunlin_access::password::PasswordFile;
use dunlin_access::{Fault, Severity};
use dunlin_config::model::{Access, ClientIdUser, DeniedSubscribe, Listener};
use dunlin_config::{Config, Place};

use super::endpoint::Endpoint;
use super::first;
use super::http::Hook;
use super::revoked::Revoked;
use super::tokens::Tokens;
use super::world::{DynamicFile, Gate, Missing, Passwords, World};

/// Files beyond this size are a mistake: a million users take about 100 MB.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;

/// Bans are kept beside the store unless their file is named.
const BANS_FILE: &str = "bans.json";

/// Reads what listeners name; what several name is read once.
pub(super) struct Loader<'a> {
    config: &'a Config,
    faults: Vec<Fault>,
    passwords: HashMap<PathBuf, Option<Arc<Passwords>>>,
    rules: HashMap<Option<PathBuf>, Arc<Rules>>,
    dynamics: Vec<DynamicFile>,
    missing: Missing,
}

impl<'a> Loader<'a> {
    pub(super) fn new(config: &'a Config, missing: Missing) -> Self {
        Self {
            config,
            missing,
            faults: Vec::new(),
            passwords: HashMap::new(),
            rules: HashMap::new(),
            dynamics: Vec::new(),
        }
    }

    pub(super) fn load(mut self) -> Result<World, Vec<Fault>> {
        let config = self.config;
        // Those that are retired come last: what is wrong with a file is to be told, if another needs it too.
        let mut order: Vec<_> = (0..).zip(&config.listeners).collect();
        order.sort_by_key(|(_, listener)| listener.is_retired());
        let gates = order.into_iter().map(|(number, listener)| (number, self.gate(listener)));
        let mut gates: Vec<(usize, Gate)> = gates.collect();
        gates.sort_by_key(|(number, _)| *number);
        let gates = gates.into_iter().map(|(_, gate)| gate).collect();
        let security = &config.security;
        let tokens = Tokens::load(config, &mut self.faults).map(Arc::new);
        let hook = Hook::new(config, &mut self.faults).map(Arc::new);
        let bans = security.bans.file.clone().or_else(|| {
            let kept = &config.persistence;
            kept.enabled.then(|| kept.directory.join(BANS_FILE))
        });
        let flapping = &security.bans;
        let flapping = (flapping.flapping_connects > 0).then(|| FlappingLimits {
            connections: u16::try_from(flapping.flapping_connects).unwrap_or(u16::MAX),
            within: flapping.flapping_window.as_secs().max(1),
            ban_for: flapping.flapping_ban.as_secs().max(1),
        });
        if self.faults.iter().any(|fault| fault.severity == Severity::Error) {
            return Err(self.faults);
        }
        Ok(World {
            gates,
            elsewhere: None,
            dynamics: self.dynamics,
            endpoint: Endpoint::of(config),
            tokens,
            hook,
            scram: security.scram,
            flapping,
            bans,
            logins: security.logins.clone(),
            checks: usize::from(config.limits.password_checks.max(1)),
            warnings: self.faults,
        })
    }

    fn gate(&mut self, listener: &Listener) -> Gate {
        let before = self.faults.len();
        let mut gate = self.read_gate(listener);
        if listener.is_retired() && self.faults.len() > before {
            // Its files may well be gone, and then so is the right of those who came in by it.
            self.faults.truncate(before);
            gate.anonymous = false;
        }
        gate
    }

    fn read_gate(&mut self, listener: &Listener) -> Gate {
        let access = self.config.access_of(listener);
        let user = match self.config.security.client_id_user {
            _ if listener.username_as_client_id => UserRule::Replace,
            ClientIdUser::Free => UserRule::Free,
            ClientIdUser::Equal => UserRule::MustEqual,
            ClientIdUser::Begins => UserRule::MustBeginWith,
        };
        Gate {
            label: listener.label(),
            anonymous: self.config.allows_anonymous(listener),
            assigns_ids: access.allow_empty_client_id.unwrap_or(true),
            identity: listener.identity,
            identifiers: Policy { prefixes: access.client_id_prefixes.clone(), user },
            revoked: self.revoked(listener),
            passwords: self.passwords(listener, &access),
            rules: self.rules(listener, &access),
            dynamic: self.dynamic(listener, &access),
        }
    }

    fn revoked(&mut self, listener: &Listener) -> Option<Revoked> {
        let path = listener.tls()?.crlfile.as_ref()?;
        let read = Revoked::read(path)?;
        read.map_err(|why| {
            let place = listener.places.get("crlfile").cloned();
            self.faults.push(error_at(place, format!("crlfile {}: {why}", path.display())));
        })
        .ok()
    }

    fn passwords(&mut self, listener: &Listener, access: &Access) -> Option<Arc<Passwords>> {
        let path = access.password_file.as_ref()?;
        if let Some(known) = self.passwords.get(path) {
            return known.clone();
        }
        let read = self.read(listener, "password_file", path);
        let passwords = read.map(|text| {
            let name: Arc<str> = path.display().to_string().into();
            let (file, faults) = PasswordFile::parse(&name, &text);
            // A line that cannot be used locks one user out, not all: Mosquitto goes on as well.
            let faults = faults.into_iter();
            self.faults.extend(faults.map(|fault| Fault { severity: Severity::Warning, ..fault }));
            Arc::new(Passwords { name, file })
        });
        self.passwords.insert(path.clone(), passwords.clone());
        passwords
    }

    fn rules(&mut self, listener: &Listener, access: &Access) -> Arc<Rules> {
        if let Some(known) = self.rules.get(&access.acl_file) {
            return Arc::clone(known);
        }
        let path = access.acl_file.as_ref();
        let text = path.and_then(|path| self.read(listener, "acl_file", path));
        let name = path.map(|path| path.display().to_string());
        let mut sources = Vec::new();
        if let (Some(name), Some(text)) = (&name, &text) {
            sources.push(Source::AclFile { name, text });
        }
        if let Some(definitions) = &self.config.definitions {
            let (name, text) = (definitions.file.as_str(), definitions.text.expose());
            sources.push(Source::Toml { name, text });
        }
        let subscribing = match self.config.security.denied_subscribe {
            DeniedSubscribe::Grant => Subscribing::Granted,
            DeniedSubscribe::Refuse => Subscribing::Checked,
        };
        let rules = match Rules::compile(0, &sources, subscribing) {
            Ok(rules) => {
                self.faults.extend_from_slice(rules.warnings());
                rules
            }
            Err(faults) => {
                self.note(faults);
                Rules::default()
            }
        };
        let rules = Arc::new(rules);
        self.rules.insert(access.acl_file.clone(), Arc::clone(&rules));
        rules
    }

    fn dynamic(&mut self, listener: &Listener, access: &Access) -> Option<usize> {
        let path = access.dynamic_security_file.as_ref()?;
        if let Some(known) = self.dynamics.iter().position(|file| file.path == *path) {
            return Some(known);
        }
        let is_missing = !path.exists() && !listener.is_retired();
        let text = match self.missing {
            Missing::Make if is_missing => self.make_dynamic(listener, access, path)?,
            Missing::Expect if is_missing => "{}".into(),
            _ => self.read(listener, "dynamic_security_file", path)?,
        };
        match Dynsec::parse(&path.display().to_string(), &text) {
            Ok((state, warnings)) => {
                self.faults.extend(warnings);
                self.dynamics.push(DynamicFile { path: path.clone(), state: Arc::new(state) });
                Some(self.dynamics.len() - 1)
            }
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    fn make_dynamic(
        &mut self,
        listener: &Listener,
        access: &Access,
        path: &Path,
    ) -> Option<String> {
        let made = first::make(path, access.dynamic_security_password_file.as_deref());
        made.map_err(|why| self.fault(listener, "dynamic_security_file", path, &why)).ok()
    }

    /// Faults of a file that another listener names too are told once.
    fn note(&mut self, faults: Vec<Fault>) {
        for fault in faults {
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
    }

    /// Reads a file that a key of the configuration names.
    fn read(&mut self, listener: &Listener, key: &str, path: &Path) -> Option<String> {
        let read = read(path);
        read.map_err(|why| self.fault(listener, key, path, &why)).ok()
    }

    /// Something is wrong with a file that a key names.
    fn fault(&mut self, listener: &Listener, key: &str, path: &Path, why: &str) {
        let place = listener.places.get(key);
        let general = || self.config.places.get(&format!("security.{key}"));
        let place = place.or_else(general).cloned();
        self.faults.push(error_at(place, format!("{key} {}: {why}", path.display())));
    }
}

/// The content of a file that is not larger than any that is meant.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|cause| cause.to_string())?.len();
    if size > LARGEST_FILE {
        return Err(format!("it has {size} bytes; no more than {LARGEST_FILE} are read"));
    }
    fs::read_to_string(path).map_err(|cause| cause.to_string())
}

/// Something that is wrong with a key of the whole broker, or with the file that holds its secret.
pub(super) fn error_of(config: &Config, key: &str, why: &str) -> Fault {
    let places = &config.places;
    match places.file_of(key) {
        Some((place, file)) => error_at(Some(place.clone()), format!("{key}_file {file}: {why}")),
        None => error_at(places.get(key).cloned(), format!("{key}: {why}")),
    }
}

/// Something that is wrong at a place of the configuration.
fn error_at(place: Option<Place>, message: String) -> Fault {
    let place = place.unwrap_or_else(|| Place::whole("configuration"));
    Fault { file: place.file, line: place.line, severity: Severity::Error, message }
}
