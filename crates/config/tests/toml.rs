//! `dunlin.toml`, its secrets, the environment, and the pages that are made of its table.

use dunlin_config::value::Limit;
use dunlin_config::{
    Config, Loaded, Loader, Memory, Problems, Weight, What, changes, reference, to_toml,
};

fn load(text: &str) -> Result<Loaded, Problems> {
    load_with(text, &[])
}

fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let source = Memory::new([("d.toml", text), ("/run/secret", "hush\n")]);
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Loader::new(&source).with_environment(variables).load(Some("d.toml"))
}

const FULL: &str = r#"
[server]
shards = 2
sys_interval = "30s"

[limits]
connections = 5000
maximum_packet_size = 65_536
maximum_output = "2 MiB"
maximum_session_expiry = "7d"

[security]
password_file = "/etc/dunlin/passwd"
jwt.secret_file = "/run/secret"

[log]
types = ["error", "warning"]

[[listener]]
port = 1883
address = "loopback"
allow_anonymous = true

[[listener]]
port = 8883
certfile = "server.crt"
keyfile = "server.key"
cafile = "ca.crt"
client_certificate = "optional"
versions = ["3.1.1", "5.0"]
allow_from = ["192.168.0.0/16", "fd00::/8"]

[[listener]]
unix_path = "/run/dunlin.sock"
unix_mode = 0o660

[[bridge]]
name = "cloud"
addresses = ["mqtt.example.com:8883"]
use_os_certs = true
remote_password_file = "/run/secret"
topics = [{ filter = "a/#", direction = "both", qos = 1 }, { filter = "b" }]

[roles.sensor]
write = ["sensors/%u/#"]
"#;

#[test]
fn a_whole_file_is_read_and_written_again() {
    let config = load(FULL).unwrap().config;
    assert_eq!(config.limits.maximum_output, Limit::At(2 << 20));
    assert_eq!(config.limits.maximum_session_expiry.seconds(), 7 * 86_400);
    assert_eq!(config.security.jwt.secret.as_ref().unwrap().expose(), "hush");
    assert_eq!(config.bridges[0].remote.password.as_ref().unwrap().expose(), "hush");
    assert_eq!(config.listeners[2].port, 0);
    assert_eq!(config.listeners[2].unix_mode, Some(0o660));
    assert_eq!(config.listeners[1].place().unwrap().line, 24);
    assert_eq!(config.listeners[1].places.get("cafile").unwrap().line, 28);
    assert_eq!(config.places.get("limits.maximum_output").unwrap().to_string(), "d.toml:9");
    assert!(config.definitions.is_some());
    assert!(!format!("{config:?}").contains("hush"));
    let again = load(&to_toml(&config, &[])).unwrap().config;
    assert_eq!(Config { definitions: None, ..config }, again);
    assert_eq!(again.settings().maximum_packet_size, 65_536);
}

#[test]
fn without_a_file_only_this_machine_may_connect() {
    let loaded = Loader::new(&Memory::default()).load(None).unwrap();
    assert!(loaded.config.is_local_only());
    assert!(loaded.config.allows_anonymous(&loaded.config.listeners[0]));
    assert!(loaded.config.persistence.enabled);
    assert_eq!(loaded.config, load("").unwrap().config);
    let open = load("[[listener]]\nport = 1883\n").unwrap().config;
    assert!(!open.allows_anonymous(&open.listeners[0]));
}

