//! What keys of `mosquitto.conf` do, seen by clients.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bytes::frame;
use crate::process::{Broker, LIMIT, Place, publish as published, wait_until};
use crate::raw::{Connect, Raw, publish};

/// A broker of these lines; what they say of everything comes before its listener.
fn started(place: &Place, general: &str, listener: &str) -> Broker {
    let text = format!("{general}\nlistener PORT\nallow_anonymous true\n{listener}\n");
    place.write("keys.conf", &text);
    place.start("-c keys.conf", &[place.port()])
}

/// Who is let in by a broker that counts, once it has forgotten who looked whether its port is open.
fn first(port: u16, connect: &Connect<'_>) -> Raw {
    let mut first = None;
    wait_until("somebody is let in", || {
        let (raw, answer) = Raw::connect(port, connect);
        first = answer.is_some_and(|answer| answer.reason == 0).then_some(raw);
        first.is_some()
    });
    first.expect("it was waited for")
}

#[test]
fn connack_says_what_keys_allow() {
    let asking = Connect { keep_alive: 200, session_expiry: 86_400, ..Connect::new(5, "asks") };
    for (line, property, expected) in [
        ("max_keepalive 100", 0x13, &[0, 100][..]),
        ("max_packet_size 5000", 0x27, &[0, 0, 0x13, 0x88]),
        ("max_qos 1", 0x24, &[1]),
        ("maximum_qos 0", 0x24, &[0]),
        ("max_topic_alias 4", 0x22, &[0, 4]),
        ("max_inflight_messages 5", 0x21, &[0, 5]),
        ("retain_available false", 0x25, &[0]),
        ("persistent_client_expiration 1h", 0x11, &[0, 0, 0x0E, 0x10]),
    ] {
        let place = Place::new();
        let general = !matches!(property, 0x22 | 0x24);
        let (before, below) = if general { (line, "") } else { ("", line) };
        let _broker = started(&place, before, below);
        let (_, answer) = Raw::connect(place.port(), &asking);
        let answer = answer.expect("it is answered");
        let found = answer.properties.iter().find(|(id, _)| *id == property);
        assert_eq!(found.map(|(_, value)| value.as_slice()), Some(expected), "{line}: {answer:?}");
    }
}

#[test]
fn identifiers_are_given_and_refused_by_keys() {
    let table = [("auto_id_prefix dev-", "", "dev-"), ("", "listener_auto_id_prefix web-", "web-")];
    for (before, below, prefix) in table {
        let place = Place::new();
        let _broker = started(&place, before, below);
        let (_, answer) = Raw::connect(place.port(), &Connect::new(5, ""));
        let answer = answer.expect("it is answered");
        let given = answer.properties.iter().find(|(id, _)| *id == 0x12).expect("it has a name");
        assert!(given.1[2..].starts_with(prefix.as_bytes()), "{prefix}: {given:?}");
    }
    let place = Place::new();
    let _broker =
        started(&place, "allow_zero_length_clientid false\nclientid_prefixes secure-", "");
    for (id, reason) in [("", 2), ("other", 5), ("secure-1", 0)] {
        let (_, answer) = Raw::connect(place.port(), &Connect::new(4, id));
        assert_eq!(answer.map(|answer| answer.reason), Some(reason), "{id:?}");
    }
}

#[test]
fn a_retained_message_is_sent_while_its_publisher_may_write() {
    let rules = |word: &str| format!("topic read #\nuser meter\ntopic {word} kept\n");
    for (line, is_sent) in
        [("check_retain_source true", false), ("check_retain_source false", true)]
    {
        let place = Place::new();
        place.write("acl", &rules("write"));
        let broker = started(&place, &format!("{line}\nacl_file DIR/acl"), "");
        assert!(published(place.port(), "-u meter -t kept -m old -r -q 1"));
        place.write("acl", &rules("read"));
        broker.signal("HUP");
        let mut reader = Raw::connected(place.port(), &Connect::new(4, "reader"));
        reader.subscribe("kept", 0);
        assert_eq!(!reader.is_silent(), is_sent, "{line}: {}", broker.log());
    }
}

