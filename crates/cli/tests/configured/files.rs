//! Whole configurations as people have them: each starts, does what it says, and so does what `import` makes
//! of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::process::{Place, client, publish, subscribe, subscribe_for_a_while};

/// A configuration as it was written, and as `import` writes it.
fn both(place: &Place, file: &str, ports: &[u16], check: impl Fn()) {
    for imported in [false, true] {
        let line = if imported {
            let toml = place.path("imported.toml");
            drop(fs::remove_file(&toml));
            let output = place.run("dunlin", &format!("import {file} -o imported.toml"));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let mode = fs::metadata(&toml).expect("it is written").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            "-c imported.toml".to_owned()
        } else {
            format!("-c {file}")
        };
        let broker = place.start(&line, ports);
        check();
        let log = broker.log();
        assert_eq!(broker.stop(), Some(0), "{line}: {log}");
    }
}

#[test]
fn debians_package_serves_this_machine_and_keeps_what_is_retained() {
    let place = Place::new();
    place
        .write(
            "mosquitto.conf",
            "# Place your local configuration in /etc/mosquitto/conf.d/\n\npid_file DIR/run/mosquitto.pid\n\n\
             persistence true\npersistence_location DIR/lib/\n\nlog_dest file DIR/log/mosquitto.log\n\n\
             include_dir DIR/conf.d\n",
        )
        .write("conf.d/README", "Any file placed in this directory that ends in .conf\n")
        .write("run/there", "")
        .write("lib/there", "")
        .write("log/there", "");
    let port = place.port();
    let broker = place.start("-c mosquitto.conf -p PORT", &[port]);
    assert!(publish(port, "-t a -m kept -r -q 1"));
    assert!(place.path("lib/mosquitto.db").is_file());
    assert!(!place.read("run/mosquitto.pid").is_empty());
    assert_eq!(broker.stop(), Some(0));
    // As its readme says, what is local goes into a directory of its own.
    place.write("conf.d/local.conf", "listener PORT2\nallow_anonymous true\n");
    let broker = place.start("-c mosquitto.conf", &[place.second_port()]);
    assert_eq!(subscribe(place.second_port(), "-t a -C 1 -W 60"), "kept\n");
    assert_eq!(broker.stop(), Some(0));
    assert!(place.read("log/mosquitto.log").contains("SIGTERM"));
}

#[test]
fn a_home_with_passwords_lets_in_who_knows_one() {
    let place = Place::new();
    place.write("home.conf", HOME);
    fs::write(place.path("password.txt"), PASSWORDS).expect("it is written");
    let port = place.port();
    both(&place, "home.conf", &[port], || {
        assert!(publish(port, "-u meter -P of-the-house -t a -m 1 -q 1"));
        assert!(!publish(port, "-u meter -P of-the-garden -t a -m 1 -q 1"));
        assert!(!publish(port, "-u nobody -P of-the-house -t a -m 1 -q 1"));
        assert!(!publish(port, "-t a -m 1 -q 1"));
    });
}

const HOME: &str = "per_listener_settings false\nlistener PORT 127.0.0.1\nallow_anonymous false\n\
    password_file DIR/password.txt\npersistence true\npersistence_location DIR/\nautosave_interval 300\n\
    log_dest stderr\nlog_timestamp_format %Y-%m-%dT%H:%M:%S\nmax_queued_messages 5000\n\
    persistent_client_expiration 2m\n";

/// As Mosquitto writes it (PBKDF2 with SHA-512): user `meter`, password `of-the-house`.
const PASSWORDS: &str = include_str!("../data/passwords.txt");

#[test]
fn rules_hold_for_each_listener_that_has_some() {
    let place = Place::new();
    place
        .write(
            "rules.conf",
            "per_listener_settings true\n\nlistener PORT 127.0.0.1\nallow_anonymous true\nacl_file DIR/acl\n\n\
             listener PORT2 127.0.0.1\nallow_anonymous true\nmount_point here/\n",
        )
        .write("acl", "topic read open/#\ntopic readwrite both/#\npattern write own/%c/#\n");
    let (port, free) = (place.port(), place.second_port());
    both(&place, "rules.conf", &[port, free], || {
        assert!(publish(free, "-t elsewhere -m 1 -r -q 1"));
        assert!(publish(port, "-t both/x -m 2 -r -q 1"));
        assert!(publish(port, "-t open/x -m 3 -r -q 1"));
        assert_eq!(subscribe_for_a_while(port, "-t both/x -t open/x"), "2\n");
        assert_eq!(subscribe(free, "-t elsewhere -C 1 -W 60"), "1\n");
        assert_eq!(subscribe(port, "-t here/elsewhere -W 1"), "");
    });
}