#[test]
fn what_is_wrong_is_named_with_line_and_what_is_near() {
    for (text, told) in [
        (
            "[limits]\nconections = 5\n",
            "d.toml:2: there is no key `limits.conections`; did you mean `limits.connections`?",
        ),
        ("[limit]\nconnections = 5\n", "d.toml:1: there is no key `limit`; did you mean `limits`?"),
        ("limits = 5\n", "d.toml:1: `limits` is a table: write [limits]"),
        ("listener = 5\n", "d.toml:1: there can be several: write [[listener]]"),
        ("[listener]\nport = 5\n", "d.toml:1: there can be several: write [[listener]]"),
        ("\n[[listener]]\nprot = 5\n", "d.toml:3: there is no key `prot`; did you mean `port`?"),
        ("[[listener]]\nport = 70000\n", "d.toml:2: `port`: 70000 is not between 0 and 65535"),
        ("[[listener]]\nport = -1\n", "d.toml:2: `port`: -1 is not between 0 and 65535"),
        ("[[listener]]\nport = \"1883\"\n", "d.toml:2: `port`: expected number, found a text"),
        (
            "[[listener]]\nprotocol = \"http\"\n",
            "d.toml:2: `protocol`: `http` is none of: mqtt, websockets, quic",
        ),
        ("[[listener]]\nversions = []\n", "no version of MQTT is left"),
        ("[[listener]]\nmaximum_qos = 3\n", "d.toml:2: `maximum_qos`: 3 is not between 0 and 2"),
        ("[[listener]]\nprotocol = \"quic\"\n", "d.toml:2: QUIC is always encrypted"),
        ("[[listener]]\nallow_from = [\"home\"]\n", "d.toml:2: `home` is no network"),
        ("[[listener]]\nallow_from = [\"10.0.0.0/33\"]\n", "is no network"),
        (
            "[[listener]]\nclient_certificate = \"required\"\ncertfile = \"c\"\nkeyfile = \"k\"\n",
            "d.toml:2: to ask clients for certificates",
        ),
        ("[[listener]]\nunix_path = \"x\"\nport = 5\n", "a unix socket has no port"),
        (
            "[server]\nsys_interval = \"soon\"\n",
            "d.toml:2: `server.sys_interval`: `soon` is no length of time",
        ),
        (
            "[server]\nshards = 0\n",
            "d.toml:2: `server.shards`: 0 is not between 1 and 65535 threads",
        ),
        ("[server]\nshards = 1.5\n", "d.toml:2: `server.shards`: expected a whole number"),
        ("[limits]\nmaximum_output = \"2 Mib\"\n", "is no size"),
        ("[limits]\nmaximum_output = -1\n", "for no limit say \"unlimited\""),
        (
            "[limits]\nmaximum_packet_size = 5\n",
            "d.toml:2: `limits.maximum_packet_size`: 5 is not between 20 and 4294967295 bytes",
        ),
        (
            "[log]\ndestinations = [\"file\"]\n",
            "d.toml:2: a log that goes to a file needs `log.file`",
        ),
        ("[log]\ndestinations = [\"disk\"]\n", "`disk` is no place for a log"),
        (
            "[security.jwt]\nsecret_file = \"/gone\"\n",
            "d.toml:2: `security.jwt.secret_file`: cannot read `/gone`",
        ),
        ("[[bridge]]\nname = \"b\"\n", "d.toml:1: bridge `b` needs the `address` of a broker"),
        (
            "[[bridge]]\nname = \"b\"\naddresses = [\"a:x\"]\ntopics = [{ filter = \"#\" }]\n",
            "d.toml:3: `a:x` is no address",
        ),
        (
            "[[bridge]]\ntopics = [{ filter = \"#\", way = \"out\" }]\n",
            "a topic of a bridge has no `way`",
        ),
        ("[[bridge]]\ntopics = [\"#\"]\n", "expected a list of tables"),
        ("[server\n", "d.toml:1: "),
        ("[server]\nuser = \"a\"\nuser = \"b\"\n", "d.toml:3: duplicate key"),
    ] {
        let problems = load(text).expect_err(text).to_string();
        assert!(problems.contains(told), "{text:?}: {problems}");
    }
}

#[test]
fn what_does_not_go_with_quic_is_named() {
    for (text, told) in [
        (
            "[[listener]]\nprotocol = \"quic\"\ncertfile = \"c\"\nkeyfile = \"k\"\nquic_keep_alive = \"5m\"\n",
            "d.toml:5: `quic_keep_alive` must be shorter",
        ),
        (
            "[[listener]]\nprotocol = \"quic\"\ncertfile = \"c\"\nkeyfile = \"k\"\nproxy_protocol = \"v1\"\n",
            "d.toml:5: a proxy cannot say",
        ),
    ] {
        let problems = load(text).expect_err(text).to_string();
        assert!(problems.contains(told), "{text:?}: {problems}");
    }
}

