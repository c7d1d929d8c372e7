//! Users of this machine, from `/etc/passwd` and `/etc/group`.
//!
//! They are read here and not asked of the C library: a static binary has none that could look them
//! up. Users of a directory service have to be named in these files to run the broker.

use std::fs;
use std::io;

use nix::unistd::{Gid, Uid};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    /// All groups that it is in, its own first.
    pub(super) groups: Vec<Gid>,
}

impl User {
    /// The user of this name, if there is one.
    pub(super) fn find(name: &str) -> io::Result<Option<Self>> {
        let Some((uid, gid)) = entry(&read(USERS)?, name) else { return Ok(None) };
        let groups = groups(&read(GROUPS)?, name, gid);
        Ok(Some(Self {
            name: name.to_owned(),
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            groups,
        }))
    }
}

/// A container may have no such file, and then it has no users.
fn read(path: &str) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(cause) => Err(io::Error::new(cause.kind(), format!("{path}: {cause}"))),
    }
}

/// User and group of the line `NAME:PASSWORD:UID:GID:...`.
fn entry(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let mut numbers = fields.skip(1).map(|field| field.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    })
}

/// The groups that this user is in, by lines `NAME:PASSWORD:GID:USER,USER`.
fn groups(groups: &str, name: &str, own: u32) -> Vec<Gid> {
    let mut found = vec![Gid::from_raw(own)];
    for line in groups.lines() {
        let mut fields = line.split(':').skip(2);
        let number = fields.next().and_then(|field| field.parse().ok()).map(Gid::from_raw);
        let mut members = fields.next().unwrap_or_default().split(',');
        if let (Some(number), true) = (number, members.any(|member| member.trim() == name))
            && !found.contains(&number)
        {
            found.push(number);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_the_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\n# a comment\n\nbroken:x:one:2::/:/\n\
                     dunlin2:x:7:8::/:/\ndunlin:x:998:997:MQTT:/var/lib/dunlin:/bin/false";
        assert_eq!(entry(users, "dunlin"), Some((998, 997)));
        assert_eq!(entry(users, "root"), Some((0, 0)));
        for missing in ["", "dun", "broken", "# a comment", "x"] {
            assert_eq!(entry(users, missing), None, "{missing}");
        }
    }

    #[test]
    fn groups_are_its_own_and_those_that_name_it() {
        let text = "root:x:0:\ncerts:x:50:ann,dunlin\nown:x:997:dunlin\nother:x:51:dunlin2\nbad:x::dunlin\nbare";
        let raw: Vec<u32> = groups(text, "dunlin", 997).into_iter().map(Gid::as_raw).collect();
        assert_eq!(raw, [997, 50]);
    }

    #[test]
    fn root_is_on_every_machine() {
        let root = User::find("root").unwrap();
        assert!(root.is_some_and(|root| root.uid.is_root() && !root.groups.is_empty()));
        assert_eq!(User::find("no such user").unwrap(), None);
    }
}
