//! A broker from nothing: an authority, a server certificate, users, rules, a configuration and the files of
//! the first client.

mod machine;
mod stage;
mod texts;

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::cert::{
    AUTHORITY_DAYS, Authority, CLIENT_DAYS, Name, NewAuthority, Request, RevocationList,
    SERVER_DAYS, stem,
};
use crate::files::{self, Owner, PUBLIC, Replace, SECRET};
use crate::passwd::{self, Scheme};
use crate::{KitError, UnixSeconds, random};
pub use machine::names;
use stage::Stage;

/// What is to be set up.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// Where: an empty directory, or one that does not exist.
    pub directory: &'a Path,
    /// The names and addresses that clients connect to; the first host name stands in the examples.
    pub names: &'a [Name],
    /// The first user, who may do everything.
    pub user: &'a str,
    /// Its password; none for a generated one.
    pub password: Option<Zeroizing<String>>,
    /// Whom the broker runs as, if not as the caller.
    pub service: Option<Service>,
    /// Where the broker keeps what outlives it, if not in the directory; it is not made.
    pub data: Option<&'a Path>,
    /// The port of TLS.
    pub port: u16,
    /// Whether clients on this machine may come without TLS, on port 1883.
    pub local: bool,
}

/// Whom the broker runs as.
#[derive(Debug, Clone)]
pub struct Service {
    /// The name of the user.
    pub user: String,
    /// Its numbers.
    pub owner: Owner,
}

/// What was set up.
#[derive(Debug)]
pub struct Made {
    /// The directory, from the root.
    pub directory: PathBuf,
    /// The configuration.
    pub config: PathBuf,
    /// What the first client needs.
    pub bundle: PathBuf,
    /// The generated password, shown nowhere else.
    pub password: Option<Zeroizing<String>>,
    /// What will go wrong later.
    pub warnings: Vec<String>,
}

/// Sets a broker up. Everything is made beside the directory and moved there when it is whole.
///
/// # Errors
/// The directory is not empty, or cannot be written; nothing is left then.
pub fn init(plan: &Plan<'_>, now: UnixSeconds) -> Result<Made, KitError> {
    let stage = Stage::begin(plan.directory)?;
    let directory = stage.target();
    let place = directory.to_str();
    let place = place.ok_or_else(|| KitError::unusable(directory, "the path is no UTF-8"))?;
    let (password, generated) = match &plan.password {
        Some(password) => (password.clone(), None),
        None => {
            let password = passwd::generate()?;
            (password.clone(), Some(password))
        }
    };
    let users = passwd::set("", plan.user, &password, Scheme::default())?;
    let setup = Setup { plan, root: stage.path(), now };
    let authority = setup.authority()?;
    setup.server(&authority)?;
    let bundle = setup.client(&authority)?;
    setup.secret("passwd", &users)?;
    setup.secret("acl", &texts::acl(plan))?;
    let data = match plan.data {
        Some(data) => data.to_owned(),
        None => {
            setup.data()?;
            directory.join("data")
        }
    };
    let data = std::path::absolute(&data).map_err(KitError::system("find", &data))?;
    let data = data.to_str().ok_or_else(|| KitError::unusable(&data, "the path is no UTF-8"))?;
    setup.secret("dunlin.toml", &texts::config(plan, place, data))?;
    let bundle = directory.join(bundle);
    let directory = directory.to_owned();
    stage.finish()?;
    let warnings =
        plan.service.iter().filter_map(|service| unreachable(&directory, service)).collect();
    let config = directory.join("dunlin.toml");
    Ok(Made { directory, config, bundle, password: generated, warnings })
}

struct Setup<'a> {
    plan: &'a Plan<'a>,
    root: &'a Path,
    now: UnixSeconds,
}

impl Setup<'_> {
    /// Stays with the caller: the broker never needs its key, which should be kept elsewhere.
    fn authority(&self) -> Result<Authority, KitError> {
        let mut bytes = [0; 3];
        random::fill(&mut bytes)?;
        let [a, b, c] = bytes;
        let host = texts::host(self.plan);
        // Two authorities of one name could not be told apart; a name has at most 64 characters.
        let host: String = host.chars().take(40).collect();
        let name = format!("MQTT authority of {host} {a:02x}{b:02x}{c:02x}");
        let new = NewAuthority { name: &name, days: AUTHORITY_DAYS, replace: Replace::Never };
        let directory = self.root.join("ca");
        let authority = Authority::create(&directory, &new, self.now)?;
        RevocationList::default().write(&directory.join("ca.crl"), &authority, self.now)?;
        Ok(authority)
    }

    fn server(&self, authority: &Authority) -> Result<(), KitError> {
        let directory = self.root.join("server");
        files::make_directory(&directory, 0o755)?;
        let request = Request::server(self.plan.names, SERVER_DAYS)?;
        let written =
            authority.issue_files(&request, &directory, "server", Replace::Never, self.now)?;
        match &self.plan.service {
            Some(service) => files::give(&written.key, service.owner),
            None => Ok(()),
        }
    }

    fn client(&self, authority: &Authority) -> Result<PathBuf, KitError> {
        let stem = stem(self.plan.user);
        let bundle = Path::new("clients").join(&stem);
        let directory = self.root.join(&bundle);
        files::make_directory(&self.root.join("clients"), 0o700)?;
        files::make_directory(&directory, 0o700)?;
        let request = Request::client(self.plan.user, &[], CLIENT_DAYS)?;
        authority.issue_files(&request, &directory, &stem, Replace::Never, self.now)?;
        let ca = files::read(&self.root.join("ca").join("ca.crt"))?;
        files::write(&directory.join("ca.crt"), &ca, PUBLIC, Replace::Never)?;
        let readme = texts::readme(self.plan, &stem);
        files::write(&directory.join("README.md"), readme.as_bytes(), PUBLIC, Replace::Never)?;
        Ok(bundle)
    }

    /// A file that the broker only reads: the group of the service may, so that it cannot change its own
    /// rules.
    fn secret(&self, name: &str, text: &str) -> Result<(), KitError> {
        let path = self.root.join(name);
        let Some(service) = &self.plan.service else {
            return files::write(&path, text.as_bytes(), SECRET, Replace::Never);
        };
        files::write(&path, text.as_bytes(), 0o640, Replace::Never)?;
        let uid = rustix::process::geteuid().as_raw();
        files::give(&path, Owner { uid, gid: service.owner.gid })
    }

    fn data(&self) -> Result<(), KitError> {
        let path = self.root.join("data");
        files::make_directory(&path, 0o700)?;
        self.plan.service.as_ref().map_or(Ok(()), |service| files::give(&path, service.owner))
    }
}

/// Says if the service cannot come to the directory because of one above it.
fn unreachable(directory: &Path, service: &Service) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let above = directory.ancestors().skip(1);
    let closed = above.into_iter().find(|path| {
        let Ok(metadata) = path.metadata() else { return false };
        let bit = if metadata.uid() == service.owner.uid {
            0o100
        } else if metadata.gid() == service.owner.gid {
            0o010
        } else {
            0o001
        };
        service.owner.uid != 0 && metadata.mode() & bit == 0
    })?;
    Some(format!(
        "{} may not enter {}: move the directory, /etc/dunlin for example (and make it anew: paths are in it)",
        service.user,
        closed.display()
    ))
}
