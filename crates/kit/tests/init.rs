//! What `dunlin init` leaves behind.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::path::Path;

use dunlin_access::acl::{Action, Rules, Source, Subscribing, Who};
use dunlin_access::password::PasswordFile;
use dunlin_config::{Disk, Loader};
use dunlin_kit::cert::{Chain, Facts, Name, PrivateKey, verify};
use dunlin_kit::files::mode;
use dunlin_kit::init::{Made, Plan, init};

const NOW: u64 = 1_795_280_700;

fn names() -> Vec<Name> {
    ["quay.local", "localhost", "127.0.0.1"].map(|name| Name::parse(name).unwrap()).to_vec()
}

fn made(directory: &Path, user: &str) -> Result<Made, dunlin_kit::KitError> {
    let names = names();
    let plan = Plan {
        directory,
        names: &names,
        user,
        password: None,
        service: None,
        data: None,
        port: 8883,
        local: false,
    };
    init(&plan, NOW)
}

#[test]
fn the_configuration_is_whole_and_nothing_is_said_against_it() {
    let above = tempfile::tempdir().unwrap();
    let made = made(&above.path().join("new/broker"), "ann").unwrap();
    let loaded = Loader::new(&Disk).load(made.config.to_str()).unwrap();
    assert_eq!(loaded.notes, []);
    let [listener] = loaded.config.listeners.as_slice() else { panic!("one listener") };
    assert_eq!((listener.port, loaded.config.allows_anonymous(listener)), (8883, false));
    for path in
        [&listener.tls.certfile, &listener.tls.keyfile, &listener.tls.cafile, &listener.tls.crlfile]
    {
        let path = path.as_ref().unwrap();
        assert!(path.is_absolute() && path.exists(), "{path:?}");
    }
    assert_eq!(above.path().join("new").read_dir().unwrap().count(), 1, "nothing else is left");
}

#[test]
fn the_certificates_fit_together() {
    let above = tempfile::tempdir().unwrap();
    let made = made(&above.path().join("broker"), "ann").unwrap();
    let path = |name: &str| made.directory.join(name);
    let ca = Chain::read(&path("ca/ca.crt")).unwrap();
    let server = Chain::read(&path("server/server.crt")).unwrap();
    assert_eq!(verify(&server, &ca, NOW), Ok(()));
    let facts = Facts::parse(server.first()).unwrap();
    assert_eq!(facts.names, ["quay.local", "localhost", "127.0.0.1"]);
    let client = Chain::read(&made.bundle.join("ann.crt")).unwrap();
    assert_eq!(verify(&client, &Chain::read(&made.bundle.join("ca.crt")).unwrap(), NOW), Ok(()));
    assert_eq!(Facts::parse(client.first()).unwrap().common_name.as_deref(), Some("ann"));
    PrivateKey::read(&made.bundle.join("ann.key")).unwrap();
    for key in ["ca/ca.key", "server/server.key", "clients/ann/ann.key", "passwd"] {
        assert_eq!(mode(&path(key)), Some(0o600), "{key}");
    }
}

#[test]
fn the_first_user_gets_in_and_may_everything_and_others_only_what_is_theirs() {
    let above = tempfile::tempdir().unwrap();
    let made = made(&above.path().join("broker"), "ann").unwrap();
    let text = |name: &str| fs::read_to_string(made.directory.join(name)).unwrap();
    let (users, faults) = PasswordFile::parse("passwd", &text("passwd"));
    assert_eq!(faults, []);
    let password = made.password.as_ref().unwrap();
    assert!(users.attempt("ann").verify(Some(password.as_bytes())));
    let acl = text("acl");
    let rules =
        Rules::compile(1, &[Source::AclFile { name: "acl", text: &acl }], Subscribing::Checked);
    let rules = rules.unwrap();
    assert_eq!(rules.warnings(), []);
    let may = |user, topic| {
        let who = Who { user: Some(user), client_id: "x", ..Who::default() };
        rules.check(&who, Action::Publish, topic).allowed
    };
    assert!(may("ann", "anything/at/all"));
    assert!(may("bob", "devices/bob/x") && !may("bob", "devices/ann/x") && !may("bob", "x"));
    let readme = fs::read_to_string(made.bundle.join("README.md")).unwrap();
    assert!(readme.contains("mosquitto_pub -h quay.local -p 8883 --cafile ca.crt --cert ann.crt"));
    for file in ["dunlin.toml", "clients/ann/README.md"] {
        assert!(!text(file).contains(password.as_str()), "the password is in {file}");
    }
}

#[test]
fn a_directory_with_something_in_it_stays_as_it_is() {
    let above = tempfile::tempdir().unwrap();
    fs::write(above.path().join("precious"), "x").unwrap();
    let error = made(above.path(), "ann").unwrap_err().to_string();
    assert!(error.contains("precious"), "{error}");
    assert_eq!(above.path().read_dir().unwrap().count(), 1);
}

#[test]
fn an_empty_directory_is_filled() {
    let above = tempfile::tempdir().unwrap();
    made(above.path(), "ann").unwrap();
    let mut names: Vec<_> =
        above.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["acl", "ca", "clients", "data", "dunlin.toml", "passwd", "server"]);
}

#[test]
fn a_service_that_may_not_write_there_keeps_its_data_elsewhere() {
    let above = tempfile::tempdir().unwrap();
    let (directory, names) = (above.path().join("broker"), names());
    let data = Some(Path::new("/var/lib/dunlin"));
    let plan = Plan {
        directory: &directory,
        names: &names,
        user: "ann",
        password: None,
        service: None,
        data,
        port: 1,
        local: true,
    };
    let made = init(&plan, NOW).unwrap();
    let loaded = Loader::new(&Disk).load(made.config.to_str()).unwrap();
    assert_eq!(Some(loaded.config.persistence.directory.as_path()), data);
    assert!(!directory.join("data").exists());
    assert_eq!(loaded.config.listeners.len(), 2, "one more for this machine");
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("broker");
    for user in ["a:b", "", "#x", &"y".repeat(100)] {
        assert!(made(&directory, user).is_err(), "{user}");
        assert_eq!(above.path().read_dir().unwrap().count(), 0, "{user}");
    }
    let odd = made(&directory, "../x y").unwrap();
    assert!(odd.bundle.starts_with(odd.directory.join("clients")));
    assert!(odd.bundle.join("_.._x y.crt").exists());
}
