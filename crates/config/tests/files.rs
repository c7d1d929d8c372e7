//! Whole files as people have them: of packages, of courses, of a home, of a company, of a container.

use dunlin_config::model::{Address, Protocol, Timestamps};
use dunlin_config::value::Limit;
use dunlin_config::{
    CommandLine, Disk, Effect, Format, Loaded, Loader, Memory, Problems, Source, What, changes,
    mosquitto, to_toml,
};

fn load(files: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let source = Memory::new(files.iter().copied());
    let main = files[0].0;
    Loader::new(&source).load(Some(main))
}

/// Reads, and sees that what `import` would write is the same.
fn moved(files: &[(&str, &str)]) -> Loaded {
    let loaded = load(files).unwrap_or_else(|problems| panic!("{problems}"));
    let toml = to_toml(&loaded.config, &loaded.notes);
    let again = load(&[("d.toml", &toml)]).unwrap_or_else(|problems| panic!("{problems}\n{toml}"));
    assert_eq!(loaded.config, again.config, "{toml}");
    loaded
}

/// What Debian's package installs.
const DEBIAN: &str = "\
# Place your local configuration in /etc/mosquitto/conf.d/

pid_file /run/mosquitto/mosquitto.pid

persistence true
persistence_location /var/lib/mosquitto/

log_dest file /var/log/mosquitto/mosquitto.log

include_dir /etc/mosquitto/conf.d
";

#[test]
fn debians_package_starts_for_this_machine_only() {
    let loaded = moved(&[
        ("/etc/mosquitto/mosquitto.conf", DEBIAN),
        ("/etc/mosquitto/conf.d/README", "Any file placed in this directory that ends in .conf\n"),
    ]);
    let config = loaded.config;
    assert!(config.is_local_only());
    let listener = &config.listeners[0];
    assert_eq!((listener.port, &listener.address), (1883, &Address::Loopback));
    assert!(config.allows_anonymous(listener));
    assert_eq!(config.log.destinations, ["file"]);
    assert!(config.persistence.enabled);
    let kept = config.persistence.mosquitto_file.unwrap();
    assert_eq!(kept.to_str(), Some("/var/lib/mosquitto/mosquitto.db"));
    assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
}

#[test]
fn a_file_in_conf_d_opens_the_listeners() {
    let local = "listener 1883\nallow_anonymous false\npassword_file /etc/mosquitto/passwd\n";
    let loaded = moved(&[
        ("/etc/mosquitto/mosquitto.conf", DEBIAN),
        ("/etc/mosquitto/conf.d/local.conf", local),
    ]);
    let config = loaded.config;
    assert!(!config.is_local_only());
    assert_eq!(loaded.files[1], "/etc/mosquitto/conf.d/local.conf");
    let listener = &config.listeners[0];
    assert_eq!(listener.address, Address::Any);
    assert_eq!(listener.place().unwrap().to_string(), "/etc/mosquitto/conf.d/local.conf:1");
    let place = config.places.get("security.allow_anonymous").unwrap();
    assert_eq!(place.to_string(), "/etc/mosquitto/conf.d/local.conf:2");
}

#[test]
fn debians_own_example_is_read_with_all_its_keys() {
    let path = "/usr/share/doc/mosquitto/examples/mosquitto.conf";
    let Ok(text) = Disk.read(path) else { return };
    assert!(Loader::new(&Disk).load(Some(path)).unwrap().config.is_local_only());
    // Each key that stands there as a comment, alone with what it needs.
    let mut seen = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix('#')) {
        let (name, _) = line.split_once(' ').unwrap_or((line, ""));
        if !mosquitto::keys().any(|key| key.name == name) {
            continue;
        }
        seen += 1;
        for before in ["", "listener 1883\n", "connection b\naddress a\ntopic #\n"] {
            if let Err(problems) = load(&[("m.conf", &format!("{before}{line}\n"))]) {
                assert!(!problems.to_string().contains("there is no key"), "{line}: {problems}");
            }
        }
    }
    assert!(seen > 90, "{seen}");
}

#[test]
fn the_course_that_secures_a_broker_works_as_written() {
    let text = "\
# Default listener (disabled)
listener 1883
allow_anonymous false
# TLS listener
listener 8883
cafile /etc/mosquitto/certs/ca.crt
certfile /etc/mosquitto/certs/server.crt
keyfile /etc/mosquitto/certs/server.key
require_certificate false
# Password file
password_file /etc/mosquitto/passwd
# Logging
log_dest file /var/log/mosquitto/mosquitto.log
log_type all
";
    let config = moved(&[("/etc/mosquitto/mosquitto.conf", text)]).config;
    let [plain, tls] = config.listeners.as_slice() else { panic!("two listeners") };
    assert!(plain.tls().is_none());
    assert!(tls.tls().is_some());
    for listener in [plain, tls] {
        assert!(!config.allows_anonymous(listener));
        assert!(config.access_of(listener).password_file.is_some());
    }
}

