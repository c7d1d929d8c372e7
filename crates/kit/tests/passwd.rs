//! Password files as `mosquitto_passwd` would change them.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use dunlin_access::password::{Kind, PasswordFile};
use dunlin_kit::passwd::{Change, Scheme, change};

struct File {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwd");
        Self { _directory: directory, path }
    }

    fn with(text: &str) -> Self {
        let file = Self::new();
        fs::write(&file.path, text).unwrap();
        file
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    fn accepts(&self, user: &str, password: &str) -> bool {
        PasswordFile::parse("passwd", &self.text())
            .0
            .attempt(user)
            .verify(Some(password.as_bytes()))
    }

    fn kind(&self, user: &str) -> Option<Kind> {
        let (file, _) = PasswordFile::parse("passwd", &self.text());
        file.users().find(|(name, _)| *name == user).map(|(_, hash)| hash.kind())
    }
}

/// Fast, where the kind does not matter.
fn quick() -> Scheme {
    Scheme::new(Some("sha512"), None).unwrap()
}

#[test]
fn a_new_file_is_for_its_owner_only() {
    let file = File::new();
    let told = change(&file.path, &Change::Create("ann", "a secret", Scheme::default())).unwrap();
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(file.accepts("ann", "a secret") && !file.accepts("ann", "another"));
    assert_eq!(file.kind("ann"), Some(Kind::Argon2id));
}

#[test]
fn users_are_added_changed_and_deleted_and_other_lines_stay() {
    let file = File::with("# people\nbob:$6$c2FsdHNhbHRzYQ==$AAAA\n\n");
    fs::set_permissions(&file.path, fs::Permissions::from_mode(0o640)).unwrap();
    let told = change(&file.path, &Change::Set("ann", "one", quick())).unwrap();
    assert!(told.len() == 1 && told[0].contains(":2: ") && told[0].contains("bob"), "{told:?}");
    change(&file.path, &Change::Set("ann", "two", quick())).unwrap();
    assert!(file.accepts("ann", "two") && !file.accepts("ann", "one"));
    assert!(file.text().starts_with("# people\nbob:"));
    change(&file.path, &Change::Delete("ann")).unwrap();
    assert_eq!(file.text(), "# people\nbob:$6$c2FsdHNhbHRzYQ==$AAAA\n\n");
    assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn all_kinds_of_mosquitto_are_written() {
    for (name, kind, start) in [
        ("sha512", Kind::Sha512, "ann:$6$"),
        ("sha512-pbkdf2", Kind::Pbkdf2Sha512, "ann:$7$"),
        ("argon2id", Kind::Argon2id, "ann:$argon2id$"),
        ("scram-sha-256", Kind::ScramSha256, "ann:$scram-sha-256$"),
    ] {
        let file = File::new();
        let scheme = Scheme::new(Some(name), None).unwrap();
        change(&file.path, &Change::Create("ann", "secret", scheme)).unwrap();
        assert!(file.text().starts_with(start), "{}", file.text());
        assert!(file.accepts("ann", "secret"));
        assert_eq!(file.kind("ann"), Some(kind));
    }
    let file = File::new();
    let scheme = Scheme::new(Some("sha512-pbkdf2"), NonZeroU32::new(101)).unwrap();
    change(&file.path, &Change::Create("ann", "secret", scheme)).unwrap();
    assert!(file.text().starts_with("ann:$7$101$") && file.accepts("ann", "secret"));
    assert!(Scheme::new(Some("md5"), None).unwrap_err().to_string().contains("sha512-pbkdf2"));
    assert!(Scheme::new(Some("argon2id"), NonZeroU32::new(5)).is_err());
    let endless = Scheme::new(Some("sha512-pbkdf2"), NonZeroU32::new(u32::MAX)).unwrap();
    assert!(change(&file.path, &Change::Set("ann", "x", endless)).is_err());
}

#[test]
fn plain_passwords_are_hashed_once() {
    let file = File::with("ann:one\nbob:two:three\n");
    let told = change(&file.path, &Change::Upgrade(quick())).unwrap();
    assert_eq!(told, ["2 plain passwords are hashed now"]);
    assert!(file.accepts("ann", "one") && file.accepts("bob", "two:three"));
    let once = file.text();
    let told = change(&file.path, &Change::Upgrade(quick())).unwrap();
    assert_eq!((told[0].as_str(), file.text()), ("0 plain passwords are hashed now", once));
}

#[test]
fn a_new_file_in_place_of_an_old_one_says_who_is_gone() {
    let file = File::new();
    change(&file.path, &Change::Create("ann", "one", quick())).unwrap();
    change(&file.path, &Change::Set("bob", "two", quick())).unwrap();
    let told = change(&file.path, &Change::Create("ann", "three", quick())).unwrap();
    assert!(told.len() == 1 && told[0].starts_with("1 other users"), "{told:?}");
    assert!(file.accepts("ann", "three") && file.kind("bob").is_none());
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let file = File::with("ann:$6$x$y\n");
    for (tried, words) in [
        (Change::Delete("bob"), "no user \"bob\""),
        (Change::Set("a:b", "x", quick()), "colon"),
        (Change::Set("", "x", quick()), "empty"),
        (Change::Set("bob", "", quick()), "empty"),
        (Change::Create("#bob", "x", quick()), "#"),
    ] {
        let error = change(&file.path, &tried).unwrap_err().to_string();
        assert!(error.contains(words), "{tried:?}: {error}");
        assert_eq!(file.text(), "ann:$6$x$y\n");
    }
    let missing = change(&file.path.with_file_name("nowhere"), &Change::Set("a", "b", quick()));
    assert!(missing.unwrap_err().to_string().contains("-c"));
}
