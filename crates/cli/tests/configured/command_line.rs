//! Command lines, and what the process answers.

use crate::process::{Place, is_open, publish, subscribe};

#[test]
fn what_cannot_be_started_ends_with_status_3_and_says_where() {
    let place = Place::new();
    place
        .write("unknown.conf", "listener PORT\n\nallow_anonymus true\n")
        .write("value.conf", "listener PORT\nmax_connections many\n")
        .write("tls.conf", "listener PORT\ncertfile missing.crt\nkeyfile missing.key\n")
        .write("password.conf", "listener PORT\npassword_file missing\n")
        .write("acl.conf", "listener PORT\nallow_anonymous true\nacl_file DIR/acl\n")
        .write("acl", "topic read a/b\ntopc write c\n")
        .write("log.conf", "listener PORT\nlog_dest file DIR/nowhere/log\n")
        .write("time.conf", "listener PORT\nlog_timestamp_format %J\n")
        .write("user.conf", "user nobody-of-this-name\n")
        .write("dunlin.toml", "[limits]\nconections = 4\n");
    for (line, told) in [
        (
            "-c unknown.conf",
            "unknown.conf:3: there is no key `allow_anonymus`; did you mean `allow_anonymous`?",
        ),
        ("-c unknown.conf -p PORT -v", "unknown.conf:3"),
        ("-c unknown.conf --test-config", "unknown.conf:3"),
        ("-c value.conf", "value.conf:2: `max_connections`: `many` is not a number"),
        ("-c missing.conf", "cannot read the configuration `missing.conf`"),
        ("-c tls.conf --test-config", "missing.crt"),
        ("-c password.conf", "missing"),
        ("-c acl.conf", "DIR/acl:2"),
        ("-c acl.conf --test-config", "DIR/acl:2"),
        ("-c log.conf", "cannot open the log file DIR/nowhere/log"),
        ("-c time.conf", "`%J`"),
        ("-c dunlin.toml", "dunlin.toml:2"),
        ("-p", "PORT"),
        ("--no-such-option", "--no-such-option"),
        ("-p 70000", "70000"),
    ] {
        let output = place.run("dunlin", line);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{line}: {stderr}");
        let told = if line == "-p" { told.to_owned() } else { place.fill(told) };
        assert!(stderr.contains(&told), "{line}: {stderr}");
        assert!(!is_open(place.port()), "{line}");
    }
}

#[test]
fn certificates_of_a_mosquitto_conf_that_cannot_be_used_end_with_its_status_1() {
    let place = Place::new();
    let listener = |rest: &str| format!("listener PORT\n{rest}\n");
    let dunlin =
        "[[listener]]\nport = PORT\ncertfile = \"missing.crt\"\nkeyfile = \"missing.key\"\n";
    place
        .write("tls.conf", &listener("certfile missing.crt\nkeyfile missing.key"))
        .write("version.conf", &listener("tls_version invalid"))
        .write("suites.conf", &listener("ciphers invalid"))
        .write("suites13.conf", &listener("ciphers_tls1.3 invalid"))
        .write("both.conf", &listener("ciphers invalid\nmax_qos 3"))
        .write("dunlin.toml", dunlin);
    for (line, status, told) in [
        ("-c tls.conf", 1, "missing.crt"),
        ("-c tls.conf --test-config", 3, "missing.crt"),
        ("-c version.conf", 1, "`invalid` is no version"),
        ("-c version.conf --test-config", 3, "`invalid` is no version"),
        ("-c suites.conf", 1, "`invalid` is no name of a cipher suite"),
        ("-c suites13.conf", 1, "`invalid` is no name of a cipher suite"),
        ("-c both.conf", 3, "both.conf:3"),
        ("-c dunlin.toml", 3, "missing.crt"),
    ] {
        let output = place.run("dunlin", line);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{line}: {stderr}");
        assert!(stderr.contains(told), "{line}: {stderr}");
    }
}

#[test]
fn a_right_configuration_is_only_checked() {
    let place = Place::new();
    place.write("a.conf", "listener PORT\nallow_anonymous true\nautosave_interval 60\n");
    let output = place.run("dunlin", "--test-config -c a.conf");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("a.conf:3: autosave_interval"), "{stderr}");
}

