//! Data directories that must not be used: the start fails, says why, and changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, UNIX_EPOCH};

use dunlin_testkit::{Connect, Properties, RawClient, Version, property};

use crate::daemon::Daemon;

/// How long a refused start may take.
const PROMPT: Duration = Duration::from_secs(60);

/// Names, lengths, times of change and, of short files, contents.
type Contents = BTreeMap<PathBuf, (u64, Duration, Vec<u8>)>;

fn contents(directory: &Path) -> Contents {
    let mut all = Contents::new();
    for entry in fs::read_dir(directory).expect("it is a directory") {
        let path = entry.expect("it can be read").path();
        let metadata = fs::metadata(&path).expect("it is there");
        let changed = metadata.modified().expect("files have times");
        let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        let bytes =
            if metadata.len() < 10_000 { fs::read(&path).unwrap_or_default() } else { vec![] };
        all.insert(path, (metadata.len(), since, bytes));
    }
    all
}

/// A start fails with these words, and the directory is as before.
fn refuses(daemon: &mut Daemon, words: &[&str]) {
    let before = contents(daemon.data());
    let said = daemon.log().len();
    daemon.launch(&[]);
    let status = daemon.wait(PROMPT).expect("the start fails");
    let log = daemon.log().split_off(said);
    assert!(!status.success(), "{status}: {log}");
    for word in words {
        assert!(log.contains(word), "{word:?} is not in: {log}");
    }
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(contents(daemon.data()), before, "a refused start changed something");
}

/// A client that has retained something, and leaves.
fn write(daemon: &Daemon, payloads: u32, bytes: usize) {
    let connect = Connect::new(Version::V5, "writer");
    let (mut client, _) = RawClient::connect(daemon.address(), &connect);
    for number in 0..payloads {
        let topic = format!("written/{number}");
        let publish = dunlin_testkit::Publish::new(&topic, &"w".repeat(bytes)).retained();
        client.deliver(publish.qos(1, 0));
    }
    client.disconnect();
}

/// Everything that was written is there.
fn reads(daemon: &Daemon, payloads: u32) {
    let connect = Connect::new(Version::V5, "reader");
    let (mut client, _) = RawClient::connect(daemon.address(), &connect);
    client.subscribe("written/#", 0);
    for _ in 0..payloads {
        assert!(client.expect_publish().retain);
    }
    client.disconnect();
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let mut daemon = Daemon::new("newer", "always");
    daemon.start(&[]);
    write(&daemon, 3, 10);
    daemon.kill();
    let path = daemon.data().join("VERSION");
    let old = fs::read_to_string(&path).expect("VERSION is a text");
    let dot = old.find('.').expect("a version has a dot");
    let begin = old.split_at(dot).0.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    let newer = format!("{}99{}", old.split_at(begin).0, old.split_at(dot).1);
    fs::write(&path, newer).expect("it can be written");
    refuses(&mut daemon, &["99", "newer"]);
    fs::write(&path, old).expect("it can be written");
    daemon.start(&[]);
    reads(&daemon, 3);
}

#[test]
fn a_directory_of_something_else_is_refused() {
    let mut daemon = Daemon::new("foreign", "always");
    fs::create_dir(daemon.data()).expect("it can be made");
    fs::write(daemon.data().join("letter.txt"), "Dear reader").expect("it can be written");
    refuses(&mut daemon, &["letter.txt", "empty"]);
}

#[test]
fn a_directory_in_use_is_refused() {
    let mut first = Daemon::new("first", "always");
    first.start(&[]);
    // The last thing that it makes there, a moment after it serves clients.
    let deadline = Instant::now() + PROMPT;
    while !first.data().join("admin.sock").exists() {
        assert!(Instant::now() < deadline, "no socket for operators");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut second = Daemon::new("second", "always").sharing(&first);
    refuses(&mut second, &["in use"]);
    write(&first, 3, 10);
    reads(&first, 3);
    first.kill();
    // The lock goes with its holder, however that ended.
    second.start(&[]);
    reads(&second, 3);
}

#[test]
fn a_copy_that_lacks_a_segment_is_refused() {
    let mut daemon = Daemon::new("half", "always");
    daemon.start(&[]);
    write(&daemon, 180, 1_000_000);
    daemon.kill();
    let all = contents(daemon.data());
    let is_segment = |path: &&PathBuf| path.extension().is_some_and(|end| end == "seg");
    let segments: Vec<&PathBuf> = all.keys().filter(is_segment).collect();
    assert!(segments.len() >= 3, "{segments:?}");
    let aside = daemon.base().join("aside");
    fs::rename(segments[1], &aside).expect("it can be moved");
    let name = segments[1].file_name().map(|name| name.to_string_lossy().into_owned());
    refuses(&mut daemon, &[&name.expect("files have names"), "restore"]);
    fs::rename(&aside, segments[1]).expect("it can be moved");
    daemon.start(&[]);
    reads(&daemon, 180);
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut daemon = Daemon::new("open", "always");
    daemon.start(&[]);
    daemon.kill();
    fs::set_permissions(daemon.data(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    refuses(&mut daemon, &["chmod 700"]);
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let mut daemon = Daemon::new("read-only", "always");
    daemon.start(&[]);
    write(&daemon, 3, 10);
    daemon.kill();
    let data = daemon.data().to_owned();
    let mount = |arguments: &[&str]| {
        let mut mount = Command::new("mount");
        mount.args(arguments).arg(&data).stderr(std::process::Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    };
    let text = data.to_string_lossy().into_owned();
    if !mount(&["--bind", &text]) || !mount(&["-o", "remount,bind,ro"]) {
        eprintln!("skipped: nothing can be mounted here");
        return;
    }
    let _mounted = crate::full::Small(&data);
    refuses(&mut daemon, &["Read-only"]);
}

#[test]
fn nothing_is_written_when_nothing_is_kept() {
    let mut daemon = Daemon::new("off", "off");
    daemon.start(&[]);
    write(&daemon, 3, 10);
    daemon.terminate();
    assert!(!daemon.data().exists() || contents(daemon.data()).is_empty());
}

/// A session without an end is the first thing to be lost by a store that is not there.
#[test]
fn a_session_is_there_after_a_kill_right_after_its_connack() {
    let mut daemon = Daemon::new("connack", "always");
    daemon.start(&[]);
    for round in 0..5 {
        let mut connect = Connect::new(Version::V5, &format!("client-{round}"));
        connect.clean_start = false;
        connect.properties = Properties::new().four(property::SESSION_EXPIRY_INTERVAL, u32::MAX);
        let (_client, answer) = RawClient::connect(daemon.address(), &connect);
        assert!(!answer.session_present);
        daemon.kill();
        daemon.start(&[]);
        let (_client, answer) = RawClient::connect(daemon.address(), &connect);
        assert!(answer.session_present, "round {round}");
    }
}
