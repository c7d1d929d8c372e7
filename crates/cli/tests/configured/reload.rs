//! SIGHUP, and files that are watched: a new configuration for a broker that runs.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::process::{Place, all_of, client, is_open, publish, subscribe, wait_until};
use crate::raw::{Connect, Raw};

#[test]
fn listeners_come_and_go_with_the_file() {
    let place = Place::new();
    place.write("a.conf", "listener PORT\nallow_anonymous true\n");
    let mut broker = place.start("-c a.conf", &[place.port()]);
    place.write("a.conf", "listener PORT\nlistener PORT2\nallow_anonymous true\n");
    broker.signal("HUP");
    broker.hears("is new");
    assert!(publish(place.second_port(), "-t a -m b -q 1"));
    place.write("a.conf", "listener PORT2\nallow_anonymous true\n");
    broker.signal("HUP");
    broker.hears("is closed");
    wait_until("the port is closed", || !is_open(place.port()));
    assert!(publish(place.second_port(), "-t a -m b -q 1"));
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn what_is_wrong_changes_nothing() {
    let place = Place::new();
    let right = "listener PORT\nallow_anonymous true\n";
    place.write("a.conf", right).write("acl", "topic read ok\n");
    let mut broker = place.start("-c a.conf", &[place.port()]);
    for (count, (text, told)) in (1..).zip([
        (
            "listener PORT\nallow_anonymous true\nlistener PORT2\nfoo bar\n",
            "a.conf:4: there is no key `foo`",
        ),
        ("listener PORT2\nallow_anonymous true\ncertfile no.pem\nkeyfile no.key\n", "no.pem"),
        ("listener PORT2\npassword_file missing\n", "missing"),
        (
            "listener PORT2\nallow_anonymous true\nlog_dest file DIR/no/log\n",
            "cannot open the log file",
        ),
        (
            "listener PORT\nlistener PORT2 192.0.2.77\nallow_anonymous false\n",
            "no interface has this address",
        ),
    ]) {
        place.write("a.conf", text);
        broker.signal("HUP");
        broker.hears(told);
        broker.hears_times("everything stays as it was", count);
        assert!(!is_open(place.second_port()), "{text}");
        assert!(publish(place.port(), "-t a -m b -q 1"), "{text}");
    }
    place.write("a.conf", right);
    broker.signal("HUP");
    broker.hears("nothing is different");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn who_may_no_longer_come_in_is_let_go() {
    let place = Place::new();
    place.write("a.conf", "listener PORT\nallow_anonymous true\n");
    let mut broker = place.start("-c a.conf", &[place.port()]);
    let mut reader = client("sub");
    let port = place.port().to_string();
    let mut reader = reader
        .args(["-V", "5", "-h", "127.0.0.1", "-p", &port, "-t", "x", "-i", "guest", "-W", "120"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the client runs");
    broker.hears(" as guest (");
    place.write("a.conf", "listener PORT\nallow_anonymous false\n");
    broker.signal("HUP");
    broker.hears("Client guest [127.0.0.1:");
    assert!(!publish(place.port(), "-t a -m b -q 1"));
    drop(reader.kill());
    drop(reader.wait());
    assert_eq!(broker.stop(), Some(0));
}

/// The names of those threads of a process that SIGHUP can interrupt.
fn open_to_sighup(process: u32) -> Vec<String> {
    const HANGUP: u64 = 1;
    let mut open = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task")).expect("it runs") {
        let status = fs::read_to_string(thread.expect("it runs").path().join("status"));
        // A thread may have ended since.
        let Ok(status) = status else { continue };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.expect("the system tells it").trim().to_owned()
        };
        let blocked = u64::from_str_radix(&field("SigBlk:"), 16).expect("it is a number");
        if blocked & HANGUP == 0 {
            open.push(field("Name:"));
        }
    }
    open
}

/// Who connects after SIGHUP is judged by what it reads: the thread that accepts is the one that it interrupts.
#[test]
fn only_the_thread_that_accepts_connections_is_interrupted_by_sighup() {
    let place = Place::new();
    place.write("a.conf", "listener PORT\nallow_anonymous true\n");
    let broker = place.start("-c a.conf", &[place.port()]);
    // The port is open a moment before the thread that accepts begins.
    let mut open = Vec::new();
    wait_until("a thread hears SIGHUP", || {
        open = open_to_sighup(broker.id());
        !open.is_empty()
    });
    assert_eq!(open, ["shard-0"]);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn who_connects_after_sighup_is_judged_by_what_it_reads() {
    let place = Place::new();
    let text = |allowed: bool| format!("listener PORT\nallow_anonymous {allowed}\n");
    place.write("a.conf", &text(true));
    let broker = place.start("-c a.conf", &[place.port()]);
    for round in 0..50 {
        let allowed = round % 2 == 1;
        place.write("a.conf", &text(allowed));
        broker.signal("HUP");
        let (_, answer) = Raw::connect(place.port(), &Connect::new(4, "a"));
        let code = if allowed { 0 } else { 5 };
        assert_eq!(answer.expect("CONNACK").reason, code, "round {round}: {}", broker.log());
    }
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_log_file_that_was_moved_is_opened_anew() {
    let place = Place::new();
    place
        .write("a.conf", "listener PORT\nallow_anonymous true\nlog_dest file DIR/log\nuser root\n");
    let broker = place.start("-c a.conf", &[place.port()]);
    fs::rename(place.path("log"), place.path("log.1")).expect("it is there");
    broker.signal("HUP");
    wait_until("a new log", || {
        fs::read_to_string(place.path("log")).is_ok_and(|log| !log.is_empty())
    });
    assert_eq!(broker.stop(), Some(0));
    assert!(place.read("log").contains("SIGTERM"));
}

#[test]
fn files_that_are_watched_are_read_when_they_change() {
    let place = Place::new();
    place.write(
        "d.toml",
        "[server]\nwatch = \"50ms\"\n[persistence]\nenabled = false\n[[listener]]\nport = PORT\nallow_anonymous = true\nacl_file = \"DIR/acl\"\n",
    );
    place.write("acl", "topic readwrite a\n");
    let mut broker = place.start("-c d.toml", &[place.port()]);
    assert!(publish(place.port(), "-t a -m one -r -q 1"));
    place.write("acl", "topic readwrite other\n");
    broker.hears("reloading the configuration");
    broker.hears("nothing is different");
    assert_eq!(subscribe(place.port(), "-t a -W 1"), "");
    // What is wrong is said once, not at every look.
    place.write("acl", "tpic readwrite other and more\n");
    broker.hears("everything stays as it was");
    thread::sleep(Duration::from_millis(500));
    assert_eq!(broker.log().matches("everything stays as it was").count(), 1, "{}", broker.log());
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn under_load_a_reload_loses_no_connection_and_no_message() {
    const MESSAGES: usize = 5_000;
    let place = Place::new();
    let text = "listener PORT\nallow_anonymous true\nmax_queued_messages 20000\n";
    place.write("a.conf", text);
    let mut broker = place.start("-c a.conf", &[place.port()]);
    let port = place.port().to_string();
    // It has its session before anybody publishes.
    let session = ["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "load", "-i", "reader", "-c"];
    let subscribed = client("sub").args(session).arg("-E").stdin(Stdio::null()).status();
    assert!(subscribed.expect("the client runs").success());
    let reader = client("sub")
        .args(session)
        .args(["-C", &MESSAGES.to_string(), "-W", "300"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client runs");
    broker.hears_times(" as reader (", 2);
    let mut writer = client("pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "load", "-i", "writer", "-l"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the client runs");
    let mut lines = writer.stdin.take().expect("it is piped");
    let feeder = thread::spawn(move || {
        for number in 0..MESSAGES {
            writeln!(lines, "{number}").expect("the client takes it");
            if number % 50 == 0 {
                thread::sleep(Duration::from_millis(10));
            }
        }
    });
    for round in 1..=20 {
        let limit = format!("{text}max_queued_messages {}\nlistener PORT2\n", 20_000 + round);
        place.write("a.conf", if round % 2 == 0 { text } else { &limit });
        broker.signal("HUP");
        broker.hears_times("reloading the configuration", round);
        thread::sleep(Duration::from_millis(40));
    }
    feeder.join().expect("everything was written");
    assert!(writer.wait().expect("it ends").success());
    let mut reader = reader;
    let received = all_of(reader.stdout.take().expect("it is piped"));
    assert!(reader.wait().expect("it ends").success());
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    assert!(received.lines().eq(expected.iter()), "{} of {MESSAGES}", received.lines().count());
    let log = broker.log();
    assert_eq!(log.matches(" as writer (").count(), 1);
    assert_eq!(log.matches(" as reader (").count(), 2);
    assert!(!log.contains("everything stays as it was"), "{log}");
    assert_eq!(broker.stop(), Some(0));
}
