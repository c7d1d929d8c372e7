//! The files of the process: its number, its store, and what takes the place of Mosquitto's database.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use dunlin_config::model::Listener;
use dunlin_config::{Config, Loaded};
use dunlin_server::{make_directory, passwords_of, write_file};
use dunlin_store::{OpenError, RealDisk};

use super::owner::Owner;
use crate::cmd::ctl;

/// What makes a directory a store.
const VERSION: &str = "VERSION";

/// A file in the store that remembers which file stands for it where Mosquitto had its database.
const MARK: &str = "mosquitto-file";

/// What the name of a store gets that was set aside.
const SET_ASIDE: &str = "removed";

/// Everything outside of the process that has to be in order before it serves.
pub(super) struct Files {
    pid_file: Option<PathBuf>,
    log_file: Option<PathBuf>,
    /// The directory of the store, if anything is kept.
    store: Option<PathBuf>,
    /// Mosquitto's database.
    database: Option<PathBuf>,
    listeners: Vec<Listener>,
    /// What dynamic security writes.
    dynamic: Vec<PathBuf>,
    /// The files of unix sockets.
    sockets: Vec<PathBuf>,
    /// What a reload reads again.
    read_again: BTreeSet<PathBuf>,
    owner: Option<Owner>,
}

impl Files {
    pub(super) fn new(loaded: &Loaded, has_file: bool) -> Result<Self, String> {
        let config = &loaded.config;
        let persistence = &config.persistence;
        Ok(Self {
            pid_file: config.server.pid_file.clone(),
            log_file: config.log.file.clone(),
            store: persistence.enabled.then(|| persistence.directory.clone()),
            database: persistence.mosquitto_file.clone(),
            listeners: config.listeners.clone(),
            dynamic: dynamic(config),
            sockets: unix_sockets(config),
            read_again: read_again(loaded),
            owner: Owner::wanted(config, has_file)?,
        })
    }

    /// When ports are taken and keys are read: the last moment in which root is root.
    pub(super) fn prepare(&self, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        if let Some(path) = &self.pid_file {
            write_file(path, &format!("{}\n", std::process::id()), 0o644)
                .map_err(|cause| named("write the pid file", path, &cause))?;
        }
        if let (Some(store), Some(database)) = (&self.store, &self.database)
            && store.join(MARK).exists()
            && !is_there(database)
        {
            self.set_aside(store, database)?;
        }
        if let (Some(owner), Some(store)) = (&self.owner, &self.store) {
            make_directory(store).map_err(|cause| named("make", store, &cause))?;
            owner.give(store).map_err(|cause| named("hand over", store, &cause))?;
        }
        if let (Some(store), Some(database)) = (&self.store, &self.database) {
            self.prepare_database(store, database)?;
        }
        let Some(owner) = &self.owner else { return Ok(()) };
        let files = self.log_file.iter().chain(&self.database).chain(&self.dynamic);
        for path in files.chain(&self.sockets) {
            owner.give(path).map_err(|cause| named("hand over", path, &cause))?;
        }
        sockets.iter().try_for_each(|socket| owner.give_socket(*socket))?;
        owner.become_it(self.store.as_deref())?;
        self.warn_of_what_only_root_reads();
        Ok(())
    }

    /// Better now than when somebody waits for a reload.
    fn warn_of_what_only_root_reads(&self) {
        let denied = |path: &&PathBuf| {
            File::open(path).is_err_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
        };
        for path in self.read_again.iter().filter(denied) {
            tracing::warn!(
                "{}: root has read it, and the user of the broker cannot: every reload will be refused until `chown` or \
                 `chgrp` gives it to that user (mode 0640 or 0600)",
                path.display()
            );
        }
    }

