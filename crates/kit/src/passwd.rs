//! Password files, as `mosquitto_passwd` looks after them.

use std::num::NonZeroU32;
use std::path::Path;

use dunlin_access::password::{self, Hash, Kind, PasswordFile, Weakness, weaknesses};
use zeroize::Zeroizing;

use crate::files::{self, Replace, SECRET};
use crate::{KitError, random};

/// How passwords are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scheme {
    /// The kind of hash.
    pub kind: Kind,
    /// Iterations of PBKDF2; none for as many as are good.
    pub iterations: Option<NonZeroU32>,
}

impl Scheme {
    /// By the names of `mosquitto_passwd -H`, and one of ours for SCRAM.
    ///
    /// # Errors
    /// There is no such name, or iterations are not for that kind.
    pub fn new(name: Option<&str>, iterations: Option<NonZeroU32>) -> Result<Self, KitError> {
        let kind = match name {
            None => Kind::default(),
            Some(name) => KINDS
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, kind)| *kind)
                .ok_or_else(|| {
                    let known = KINDS.map(|(name, _)| name).join(", ");
                    KitError::refused(format!("unknown kind of hash `{name}`: there are {known}"))
                })?,
        };
        if iterations.is_some() && kind != Kind::Pbkdf2Sha512 {
            return Err(KitError::refused("-I is for -H sha512-pbkdf2"));
        }
        Ok(Self { kind, iterations })
    }

    fn hash(self, password: &str) -> Result<Hash, KitError> {
        let mut fault = None;
        let mut random = |bytes: &mut [u8]| {
            fault = fault.take().or_else(|| random::fill(bytes).err());
        };
        let password = password.as_bytes();
        let hash = match self.iterations {
            None => Hash::create(self.kind, password, &mut random),
            Some(iterations) => Hash::with_iterations(password, iterations, &mut random)
                .map_err(|fault| KitError::refused(fault.to_string()))?,
        };
        fault.map_or(Ok(hash), Err)
    }
}

/// The kinds by their names.
const KINDS: [(&str, Kind); 4] = [
    ("argon2id", Kind::Argon2id),
    ("sha512-pbkdf2", Kind::Pbkdf2Sha512),
    ("sha512", Kind::Sha512),
    ("scram-sha-256", Kind::ScramSha256),
];

/// What is done to a password file.
#[derive(Debug)]
pub enum Change<'a> {
    /// A new file, which replaces an old one, with one user (`-c`).
    Create(&'a str, &'a str, Scheme),
    /// A user is added, or gets another password.
    Set(&'a str, &'a str, Scheme),
    /// A user is taken out (`-D`).
    Delete(&'a str),
    /// Plain passwords are hashed (`-U`).
    Upgrade(Scheme),
}

/// Changes a password file and says what somebody should know about it.
///
/// # Errors
/// The file is as before.
pub fn change(path: &Path, change: &Change<'_>) -> Result<Vec<String>, KitError> {
    match *change {
        Change::Create(user, password, scheme) => create(path, user, password, scheme),
        Change::Set(user, password, scheme) => {
            let before = read(path)?;
            let text = set(&before, user, password, scheme)?;
            files::update(path, text.as_bytes())?;
            Ok(notes(path, &text))
        }
        Change::Delete(user) => {
            let before = read(path)?;
            let text = password::remove(&before, user).ok_or_else(|| {
                KitError::unusable(path, format!("there is no user {user:?} in it"))
            })?;
            files::update(path, text.as_bytes())?;
            Ok(Vec::new())
        }
        Change::Upgrade(scheme) => upgrade(path, scheme),
    }
}

/// The line of a user, as it stands in a password file.
///
/// # Errors
/// The name cannot be one, or the password is empty.
pub fn line(user: &str, password: &str, scheme: Scheme) -> Result<String, KitError> {
    set("", user, password, scheme)
}

/// Whether a password file has a line for the user.
///
/// # Errors
/// It cannot be read.
pub fn has_user(path: &Path, user: &str) -> Result<bool, KitError> {
    Ok(password::remove(&read(path)?, user).is_some())
}

/// What makes a password weak; nothing if it is good enough.
#[must_use]
pub fn advice(user: &str, password: &str) -> Vec<Weakness> {
    weaknesses(user, password)
}

/// A password that nobody guesses, to be shown once.
///
/// # Errors
/// The system has no random numbers.
pub fn generate() -> Result<Zeroizing<String>, KitError> {
    random::password()
}

/// The text of a password file with one user more, or another password for one.
pub(crate) fn set(
    text: &str,
    user: &str,
    password: &str,
    scheme: Scheme,
) -> Result<String, KitError> {
    // Before the hash is made, which takes its time.
    let name = |fault: password::NameFault| KitError::refused(fault.to_string());
    password::check_name(user).map_err(name)?;
    if password.is_empty() {
        return Err(KitError::refused("the password is empty"));
    }
    password::set(text, user, &scheme.hash(password)?).map_err(name)
}

fn create(
    path: &Path,
    user: &str,
    password: &str,
    scheme: Scheme,
) -> Result<Vec<String>, KitError> {
    let text = set("", user, password, scheme)?;
    if !path.exists() {
        files::write(path, text.as_bytes(), SECRET, Replace::Never)?;
        files::share_with_group(path)?;
        return Ok(Vec::new());
    }
    let before = files::read(path)?;
    let before = String::from_utf8_lossy(&before);
    let lost = PasswordFile::parse("", &before).0.users().filter(|(name, _)| *name != user).count();
    files::update(path, text.as_bytes())?;
    let note = format!("{lost} other users that were in {} are gone", path.display());
    Ok(if lost > 0 { vec![note] } else { Vec::new() })
}

fn upgrade(path: &Path, scheme: Scheme) -> Result<Vec<String>, KitError> {
    if scheme.iterations.is_some() {
        return Err(KitError::refused("-I is for one password, not for all of a file"));
    }
    let before = read(path)?;
    let mut fault = None;
    let mut random = |bytes: &mut [u8]| {
        fault = fault.take().or_else(|| random::fill(bytes).err());
    };
    let (text, count) = password::upgrade(&before, scheme.kind, &mut random);
    fault.map_or(Ok(()), Err)?;
    files::update(path, text.as_bytes())?;
    let mut told = vec![format!("{count} plain passwords are hashed now")];
    told.extend(notes(path, &text));
    Ok(told)
}

fn read(path: &Path) -> Result<Zeroizing<String>, KitError> {
    files::read_text(path).map(Zeroizing::new).map_err(|error| match error {
        KitError::System { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => {
            KitError::unusable(path, "there is no such file: -c makes a new one")
        }
        other => other,
    })
}

/// What is wrong with lines of the file: a change does not touch them.
fn notes(path: &Path, text: &str) -> Vec<String> {
    let (_, faults) = PasswordFile::parse(&path.to_string_lossy(), text);
    faults.iter().map(ToString::to_string).collect()
}
