//! The password file: one `user:hash` a line.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use ring::hmac;
use zeroize::Zeroizing;

use crate::Secret;
use crate::fault::{Fault, numbered};
use crate::password::{Cost, Hash};
use crate::scram::Keys;

/// Users and the hashes of their passwords, as read from a file.
#[derive(Debug, Clone, Default)]
pub struct PasswordFile {
    users: HashMap<Box<str>, Arc<Hash>>,
    /// The same hashes in the order of the file: what attempts of unknown users are checked against.
    hashes: Vec<Arc<Hash>>,
}

/// A login to be checked, on whatever thread.
#[derive(Debug, Clone)]
pub struct Attempt {
    hash: Option<Arc<Hash>>,
    known: bool,
}

impl PasswordFile {
    /// Reads a password file. Lines that cannot be used are left out and told as faults, so that the
    /// caller decides whether to go on without them. Of two lines for a user the later one counts,
    /// as in Mosquitto.
    #[must_use]
    pub fn parse(name: &str, text: &str) -> (Self, Vec<Fault>) {
        let file: Arc<str> = name.into();
        let (mut users, mut hashes, mut faults) = (HashMap::new(), Vec::new(), Vec::new());
        let mut lines: HashMap<&str, u32> = HashMap::new();
        for (line, text) in numbered(text) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let Some((user, hash)) = split(text) else {
                faults.push(Fault::error(&file, line, "not `user:hash`; the line is ignored"));
                continue;
            };
            if user.is_empty() {
                faults.push(Fault::error(&file, line, "the user name is empty"));
                continue;
            }
            match Hash::parse(hash) {
                Ok(hash) => {
                    if let Some(first) = lines.insert(user, line) {
                        let message =
                            format!("user {user:?} was on line {first} already; this line counts");
                        faults.push(Fault::warning(&file, line, message));
                    }
                    let hash = Arc::new(hash);
                    hashes.push(hash.clone());
                    users.insert(user.into(), hash);
                }
                Err(fault) => {
                    faults.push(Fault::error(&file, line, format!("user {user:?}: {fault}")));
                }
            }
        }
        (Self { users, hashes }, faults)
    }

    /// Prepares the check of a login. An unknown user is checked against the hash of some other user,
    /// always the same one for a name, so that time does not tell which names exist.
    #[must_use]
    pub fn attempt(&self, user: &str) -> Attempt {
        if let Some(hash) = self.users.get(user) {
            return Attempt { hash: Some(hash.clone()), known: true };
        }
        let index = place_of(user, self.hashes.len());
        Attempt { hash: self.hashes.get(index).cloned(), known: false }
    }

    /// What attempts of unknown users are checked against.
    pub(crate) fn hashes(&self) -> &[Arc<Hash>] {
        &self.hashes
    }

    /// The keys of a user for SCRAM, if the password was set for it.
    #[must_use]
    pub fn scram_keys(&self, user: &str) -> Option<&Keys> {
        self.users.get(user)?.scram_keys()
    }

    /// Whether the user is in the file, for `dunlin audit` and closing connections after a reload.
    #[must_use]
    pub fn contains(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// Whether the user is in both files with the same hash: a connection may then stay.
    #[must_use]
    pub fn same_password(&self, other: &Self, user: &str) -> bool {
        match (self.users.get(user), other.users.get(user)) {
            (Some(left), Some(right)) => left == right,
            _ => false,
        }
    }

    /// The users with their hashes, in no particular order.
    pub fn users(&self) -> impl Iterator<Item = (&str, &Hash)> {
        self.users.iter().map(|(user, hash)| (&**user, &**hash))
    }

    /// How many users there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

impl Attempt {
    /// The check of a password against a hash, which fails in any case unless the user is `known`.
    pub(crate) const fn new(hash: Option<Arc<Hash>>, known: bool) -> Self {
        Self { hash, known }
    }

    /// What [`Attempt::verify`] will cost.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.hash.as_ref().map_or(Cost::Light, |hash| hash.cost())
    }

    /// What stands for this password of this user while it is remembered that they belong together: an HMAC
    /// with a key of the process, over the hash and the password, so that neither another password nor a
    /// new hash is taken for it. `None` for what is not worth it, because the check is light or fails anyway.
    #[must_use]
    pub fn token(&self, key: &Secret, user: &str, password: &[u8]) -> Option<[u8; 32]> {
        let hash = self.hash.as_ref().filter(|hash| self.known && hash.cost() == Cost::Heavy)?;
        let hash = Zeroizing::new(hash.encode());
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.reveal()));
        for part in [user.as_bytes(), hash.as_bytes(), password] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().ok()
    }

    /// Whether the user exists and this is the password. An empty one is none, as in Mosquitto, whatever the
    /// file says; a CONNECT without a password is no reason to answer sooner.
    #[must_use]
    pub fn verify(&self, password: Option<&[u8]>) -> bool {
        let Some(hash) = &self.hash else { return false };
        let password = password.unwrap_or_default();
        hash.verify(password) & self.known & !password.is_empty()
    }
}

/// Which of so many hashes stands in for that of a user whom nobody knows.
pub(crate) fn place_of(user: &str, count: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    usize::try_from(hasher.finish() % count.max(1) as u64).unwrap_or(0)
}

/// User and hash of a line, without the blanks around them. What follows a second colon is ignored,
/// as by Mosquitto, for no hash has a colon.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let (user, rest) = line.split_once(':')?;
    let hash = rest.split(':').next().unwrap_or_default();
    Some((user.trim(), hash.trim()))
}