#[test]
fn one_listener_may_let_in_who_names_no_user() {
    let place = Place::new();
    place.write(
        "keys.conf",
        "allow_anonymous false\nlistener PORT\nlistener_allow_anonymous true\nlistener PORT2\n",
    );
    let _broker = place.start("-c keys.conf", &[place.port(), place.second_port()]);
    for (port, code) in [(place.port(), 0), (place.second_port(), 5)] {
        let (_, answer) = Raw::connect(port, &Connect::new(4, "nobody"));
        assert_eq!(answer.map(|answer| answer.reason), Some(code));
    }
}

#[test]
fn a_user_name_may_be_the_client_identifier() {
    let place = Place::new();
    let _broker = started(&place, "", "use_username_as_clientid true");
    let connect = |id| Connect { username: Some("pump"), ..Connect::new(5, id) };
    let mut one = Raw::connected(place.port(), &connect("one"));
    let _two = Raw::connected(place.port(), &connect("two"));
    let (first, body) = one.packet().expect("it is told");
    assert_eq!((first, body[0]), (0xE0, 0x8E), "session taken over");
}

#[test]
fn versions_that_a_listener_does_not_accept_are_refused() {
    let place = Place::new();
    let _broker = started(&place, "", "accept_protocol_versions 5");
    let (_, answer) = Raw::connect(place.port(), &Connect::new(4, "old"));
    assert_eq!(answer.map(|answer| answer.reason), Some(1));
    Raw::connected(place.port(), &Connect::new(5, "new"));
}

#[test]
fn connections_and_clients_beyond_a_number_are_refused() {
    for (before, below) in
        [("", "max_connections 1"), ("global_max_connections 1", ""), ("global_max_clients 1", "")]
    {
        let place = Place::new();
        let _broker = started(&place, before, below);
        let _first = first(place.port(), &Connect::new(5, "first"));
        let (_, answer) = Raw::connect(place.port(), &Connect::new(5, "second"));
        let told = answer.map_or(0x97, |answer| answer.reason);
        assert_eq!(told, 0x97, "{before}{below}");
    }
}

#[test]
fn a_payload_beyond_the_limit_goes_to_nobody() {
    let place = Place::new();
    let _broker = started(&place, "message_size_limit 10", "");
    let mut reader = Raw::connected(place.port(), &Connect::new(4, "reader"));
    reader.subscribe("#", 0);
    let (mut writer, _) = Raw::connect(place.port(), &Connect::new(4, "writer"));
    writer.send(&publish("a", 1, b"eleven byte"));
    writer.send(&publish("a", 1, b"ten bytes."));
    assert!(reader.until(b"ten bytes.").is_empty());
}

/// What waits for a client that is away while somebody publishes these, by their number.
fn waited(place: &Place, qos: u8, messages: &[Vec<u8>]) -> usize {
    let port = place.port();
    let connect = Connect { clean: false, ..Connect::new(4, "away") };
    let mut away = Raw::connected(port, &connect);
    away.subscribe("q", qos);
    away.send(&[0xE0, 0]);
    assert_eq!(away.packet(), None);
    let mut writer = Raw::connected(port, &Connect::new(4, "writer"));
    for message in messages {
        match qos {
            0 => writer.send(&publish("q", 0, message)),
            _ => writer.publish("q", message),
        }
    }
    writer.publish("other", b"");
    let mut away = Raw::connected(port, &connect);
    sleep(Duration::from_millis(100));
    away.send(&[0xC0, 0]);
    let mut count = 0;
    while let Some((first, _)) = away.packet() {
        match first {
            0xD0 => break,
            _ => count += 1,
        }
    }
    while !away.is_silent() && away.packet().is_some() {
        count += 1;
    }
    count
}

#[test]
fn what_waits_for_a_client_is_bounded_by_keys() {
    for (line, qos, size, expected) in [
        ("max_queued_messages 3", 1, 10, 3..=3),
        ("max_inflight_messages 1\nmax_queued_messages 0\nmax_queued_bytes 1000", 1, 400, 1..=3),
        ("queue_qos0_messages true", 0, 10, 6..=6),
        ("queue_qos0_messages false", 0, 10, 0..=0),
    ] {
        let place = Place::new();
        let _broker = started(&place, line, "");
        let messages: Vec<_> = (0..6).map(|number| vec![b'0' + number; size]).collect();
        let count = waited(&place, qos, &messages);
        assert!(expected.contains(&count), "{line}: {count}");
    }
}