#[test]
fn the_course_that_opens_a_broker_for_tests_works_as_written() {
    let text = "\
# Allow anonymous connections (for testing only!)
allow_anonymous true

# Listen on all interfaces
listener 1883 0.0.0.0

# WebSocket support
listener 9001
protocol websockets

# Persistence
persistence true
persistence_location /var/lib/mosquitto/

# Logging
log_dest file /var/log/mosquitto/mosquitto.log
log_type all
";
    let config = moved(&[("/etc/mosquitto/mosquitto.conf", text)]).config;
    let [plain, web] = config.listeners.as_slice() else { panic!("two listeners") };
    assert_eq!(plain.address, Address::Named("0.0.0.0".into()));
    assert_eq!(web.protocol, Protocol::WebSockets);
    assert!(config.allows_anonymous(plain) && config.allows_anonymous(web));
}

#[test]
fn a_plain_home_moves_in() {
    let text = "\
per_listener_settings false
listener 1883 192.168.1.10
allow_anonymous false
password_file /mosquitto/config/password.txt
persistence true
persistence_location /mosquitto/data/
autosave_interval 300
log_dest stdout
log_timestamp_format %Y-%m-%dT%H:%M:%S
max_queued_messages 5000
persistent_client_expiration 2m
";
    let loaded = moved(&[("home.conf", text)]);
    assert_eq!(loaded.config.log.timestamps, Timestamps::Format);
    assert_eq!(loaded.config.limits.maximum_queued_messages, Limit::At(5_000));
    assert_eq!(loaded.config.limits.maximum_session_expiry.seconds(), 60 * 86_400);
    assert_eq!(loaded.notes.len(), 1, "autosave is answered: {:?}", loaded.notes);
}

#[test]
fn a_company_with_certificates_rules_and_a_bridge_moves_in() {
    let text = "\
per_listener_settings true

listener 8883
cafile /etc/mosquitto/ca_certificates/ca.crt
certfile /etc/mosquitto/certs/server.crt
keyfile /etc/mosquitto/certs/server.key
crlfile /etc/mosquitto/certs/revoked.crl
require_certificate true
use_identity_as_username true
tls_version tlsv1.2
acl_file /etc/mosquitto/acl
max_connections 2000

listener 1883 127.0.0.1
allow_anonymous true

connection cloud
address mqtt.example.com:8883 backup.example.com:8883
bridge_cafile /etc/ssl/certs/ca-certificates.crt
bridge_protocol_version mqttv50
remote_username site-7
remote_password very secret
try_private false
start_type automatic
notifications false
cleansession false
restart_timeout 5 60
topic sensors/# out 1 \"\" site7/
topic commands/# in 1 \"\" site7/
topic \"with a space/#\" both 0
";
    let loaded = moved(&[("company.conf", text)]);
    let config = loaded.config;
    let [tls, local] = config.listeners.as_slice() else { panic!("two listeners") };
    assert!(config.access_of(tls).acl_file.is_some());
    assert!(config.access_of(local).acl_file.is_none());
    assert!(config.allows_anonymous(local) && !config.allows_anonymous(tls));
    let bridge = &config.bridges[0];
    assert_eq!(bridge.topics.len(), 3);
    assert_eq!(bridge.topics[2].filter, "with a space/#");
    assert!(!format!("{bridge:?}").contains("very secret"));
    assert!(loaded.notes.iter().any(|note| note.text.contains("not connected")));
}