#[test]
fn the_environment_wins_and_is_named() {
    let config = load_with(
        FULL,
        &[
            ("DUNLIN_LIMITS_CONNECTIONS", "unlimited"),
            ("DUNLIN_SECURITY_PASSWORD_FILE", ""),
            ("DUNLIN_SECURITY_JWT_SECRET", "other"),
            ("DUNLIN_LISTENER_2_PORT", "8884"),
            ("DUNLIN_LISTENER_4_PORT", "9001"),
            ("DUNLIN_LISTENER_4_PROTOCOL", "websockets"),
            ("DUNLIN_BRIDGE_1_REMOTE_USERNAME", "123"),
            ("DUNLIN_SERVER_USER", "true"),
        ],
    )
    .unwrap()
    .config;
    assert_eq!(config.limits.connections, Limit::Unlimited);
    assert_eq!(config.security.access.password_file, None);
    assert_eq!(config.security.jwt.secret.as_ref().unwrap().expose(), "other");
    assert_eq!(config.listeners[1].port, 8884);
    assert_eq!(config.listeners[3].port, 9001);
    assert_eq!(config.bridges[0].remote.username.as_deref(), Some("123"));
    assert_eq!(config.server.user.as_deref(), Some("true"));
    let place = config.places.get("limits.connections").unwrap();
    assert_eq!(place.to_string(), "DUNLIN_LIMITS_CONNECTIONS");

    let wrong = load_with("", &[("DUNLIN_LIMITS_RECEIVE_MAXIMUM", "many")]).unwrap_err();
    assert!(
        wrong.to_string().starts_with("DUNLIN_LIMITS_RECEIVE_MAXIMUM: expected number"),
        "{wrong}"
    );
    let gap = load_with("", &[("DUNLIN_LISTENER_3_PORT", "1")]).unwrap_err().to_string();
    assert!(gap.contains("there are only 0"), "{gap}");
    let unknown = load_with("", &[("DUNLIN_LIMITS_CONNECTION", "5")]).unwrap();
    assert_eq!(unknown.notes[0].weight, Weight::Warning);
    assert!(unknown.notes[0].text.contains("DUNLIN_LIMITS_CONNECTIONS"), "{:?}", unknown.notes);
}

#[test]
fn a_variable_that_no_key_belongs_to_is_told_once_with_the_nearest() {
    let notes = load_with("", &[("DUNLIN_LIMIT_CONNECTIONS", "7")]).unwrap().notes;
    let told: Vec<_> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "DUNLIN_LIMIT_CONNECTIONS: no key belongs to this variable, so it is not used; did you mean `DUNLIN_LIMITS_CONNECTIONS`?"
        ]
    );
}

#[test]
fn a_mark_of_byte_order_is_no_part_of_a_file() {
    let source = Memory::new([
        ("d.toml", "\u{feff}[[listener]]\nport = 1\n"),
        ("m.conf", "\u{feff}listener 1\nallow_anonymous true\n"),
    ]);
    for file in ["d.toml", "m.conf"] {
        let config = Loader::new(&source).load(Some(file)).unwrap().config;
        assert_eq!(config.listeners[0].port, 1, "{file}");
    }
}

#[test]
fn a_listener_that_asks_for_certificates_without_tls_is_told() {
    for asked in ["required", "optional"] {
        let text = format!("[[listener]]\nport = 8883\nclient_certificate = \"{asked}\"\n");
        let notes = load(&text).unwrap().notes;
        let told: Vec<_> = notes.iter().map(ToString::to_string).collect();
        assert!(
            told[0].starts_with("d.toml:3: client_certificate: clients are not asked"),
            "{told:?}"
        );
    }
}

