//! Who may connect and what they may do.

use std::path::PathBuf;
use std::time::Duration;

use crate::value::{Secret, words};

/// What can be set for all listeners and for each. A listener that leaves something out has it from all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Access {
    /// Whether clients may come without a user name; none for: only if no listener was configured.
    pub allow_anonymous: Option<bool>,
    /// User names and hashes of their passwords.
    pub password_file: Option<PathBuf>,
    /// Who may read and write which topics, in Mosquitto's form.
    pub acl_file: Option<PathBuf>,
    /// Users, roles and groups that change at run time, in the form of Mosquitto's plugin.
    pub dynamic_security_file: Option<PathBuf>,
    /// The password of its administrator, for when that file has to be made.
    pub dynamic_security_password_file: Option<PathBuf>,
    /// Whether an empty client identifier is given one.
    pub allow_empty_client_id: Option<bool>,
    /// What the identifiers begin with that are given.
    pub assigned_id_prefix: Option<String>,
    /// What the client identifier must begin with, if there are any.
    pub client_id_prefixes: Vec<String>,
}

impl Access {
    /// These settings, and those of `general` where they say nothing.
    #[must_use]
    pub fn or(&self, general: &Self) -> Self {
        let or = |own: &Option<PathBuf>, general: &Option<PathBuf>| {
            own.as_ref().or(general.as_ref()).cloned()
        };
        let prefixes = match self.client_id_prefixes.as_slice() {
            [] => &general.client_id_prefixes,
            _ => &self.client_id_prefixes,
        };
        Self {
            allow_anonymous: self.allow_anonymous.or(general.allow_anonymous),
            password_file: or(&self.password_file, &general.password_file),
            acl_file: or(&self.acl_file, &general.acl_file),
            dynamic_security_file: or(&self.dynamic_security_file, &general.dynamic_security_file),
            dynamic_security_password_file: or(
                &self.dynamic_security_password_file,
                &general.dynamic_security_password_file,
            ),
            allow_empty_client_id: self.allow_empty_client_id.or(general.allow_empty_client_id),
            assigned_id_prefix: self
                .assigned_id_prefix
                .clone()
                .or_else(|| general.assigned_id_prefix.clone()),
            client_id_prefixes: prefixes.clone(),
        }
    }
}

/// Who may connect and what they may do, for all listeners.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Security {
    /// What listeners may say otherwise.
    pub access: Access,
    /// Whether SCRAM-SHA-256 is offered.
    pub scram: bool,
    /// How client identifiers and user names belong together.
    pub client_id_user: ClientIdUser,
    /// How passwords are checked.
    pub logins: Logins,
    /// What a denied publish does to a client that cannot be told.
    pub denied_publish: DeniedPublish,
    /// What a denied subscription is answered with.
    pub denied_subscribe: DeniedSubscribe,
    /// Tokens.
    pub jwt: Jwt,
    /// A service that decides.
    pub http: HttpHook,
    /// Who is kept out for a time.
    pub bans: Bans,
}

words! {
    /// What a denied publish does to a client before 5.0, which cannot be told a reason.
    #[derive(Default)]
    DeniedPublish {
        /// It is acknowledged and goes nowhere.
        #[default]
        Acknowledge = "acknowledge",
        /// The connection ends.
        Disconnect = "disconnect",
    }
}

words! {
    /// What a subscription is answered with whose topics may not be read.
    #[derive(Default)]
    DeniedSubscribe {
        /// It is granted, and nothing is delivered.
        #[default]
        Grant = "grant",
        /// It is refused.
        Refuse = "refuse",
    }
}

words! {
    /// How client identifiers and user names belong together.
    #[derive(Default)]
    ClientIdUser {
        /// Not at all.
        #[default]
        Free = "free",
        /// The identifier is the user name.
        Equal = "equal",
        /// It begins with the user name, and does not go on with a letter or digit.
        Begins = "begins",
    }
}

/// How passwords are checked: it is slow by design, and done beside the traffic. How many at once is a limit
/// ([`super::Limits::password_checks`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Logins {
    /// Logins that may wait to be checked.
    pub queue: u32,
    /// How long a password is remembered that was right; zero for not at all.
    pub remember: Duration,
    /// How long a refused login waits for its answer.
    pub delay: Duration,
}

impl Default for Logins {
    fn default() -> Self {
        Self { queue: 10_000, remember: Duration::from_secs(300), delay: Duration::ZERO }
    }
}

/// Tokens in place of passwords.
#[derive(Debug, Clone, PartialEq)]
pub struct Jwt {
    /// The secret of HS256, HS384 and HS512.
    pub secret: Option<Secret>,
    /// The public key of RS256 or ES256, PEM.
    pub public_key_file: Option<PathBuf>,
    /// Public keys, JWKS.
    pub jwks_file: Option<PathBuf>,
    /// Where public keys are fetched from, JWKS.
    pub jwks_url: Option<String>,
    /// Between two fetches.
    pub jwks_refresh: Duration,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must hold.
    pub audience: Option<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// The claim that is the user name.
    pub username_claim: String,
    /// The claim that holds topics.
    pub acl_claim: Option<String>,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            secret: None,
            public_key_file: None,
            jwks_file: None,
            jwks_url: None,
            jwks_refresh: Duration::from_secs(300),
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(30),
            username_claim: "sub".into(),
            acl_claim: None,
        }
    }
}

/// A service that is asked who may connect.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpHook {
    /// Where it is asked; none for not at all.
    pub url: Option<String>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Questions at once.
    pub connections: u16,
    /// What is sent as `Authorization: Bearer`.
    pub token: Option<Secret>,
}

impl Default for HttpHook {
    fn default() -> Self {
        Self { url: None, timeout: Duration::from_secs(5), connections: 8, token: None }
    }
}

/// Who is kept out for a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Bans {
    /// Where bans outlive the process.
    pub file: Option<PathBuf>,
    /// Connects within the window that count as flapping; zero turns it off.
    pub flapping_connects: u32,
    /// The window.
    pub flapping_window: Duration,
    /// How long a flapping client is kept out.
    pub flapping_ban: Duration,
}

impl Default for Bans {
    fn default() -> Self {
        Self {
            file: None,
            flapping_connects: 0,
            flapping_window: Duration::from_secs(60),
            flapping_ban: Duration::from_secs(300),
        }
    }
}