#[test]
fn a_container_moves_in() {
    let text = "listener 1883 0.0.0.0\nlistener 9001\nprotocol websockets\nallow_anonymous true\n\
                persistence true\npersistence_location /mosquitto/data/\nlog_dest stdout\nlog_dest \
                file /mosquitto/log/mosquitto.log\nuser mosquitto\n";
    let files = [("/mosquitto/config/mosquitto.conf", text)];
    let source = Memory::new(files);
    let line = CommandLine::parse(["-c", "/mosquitto/config/mosquitto.conf"]).unwrap();
    let variables = [
        ("DUNLIN_LISTENER_1_MAXIMUM_CONNECTIONS", "100"),
        ("DUNLIN_LOG_TYPES", "error,warning"),
        ("DUNLIN_PORT", "tcp://10.0.0.7:1883"),
        ("MOSQUITTO_PERSISTENCE_LOCATION", "/data"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loader = Loader::new(&source).with_environment(variables);
    let loaded = loader.load_command_line(&line).unwrap();
    let config = loaded.config;
    assert_eq!(config.listeners[0].maximum_connections, Limit::At(100));
    let place = config.listeners[0].places.get("maximum_connections").unwrap();
    assert_eq!(place.to_string(), "DUNLIN_LISTENER_1_MAXIMUM_CONNECTIONS");
    assert_eq!(config.persistence.directory.to_str(), Some("/data/mosquitto.db.dunlin"));
    assert_eq!(config.log.destinations, ["stdout", "file"]);
    assert!(loaded.notes.iter().any(|note| note.key == "DUNLIN_PORT"), "{:?}", loaded.notes);
    moved(&files);
}

#[test]
fn a_port_on_the_command_line_counts_only_without_listeners() {
    let source =
        Memory::new([("none.conf", "allow_anonymous false\n"), ("one.conf", "listener 1884\n")]);
    let load = |line: &str| {
        let line = CommandLine::parse(line.split_whitespace()).unwrap();
        Loader::new(&source).load_command_line(&line).unwrap()
    };
    let ports = |loaded: &Loaded| -> Vec<u16> {
        loaded.config.listeners.iter().map(|listener| listener.port).collect()
    };
    let alone = load("-v -p 1999 -p 2000");
    assert_eq!(ports(&alone), [1999, 2000]);
    assert!(
        alone.config.is_local_only() && alone.config.allows_anonymous(&alone.config.listeners[0])
    );
    assert_eq!(alone.config.log.types, dunlin_config::model::LogTypes::ALL);

    let without = load("-c none.conf -p 1999");
    assert_eq!(ports(&without), [1999]);
    assert!(!without.config.allows_anonymous(&without.config.listeners[0]));

    let same = load("-c one.conf -p 1884");
    assert_eq!(ports(&same), [1884]);
    assert!(same.notes.is_empty());
    let other = load("-c one.conf -p 1999");
    assert_eq!(ports(&other), [1884]);
    assert!(other.notes[0].text.contains("port 1999 is not opened"), "{:?}", other.notes);
    assert_eq!(ports(&load("")), [1883]);
}

#[test]
fn the_form_of_a_file_is_told_by_its_name_or_its_first_line() {
    assert_eq!(Format::of("x.toml", "listener 1883"), Format::Toml);
    assert_eq!(Format::of("x.conf", "[server]"), Format::Mosquitto);
    assert_eq!(Format::of("x", "# hello\n\n[server]\n"), Format::Toml);
    assert_eq!(Format::of("x", "server.user = \"x\"\n"), Format::Toml);
    assert_eq!(Format::of("x", "listener 1883\n"), Format::Mosquitto);
    assert_eq!(Format::of("/dev/fd/63", ""), Format::Mosquitto);
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_what_is_near() {
    for (text, told) in [
        ("listner 1883\n", "m.conf:1: there is no key `listner`; did you mean `listener`?"),
        (
            "\n\nlistener 1883\nallow_anonymus true\n",
            "m.conf:4: there is no key `allow_anonymus`; did you mean `allow_anonymous`?",
        ),
        (
            "listener\t1883\n",
            "m.conf:1: `listener\t1883`: key and value are separated by spaces, not tabs",
        ),
        ("  # indented\n", "m.conf:1: a comment begins in the first column"),
        ("listener 65536\n", "m.conf:1: `listener`: 65536 is not between 0 and 65535"),
        ("listener 0\n", "m.conf:1: `listener`: with port 0 it needs the path of a unix socket"),
        ("listener abc\n", "m.conf:1: `listener`: `abc` is not a number"),
        (
            "listener 1883\nallow_anonymous maybe\n",
            "m.conf:2: `allow_anonymous`: `maybe` is neither true nor false",
        ),
        (
            "listener 1883\nallow_anonymous TRUE\n",
            "m.conf:2: `allow_anonymous`: `TRUE` is neither true nor false",
        ),
        ("max_keepalive\n", "m.conf:1: `max_keepalive`: it needs a value"),
        ("max_keepalive 65536\n", "m.conf:1: `max_keepalive`: 65536 is not between 0 and 65535"),
        (
            "max_packet_size 19\n",
            "m.conf:1: `max_packet_size`: 19 is not between 20 and 2147483647",
        ),
        ("persistent_client_expiration 5\n", "is no length of time"),
        ("cafile x\n", "m.conf:1: `cafile`: it belongs below a `listener`"),
        (
            "topic # out\n",
            "m.conf:1: `topic`: it belongs below a `connection`, which begins a bridge",
        ),
        ("connection x\naddress a\n", "m.conf:1: bridge `x` needs a `topic`"),
        ("connection x\ntopic #\n", "m.conf:1: bridge `x` needs the `address` of a broker"),
        (
            "per_listener_settings true\nacl_file x\n",
            "m.conf:2: `acl_file`: with `per_listener_settings true` it belongs below a `listener`",
        ),
        (
            "listener 1\nallow_anonymous true\nper_listener_settings true\n",
            "m.conf:3: `per_listener_settings`: it must come before all other security keys",
        ),
        (
            "listener 1\nauto_id_prefix a\nauto_id_prefix b\n",
            "m.conf:3: `auto_id_prefix`: it is there twice",
        ),
        ("listener 1\ncertfile c\n", "m.conf:2: `certfile` needs `keyfile`"),
        ("listener 1\ncafile c\n", "m.conf:2: `cafile` needs `certfile` and `keyfile`"),
        ("listener 1\nmount_point a/+\n", "m.conf:2: `a/+` cannot come before topics"),
        (
            "listener 1883\n\nlistener 1883\n",
            "m.conf:3: there is another listener on the same address at m.conf:1",
        ),
        ("log_dest fil\n", "m.conf:1: `log_dest`: `fil` is no place for a log"),
        ("log_type chatty\n", "`chatty` is none of: error"),
        ("include_dir /nowhere\n", "m.conf:1: cannot read the directory `/nowhere`"),
        (
            "listener 1\ncertfile c\nkeyfile k\nenable_proxy_protocol 2\n",
            "m.conf:4: behind a proxy",
        ),
    ] {
        let problems = load(&[("m.conf", text)]).expect_err(text).to_string();
        assert!(problems.contains(told), "{text:?}: {problems}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_included_files_by_their_names() {
    let main = "sys_intervall 3\ninclude_dir d\npersistance true\n";
    let problems =
        load(&[("m.conf", main), ("d/b.conf", "include_dir x\n"), ("d/a.conf", "usr x\n")]);
    let told: Vec<_> = problems
        .unwrap_err()
        .iter()
        .map(|problem| problem.place.clone().unwrap().to_string())
        .collect();
    assert_eq!(told, ["m.conf:1", "d/a.conf:1", "d/b.conf:1", "m.conf:3"]);
    let missing = load(&[("m.conf", "")]).map(|_| ());
    assert_eq!(missing, Ok(()));
    let missing = Loader::new(&Memory::default()).load(Some("gone.conf")).unwrap_err();
    assert!(missing.to_string().contains("cannot read the configuration `gone.conf`"), "{missing}");
}

#[test]
fn sections_end_with_the_file_that_begins_them() {
    let problems = load(&[
        ("m.conf", "listener 1883\ninclude_dir d\nmount_point x/\n"),
        ("d/a.conf", "mount_point y/\n"),
    ])
    .unwrap_err();
    assert_eq!(problems.to_string(), "d/a.conf:1: `mount_point`: it belongs below a `listener`");
}

#[test]
fn a_reload_is_told_key_by_key() {
    let before = "listener 1883\nlistener 8883\ncertfile a\nkeyfile k\nmax_queued_messages 5\n";
    let after = "listener 1883\nmax_connections 7\nlistener 8884\ncertfile a\nkeyfile \
                 k\nmax_queued_messages 6\npersistence true\n";
    let (old, new) = (load(&[("m.conf", before)]).unwrap(), load(&[("m.conf", after)]).unwrap());
    let changes = changes(&old.config, &new.config);
    let find = |wanted: &dyn Fn(&What) -> bool| changes.iter().find(|change| wanted(&change.what));
    let queued = find(&|what| {
        *what
            == What::Key {
                key: "limits.maximum_queued_messages",
                from: Some("5".into()),
                to: Some("6".into()),
            }
    });
    let queued = queued.unwrap();
    assert_eq!(queued.effect, Effect::AtOnce);
    assert_eq!(queued.place.as_ref().unwrap().to_string(), "m.conf:6");
    let kept = find(&|what| matches!(what, What::Key { key: "persistence.enabled", .. })).unwrap();
    assert_eq!(kept.effect, Effect::Restart);
    assert!(find(&|what| *what == What::ListenerRemoved { listener: "*:8883".into() }).is_some());
    assert!(find(&|what| *what == What::ListenerAdded { listener: "*:8884".into() }).is_some());
    let limit =
        find(&|what| matches!(what, What::Listener { key: "maximum_connections", .. })).unwrap();
    assert_eq!(limit.place.as_ref().unwrap().to_string(), "m.conf:2");
    assert!(dunlin_config::changes(&new.config, &new.config).is_empty());
}
