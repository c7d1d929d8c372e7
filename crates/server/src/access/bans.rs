//! Who is kept out for a time, and who gets there by connecting again and again.

use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dunlin_access::ban::{Ban, BanList, Flapping, FlappingLimits, Target};
use dunlin_access::{Fault, Severity, UnixSeconds};
use dunlin_broker::Refusal;

use super::files;

/// Bans, what may lead to further ones, and where they outlive the process.
#[derive(Default)]
pub(super) struct Bans {
    list: BanList,
    flapping: Option<Flapping>,
    limits: FlappingLimits,
    file: Option<PathBuf>,
}

/// A ban on its way to the log, to `ctl` and into the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banned {
    /// `client:ID`, `user:NAME` or `address:RANGE`.
    pub target: String,
    /// Why.
    pub reason: String,
    /// When it ends, in seconds since 1970; never, if there is none.
    pub until: Option<u64>,
}

impl Bans {
    /// Reads the file, if there is one.
    pub(super) fn load(file: Option<PathBuf>, now: UnixSeconds) -> Result<Self, Fault> {
        let Some(path) = &file else { return Ok(Self::default()) };
        let name = path.display().to_string();
        let list = match fs::read_to_string(path) {
            Ok(text) => BanList::parse(&name, &text, now)?,
            Err(cause) if cause.kind() == ErrorKind::NotFound => BanList::default(),
            // Nobody comes back because the list of who is kept out cannot be read.
            Err(cause) => {
                let (file, message) = (name.into(), format!("cannot be read: {cause}"));
                return Err(Fault { file, line: 0, severity: Severity::Error, message });
            }
        };
        Ok(Self { list, file, ..Self::default() })
    }

    pub(super) fn set_limits(&mut self, limits: Option<FlappingLimits>) {
        self.limits = limits.unwrap_or_default();
        match (&mut self.flapping, limits) {
            (Some(flapping), Some(limits)) => flapping.set_limits(limits),
            (flapping, limits) => *flapping = limits.map(Flapping::new),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Why an address or a client is kept out.
    pub(super) fn check(
        &self,
        address: Option<IpAddr>,
        client_id: &str,
        user: Option<&str>,
        now: UnixSeconds,
    ) -> Option<Refusal> {
        if self.list.is_empty() {
            return None;
        }
        let by_address = address.and_then(|address| self.list.check_address(address, now));
        let ban = by_address.or_else(|| self.list.check_client(client_id, user, now))?;
        let seconds = ban.until.map(|until| seconds(until.saturating_sub(now)));
        Some(Refusal::Banned { seconds, by: Some(ban.reason.as_str().into()) })
    }

    /// Counts a client that was let in; refuses it if that was once too often. The list has changed then.
    pub(super) fn connected(&mut self, client_id: &str, now: UnixSeconds) -> Option<Refusal> {
        let ban = self.flapping.as_mut()?.connected(client_id, now)?;
        if let Err(why) = self.list.insert(Target::ClientId(client_id.into()), ban, now) {
            tracing::warn!("client {client_id:?} is flapping and cannot be banned: {why}");
        }
        let FlappingLimits { connections, within, ban_for } = self.limits;
        Some(Refusal::Flapping {
            times: connections.into(),
            within: seconds(within),
            seconds: seconds(ban_for),
        })
    }

    /// How long a client identifier is kept out that is fought for; `None` if nobody watches.
    pub(super) fn time_for_fights(&self) -> Option<Duration> {
        self.flapping.as_ref().map(|_| Duration::from_secs(self.limits.ban_for))
    }

    pub(super) fn insert(
        &mut self,
        target: Target,
        ban: Ban,
        now: UnixSeconds,
    ) -> Result<(), String> {
        self.list.insert(target, ban, now).map_err(|why| why.to_string())
    }

    pub(super) fn remove(&mut self, target: &Target) -> bool {
        self.list.remove(target).is_some()
    }

    pub(super) fn all(&mut self, now: UnixSeconds) -> Vec<Banned> {
        self.list.purge(now);
        let all = self.list.all().into_iter();
        all.map(|(target, ban)| Banned {
            target: target.to_string(),
            reason: ban.reason.clone(),
            until: ban.until,
        })
        .collect()
    }

    /// What is to be written, and where.
    pub(super) fn take_to_save(&mut self, now: UnixSeconds) -> Option<(PathBuf, String)> {
        self.list.purge(now);
        Some((self.file.clone()?, self.list.to_json()))
    }

    /// Bans are kept in this file from now on.
    pub(super) fn set_file(&mut self, file: Option<PathBuf>) {
        self.file = file;
    }
}

/// Writes what [`Bans::take_to_save`] gave.
pub(super) fn save(path: &std::path::Path, text: &str) -> Result<(), String> {
    files::replace(path, text.as_bytes())
        .map_err(|cause| format!("the bans cannot be written to {}: {cause}", path.display()))
}

fn seconds(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Who decided, for refusals.
pub(super) fn by(name: &str) -> Option<Arc<str>> {
    Some(name.into())
}