#[test]
fn what_is_in_flight_is_bounded_by_keys() {
    for line in ["max_inflight_messages 1", "max_inflight_bytes 500"] {
        let place = Place::new();
        let _broker = started(&place, line, "");
        let mut reader = Raw::connected(place.port(), &Connect::new(4, "reader"));
        reader.subscribe("a", 1);
        let mut writer = Raw::connected(place.port(), &Connect::new(4, "writer"));
        for number in 0..2 {
            writer.publish("a", &[b'0' + number; 800]);
        }
        let (_, body) = reader.packet().expect("the first comes");
        assert!(reader.is_silent(), "{line}");
        reader.send(&frame(0x40, &body[3..5]));
        let (_, body) = reader.packet().expect("the second comes");
        assert!(body.ends_with(b"1"), "{line}");
    }
}

#[test]
fn copies_and_their_qos_follow_keys() {
    for (line, filters, firsts) in [
        ("allow_duplicate_messages false", &["a/#", "a/b"][..], &[0x32][..]),
        ("allow_duplicate_messages true", &["a/#", "a/b"], &[0x32, 0x32]),
        ("upgrade_outgoing_qos true", &["a/b"], &[0x32]),
    ] {
        let place = Place::new();
        let _broker = started(&place, line, "");
        let mut reader = Raw::connected(place.port(), &Connect::new(4, "reader"));
        filters.iter().for_each(|filter| reader.subscribe(filter, 1));
        reader.subscribe("end", 0);
        let mut writer = Raw::connected(place.port(), &Connect::new(4, "writer"));
        let qos = if line.starts_with("upgrade") { 0 } else { 1 };
        writer.send(&publish("a/b", qos, b"x"));
        writer.send(&publish("end", 0, b"end"));
        let got: Vec<u8> = reader.until(b"end").iter().map(|(first, _)| *first).collect();
        assert_eq!(got, firsts, "{line}");
    }
}

#[test]
fn a_mount_point_goes_before_the_topics_of_its_listener() {
    let place = Place::new();
    let second = "listener PORT2\nallow_anonymous true\nmount_point site/";
    let _broker = started(&place, "", second);
    let mut reader = Raw::connected(place.port(), &Connect::new(4, "reader"));
    reader.subscribe("#", 0);
    let mut writer = Raw::connected(place.second_port(), &Connect::new(4, "writer"));
    writer.publish("a", b"x");
    assert_eq!(reader.packet(), Some((0x30, b"\0\x06site/ax".to_vec())));
}

#[test]
fn a_proxy_has_to_say_who_the_client_is() {
    /// Version 2, PROXY, TCP over IPv4, from 192.0.2.7:1024 to 192.0.2.1:1883.
    const HEADER: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\x02\x07\xC0\0\x02\x01\x04\0\x07\x5B";
    for (more, is_let_in) in [("", true), ("proxy_protocol_v2_require_tls true", false)] {
        let place = Place::new();
        let below = format!("enable_proxy_protocol 2\n{more}");
        let mut broker = started(&place, "log_type all", &below);
        let mut raw = Raw::open(place.port());
        raw.send(&[HEADER, &Connect::new(4, "behind").packet()].concat());
        assert_eq!(raw.packet(), is_let_in.then(|| (0x20, vec![0, 0])), "{more}");
        if is_let_in {
            broker.hears("192.0.2.7");
        }
        let mut bare = Raw::open(place.port());
        bare.send(&Connect::new(4, "bare").packet());
        assert_eq!(bare.packet(), None);
    }
}

#[test]
fn pages_of_other_origins_are_refused() {
    let place = Place::new();
    let below = "protocol websockets\nwebsockets_origin https://here.example";
    let _broker = started(&place, "", below);
    for (origin, expected) in
        [("https://here.example", Some("101")), ("https://evil.example", None)]
    {
        let mut raw = Raw::open(place.port());
        raw.send(
            format!(
                "GET /mqtt HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Protocol: mqtt\r\nOrigin: {origin}\r\n\r\n"
            )
            .as_bytes(),
        );
        // A page of another origin is told nothing.
        let mut answer = [0; 12];
        let status = raw.0.read_exact(&mut answer).map(|()| String::from_utf8_lossy(&answer[9..]));
        assert_eq!(status.ok().as_deref(), expected, "{origin}");
    }
}