#[test]
fn the_socket_of_operators_is_found_by_a_file_that_has_become_wrong() {
    let find = |text: &str| {
        Loader::new(&Memory::new([("d.toml", text)])).admin_socket("d.toml").map(
            |(socket, problems)| {
                let problems = problems.iter().map(ToString::to_string).collect::<Vec<_>>();
                (socket.map(|path| path.display().to_string()), problems)
            },
        )
    };
    let (socket, problems) =
        find("[persistence]\ndirectory = \"/x\"\n[limits]\nconections = 1\n").unwrap();
    assert_eq!(socket.as_deref(), Some("/x/admin.sock"));
    assert!(
        problems[0].starts_with("d.toml:4: there is no key `limits.conections`"),
        "{problems:?}"
    );
    // What has no form says nothing of a place, and that of another broker must not be taken for it.
    let problems = find("[persistence]\ndirectory = /x\n").unwrap_err().to_string();
    assert!(problems.starts_with("d.toml:2: "), "{problems}");
}

#[test]
fn secrets_do_not_show_in_changes() {
    let old = load("[security.jwt]\nsecret = \"first\"\n").unwrap().config;
    let new = load("[security.jwt]\nsecret = \"second\"\n").unwrap().config;
    let told = changes(&old, &new);
    let hidden = Some("***".to_owned());
    let what = What::Key { key: "security.jwt.secret", from: hidden.clone(), to: hidden };
    assert_eq!(told.iter().map(|change| &change.what).collect::<Vec<_>>(), [&what]);
}

#[test]
fn roles_that_only_moved_are_the_same() {
    let one = load("[roles.a]\nread = [\"x\"]\n").unwrap().config;
    let moved = load("# more\n\n[roles.a]\nread = [ \"x\" ] # same\n").unwrap().config;
    let other = load("[roles.a]\nread = [\"y\"]\n").unwrap().config;
    assert!(changes(&one, &moved).is_empty());
    assert_eq!(changes(&one, &other)[0].what, What::Definitions);
}

#[test]
fn whoever_believes_a_proxy_about_certificates_is_asked_which() {
    let text = |more: &str| {
        format!("[[listener]]\nproxy_protocol = \"v2\"\nidentity = \"common-name\"\n{more}")
    };
    let warned = |more: &str| {
        let loaded = load(&text(more)).unwrap();
        loaded.notes.iter().any(|note| note.text.contains("proxy_from"))
    };
    assert!(warned(""));
    assert!(!warned("proxy_from = [\"10.0.0.0/8\"]"));
    let wrong = load(&text("proxy_from = [\"balancer\"]")).unwrap_err().to_string();
    assert!(wrong.contains("`balancer` is no network"), "{wrong}");
}

#[test]
fn the_reference_pages_are_those_that_the_tables_make() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/");
    let advice = "run: cargo run -p dunlin-config --example reference";
    for (name, made) in [
        ("configuration.md", reference::configuration()),
        ("mosquitto-keys.md", reference::mosquitto_keys()),
    ] {
        let page = std::fs::read_to_string(format!("{docs}{name}")).unwrap();
        assert!(page == made, "docs/{name} is old; {advice}");
    }
}

#[test]
fn listeners_that_come_and_go_leave_nothing_behind() {
    let with = |ports: &[u16]| {
        let listeners = ports.iter().map(|port| format!("[[listener]]\nport = {port}\n"));
        load(&listeners.collect::<String>()).unwrap().config
    };
    let numbered = |config: &Config| -> Vec<(u16, bool)> {
        config.listeners.iter().map(|one| (one.port, one.is_retired())).collect()
    };
    let mut now = with(&[1, 2]);
    let mut reload = |ports: &[u16], used: &[u16]| {
        let mut next = with(ports);
        next.follow(&now, |number| used.contains(&number));
        now = next;
        numbered(&now)
    };
    // One that is gone keeps its number while anybody came by it, and one round longer.
    assert_eq!(reload(&[2], &[0, 1]), [(1, true), (2, false)]);
    assert_eq!(reload(&[2, 3], &[0, 1]), [(1, true), (2, false), (3, false)]);
    // It comes back under the same number.
    assert_eq!(reload(&[3, 2, 1], &[0, 1]), [(1, false), (2, false), (3, false)]);
    assert_eq!(reload(&[2], &[1]), [(1, true), (2, false), (3, true)]);
    // Then another one has its place, and at the end there is none to keep.
    assert_eq!(reload(&[2, 4], &[1]), [(4, false), (2, false)]);
    for port in 10..50 {
        assert!(reload(&[2, port], &[1]).len() <= 3);
    }
}