    /// Takes over what Mosquitto has kept, once; and has a file where its database would be, for scripts that
    /// look for it or remove it.
    fn prepare_database(&self, store: &Path, database: &Path) -> io::Result<()> {
        if !is_there(database) {
            return self
                .act(database, |path| write_new(path, &stand_in(store)))
                .map_err(|cause| named("write", database, &cause));
        }
        if store.join(VERSION).exists() || !ctl::is_mosquitto_snapshot(database) {
            return Ok(());
        }
        if let Some(owner) = &self.owner {
            owner.give(database).map_err(|cause| named("hand over", database, &cause))?;
        }
        let taken = self.act(store, |path| {
            match ctl::take_over_mosquitto(path, database, &self.listeners) {
                Ok(summary) => Ok(Ok(summary)),
                Err(cause) if is_denied(&cause) => Err(io::ErrorKind::PermissionDenied.into()),
                Err(cause) => Ok(Err(cause)),
            }
        })?;
        let summary = taken.map_err(|cause| {
            let text = format!(
                "cannot take over what Mosquitto has kept in {}: {cause:#}; to start without it, move the file away",
                database.display()
            );
            io::Error::other(text)
        })?;
        tracing::info!("taken over from {}, which stays as it is: {summary}", database.display());
        Ok(())
    }

    /// Whoever removes Mosquitto's database wants to begin anew. The store may still be of value.
    fn set_aside(&self, store: &Path, database: &Path) -> io::Result<()> {
        // Not under the feet of a broker that uses it.
        let free = self.act(store, |path| match RealDisk::open(path, false) {
            Ok(disk) => {
                drop(disk);
                Ok(true)
            }
            Err(error @ OpenError::Locked(_)) => Err(io::Error::other(error)),
            // What is wrong with it is told when it is opened.
            Err(_) => Ok(false),
        })?;
        if !free {
            return Ok(());
        }
        let mut name = store.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{SET_ASIDE}"));
        let aside = store.with_file_name(&name);
        if aside.exists() {
            self.act(&aside, |path| fs::remove_dir_all(path))
                .map_err(|cause| named("remove", &aside, &cause))?;
        }
        self.act(store, |path| fs::rename(path, path.with_file_name(&name)))
            .map_err(|cause| named("set aside", store, &cause))?;
        tracing::warn!(
            "{} was removed, so the broker begins anew; what it had kept is in {} until that happens again",
            database.display(),
            aside.display()
        );
        Ok(())
    }

    /// Does something where the owner may have planted links: with its rights, if there is one.
    fn act<T>(&self, path: &Path, mut act: impl FnMut(&Path) -> io::Result<T>) -> io::Result<T> {
        match &self.owner {
            Some(owner) => owner.act(path, act),
            None => act(path),
        }
    }

    /// When the store is open.
    pub(super) fn after_start(&self) {
        if let (Some(store), Some(database)) = (&self.store, &self.database) {
            let text = format!("{}\n", database.display());
            if let Err(cause) = write_file(&store.join(MARK), &text, 0o600) {
                tracing::warn!("{}: {cause}", store.join(MARK).display());
            }
        }
    }

    /// When the server has ended.
    pub(super) fn after_end(&self) {
        if let Some(path) = &self.pid_file {
            // The directory may be root's, as `/run` is; then the file stays, as Mosquitto's does.
            drop(fs::remove_file(path));
        }
    }
}

/// Also if it is a link that leads nowhere.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn is_denied(cause: &anyhow::Error) -> bool {
    let found = cause.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    found.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn stand_in(store: &Path) -> String {
    format!(
        "This is not a database of Mosquitto. What the broker keeps is in the directory\n{}\nRemove this file while the \
         broker is not running to have it begin anew.\n",
        store.display()
    )
}

/// The files of dynamic security, and those with the passwords that were made up for them.
fn dynamic(config: &Config) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for listener in &config.listeners {
        if let Some(file) = config.access_of(listener).dynamic_security_file {
            files.push(passwords_of(&file));
            files.push(file);
        }
    }
    files
}

fn read_again(loaded: &Loaded) -> BTreeSet<PathBuf> {
    let config = &loaded.config;
    let mut files: BTreeSet<PathBuf> = loaded.files.iter().map(PathBuf::from).collect();
    for listener in &config.listeners {
        let (tls, access) = (&listener.tls, config.access_of(listener));
        files.extend(
            [&tls.certfile, &tls.keyfile, &tls.cafile, &tls.crlfile].into_iter().flatten().cloned(),
        );
        files.extend([access.password_file, access.acl_file].into_iter().flatten());
    }
    files
}

fn unix_sockets(config: &Config) -> Vec<PathBuf> {
    config.listeners.iter().filter_map(|listener| listener.unix_path.clone()).collect()
}

fn named(what: &str, path: &Path, cause: &io::Error) -> io::Error {
    io::Error::new(cause.kind(), format!("cannot {what} {}: {cause}", path.display()))
}