#[test]
fn a_listener_is_where_keys_put_it() {
    let (here, beside) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    let reached = |address: SocketAddr| TcpStream::connect(address).is_ok();
    for (lines, is_here, is_beside, is_v6) in [
        ("port PORT\nbind_address 127.0.0.1\nallow_anonymous true\n", true, false, false),
        ("listener PORT 127.0.0.2\nallow_anonymous true\n", false, true, false),
        ("listener PORT\nbind_interface lo\nallow_anonymous true\n", true, false, true),
        ("listener PORT\nsocket_domain ipv4\nallow_anonymous true\n", true, true, false),
    ] {
        let place = Place::new();
        place.write("where.conf", lines);
        let mut broker = place.start("-c where.conf", &[]);
        let port = place.port();
        let main = SocketAddr::from((if is_here { here } else { beside }, port));
        wait_until(lines, || reached(main));
        assert_eq!(reached((here, port).into()), is_here, "{lines}");
        // Of an interface, all its addresses are taken.
        if !lines.contains("interface") {
            assert_eq!(reached((beside, port).into()), is_beside, "{lines}");
            assert_eq!(reached((Ipv6Addr::LOCALHOST, port).into()), is_v6, "{lines}");
        }
        broker.hears("listening on");
    }
}

#[test]
fn the_log_holds_what_keys_ask_for() {
    for (lines, is_told) in [
        ("log_type all", true),
        ("log_type all\nconnection_messages false", false),
        ("log_type error", false),
        ("log_type all\nlog_timestamp false\nlog_dest file DIR/own.log", true),
    ] {
        let place = Place::new();
        let broker = started(&place, lines, "");
        Raw::connected(place.port(), &Connect::new(4, "chatty")).send(&[0xE0, 0]);
        assert!(published(place.port(), "-i last -t a -m b -q 1"));
        let file = lines.contains("log_dest");
        let is_there = || {
            let log = if file { place.read("own.log") } else { broker.log() };
            log.contains("chatty").then_some(log)
        };
        let mut log = is_there();
        let until = Instant::now() + if is_told { LIMIT } else { Duration::from_millis(250) };
        while log.is_none() && Instant::now() < until {
            sleep(Duration::from_millis(50));
            log = is_there();
        }
        assert_eq!(log.is_some(), is_told, "{lines}: {}", broker.log());
        if file {
            let log = log.expect("it is told");
            let stamped =
                |line: &str| line.split(':').next().is_some_and(|time| time.parse::<u64>().is_ok());
            assert!(!log.lines().any(stamped), "{log}");
        }
    }
}

#[test]
fn the_process_number_and_numbers_of_the_broker_are_where_keys_put_them() {
    let place = Place::new();
    let _broker = started(&place, "pid_file DIR/own.pid\nsys_interval 1", "");
    let mut reader = Raw::connected(place.port(), &Connect::new(4, "reader"));
    reader.subscribe("$SYS/broker/uptime", 0);
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(reader.packet().expect("it comes").1);
    }
    told.dedup();
    assert!(told.len() >= 2, "it goes on");
    let pid = fs::read_to_string(place.path("own.pid")).unwrap_or_default();
    assert!(pid.trim().parse::<u32>().is_ok(), "{pid:?}");
}

/// As Mosquitto writes it: user `meter`, password `of-the-house`.
const PASSWORDS: &str = include_str!("../data/passwords.txt");

#[test]
fn plugins_that_are_built_in_may_be_loaded_in_every_way() {
    let file = "/usr/lib/mosquitto_password_file.so";
    for (before, below) in [
        (String::new(), format!("plugin {file}\nplugin_opt_password_file DIR/pw")),
        (format!("global_plugin {file}\nplugin_opt_password_file DIR/pw"), String::new()),
        (format!("auth_plugin {file}\nauth_opt_password_file DIR/pw"), String::new()),
        (format!("plugin_load pw {file}\nplugin_opt_password_file DIR/pw"), "plugin_use pw".into()),
    ] {
        let place = Place::new();
        fs::write(place.path("pw"), PASSWORDS).expect("it is written");
        let text = format!("{before}\nlistener PORT\n{below}\n");
        place.write("plugins.conf", &text);
        let _broker = place.start("-c plugins.conf", &[place.port()]);
        assert!(published(place.port(), "-u meter -P of-the-house -t a -m 1 -q 1"), "{text}");
        assert!(!published(place.port(), "-u meter -P other -t a -m 1 -q 1"), "{text}");
        assert!(!published(place.port(), "-t a -m 1 -q 1"), "{text}");
    }
}

