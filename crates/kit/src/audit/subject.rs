//! The configuration, as the rules look at it.

use std::path::Path;

use dunlin_config::model::{
    Access, Address, ClientCertificate, Config, Identity, Listener, Protocol,
};
use dunlin_config::{Format, Loaded};

use crate::UnixSeconds;
use crate::files;

/// What is judged.
pub(super) struct Subject<'a> {
    pub(super) config: &'a Config,
    pub(super) now: UnixSeconds,
    /// The files of the configuration, the main one first.
    pub(super) files: &'a [String],
    format: Option<Format>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(loaded: &'a Loaded, now: UnixSeconds) -> Self {
        Self { config: &loaded.config, now, files: &loaded.files, format: loaded.format }
    }

    pub(super) fn listeners(&self) -> impl Iterator<Item = &'a Listener> {
        self.config.listeners.iter()
    }

    /// Those that other machines reach.
    pub(super) fn outer(&self) -> impl Iterator<Item = &'a Listener> {
        self.listeners().filter(|listener| !is_local(listener))
    }

    /// As the file has to be written: `dunlin.toml` or `mosquitto.conf`.
    pub(super) fn write(&self, toml: &'static str, mosquitto: &'static str) -> &'static str {
        if self.format == Some(Format::Mosquitto) { mosquitto } else { toml }
    }

    /// Where something of a listener was set, or where it begins.
    pub(super) fn place(&self, listener: &Listener, key: &str) -> Option<String> {
        let place = listener.places.get(key).or_else(|| listener.place());
        place.map(ToString::to_string)
    }

    /// Where something of all was set.
    pub(super) fn general(&self, key: &str) -> Option<String> {
        self.config.places.get(key).map(ToString::to_string)
    }

    /// Where access of a listener was set: by itself, or for all.
    pub(super) fn access_place(&self, listener: &Listener, key: &str) -> Option<String> {
        let own = listener.places.get(key).map(ToString::to_string);
        own.or_else(|| self.general(&format!("security.{key}")))
            .or_else(|| self.place(listener, key))
    }

    pub(super) fn access(&self, listener: &Listener) -> Access {
        self.config.access_of(listener)
    }

    /// Whether a client can come in without saying who it is.
    pub(super) fn is_anonymous(&self, listener: &Listener) -> bool {
        self.config.allows_anonymous(listener) && !is_known_by_certificate(listener)
    }
}

/// Whether only this machine reaches it.
pub(super) fn is_local(listener: &Listener) -> bool {
    let named = match &listener.address {
        Address::Any => false,
        Address::Loopback => true,
        Address::Named(name) => {
            let address = name.parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    };
    named || listener.unix_path.is_some() || listener.interface.as_deref() == Some("lo")
}

/// Whether the user name comes from a certificate that every client must show.
pub(super) fn is_known_by_certificate(listener: &Listener) -> bool {
    listener.identity != Identity::Login
        && listener.tls().is_some_and(|tls| tls.client_certificate == ClientCertificate::Required)
}

/// Whether what is said on it can be read on the way.
pub(super) fn is_encrypted(listener: &Listener) -> bool {
    listener.tls().is_some() || listener.protocol == Protocol::Quic || listener.proxy_requires_tls
}

/// Says what is wrong with the mode of a file that holds something secret.
pub(super) fn loose_mode(path: &Path) -> Option<String> {
    let mode = files::mode(path)?;
    let told = format!("{} has mode {mode:04o}", path.display());
    if mode & 0o007 != 0 {
        Some(format!("{told}: everybody on this machine can use it"))
    } else if mode & 0o020 != 0 {
        Some(format!("{told}: its group may change it"))
    } else {
        None
    }
}
