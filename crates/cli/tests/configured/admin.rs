//! `dunlin ctl` and a broker that runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Output, Stdio};

use dunlin_config::model::LogType;

use crate::process::{Broker, Place, client, publish, wait_until};

const CONFIG: &str =
    "[persistence]\ndirectory = \"DIR/data\"\n[[listener]]\nport = PORT\nallow_anonymous = true\n";

fn serve(place: &Place) -> Broker {
    place.write("d.toml", CONFIG);
    let mut broker = place.start("-c d.toml", &[place.port()]);
    broker.hears("shards, room for");
    // Operators are served a moment after clients; the file may be one that was left behind.
    let socket = place.path("data/admin.sock");
    wait_until("operators are served", || UnixStream::connect(&socket).is_ok());
    broker
}

fn ctl(place: &Place, line: &str) -> Output {
    place.run("dunlin", &format!("ctl {line} -c d.toml"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn a_broker_is_reached_by_a_file_that_has_become_wrong() {
    let place = Place::new();
    let broker = serve(&place);
    place.write("d.toml", &CONFIG.replace("allow_anonymous", "allow_anonymus"));
    assert_eq!(ctl(&place, "reload").status.code(), Some(3));
    let alarms = ctl(&place, "alarms");
    assert_eq!(alarms.status.code(), Some(2));
    let told = said(&alarms);
    assert!(told.contains("Warning: d.toml:5: there is no key `allow_anonymus`"), "{told}");
    assert!(told.contains("configuration for "), "{told}");
    // What has no form at all does not say where the broker is.
    place.write("d.toml", "[persistence\n");
    assert_eq!(ctl(&place, "alarms").status.code(), Some(3));
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn clients_are_listed_and_disconnected() {
    let place = Place::new();
    let mut broker = serve(&place);
    let port = place.port().to_string();
    let mut reader = client("sub")
        .args(["-h", "127.0.0.1", "-p", &port, "-t", "x", "-i", "watcher"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the client runs");
    broker.hears("client \"watcher\" connected");
    let status = said(&ctl(&place, "status"));
    assert!(status.contains("1 clients"), "{status}");
    let clients = said(&ctl(&place, "clients wat"));
    assert!(clients.contains("watcher  -     127.0.0.1:"), "{clients}");
    assert!(!said(&ctl(&place, "clients other")).contains("watcher"));
    let json: serde_json::Value =
        serde_json::from_slice(&ctl(&place, "clients --json").stdout).expect("it is JSON");
    assert_eq!(json["clients"][0]["client"], "watcher");
    assert_eq!(ctl(&place, "kick watcher").status.code(), Some(0));
    broker.hears("an operator closed it");
    assert_eq!(ctl(&place, "kick nobody").status.code(), Some(2));
    drop(reader.kill());
    drop(reader.wait());
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn whoever_is_banned_stays_out_until_the_ban_is_lifted() {
    let place = Place::new();
    let broker = serve(&place);
    assert!(publish(place.port(), "-i bad -t a -m b -q 1"));
    assert!(ctl(&place, "ban client:bad --for 1h --reason testing").status.success());
    assert!(!publish(place.port(), "-i bad -t a -m b -q 1"));
    assert!(publish(place.port(), "-i good -t a -m b -q 1"));
    let bans = said(&ctl(&place, "bans"));
    assert!(bans.contains("client:bad") && bans.contains("testing"), "{bans}");
    assert_eq!(ctl(&place, "unban client:bad").status.code(), Some(0));
    assert_eq!(ctl(&place, "unban client:bad").status.code(), Some(2));
    assert!(publish(place.port(), "-i bad -t a -m b -q 1"));
    assert!(!ctl(&place, "ban nonsense").status.success());
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn why_is_answered_for_clients_and_for_topics() {
    let place = Place::new();
    let broker = serve(&place);
    assert!(ctl(&place, "ban client:bad").status.success());
    assert!(!publish(place.port(), "-i bad -t a -m b -q 1"));
    // It is told a moment after the client hears it.
    wait_until("it is told", || said(&ctl(&place, "why bad")).contains("banned"));
    assert!(said(&ctl(&place, "why")).contains("\"bad\""));
    assert!(said(&ctl(&place, "why good")).contains("nothing was told"));
    crate::process::subscribe(place.port(), "-i away -c -q 1 -t Home/+/light -E");
    let why = said(&ctl(&place, "why --topic home/1/light"));
    assert!(why.contains("0 subscriptions match") && why.contains("nearly: Home/+/light"), "{why}");
    assert!(said(&ctl(&place, "why --topic Home/1/light")).contains("1 subscriptions match"));
    assert!(!ctl(&place, "why --topic home/#").status.success());
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_reload_tells_what_has_changed_or_what_is_wrong() {
    let place = Place::new();
    let broker = serve(&place);
    let text = format!("{CONFIG}maximum_connections = 7\n[limits]\nmaximum_inflight = 5\n");
    place.write("d.toml", &text);
    let reloaded = said(&ctl(&place, "reload"));
    assert!(
        reloaded.contains("d.toml:6: listener *:") && reloaded.contains("maximum_connections: 7"),
        "{reloaded}"
    );
    assert!(reloaded.contains("limits.maximum_inflight: 5"), "{reloaded}");
    let socket = "--socket DIR/data/admin.sock";
    place.write("d.toml", &text.replace("maximum_inflight", "maximum_inflght"));
    let wrong = place.run("dunlin", &format!("ctl reload {socket}"));
    assert_eq!(wrong.status.code(), Some(3));
    assert!(said(&wrong).contains("d.toml:8"), "{}", said(&wrong));
    let alarms = place.run("dunlin", &format!("ctl alarms {socket}"));
    assert_eq!(alarms.status.code(), Some(2));
    assert!(
        said(&alarms).contains("configuration for") && said(&alarms).contains("d.toml:8"),
        "{}",
        said(&alarms)
    );
    place.write("d.toml", CONFIG);
    assert!(ctl(&place, "reload").status.success());
    assert!(!said(&ctl(&place, "alarms")).contains("configuration for"));
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn the_log_can_be_turned_up_and_down() {
    let place = Place::new();
    let mut broker = serve(&place);
    assert_eq!(said(&ctl(&place, "log-level")), "error warning notice information\n");
    assert_eq!(said(&ctl(&place, "log-level error")), "error\n");
    assert!(publish(place.port(), "-i unheard -t a -m b -q 1"));
    assert_eq!(said(&ctl(&place, "log-level all")), "all\n");
    assert!(publish(place.port(), "-i heard -t a -m b -q 1"));
    broker.hears("client \"heard\"");
    assert!(!broker.log().contains("unheard"));
    let told = said(&ctl(&place, "log-level chatty"));
    for name in
        ["chatty", "all", "none"].into_iter().chain(LogType::ALL.iter().map(|(name, _)| *name))
    {
        assert!(told.contains(name), "{name}: {told}");
    }
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn the_socket_is_for_its_owner_and_bears_garbage() {
    let place = Place::new();
    let broker = serve(&place);
    let path = place.path("data/admin.sock");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ask = |request: &[u8]| {
        let mut stream = UnixStream::connect(&path).expect("it is served");
        stream.write_all(request).expect("it is read");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("it answers");
        answer
    };
    assert!(ask(b"\xff\xfe\n").contains("no JSON"));
    assert!(ask(b"{\"version\":7,\"command\":\"status\"}\n").contains("version 7 is not known"));
    assert!(ask(b"{\"version\":1,\"command\":\"destroy\"}\n").contains("no command `destroy`"));
    assert!(ask(&[b' '; 65_536]).contains("one line of at most"));
    assert!(ask(b"{\"version\":1,\"command\":\"status\"}\n").contains("\"result\""));
    // Operators that say nothing keep nobody else out for long, and nobody who serves clients.
    let silent: Vec<_> = (0..20).filter_map(|_| UnixStream::connect(&path).ok()).collect();
    assert!(publish(place.port(), "-t a -m b -q 1"));
    drop(silent);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn without_a_broker_the_command_says_where_it_looked() {
    let place = Place::new();
    place.write("d.toml", CONFIG);
    let output = ctl(&place, "status");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&place.fill("DIR/data/admin.sock")), "{}", said(&output));
    // One that was killed leaves its socket behind; the next one takes its place.
    let broker = serve(&place);
    broker.signal("KILL");
    drop(broker);
    assert!(!ctl(&place, "status").status.success());
    let broker = serve(&place);
    assert!(ctl(&place, "status").status.success());
    let mut nothing = [0];
    drop(UnixStream::connect(place.path("data/admin.sock")).map(|mut stream| {
        drop(stream.shutdown(std::net::Shutdown::Write));
        stream.read(&mut nothing)
    }));
    assert_eq!(broker.stop(), Some(0));
}