#[test]
fn a_company_with_certificates_rules_and_a_bridge_starts() {
    let place = Place::new();
    certificates(&place);
    place.write("company.conf", COMPANY).write("acl", "user site\ntopic readwrite #\n");
    let (tls, local) = (place.port(), place.second_port());
    both(&place, "company.conf", &[tls, local], || {
        assert!(publish(local, "-t sensors/1 -m cold -r -q 1"));
        let mut command = client("sub");
        let authority = place.path("ca.pem");
        let with = place.fill("-h localhost -p PORT -t sensors/1 -C 1 -W 60 --cert DIR/client.pem --key DIR/client.key");
        let output = command
            .args(with.split_whitespace())
            .arg("--cafile")
            .arg(&authority)
            .stdin(Stdio::null())
            .output()
            .expect("the client runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "cold\n");
        // Without a certificate there is no way in.
        let arguments = place.fill("-h localhost -p PORT -t a -m b -q 1");
        let mut command = client("pub");
        let output =
            command.args(arguments.split_whitespace()).arg("--cafile").arg(&authority).output();
        assert!(!output.expect("the client runs").status.success());
    });
}

const COMPANY: &str = "per_listener_settings true\nlistener PORT\ncafile DIR/ca.pem\ncertfile DIR/server.pem\n\
    keyfile DIR/server.key\nrequire_certificate true\nuse_identity_as_username true\ntls_version tlsv1.2\n\
    acl_file DIR/acl\nmax_connections 2000\n\nlistener PORT2 127.0.0.1\nallow_anonymous true\n\n\
    connection cloud\naddress mqtt.example.com:8883\nbridge_cafile DIR/ca.pem\nbridge_protocol_version mqttv50\n\
    remote_username site-7\nremote_password very-secret\ntry_private false\nnotifications false\n\
    topic sensors/# out 1 \"\" site7/\n";

/// An authority, the certificate of the server and one of the client `site`.
fn certificates(place: &Place) {
    let authority = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Authority of the test");
    let authority = CertifiedIssuer::self_signed(params, authority).expect("it signs itself");
    fs::write(place.path("ca.pem"), authority.pem()).expect("it is written");
    for (file, name) in [("server", "localhost"), ("client", "site")] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority).expect("it is signed");
        fs::write(place.path(&format!("{file}.pem")), certificate.pem()).expect("it is written");
        fs::write(place.path(&format!("{file}.key")), key.serialize_pem()).expect("it is written");
    }
}

#[test]
fn a_container_serves_two_protocols_and_takes_its_environment() {
    let place = Place::new();
    place
        .write(
            "mosquitto.conf",
            "listener PORT 0.0.0.0\nlistener PORT2\nprotocol websockets\nallow_anonymous true\npersistence true\n\
             persistence_location DIR/data/\nlog_dest stdout\nlog_dest file DIR/log/mosquitto.log\nuser mosquitto\n",
        )
        .write("data/there", "")
        .write("log/there", "");
    both(&place, "mosquitto.conf", &[place.port(), place.second_port()], || {
        assert!(publish(place.port(), "-t a -m b -q 1"));
        let url = format!("http://127.0.0.1:{}/mqtt", place.second_port());
        let headers = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol: mqtt",
        ];
        // It would stay; some machines need longer to answer than others.
        let answer = |seconds| {
            let mut probe = Command::new("curl");
            probe.args(["-s", "-i", "-m", seconds, &url]);
            for header in headers {
                probe.args(["-H", header]);
            }
            let output = probe.output().ok()?;
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let answered = ["1", "30"].into_iter().find_map(|seconds| {
            answer(seconds).filter(|answer| seconds == "30" || !answer.is_empty())
        });
        if let Some(answer) = answered {
            assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        }
    });
}

#[test]
fn where_nothing_is_retained_nobody_finds_anything() {
    let place = Place::new();
    place.write("r.conf", "listener PORT\nallow_anonymous true\nretain_available false\n");
    let port = place.port();
    let mut broker = place.start("-c r.conf", &[port]);
    assert!(publish(port, "-V 5 -t a -m 1 -q 1"));
    publish(port, "-V 311 -t a -m 1 -q 1 -r");
    broker.hears("[MQTT-3.2.2-14]");
    assert_eq!(subscribe(port, "-t a -W 1"), "");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn an_import_names_what_it_leaves_out_and_overwrites_nothing() {
    let place = Place::new();
    place.write("m.conf", "listener PORT\nautosave_interval 3\n").write("there.toml", "precious");
    let output = place.run("dunlin", "import m.conf");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("# m.conf:2: autosave_interval"), "{text}");
    let output = place.run("dunlin", "import m.conf -o there.toml");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(place.read("there.toml"), "precious");
    place.write("m.conf", "lisener 1\n");
    assert_eq!(place.run("dunlin", "import m.conf").status.code(), Some(3));
}

#[test]
fn a_test_of_the_configuration_warns_of_what_the_start_warns_of() {
    let place = Place::new();
    place.write("m.conf", "listener PORT\npassword_file DIR/passwd\n");
    place.write("passwd", "anna:in plain\nno user at all\n");
    let output = place.run("dunlin", "-c m.conf --test-config");
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<_> = told.lines().collect();
    assert!(
        lines[0].starts_with("Warning: ") && lines[0].contains("passwd:1: user \"anna\""),
        "{told}"
    );
    assert!(lines[1].contains("passwd:2: not `user:hash`"), "{told}");
    assert_eq!(lines[2..], ["The configuration is right."], "{told}");
}
