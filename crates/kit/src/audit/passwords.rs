//! Whether stolen or guessed passwords open the door.

use std::path::Path;

use dunlin_access::dynsec::Dynsec;
use dunlin_access::password::{Cost, Kind, PasswordFile};

use super::Findings;
use super::subject::{Subject, loose_mode};
use crate::files;

/// Users whose passwords are guessed at: some 50 ms each.
const GUESSED: usize = 40;

/// Users that are named in a finding.
const NAMED: usize = 3;

/// What to do about a password.
const SET_AGAIN: &str =
    "set the passwords again with `dunlin passwd FILE USER`, 12 characters and more";

/// The third rule.
pub(super) fn strong(subject: &Subject<'_>, findings: &mut Findings) {
    for listener in subject.listeners() {
        let access = subject.access(listener);
        if let Some(path) = &access.password_file {
            let place = subject.access_place(listener, "password_file");
            password_file(path, place, findings);
        }
        if let Some(path) = &access.dynamic_security_file {
            let place = subject.access_place(listener, "dynamic_security_file");
            dynamic_security(path, place, findings);
        }
    }
    let security = &subject.config.security;
    let of_bridges = subject.config.bridges.iter();
    let has_secrets = security.jwt.secret.is_some()
        || security.http.token.is_some()
        || of_bridges
            .flat_map(|bridge| [&bridge.remote, &bridge.local])
            .any(|login| login.password.is_some());
    if has_secrets {
        subject.files.iter().for_each(|path| mode(Path::new(path), findings));
    }
    if security.http.url.as_ref().is_some_and(|url| url.starts_with("http://") && !is_here(url)) {
        findings.broken(
            subject.general("security.http.url"),
            "passwords go to the service that decides without encryption",
            "https://, or a service on this machine",
        );
    }
}

/// Whether the service is on this machine.
fn is_here(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    ["localhost", "127.", "[::1]"].iter().any(|here| host.starts_with(here))
}

fn password_file(path: &Path, place: Option<String>, findings: &mut Findings) {
    let text = match files::read_text(path) {
        Ok(text) => text,
        Err(error) => {
            return findings.broken(place, error.to_string(), "name the file that has the users");
        }
    };
    mode(path, findings);
    let name = path.display().to_string();
    let (file, faults) = PasswordFile::parse(&name, &text);
    for fault in faults {
        let place = Some(format!("{name}:{}", fault.line));
        findings.broken(place, fault.message, "repair the line: its user cannot log in");
    }
    let mut weak = [Vec::new(), Vec::new(), Vec::new()];
    let [fast, few, guessed] = &mut weak;
    for (user, hash) in file.users() {
        match hash.kind() {
            Kind::Sha512 => fast.push(user),
            Kind::Pbkdf2Sha512 if hash.cost() == Cost::Light => few.push(user),
            Kind::Pbkdf2Sha512 | Kind::Argon2id | Kind::ScramSha256 => {}
        }
    }
    for (user, hash) in file.users().take(GUESSED) {
        if [user, "password"].iter().any(|guess| hash.verify(guess.as_bytes())) {
            guessed.push(user);
        }
    }
    let why = [
        "one SHA-512 each, of which billions are tried in a second if the file is stolen",
        "hundred rounds of PBKDF2 each (what mosquitto_passwd writes), of which millions are tried in a second \
         if the file is stolen",
        "the user name or `password`",
    ];
    for (users, why) in weak.iter().zip(why) {
        if !users.is_empty() {
            let what = format!("passwords of {}: {why}", list(users));
            findings.broken(Some(name.clone()), what, SET_AGAIN);
        }
    }
}

fn dynamic_security(path: &Path, place: Option<String>, findings: &mut Findings) {
    let text = match files::read_text(path) {
        Ok(text) => text,
        // The broker makes it when somebody first needs it.
        Err(error) => {
            return findings.hint(
                place,
                error.to_string(),
                "`mosquitto_ctrl dynsec init` makes one",
            );
        }
    };
    mode(path, findings);
    match Dynsec::parse(&path.display().to_string(), &text) {
        Ok((_, faults)) => {
            for fault in faults {
                findings.hint(place.clone(), fault.to_string(), "repair it");
            }
        }
        Err(fault) => findings.broken(place, fault.to_string(), "repair it, or take a copy"),
    }
}

fn mode(path: &Path, findings: &mut Findings) {
    if let Some(what) = loose_mode(path) {
        let change =
            format!("chmod 600 {0}, and chown {0} to the user of the broker", path.display());
        findings.broken(None, what, change);
    }
}

/// Names, and how many there are besides.
pub(super) fn list(names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED);
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("{name:?}")).collect();
    let more = if more > 0 { format!(" and {more} others") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
