//! A broker that root starts and that becomes another user, among links which that user has planted.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use crate::process::{Place, publish, subscribe};

/// The user `nobody`, on all distributions that are tested here.
const NOBODY: u32 = 65_534;

const CONF: &str = "listener PORT\nallow_anonymous true\nuser nobody\npid_file DIR/run/pid\npersistence true\n\
                    persistence_location DIR/data/\npersistence_file kept.db\n";

/// A configuration, a directory of the user's, and files of root's beside it; `None` without root.
fn scene() -> Option<Place> {
    let place = Place::new();
    if fs::metadata(place.path(".")).ok()?.uid() != 0 || nobody() != Some(NOBODY) {
        eprintln!("not shown: this needs root, and the user nobody");
        return None;
    }
    fs::set_permissions(place.path("."), fs::Permissions::from_mode(0o755)).ok()?;
    place.write("r.conf", CONF).write("secret", "root's").write("treasure/chest", "root's");
    for theirs in ["data", "run"] {
        fs::create_dir(place.path(theirs)).ok()?;
        chown(place.path(theirs), Some(NOBODY), None).ok()?;
    }
    Some(place)
}

fn nobody() -> Option<u32> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("nobody:"))?;
    line.split(':').nth(2)?.parse().ok()
}

fn plant(target: &Path, link: &Path) {
    symlink(target, link).expect("the link is made");
    lchown(link, Some(NOBODY), None).expect("it is the user's");
}

fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").uid()
}

#[test]
fn root_hands_over_what_the_user_needs_and_serves_as_that_user() {
    let Some(place) = scene() else { return };
    let broker = place.start("-c r.conf", &[place.port()]);
    assert!(publish(place.port(), "-t r -m kept -r -q 1"));
    let store = place.path("data/kept.db.dunlin");
    assert_eq!([owner(&store), owner(&store.join("VERSION"))], [NOBODY; 2]);
    assert_eq!(owner(&place.path("data/kept.db")), NOBODY);
    assert!(!place.read("run/pid").is_empty());
    assert_eq!(broker.stop(), Some(0));
    // What root has left behind in the store meanwhile is the user's again.
    chown(store.join("VERSION"), Some(0), Some(0)).expect("root may");
    let broker = place.start("-c r.conf", &[place.port()]);
    assert_eq!(subscribe(place.port(), "-t r -C 1 -W 60"), "kept\n");
    assert_eq!(owner(&store.join("VERSION")), NOBODY);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn what_the_user_cannot_read_again_is_told_at_the_start() {
    let Some(place) = scene() else { return };
    let conf = "listener PORT\nallow_anonymous true\nuser nobody\npassword_file DIR/passwd\n";
    place.write("r.conf", conf).write("passwd", "");
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(place.path("passwd"), private).expect("root may");
    let mut broker = place.start("-c r.conf", &[place.port()]);
    broker.hears("passwd: root has read it, and the user of the broker cannot");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn links_that_the_user_has_planted_lead_root_nowhere() {
    let Some(place) = scene() else { return };
    let store = place.path("data/kept.db.dunlin");
    assert_eq!(place.start("-c r.conf", &[place.port()]).stop(), Some(0));
    fs::remove_file(place.path("data/kept.db")).expect("it is there");
    plant(&place.path("secret"), &store.join("file"));
    plant(&place.path("treasure"), &store.join("directory"));
    // In place of a note, which root would write.
    plant(&place.path("new"), &place.path("data/kept.db"));
    let outcome = place.run("dunlin", "-c r.conf");
    let told = String::from_utf8_lossy(&outcome.stderr);
    assert!(told.contains("kept.db") && told.contains("others than root"), "{told}");
    fs::remove_file(place.path("data/kept.db")).expect("it is there");
    fs::remove_file(store.join("mosquitto-file")).expect("it is there");
    let broker = place.start("-c r.conf", &[place.port()]);
    assert_eq!(broker.stop(), Some(0));
    let untouched = ["secret", "treasure", "treasure/chest"].map(|name| owner(&place.path(name)));
    assert_eq!(untouched, [0; 3]);
    assert!(!place.path("new").exists());
    // The number of the process is not written over a file of root's.
    fs::remove_file(place.path("run/pid")).unwrap_or_default();
    plant(&place.path("secret"), &place.path("run/pid"));
    let outcome = place.run("dunlin", "-c r.conf");
    let told = String::from_utf8_lossy(&outcome.stderr);
    assert!(told.contains("run/pid") && told.contains("others than root"), "{told}");
    assert_eq!(place.read("secret"), "root's");
}

#[test]
fn a_log_is_not_written_through_a_planted_link() {
    let Some(place) = scene() else { return };
    plant(&place.path("secret"), &place.path("data/log"));
    place.write("l.conf", &format!("{CONF}log_dest file DIR/data/log\n"));
    let outcome = place.run("dunlin", "-c l.conf");
    let told = String::from_utf8_lossy(&outcome.stderr);
    assert!(
        told.contains("cannot open the log file") && told.contains("others than root"),
        "{told}"
    );
    assert_eq!(place.read("secret"), "root's");
}

#[test]
fn passwords_that_are_made_up_are_not_written_through_a_planted_link() {
    let Some(place) = scene() else { return };
    plant(&place.path("secret"), &place.path("data/users.json.pw"));
    let plugin = "plugin dynamic_security.so\nplugin_opt_config_file DIR/data/users.json\n";
    place.write("d.conf", &format!("{CONF}{plugin}"));
    let outcome = place.run("dunlin", "-c d.conf");
    let told = String::from_utf8_lossy(&outcome.stderr);
    assert!(told.contains("users.json.pw") && told.contains("others than root"), "{told}");
    assert_eq!(place.read("secret"), "root's");
    // Without it the user has both files.
    fs::remove_file(place.path("data/users.json.pw")).expect("it is there");
    assert_eq!(place.start("-c d.conf", &[place.port()]).stop(), Some(0));
    let both = ["data/users.json", "data/users.json.pw"].map(|name| owner(&place.path(name)));
    assert_eq!(both, [NOBODY; 2]);
}

#[test]
fn listeners_that_root_has_opened_can_be_changed_by_the_user() {
    let Some(place) = scene() else { return };
    let conf = |address: &str, mode: &str| {
        format!(
            "[server]\nuser = \"nobody\"\n[persistence]\nenabled = false\n[security]\nallow_anonymous = true\n\
             [[listener]]\nport = PORT\naddress = \"{address}\"\n\
             [[listener]]\nunix_path = \"DIR/run/sock\"\nunix_mode = {mode}\n"
        )
    };
    place.write("r.toml", &conf("127.0.0.1", "0o600"));
    let mut broker = place.start("-c r.toml", &[place.port()]);
    let socket = place.path("run/sock");
    let mode = || fs::metadata(&socket).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((owner(&socket), mode()), (NOBODY, 0o600));
    // To all addresses and back, with a port that root has taken.
    for (address, wanted) in [("0.0.0.0", 0o660), ("127.0.0.1", 0o606)] {
        place.write("r.toml", &conf(address, &format!("0o{wanted:o}")));
        broker.signal("HUP");
        broker.hears(&place.fill(&format!("listener {address}:PORT is new")));
        assert_eq!(mode(), wanted);
        assert!(publish(place.port(), "-t a -m b -q 1"));
    }
    assert_eq!(broker.stop(), Some(0));
}
