//! Who may connect and what they may do, as the configuration and the files that it names say it.

use std::path::PathBuf;
use std::sync::Arc;

use dunlin_access::Fault;
use dunlin_access::acl::Rules;
use dunlin_access::ban::FlappingLimits;
use dunlin_access::dynsec::Dynsec;
use dunlin_access::identifier::Policy;
use dunlin_access::password::PasswordFile;
use dunlin_broker::Certified;
use dunlin_config::Config;
use dunlin_config::model::{Identity, Logins};

use super::endpoint::Endpoint;
use super::http::Hook;
use super::load::Loader;
use super::revoked::Revoked;
use super::tokens::Tokens;

/// Everything that decides about clients, as it was when it was loaded. It does not change: a reload
/// makes another one.
pub struct World {
    pub(super) gates: Vec<Gate>,
    /// What holds at listeners that are not among the gates.
    pub(super) elsewhere: Option<Gate>,
    pub(super) dynamics: Vec<DynamicFile>,
    /// What answers `$CONTROL/broker/v1`.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) hook: Option<Arc<Hook>>,
    /// Whether SCRAM-SHA-256 is offered.
    pub(super) scram: bool,
    pub(super) flapping: Option<FlappingLimits>,
    /// Where bans outlive the process.
    pub(super) bans: Option<PathBuf>,
    pub(super) logins: Logins,
    /// Passwords and signatures that are checked at once.
    pub(super) checks: usize,
    pub(super) warnings: Vec<Fault>,
}

/// What becomes of a file of dynamic security that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is made: the broker starts.
    Make,
    /// It would be made: somebody wants to know whether the broker could start.
    Expect,
    /// That is a fault: it was there, and whoever was in it would be locked out.
    Refuse,
}

/// What holds at one listener.
pub(super) struct Gate {
    /// The listener, as the log calls it.
    pub(super) label: String,
    /// Whether clients may come without a user name.
    pub(super) anonymous: bool,
    /// Whether an empty client identifier is given one.
    pub(super) assigns_ids: bool,
    pub(super) identity: Identity,
    pub(super) identifiers: Policy,
    /// Certificates that do not count any more.
    pub(super) revoked: Option<Revoked>,
    pub(super) passwords: Option<Arc<Passwords>>,
    pub(super) rules: Arc<Rules>,
    /// The place of its dynamic security among [`World::dynamics`].
    pub(super) dynamic: Option<usize>,
}

/// A password file.
pub(super) struct Passwords {
    /// As the configuration names it.
    pub(super) name: Arc<str>,
    pub(super) file: PasswordFile,
}

/// Users, groups and roles that change at run time.
pub(super) struct DynamicFile {
    pub(super) path: PathBuf,
    /// As the file had them.
    pub(super) state: Arc<Dynsec>,
}

impl World {
    /// Reads all files that the configuration names.
    ///
    /// # Errors
    /// All that is wrong, each with its file and line. Nothing of it is to be used then.
    pub fn load(config: &Config, missing: Missing) -> Result<Self, Vec<Fault>> {
        Loader::new(config, missing).load()
    }

    /// What was found odd, for the log.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Everybody may do everything.
    pub(super) fn open() -> Self {
        Self {
            gates: Vec::new(),
            elsewhere: Some(Gate::open()),
            dynamics: Vec::new(),
            endpoint: None,
            tokens: None,
            hook: None,
            scram: false,
            flapping: None,
            bans: None,
            logins: Logins::default(),
            checks: 1,
            warnings: Vec::new(),
        }
    }

    /// What holds at a listener.
    pub(super) fn gate(&self, listener: u16) -> Option<&Gate> {
        self.gates.get(usize::from(listener)).or(self.elsewhere.as_ref())
    }

    /// Whether there is anything to ask about a client before it comes in, besides bans.
    pub(super) fn asks(&self) -> bool {
        let mut gates = self.gates.iter().chain(&self.elsewhere);
        self.tokens.is_some()
            || self.hook.is_some()
            || self.scram
            || self.flapping.is_some()
            || !gates.all(Gate::lets_all_in)
    }

    /// Whether there is anything that a client that was let in may not do, or commands that it may give.
    pub(super) fn restricts(&self) -> bool {
        let mut gates = self.gates.iter().chain(&self.elsewhere);
        self.endpoint.is_some() || gates.any(|gate| gate.dynamic.is_some() || !gate.rules.is_open())
    }
}

impl std::fmt::Debug for World {
    /// Passwords and keys are in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("listeners", &self.gates.len()).finish_non_exhaustive()
    }
}

impl Gate {
    fn open() -> Self {
        Self {
            label: String::new(),
            anonymous: true,
            assigns_ids: true,
            identity: Identity::Login,
            identifiers: Policy::default(),
            revoked: None,
            passwords: None,
            rules: Arc::new(Rules::open(0)),
            dynamic: None,
        }
    }

    /// Whether the certificate that a client has shown was taken back.
    pub(super) fn takes_back(&self, shown: Option<&Certified>) -> bool {
        self.revoked.as_ref().zip(shown).is_some_and(|(revoked, shown)| revoked.has(shown))
    }

    fn lets_all_in(&self) -> bool {
        self.anonymous
            && self.assigns_ids
            && self.identity == Identity::Login
            && self.identifiers == Policy::default()
            && self.revoked.is_none()
            && self.passwords.is_none()
            && self.dynamic.is_none()
    }
}
