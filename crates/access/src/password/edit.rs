//! Writing password files: lines of other users, comments and order stay as they are.

use crate::Random;
use crate::fault::numbered;
use crate::password::file::split;
use crate::password::{Hash, HashFault, Kind};

/// Longest user name: the length of an MQTT string.
const NAME_MAX: usize = 65535;

/// Why a name cannot stand in a password file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// It has no characters.
    #[error("the user name is empty")]
    Empty,
    /// The colon ends the name in the file.
    #[error("the user name must not contain a colon")]
    Colon,
    /// It would break the line, or be lost when read.
    #[error("the user name must not contain control characters or begin or end with blanks")]
    Unreadable,
    /// A line with it would be a comment.
    #[error("the user name must not begin with #")]
    Comment,
    /// MQTT cannot carry it.
    #[error("the user name is longer than 65535 bytes")]
    TooLong,
}

/// Checks that a user name can be written to a password file and read back.
///
/// # Errors
/// It cannot.
pub fn check_name(user: &str) -> Result<(), NameFault> {
    if user.is_empty() {
        Err(NameFault::Empty)
    } else if user.len() > NAME_MAX {
        Err(NameFault::TooLong)
    } else if user.contains(':') {
        Err(NameFault::Colon)
    } else if user.starts_with('#') {
        Err(NameFault::Comment)
    } else if user.chars().any(char::is_control) || user.trim() != user {
        Err(NameFault::Unreadable)
    } else {
        Ok(())
    }
}

/// The text with the password of a user added or replaced. An empty text makes a new file.
///
/// # Errors
/// The name cannot be written.
pub fn set(text: &str, user: &str, hash: &Hash) -> Result<String, NameFault> {
    check_name(user)?;
    let line = format!("{user}:{}", hash.encode());
    let mut result = String::with_capacity(text.len() + line.len() + 1);
    let mut written = false;
    for (_, old) in numbered(text) {
        if !is_of(old, user) {
            push(&mut result, old);
        } else if !written {
            written = true;
            push(&mut result, &line);
        }
    }
    if !written {
        push(&mut result, &line);
    }
    Ok(result)
}

/// The text without the user, or `None` when the user is not in it.
#[must_use]
pub fn remove(text: &str, user: &str) -> Option<String> {
    let mut result = String::with_capacity(text.len());
    let mut found = false;
    for (_, line) in numbered(text) {
        if is_of(line, user) {
            found = true;
        } else {
            push(&mut result, line);
        }
    }
    found.then_some(result)
}

/// The text with every plain password hashed, and how many there were. Lines that are hashed already
/// stay: `mosquitto_passwd -U` would hash the hash and lock the user out.
#[must_use]
pub fn upgrade(text: &str, kind: Kind, random: &mut Random<'_>) -> (String, usize) {
    let mut result = String::with_capacity(text.len());
    let mut count = 0;
    for (_, line) in numbered(text) {
        match plain(line) {
            Some((user, password)) => {
                count += 1;
                let hash = Hash::create(kind, password.as_bytes(), random);
                push(&mut result, &format!("{user}:{}", hash.encode()));
            }
            None => push(&mut result, line),
        }
    }
    (result, count)
}

/// User and password of a line with a plain password; the password may contain colons.
fn plain(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (user, password) = line.split_once(':')?;
    let user = user.trim();
    let is_plain = Hash::parse(password) == Err(HashFault::PlainText);
    (is_plain && check_name(user).is_ok()).then_some((user, password))
}

fn is_of(line: &str, user: &str) -> bool {
    let line = line.trim();
    !line.starts_with('#') && split(line).is_some_and(|(name, _)| name == user)
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
