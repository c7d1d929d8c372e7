//! Who the broker becomes when root starts it: nobody who can do harm.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::fchown;
use std::path::Path;

use dunlin_config::Config;
use dunlin_server::Spot;
use nix::unistd::{Gid, Uid, setegid, seteuid, setgid, setgroups, setuid};

use super::accounts::User;

/// Users that services like this run as, best first.
const USUAL: [&str; 3] = ["dunlin", "mosquitto", "nobody"];

/// A user of this machine to become.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    user: User,
    /// Nobody asked for this one: if it cannot use the store, root serves.
    implied: bool,
}

impl Owner {
    /// Whom the configuration asks for; none if this process is not root, or is to stay it. Without a
    /// configuration file, somebody tries something out, and stays who he is.
    pub(super) fn wanted(config: &Config, has_file: bool) -> Result<Option<Self>, String> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        match config.server.user.as_deref() {
            Some("root") => Ok(None),
            // As in Mosquitto, whose example says so and is copied to machines without this user.
            Some("mosquitto") | None if config.server.user.is_some() || has_file => {
                let asked = config.server.user.as_deref();
                let users = asked.into_iter().chain(USUAL);
                let user = users.filter_map(|name| User::find(name).ok().flatten()).next();
                Ok(user.map(|user| Self { user, implied: true }))
            }
            None => Ok(None),
            Some(name) => {
                let known = User::find(name).map_err(|cause| format!("user `{name}`: {cause}"))?;
                let place = config.places.get("server.user");
                let place = place.map_or_else(String::new, |place| format!("{place}: "));
                let user = known.ok_or_else(|| {
                    format!("{place}there is no user `{name}` on this machine; make one, or leave `user` out")
                })?;
                Ok(Some(Self { user, implied: false }))
            }
        }
    }

    /// Gives it a file or directory with all that is in it, but nothing that it may have put links to. What
    /// is not there is not missed.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        dunlin_server::give(path, self.user.uid.as_raw(), self.user.gid.as_raw())
    }

    /// Makes a socket its own: whoever has opened one decides who may share its port.
    pub(super) fn give_socket(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        fchown(socket, Some(self.user.uid.as_raw()), Some(self.user.gid.as_raw()))
    }

    /// Becomes it, for good. `store` is the directory it has to be able to use.
    pub(super) fn become_it(&self, store: Option<&Path>) -> io::Result<()> {
        if self.implied && store.is_some_and(|store| !self.can_list(store)) {
            tracing::warn!(
                "the broker stays root, since the user {} cannot use the data directory; name a user with `user`, and a \
                 directory that it can reach",
                self.user.name
            );
            return Ok(());
        }
        setgroups(&self.user.groups)?;
        setgid(self.user.gid)?;
        setuid(self.user.uid)?;
        tracing::info!("the broker goes on as the user {}", self.user.name);
        Ok(())
    }

    /// Does something at a place with its rights. Where these do not suffice root does it, unless a link that
    /// somebody may have planted is on the way there.
    pub(super) fn act<T>(
        &self,
        path: &Path,
        mut act: impl FnMut(&Path) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.as_it(|| act(path))? {
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                let spot = Spot::find(path)?;
                act(&spot.path())
            }
            done => done,
        }
    }

    fn can_list(&self, directory: &Path) -> bool {
        self.as_it(|| fs::read_dir(directory).is_ok()).unwrap_or(false)
    }

    fn as_it<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        let become_it = setegid(self.user.gid).and_then(|()| seteuid(self.user.uid));
        let done = become_it.map(|()| act());
        // Back to root; if that fails, so does everything after it.
        seteuid(Uid::from_raw(0)).and_then(|()| setegid(Gid::from_raw(0)))?;
        Ok(done?)
    }
}
