//! The files of Mosquitto's image: the configuration is root's and not to be written, and what is kept and
//! logged is the user's. Started by root the broker becomes that user; by others it stays who it is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use crate::process::{Place, publish, subscribe, wait_until};

/// The user `nobody`, on all distributions that are tested here.
const NOBODY: u32 = 65_534;

const CONF: &str = "listener PORT\nallow_anonymous false\npassword_file DIR/config/passwd\nacl_file DIR/config/acl\n\
    include_dir DIR/config/conf.d\nuser nobody\npid_file DIR/log/mosquitto.pid\npersistence true\n\
    persistence_location DIR/state/data/\nlog_dest file DIR/log/mosquitto.log\nlog_dest stdout\n\
    log_timestamp_format %Y-%m-%dT%H:%M:%S\n";

/// As Mosquitto writes it (PBKDF2 with SHA-512): user `meter`, password `of-the-house`.
const PASSWORDS: &str = include_str!("../data/passwords.txt");

/// Modes and owners of everything in a directory.
fn looks(place: &Place, directory: &str) -> Vec<(String, u32, u32)> {
    let entries = fs::read_dir(place.path(directory)).expect("it is there");
    let mut looks: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("it can be read");
            let metadata = entry.metadata().expect("it is there");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, metadata.uid(), metadata.permissions().mode())
        })
        .collect();
    looks.sort();
    looks
}

#[test]
fn a_container_keeps_its_configuration_and_makes_what_it_writes() {
    let place = Place::new();
    place
        .write("config/mosquitto.conf", CONF)
        .write("config/passwd", PASSWORDS)
        .write("config/acl", "user meter\ntopic readwrite house/#\n")
        .write("config/conf.d/limits.conf", "max_queued_messages 5000\n")
        .write("log/there", "");
    let root = fs::metadata(place.path(".")).expect("it is there").uid() == 0;
    for directory in [".", "config/conf.d"] {
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(place.path(directory), open).expect("it is ours");
    }
    if root {
        chown(place.path("log"), Some(NOBODY), None).expect("root may");
    }
    let before = looks(&place, "config");
    let port = place.port();
    let right = "-u meter -P of-the-house -q 1";
    let broker = place.start("-c config/mosquitto.conf", &[port]);
    assert!(publish(port, &format!("{right} -t house/power -m 42 -r")));
    assert!(!publish(port, "-u meter -P of-the-garden -q 1 -t house/power -m 1"));
    assert!(!publish(port, "-q 1 -t house/power -m 1"));
    // The user reads again what root has read.
    place.write("config/acl", "user meter\ntopic read house/#\n");
    broker.signal("HUP");
    wait_until("it was reloaded", || {
        place.read("log/mosquitto.log").contains("nothing is different")
    });
    publish(port, &format!("{right} -t house/other -m 1 -r"));
    assert_eq!(broker.stop(), Some(0));
    place.write("config/acl", "user meter\ntopic readwrite house/#\n");
    let broker = place.start("-c config/mosquitto.conf", &[port]);
    let kept = subscribe(port, "-u meter -P of-the-house -t house/# -v -C 1 -W 60");
    assert_eq!(kept, "house/power 42\n");
    assert_eq!(broker.stop(), Some(0));
    assert_eq!(looks(&place, "config"), before);
    let log = place.read("log/mosquitto.log");
    let stamp = log.split_once(": dunlin").expect("it begins so").0;
    assert_eq!((stamp.len(), stamp.as_bytes()[10]), (19, b'T'), "{stamp}");
    assert!(log.contains("not authorised"), "{log}");
    let written =
        ["state/data/mosquitto.db", "state/data/mosquitto.db.dunlin", "log/mosquitto.log"];
    for path in written {
        let owner = fs::metadata(place.path(path)).expect("it is there").uid();
        assert!(!root || owner == NOBODY, "{path} is of {owner}");
    }
}
