//! What is set up by one command runs by the next.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

/// Ended in any case.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn dunlin(directory: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(DUNLIN);
    command.args(words).current_dir(directory).stdin(Stdio::null()).output().expect("it runs")
}

fn works(directory: &Path, words: &[&str]) -> String {
    let output = dunlin(directory, words);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_broker_from_nothing_keeps_all_rules_and_listens() {
    let above = tempfile::tempdir().expect("a directory");
    // The service user of the machine must come to it, if root runs this.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(above.path(), open).expect("its mode is ours");
    let port = free_port();
    let number = port.to_string();
    let told = works(above.path(), &["init", "site", "--port", &number, "--name", "broker.test"]);
    assert!(told.contains("Its password:"), "{told}");
    let judged = works(above.path(), &["audit", "-c", "site/dunlin.toml"]);
    assert!(judged.contains("7 of 7"), "{judged}");
    works(above.path(), &["-c", "site/dunlin.toml", "--test-config"]);

    let mut broker = start(above.path(), port);
    let pid = broker.0.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    assert_eq!(broker.0.wait().ok().and_then(|status| status.code()), Some(0));
}

/// Starts what `init` made in `site`, and waits until it listens.
fn start(above: &Path, port: u16) -> Broker {
    let mut command = Command::new(DUNLIN);
    command.args(["-c", "site/dunlin.toml"]).current_dir(above);
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let broker = Broker(process.expect("it starts"));
    let end = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < end, "nobody listens on {port}");
        sleep(Duration::from_millis(50));
    }
    broker
}

/// One that the system gives neither to who asks for any nor to who connects, so that it is still free when the
/// broker starts.
fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 200).unwrap_or(0) * 100;
    loop {
        let port = first + GIVEN.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// The commands of the bundle are run as they stand there, by a shell.
#[test]
fn the_first_client_connects_by_the_lines_in_its_bundle() {
    let above = tempfile::tempdir().expect("a directory");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(above.path(), open).expect("its mode is ours");
    let port = free_port();
    let told =
        works(above.path(), &["init", "site", "--port", &port.to_string(), "--name", "localhost"]);
    let (_, password) = told.split_once("Its password:").expect("it tells the password");
    let password = password.split_whitespace().next().expect("a password");
    let _broker = start(above.path(), port);

    let clients = fs::read_dir(above.path().join("site/clients")).expect("there are bundles");
    let bundle = clients.flatten().next().expect("there is one").path();
    let readme = fs::read_to_string(bundle.join("README.md")).expect("it explains itself");
    // The name of this machine stands there, which only its network may know.
    let (_, host) = readme.split_once(" -h ").expect("it names the broker");
    let host = format!("-h {} ", host.split_whitespace().next().expect("a host"));
    let line = |start: &str| {
        let line = readme.lines().find(|line| line.starts_with(start)).expect("the line");
        line.replace(&host, "-h localhost ")
    };
    let binaries = Path::new(DUNLIN).parent().expect("a directory").display();
    let search = format!("{binaries}:{}", std::env::var("PATH").unwrap_or_default());
    let shell = |line: String| {
        let mut command = Command::new("sh");
        command.args(["-c", &line]).env("PATH", &search).env("MQTT_PASSWORD", password);
        command.current_dir(&bundle).stdin(Stdio::null()).output().expect("there is a shell")
    };
    let sent = shell(format!("{} -r", line("dunlin pub")));
    assert!(sent.status.success(), "{sent:?}");
    let got = shell(format!("{} -C 1 -W 60", line("dunlin sub")));
    assert_eq!(String::from_utf8_lossy(&got.stdout), "devices/hello world\n", "{got:?}");
}

#[test]
fn certificates_are_made_renewed_revoked_and_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    works(here, &["cert", "ca", "--name", "Quay CA"]);
    works(here, &["cert", "server", "localhost", "127.0.0.1"]);
    let show = &["cert", "show", "server.crt", "--ca", "ca/ca.crt", "--key", "server.key"];
    let shown = works(here, show);
    assert!(shown.contains("localhost, 127.0.0.1") && !shown.contains("NO"), "{shown}");
    assert!(!dunlin(here, &["cert", "show", "server.crt", "--for", "other.host"]).status.success());
    let kept = works(here, &["cert", "renew", "--within", "30", "server.crt"]);
    assert!(kept.contains("not renewed"), "{kept}");
    works(here, &["cert", "renew", "--new-key", "server.crt"]);
    works(here, show);
    fs::write(here.join("devices.csv"), "name\nboat-1\nboat-2\n").expect("it is written");
    let made = works(here, &["cert", "batch", "devices.csv", "-o", "clients"]);
    assert!(made.starts_with("2 certificates"), "{made}");
    let again = works(here, &["cert", "batch", "devices.csv", "-o", "clients"]);
    assert!(again.contains("2 were there already"), "{again}");
    let revoked = works(here, &["cert", "revoke", "clients/boat-1.crt"]);
    assert!(revoked.contains("ca.crl: 1 revoked"), "{revoked}");
    let both = works(here, &["cert", "renew", "clients/boat-1.crt", "clients/boat-2.crt"]);
    assert!(both.contains("boat-1.crt: was revoked, not renewed"), "{both}");
    assert!(both.contains("boat-2.crt: valid until"), "{both}");
    assert!(!dunlin(here, &["cert", "client", "boat-3", "--days", "0"]).status.success());
    let twice = dunlin(here, &["cert", "server", "localhost"]);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("--force"), "{twice:?}");
}

#[test]
fn password_files_are_changed_as_by_mosquitto_passwd() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    works(here, &["passwd", "-H", "sha512", "-c", "-b", "users", "ann", "over the water"]);
    works(here, &["passwd", "-H", "sha512", "-b", "users", "bob", "under the bridge"]);
    works(here, &["passwd", "-D", "users", "ann"]);
    let text = fs::read_to_string(here.join("users")).expect("it is there");
    assert!(text.starts_with("bob:$6$") && text.lines().count() == 1, "{text}");
    let weak = dunlin(here, &["passwd", "--strict", "-b", "users", "eve", "eve"]);
    assert!(!weak.status.success() && String::from_utf8_lossy(&weak.stderr).contains("user name"));
    let line = dunlin(here, &["passwd", "-b", "-c", "-", "eve", "beside the river"]);
    assert!(String::from_utf8_lossy(&line.stdout).starts_with("eve:$argon2id$"), "{line:?}");
    let missing = dunlin(here, &["passwd", "-D", "users", "nobody"]);
    assert_eq!(missing.status.code(), Some(1));
    let open = dunlin(here, &["audit"]);
    assert_eq!(open.status.code(), Some(1), "anonymous on loopback is not what the rules ask for");
}