#[test]
fn tls_is_spoken_as_keys_say() {
    let place = Place::new();
    for line in ["cert ca --name Quay", "cert server localhost", "cert client boat"] {
        assert!(place.run("dunlin", line).status.success(), "{line}");
    }
    let pair = "certfile DIR/server.crt\nkeyfile DIR/server.key";
    let own = "--cert boat.crt --key boat.key";
    for (lines, way, is_let_in) in [
        ("ciphers_tls1.3 TLS_AES_256_GCM_SHA384", "--ciphers TLS_AES_128_GCM_SHA256", false),
        ("ciphers_tls1.3 TLS_AES_256_GCM_SHA384", "--ciphers TLS_AES_256_GCM_SHA384", true),
        ("ciphers_tls1.3 TLS_AES_256_GCM_SHA384", "--tls-version tlsv1.2", true),
        ("ciphers ECDHE-ECDSA-AES128-GCM-SHA256", "--tls-version tlsv1.2", true),
        ("tls_version tlsv1.3", "--tls-version tlsv1.3", true),
        ("capath DIR/ca\nrequire_certificate true", "", false),
        ("capath DIR/ca\nrequire_certificate true", own, true),
        (
            "cafile DIR/ca/ca.crt\nrequire_certificate true\ndisable_client_cert_date_checks true",
            own,
            true,
        ),
    ] {
        place.write("tls.conf", &format!("listener PORT\nallow_anonymous true\n{pair}\n{lines}\n"));
        let broker = place.start("-c tls.conf", &[place.port()]);
        let line = format!("pub -h localhost -p PORT --cafile ca/ca.crt {way} -t a -m b -q 1");
        let output = place.run("dunlin", &line);
        assert_eq!(output.status.success(), is_let_in, "{lines}: {line}: {}", broker.log());
    }
}

#[test]
fn the_subject_of_a_certificate_may_be_the_user_name() {
    let place = Place::new();
    for line in ["cert ca --name Quay", "cert server localhost", "cert client boat"] {
        assert!(place.run("dunlin", line).status.success(), "{line}");
    }
    for (key, user) in
        [("use_identity_as_username", "boat"), ("use_subject_as_username", "CN=boat")]
    {
        place.write("acl", &format!("user {user}\ntopic readwrite own\n")).write(
            "subject.conf",
            &format!(
                "listener PORT\ncertfile DIR/server.crt\nkeyfile DIR/server.key\ncafile DIR/ca/ca.crt\n\
                 require_certificate true\n{key} true\nacl_file DIR/acl\n"
            ),
        );
        let broker = place.start("-c subject.conf", &[place.port()]);
        let way =
            "-h localhost -p PORT --cafile ca/ca.crt --cert boat.crt --key boat.key -V 5 -q 1";
        for (topic, expected) in [("own", true), ("other", false)] {
            let output = place.run("dunlin", &format!("pub {way} -t {topic} -m b"));
            let taken = output.status.success()
                && !String::from_utf8_lossy(&output.stderr).contains("uthor");
            assert_eq!(taken, expected, "{key} {topic}: {}", broker.log());
        }
    }
}

#[test]
fn what_is_retained_outlives_a_restart_under_the_keys_of_persistence() {
    let place = Place::new();
    let lines = "persistence true\npersistence_location DIR/data/\npersistence_file own.db\nretained_persistence true";
    fs::create_dir(place.path("data")).expect("it is made");
    let broker = started(&place, lines, "");
    Raw::connected(place.port(), &Connect::new(4, "w")).publish("a", b"not retained");
    assert!(published(place.port(), "-t r -m kept -r -q 1"));
    assert_eq!(broker.stop(), Some(0));
    let _broker = started(&place, lines, "");
    let mut reader = Raw::connected(place.port(), &Connect::new(4, "r"));
    reader.subscribe("#", 0);
    assert_eq!(reader.packet(), Some((0x31, b"\0\x01rkept".to_vec())));
    reader.0.flush().expect("it is open");
}
