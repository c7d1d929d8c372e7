//! Tokens in place of passwords: the keys that they are verified with, of which some are fetched.

use std::sync::Arc;
use std::time::Duration;

use dunlin_access::jwt::{Claims, JwtFault, KeySet, Origin, Policy};
use dunlin_access::{Fault, Secret, UnixSeconds};
use dunlin_config::Config;
use parking_lot::RwLock;

use super::http;
use super::load::{error_of, read};

/// A claim that no token has: nothing is read from it.
const NO_CLAIM: &str = "\0";

/// After a failure the keys are asked for again so soon.
pub(super) const RETRY: Duration = Duration::from_secs(10);

/// A set of keys beyond this size is none.
const LARGEST_SET: u64 = 1024 * 1024;

/// How long it may take to fetch the keys.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Who may issue tokens, and what is expected of them.
pub(super) struct Tokens {
    /// From the configuration and its files.
    own: KeySet,
    policy: Policy,
    /// Keys that are fetched.
    pub(super) remote: Option<Arc<Remote>>,
}

/// Keys that come from a URL.
pub(super) struct Remote {
    pub(super) url: String,
    pub(super) refresh: Duration,
    /// A lock and not a message: shards read it, one thread writes it now and then. The last set that was good;
    /// `None` before the first.
    keys: RwLock<Option<Arc<KeySet>>>,
}

/// Why a token does not let its bearer in.
pub(super) enum TokenFault {
    /// It is not valid.
    Invalid(JwtFault),
    /// The keys could not be fetched yet.
    NoKeys(String),
}

impl Tokens {
    /// Reads the keys; `None` if tokens are not wanted.
    pub(super) fn load(config: &Config, faults: &mut Vec<Fault>) -> Option<Self> {
        let jwt = &config.security.jwt;
        let mut own = KeySet::default();
        let mut wrong = |key: &str, why: String| {
            faults.push(error_of(config, &format!("security.jwt.{key}"), &why));
        };
        if let Some(secret) = &jwt.secret {
            match KeySet::from_secret(Secret::new(secret.expose().as_bytes())) {
                Ok(keys) => own.extend(keys),
                Err(why) => wrong("secret", why.to_string()),
            }
        }
        if let Some(path) = &jwt.public_key_file {
            let keys =
                read(path).and_then(|pem| KeySet::from_pem(&pem).map_err(|why| why.to_string()));
            match keys {
                Ok(keys) => own.extend(keys),
                Err(why) => wrong("public_key_file", format!("{}: {why}", path.display())),
            }
        }
        if let Some(path) = &jwt.jwks_file {
            let name = path.display().to_string();
            match read(path).map(|text| KeySet::from_jwks(&name, &text)) {
                Ok(Ok((keys, warnings))) => {
                    own.extend(keys);
                    faults.extend(warnings);
                }
                Ok(Err(fault)) => wrong("jwks_file", fault.to_string()),
                Err(why) => wrong("jwks_file", format!("{name}: {why}")),
            }
        }
        let remote = jwt.jwks_url.as_ref().map(|url| {
            if let Err(why) = http::check_url(url) {
                faults.push(error_of(config, "security.jwt.jwks_url", &why));
            }
            let refresh = jwt.jwks_refresh.max(RETRY);
            Arc::new(Remote { url: url.clone(), refresh, keys: RwLock::default() })
        });
        if own.is_empty() && remote.is_none() {
            return None;
        }
        let policy = Policy {
            issuer: jwt.issuer.clone(),
            audience: jwt.audience.clone(),
            leeway: jwt.leeway.as_secs(),
            user_claim: jwt.username_claim.clone(),
            acl_claim: jwt.acl_claim.clone().unwrap_or_else(|| NO_CLAIM.into()),
            ..Policy::default()
        };
        Some(Self { own, policy, remote })
    }

    /// Whether a token is verified within microseconds.
    pub(super) fn is_light(&self) -> bool {
        self.remote.is_none() && self.own.is_light()
    }

    pub(super) fn open(&self, token: &[u8], now: UnixSeconds) -> Result<Claims, TokenFault> {
        let own = match self.own.open(token, &self.policy, now) {
            Err(JwtFault::Signature) => JwtFault::Signature,
            opened => return opened.map_err(TokenFault::Invalid),
        };
        let Some(remote) = &self.remote else { return Err(TokenFault::Invalid(own)) };
        let keys = remote.keys.read().clone();
        let Some(keys) = keys else { return Err(TokenFault::NoKeys(remote.url.clone())) };
        keys.open(token, &self.policy, now).map_err(TokenFault::Invalid)
    }
}

impl Tokens {
    /// Why a token of this origin, valid under `before`, would not be taken now, or not mean the same.
    pub(super) fn distrust(&self, before: &Self, origin: &Origin) -> Option<&'static str> {
        if !self.policy.reads_like(&before.policy) {
            return Some("what the claims of its token mean has changed");
        }
        let fetched = self.remote.as_ref().and_then(|remote| remote.keys.read().clone());
        let is_known = self.own.knows(origin) || fetched.is_some_and(|keys| keys.knows(origin));
        if !is_known {
            return Some("the key that has signed its token is not one of the broker's any more");
        }
        self.policy
            .accepts(origin)
            .err()
            .map(|_| "its token has another issuer or audience than is set now")
    }
}

impl Remote {
    /// Fetches the keys; says how long to wait until the next time.
    pub(super) fn fetch(&self) -> Duration {
        let url = &self.url;
        let fetched = http::get(url, FETCH_TIMEOUT, LARGEST_SET)
            .and_then(|text| KeySet::from_jwks(url, &text).map_err(|fault| fault.to_string()));
        match fetched {
            Ok((keys, faults)) if !keys.is_empty() => {
                for fault in faults {
                    tracing::warn!("{fault}");
                }
                if self.keys.write().replace(Arc::new(keys)).is_none() {
                    tracing::info!("the keys of tokens were fetched from {url}");
                }
                self.refresh
            }
            Ok(_) => self.failed("there is no usable key in it"),
            Err(why) => self.failed(&why),
        }
    }

    fn failed(&self, why: &str) -> Duration {
        let meanwhile = match *self.keys.read() {
            Some(_) => "the last keys go on being used",
            None => "tokens that need them are refused until then",
        };
        tracing::warn!(
            "the keys of tokens cannot be fetched from {}: {why}; {meanwhile}",
            self.url
        );
        RETRY
    }

    /// Takes over what another one has fetched from the same place.
    pub(super) fn inherit(&self, from: &Self) {
        if self.url == from.url {
            let keys = from.keys.read().clone();
            *self.keys.write() = keys;
        }
    }
}

/// Whether a password is meant as a token: three parts, of which the first is a JSON object in base64.
pub(super) fn is_token(password: &[u8]) -> bool {
    password.starts_with(b"eyJ") && password.iter().filter(|byte| **byte == b'.').count() == 2
}
