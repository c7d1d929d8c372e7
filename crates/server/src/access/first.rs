//! A file of dynamic security where there is none yet: with an administrator, as Mosquitto 2.1 makes it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use dunlin_access::dynsec::{Dynsec, make_password};
use zeroize::Zeroizing;

use super::files::replace;
use super::random;

/// The variable that Mosquitto takes the password from.
const VARIABLE: &str = "MOSQUITTO_DYNSEC_PASSWORD";

/// Characters of a password from there, at least, as in Mosquitto.
const SHORTEST: usize = 12;

/// What the name of the file ends in that holds the passwords that were made up.
const PASSWORDS: &str = ".pw";

/// Makes the file, and gives its text. What only the broker knows is written beside it, for its owner.
pub(super) fn make(path: &Path, password_file: Option<&Path>) -> Result<String, String> {
    let mut random = random::fill;
    let (state, from) = if let Some((password, from)) = given(password_file)? {
        (Dynsec::first(password.as_bytes(), None, &mut random), from)
    } else {
        let passwords = [make_password(&mut random), make_password(&mut random)];
        let state =
            Dynsec::first(passwords[0].as_bytes(), Some(passwords[1].as_bytes()), &mut random);
        let beside = passwords_of(path);
        let pairs = Dynsec::FIRST.iter().zip(&passwords);
        let text = pairs.map(|(user, password)| format!("{user} {}\n", **password));
        let text = Zeroizing::new(text.collect::<String>());
        replace(&beside, text.as_bytes())
            .map_err(|cause| format!("{} cannot be written: {cause}", beside.display()))?;
        (state, format!("made up: it is in {}", beside.display()))
    };
    let text = state.to_json();
    replace(path, text.as_bytes()).map_err(|cause| format!("it cannot be made: {cause}"))?;
    tracing::info!(
        "{}: there was no such file; it is made, with the user admin, whose password is {from}",
        path.display()
    );
    Ok(text)
}

/// Where the passwords are that were made up.
#[must_use]
pub fn passwords_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PASSWORDS);
    name.into()
}

/// The password that whoever starts the broker has given, and where it is from.
fn given(password_file: Option<&Path>) -> Result<Option<(Zeroizing<String>, String)>, String> {
    if let Some(path) = password_file {
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|cause| format!("the password in {}: {cause}", path.display()))?;
        let password = text.lines().next().unwrap_or_default().trim_end();
        if password.is_empty() {
            return Err(format!("the first line of {} is to be its password", path.display()));
        }
        let from = format!("the one in {}", path.display());
        return Ok(Some((Zeroizing::new(password.into()), from)));
    }
    let Ok(password) = env::var(VARIABLE).map(Zeroizing::new) else { return Ok(None) };
    if password.chars().count() < SHORTEST {
        return Err(format!("{VARIABLE} must have {SHORTEST} characters at least"));
    }
    Ok(Some((password, format!("that of {VARIABLE}"))))
}