#[test]
fn under_the_name_of_mosquitto_its_command_line_holds() {
    let place = Place::new();
    for (line, status, told) in [
        ("-h", 0, "Usage: mosquitto [-c config_file] [-d] [-h] [-p port] [-v]"),
        ("--version", 0, "mosquitto: dunlin"),
        ("-x", 3, "there is no option `-x`"),
        ("-p 0", 3, "`0` is no port"),
        ("-p 0", 3, "Error: Invalid port specified (0).\n"),
        ("-p", 3, "Error: -p argument given, but no port specified.\n"),
        ("-c", 3, "Error: -c argument given, but no config file specified.\n"),
        ("--tls-keylog", 3, "Error: --tls-keylog argument given, but no file specified.\n"),
        ("-x", 3, "Error: Unknown option '-x'.\n"),
        ("-c a.conf", 3, "Error: Unable to open config file 'a.conf'.\n"),
        ("pub", 3, "there is no option `pub`"),
    ] {
        let output = place.run("/opt/bin/mosquitto", line);
        let told_here = [output.stdout, output.stderr].concat();
        let told_here = String::from_utf8_lossy(&told_here);
        assert_eq!(output.status.code(), Some(status), "{line}: {told_here}");
        assert!(told_here.contains(told), "{line}: {told_here}");
    }
    let broker = place.start_as("mosquitto", "-v -p PORT", &[place.port()]);
    assert!(publish(place.port(), "-t a -m b -q 1"));
    assert_eq!(broker.stop(), Some(0));
    assert!(!place.path("dunlin-data").exists());
}

#[test]
fn a_port_alone_is_a_loopback_listener_for_anybody_that_keeps_nothing() {
    let place = Place::new();
    let mut broker = place.start("-v -p PORT -p PORT2", &[place.port(), place.second_port()]);
    assert!(publish(place.port(), "-t a -m kept -r -q 1"));
    assert_eq!(subscribe(place.second_port(), "-t a -C 1 -W 60"), "kept\n");
    broker.hears("only this machine can connect");
    assert_eq!(broker.stop(), Some(0));
    assert!(!place.path("dunlin-data").exists());
}

#[test]
fn a_port_counts_only_if_the_file_has_no_listener() {
    let place = Place::new();
    place.write("with.conf", "listener PORT\nallow_anonymous true\n");
    place.write("without.conf", "allow_anonymous true\n");
    let broker = place.start("-v -c with.conf -p PORT", &[place.port()]);
    assert_eq!(broker.stop(), Some(0));
    let mut broker = place.start("-v -c with.conf -p PORT2", &[place.port()]);
    assert!(!is_open(place.second_port()));
    broker.hears("is not opened");
    assert_eq!(broker.stop(), Some(0));
    let broker = place.start("-v -c without.conf -p PORT2", &[place.second_port()]);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_no_fault_of_the_configuration() {
    let place = Place::new();
    let _first = place.start("-p PORT", &[place.port()]);
    let second = place.run("dunlin", "-p PORT");
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the port is in use"), "{stderr}");
}

#[test]
fn a_daemon_is_ready_when_the_command_ends_and_fails_with_it() {
    let place = Place::new();
    place.write("d.conf", "listener PORT\nallow_anonymous true\npid_file DIR/pid\n");
    let output = place.run("dunlin", "-d -c d.conf");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(publish(place.port(), "-t a -m b -q 1"));
    let pid = place.read("pid");
    let again = place.run("dunlin", "-d -p PORT");
    assert_eq!(again.status.code(), Some(1));
    let killed = std::process::Command::new("kill").arg(pid.trim()).status();
    assert!(killed.expect("there is kill").success());
}

#[test]
fn a_log_goes_where_it_is_sent_in_the_form_that_is_asked_for() {
    let place = Place::new();
    place.write(
        "l.conf",
        "listener PORT\nallow_anonymous true\nlog_dest file DIR/log\nlog_dest topic\nlog_type all\n\
         log_timestamp_format %Y-%m-%dT\nconnection_messages false\n",
    );
    let broker = place.start("-c l.conf", &[place.port()]);
    assert!(publish(place.port(), "-i somebody -t a -m b"));
    let told = std::thread::scope(|scope| {
        let port = place.port();
        let reader = scope.spawn(move || subscribe(port, "-t $SYS/broker/log/W -C 1 -W 60 -v"));
        broker.signal("RTMIN");
        // Again and again, until it has subscribed.
        while !reader.is_finished() {
            broker.signal("USR1");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        reader.join().expect("it reads")
    });
    assert!(told.contains("$SYS/broker/log/W 20") && told.contains("SIGUSR1"), "{told}");
    assert_eq!(broker.stop(), Some(0));
    let log = place.read("log");
    assert!(log.lines().all(|line| line.starts_with("20") && line.contains("T: ")), "{log}");
    assert!(log.contains("SIGTERM") && !log.contains("somebody"), "{log}");
}

#[test]
fn quiet_is_quiet_but_for_what_stops_the_start() {
    let place = Place::new();
    let broker = place.start("-q -p PORT", &[place.port()]);
    assert_eq!(broker.log(), "");
    let second = place.run("dunlin", "-q -p PORT");
    assert!(!second.stderr.is_empty());
}
