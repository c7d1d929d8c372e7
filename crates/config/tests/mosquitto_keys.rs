//! Every key of `mosquitto.conf`: a line with it, and what it sets or how it is answered.

use dunlin_config::{Loaded, Loader, Memory, Problems, mosquitto, shown, to_toml};

/// What a line leads to.
enum Leads {
    /// A line of the `dunlin.toml` that means the same.
    To(&'static str),
    /// A note with these words.
    Note(&'static str),
    /// No start, with these words.
    Stop(&'static str),
    /// What it sets is the default.
    Default,
}

use Leads::{Default, Note, Stop, To};

const LISTENER: &str = "listener 1883\n";
const TLS: &str = "listener 8883\ncertfile c\nkeyfile k\ncafile a\n";
const BRIDGE: &str = "connection b\naddress far\ntopic # both\n";

/// Key, the lines before it, its line, and what that leads to.
#[rustfmt::skip]
const KEYS: &[(&str, &str, &str, Leads)] = &[
    ("accept_protocol_versions", LISTENER, "accept_protocol_versions 4, 5", To("versions = [\"3.1.1\", \"5.0\"]")),
    ("acl_file", LISTENER, "acl_file /etc/acl", To("acl_file = \"/etc/acl\"")),
    ("address", "connection b\ntopic # in\n", "address a:1884 b # two", To("addresses = [\"a:1884\", \"b\"]")),
    ("addresses", "connection b\ntopic # in\n", "addresses a [::1]:1885", To("addresses = [\"a\", \"[::1]:1885\"]")),
    ("allow_anonymous", LISTENER, "allow_anonymous true", To("allow_anonymous = true")),
    ("allow_duplicate_messages", "", "allow_duplicate_messages false", To("overlapping = \"once\"")),
    ("allow_zero_length_clientid", "", "allow_zero_length_clientid false", To("allow_empty_client_id = false")),
    ("auth_opt_*", "plugin /lib/mosquitto_dynamic_security.so\n", "auth_opt_config_file /d.json", To("dynamic_security_file = \"/d.json\"")),
    ("auth_plugin", "", "auth_plugin /usr/lib/go-auth.so", Stop("plugins of Mosquitto cannot be loaded")),
    ("auth_plugin_deny_special_chars", "plugin /lib/mosquitto_dynamic_security.so\nplugin_opt_config_file x\n", "auth_plugin_deny_special_chars false", Note("patterns never count")),
    ("auto_id_prefix", "", "auto_id_prefix dev-", To("assigned_id_prefix = \"dev-\"")),
    ("autosave_interval", "", "autosave_interval 60", Note("before it is acknowledged")),
    ("autosave_on_changes", "", "autosave_on_changes true", Note("before it is acknowledged")),
    ("bind_address", "", "bind_address 10.0.0.1", To("address = \"10.0.0.1\"")),
    ("bind_interface", LISTENER, "bind_interface eth0", To("interface = \"eth0\"")),
    ("bridge_alpn", BRIDGE, "bridge_alpn mqtt", To("alpn = \"mqtt\"")),
    ("bridge_attempt_unsubscribe", BRIDGE, "bridge_attempt_unsubscribe false", To("attempt_unsubscribe = false")),
    ("bridge_bind_address", BRIDGE, "bridge_bind_address 10.0.0.2", To("bind_address = \"10.0.0.2\"")),
    ("bridge_cafile", BRIDGE, "bridge_cafile /ca", To("cafile = \"/ca\"")),
    ("bridge_capath", BRIDGE, "bridge_capath /ca.d", To("capath = \"/ca.d\"")),
    ("bridge_certfile", BRIDGE, "bridge_keyfile /k\nbridge_certfile /c", To("certfile = \"/c\"")),
    ("bridge_ciphers", BRIDGE, "bridge_ciphers ECDHE-RSA-AES128-GCM-SHA256", To("ciphers = [\"ECDHE-RSA-AES128-GCM-SHA256\"]")),
    ("bridge_ciphers_tls1.3", BRIDGE, "bridge_ciphers_tls1.3 TLS_AES_128_GCM_SHA256", To("ciphers = [\"TLS_AES_128_GCM_SHA256\"]")),
    ("bridge_identity", BRIDGE, "bridge_identity me", Stop("bridge_cafile")),
    ("bridge_insecure", BRIDGE, "bridge_insecure true", To("insecure = true")),
    ("bridge_keyfile", BRIDGE, "bridge_certfile /c\nbridge_keyfile /k", To("keyfile = \"/k\"")),
    ("bridge_max_packet_size", BRIDGE, "bridge_max_packet_size 1000", To("maximum_packet_size = 1000")),
    ("bridge_max_topic_alias", BRIDGE, "bridge_max_topic_alias 3", To("topic_alias_maximum = 3")),
    ("bridge_outgoing_retain", BRIDGE, "bridge_outgoing_retain false", To("outgoing_retain = false")),
    ("bridge_protocol_version", BRIDGE, "bridge_protocol_version mqttv50", To("version = \"5.0\"")),
    ("bridge_psk", BRIDGE, "bridge_psk 00ff", Stop("TLS-PSK")),
    ("bridge_receive_maximum", BRIDGE, "bridge_receive_maximum 7", To("receive_maximum = 7")),
    ("bridge_reload_type", BRIDGE, "bridge_reload_type immediate", To("reload = \"immediate\"")),
    ("bridge_require_ocsp", BRIDGE, "bridge_require_ocsp true", To("require_ocsp = true")),
    ("bridge_session_expiry_interval", BRIDGE, "bridge_session_expiry_interval 3600", To("session_expiry = \"1h\"")),
    ("bridge_tcp_keepalive", BRIDGE, "bridge_tcp_keepalive 10 5 3", To("tcp_keep_alive = [\"10\", \"5\", \"3\"]")),
    ("bridge_tcp_user_timeout", BRIDGE, "bridge_tcp_user_timeout 500", To("tcp_user_timeout = 500")),
    ("bridge_tls_use_os_certs", BRIDGE, "bridge_tls_use_os_certs true", To("use_os_certs = true")),
    ("bridge_tls_version", BRIDGE, "bridge_tls_version tlsv1.3", To("minimum_tls_version = \"1.3\"")),
    ("cafile", "listener 8883\ncertfile c\nkeyfile k\n", "cafile /etc/my ca.pem", To("cafile = \"/etc/my ca.pem\"")),
    ("capath", TLS, "capath /etc/ca", To("capath = \"/etc/ca\"")),
    ("certfile", TLS, "certfile other", To("certfile = \"other\"")),
    ("check_retain_source", "", "check_retain_source false", To("check_source = false")),
    ("ciphers", TLS, "ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", To("ciphers = [\"ECDHE-ECDSA-AES128-GCM-SHA256\", \"ECDHE-RSA-AES128-GCM-SHA256\"]")),
    ("ciphers_tls1.3", TLS, "ciphers_tls1.3 TLS_AES_256_GCM_SHA384", To("ciphers = [\"TLS_AES_256_GCM_SHA384\"]")),
    ("cleansession", BRIDGE, "cleansession true", To("remote_clean_start = true")),
    ("clientid", BRIDGE, "clientid me", To("remote_client_id = \"me\"")),
    ("clientid_prefixes", "", "clientid_prefixes secure-", To("client_id_prefixes = [\"secure-\"]")),
    ("connection", "", "connection c\naddress a\ntopic # out", To("name = \"c\"")),
    ("connection_messages", "", "connection_messages false", To("connection_messages = false")),
    ("crlfile", TLS, "crlfile /crl", To("crlfile = \"/crl\"")),
    ("dhparamfile", TLS, "dhparamfile /dh", Note("need no parameters")),
    ("disable_client_cert_date_checks", TLS, "disable_client_cert_date_checks true", To("client_dates = \"ignore\"")),
    ("enable_control_api", "", "enable_control_api true", To("control_api = true")),
    ("enable_proxy_protocol", LISTENER, "enable_proxy_protocol 2", To("proxy_protocol = \"v2\"")),
    ("global_max_clients", "", "global_max_clients 9", To("clients = 9")),
    ("global_max_connections", "", "global_max_connections 8", To("connections = 8")),
    ("global_plugin", LISTENER, "global_plugin /x/mosquitto_password_file.so\nplugin_opt_password_file /pw", To("password_file = \"/pw\"")),
    ("http_api", "", "http_api 1", Note("a protocol of Mosquitto's listeners")),
    ("http_dir", LISTENER, "http_dir /www", Note("web server")),
    ("idle_timeout", BRIDGE, "idle_timeout 0", To("idle_timeout = \"1s\"")),
    ("include_dir", "", "include_dir conf.d", To("sys_interval = \"7s\"")),
    ("keepalive_interval", BRIDGE, "keepalive_interval 1", To("keep_alive = 5")),
    ("keyfile", TLS, "keyfile other", To("keyfile = \"other\"")),
    ("listener", "", "listener 1884 127.0.0.1 # here", To("address = \"127.0.0.1\"")),
    ("listener_allow_anonymous", LISTENER, "listener_allow_anonymous true", To("allow_anonymous = true")),
    ("listener_auto_id_prefix", LISTENER, "listener_auto_id_prefix web-", To("assigned_id_prefix = \"web-\"")),
    ("local_cleansession", BRIDGE, "local_cleansession true", To("local_clean_start = true")),
    ("local_clientid", BRIDGE, "local_clientid l", To("local_client_id = \"l\"")),
    ("local_password", BRIDGE, "local_password p", To("local_password = \"p\"")),
    ("local_username", BRIDGE, "local_username u", To("local_username = \"u\"")),
    ("log_dest", "", "log_dest file /var/log/m.log", To("file = \"/var/log/m.log\"")),
    ("log_facility", "", "log_facility 3", To("syslog_facility = \"local3\"")),
    ("log_timestamp", "", "log_timestamp false", To("timestamps = \"none\"")),
    ("log_timestamp_format", "", "log_timestamp_format %Y-%m-%dT%H:%M:%S", To("timestamp_format = \"%Y-%m-%dT%H:%M:%S\"")),
    ("log_type", "", "log_type error\nlog_type debug", To("types = [\"error\", \"debug\"]")),
    ("max_connections", LISTENER, "max_connections 50", To("maximum_connections = 50")),
    ("max_inflight_bytes", "", "max_inflight_bytes 5000", To("maximum_inflight_bytes = 5000")),
    ("max_inflight_messages", "", "max_inflight_messages 5", To("receive_maximum = 5\nmaximum_inflight = 5")),
    ("max_keepalive", "", "max_keepalive 100", To("maximum_keep_alive = 100")),
    ("max_packet_size", "", "max_packet_size 0x1000", To("maximum_packet_size = 4096")),
    ("max_qos", LISTENER, "max_qos 1", To("maximum_qos = 1")),
    ("max_queued_bytes", "", "max_queued_bytes 70000", To("maximum_queued_bytes = 70000")),
    ("max_queued_messages", "", "max_queued_messages 0", To("maximum_queued_messages = \"unlimited\"")),
    ("max_topic_alias", LISTENER, "max_topic_alias 4", To("topic_alias_maximum = 4")),
    ("max_topic_alias_broker", LISTENER, "max_topic_alias_broker 6", To("topic_alias_maximum_out = 6")),
    ("maximum_qos", LISTENER, "maximum_qos 0", To("maximum_qos = 0")),
    ("memory_limit", "", "memory_limit 100000000", To("memory = 100000000")),
    ("message_size_limit", "", "message_size_limit 2048", To("maximum_payload_size = 2048")),
    ("mount_point", LISTENER, "mount_point site/", To("mount_point = \"site/\"")),
    ("notification_topic", BRIDGE, "notification_topic n/t", To("notification_topic = \"n/t\"")),
    ("notifications", BRIDGE, "notifications false", To("notifications = \"none\"")),
    ("notifications_local_only", BRIDGE, "notifications_local_only true", To("notifications = \"local\"")),
    ("packet_buffer_size", "", "packet_buffer_size 2000", Note("idle connections have none")),
    ("password", BRIDGE, "password secret", To("remote_password = \"secret\"")),
    ("password_file", LISTENER, "password_file /etc/pw", To("password_file = \"/etc/pw\"")),
    ("per_listener_settings", "", "per_listener_settings true\nlistener 1\nallow_anonymous true\nlistener 2", To("port = 1\nallow_anonymous = true")),
    ("persistence", "", "persistence true", To("mosquitto_file = \"mosquitto.db\"")),
    ("persistence_file", "persistence true\n", "persistence_file my.db", To("directory = \"my.db.dunlin\"")),
    ("persistence_location", "persistence true\n", "persistence_location /var/lib/mosquitto/", To("mosquitto_file = \"/var/lib/mosquitto/mosquitto.db\"")),
    ("persistent_client_expiration", "", "persistent_client_expiration 2w", To("maximum_session_expiry = \"14d\"")),
    ("pid_file", "", "pid_file /run/m.pid", To("pid_file = \"/run/m.pid\"")),
    ("plugin", LISTENER, "plugin /x/mosquitto_acl_file.so\nplugin_opt_acl_file /acl", To("acl_file = \"/acl\"")),
    ("plugin_load", LISTENER, "plugin_load dyn /x/mosquitto_dynamic_security.so\nplugin_opt_config_file /d\nplugin_use dyn", To("port = 1883\ndynamic_security_file = \"/d\"")),
    ("plugin_opt_*", "plugin /x/mosquitto_dynamic_security.so\nplugin_opt_config_file /d\n", "plugin_opt_password_init_file /p", To("dynamic_security_password_file = \"/p\"")),
    ("plugin_opt_*", "plugin /x/mosquitto_dynamic_security.so\n", "plugin_opt_config_file /d", To("dynamic_security_file = \"/d\"")),
    ("plugin_use", LISTENER, "plugin_use none", Stop("no `plugin_load` before it names `none`")),
    ("port", "", "port 1999", To("port = 1999")),
    ("protocol", "listener 9001\n", "protocol websockets", To("protocol = \"websockets\"")),
    ("proxy_protocol_v2_require_tls", LISTENER, "proxy_protocol_v2_require_tls true", To("proxy_requires_tls = true")),
    ("psk_file", "", "psk_file /psk", Note("TLS-PSK")),
    ("psk_hint", LISTENER, "psk_hint hint", Stop("would not be encrypted")),
    ("queue_qos0_messages", "", "queue_qos0_messages true", To("queue_qos0 = true")),
    ("remote_clientid", BRIDGE, "remote_clientid me", To("remote_client_id = \"me\"")),
    ("remote_password", BRIDGE, "remote_password secret", To("remote_password = \"secret\"")),
    ("remote_username", BRIDGE, "remote_username u", To("remote_username = \"u\"")),
    ("require_certificate", TLS, "require_certificate true", To("client_certificate = \"required\"")),
    ("restart_timeout", BRIDGE, "restart_timeout 10 60", To("reconnect_after = \"10s\"\nreconnect_at_most = \"1m\"")),
    ("retain_available", "", "retain_available false", To("available = false")),
    ("retain_expiry_interval", "", "retain_expiry_interval 90", To("expiry = \"90m\"")),
    ("retained_persistence", "", "retained_persistence true", To("directory = \"mosquitto.db.dunlin\"")),
    ("retry_interval", "", "retry_interval 20", Note("when a client connects again")),
    ("round_robin", BRIDGE, "round_robin true", To("address_choice = \"round-robin\"")),
    ("set_tcp_nodelay", "", "set_tcp_nodelay false", To("tcp_nodelay = false")),
    ("socket_domain", LISTENER, "socket_domain ipv4", To("ip_version = \"4\"")),
    ("start_type", BRIDGE, "start_type lazy", To("start = \"lazy\"")),
    ("sys_interval", "", "sys_interval 30", To("sys_interval = \"30s\"")),
    ("threshold", BRIDGE, "threshold 20", To("threshold = 20")),
    ("tls_engine", TLS, "tls_engine pkcs11", Note("engines of OpenSSL")),
    ("tls_engine_kpass_sha1", TLS, "tls_engine_kpass_sha1 00", Note("engines of OpenSSL")),
    ("tls_keyform", TLS, "tls_keyform engine", Stop("write the key into a PEM file")),
    ("tls_version", TLS, "tls_version tlsv1.3", To("minimum_tls_version = \"1.3\"")),
    ("topic", "connection b\naddress far\n", "topic sensors/# In 2 \"\" site/", To("topics = [{ direction = \"in\", filter = \"sensors/#\", qos = 2, remote_prefix = \"site/\" }]")),
    ("try_private", BRIDGE, "try_private false", To("try_private = false")),
    ("upgrade_outgoing_qos", "", "upgrade_outgoing_qos true", To("upgrade_qos = true")),
    ("use_identity_as_username", TLS, "require_certificate true\nuse_identity_as_username true", To("identity = \"common-name\"")),
    ("use_subject_as_username", TLS, "require_certificate true\nuse_subject_as_username true", To("identity = \"subject\"")),
    ("use_username_as_clientid", LISTENER, "use_username_as_clientid true", To("username_as_client_id = true")),
    ("user", "", "user broker", To("user = \"broker\"")),
    ("username", BRIDGE, "username u", To("remote_username = \"u\"")),
    ("websockets_headers_size", "", "websockets_headers_size 2048", Note("8 KiB")),
    ("websockets_log_level", "", "websockets_log_level 7", Note("log_type websockets")),
    ("websockets_origin", "listener 9001\nprotocol websockets\n", "websockets_origin https://a\nwebsockets_origin https://b", To("websocket_origins = [\"https://a\", \"https://b\"]")),
    // The same keys with the value that they have anyway.
    ("persistence", "", "persistence false", To("[persistence]\nenabled = false")),
    ("retain_available", "", "retain_available true", Default),
    ("plugin", LISTENER, "plugin /x/mosquitto_persist_sqlite.so", Note("not needed")),
    ("tls_version", TLS, "tls_version tlsv1.1", Note("TLS before 1.2 is broken")),
    ("ciphers", TLS, "ciphers HIGH:!aNULL", Note("no expressions")),
    ("log_dest", "", "log_dest dlt", Note("log_dest syslog")),
    ("accept_protocol_versions", LISTENER, "accept_protocol_versions 5,6", Note("`6` is no version")),
    ("protocol", LISTENER, "protocol http_api", Stop("no HTTP API")),
];

fn load(text: &str) -> Result<Loaded, Problems> {
    let source = Memory::new([("m.conf", text), ("conf.d/a.conf", "sys_interval 7\n")]);
    Loader::new(&source).load(Some("m.conf"))
}

#[test]
fn every_key_is_honoured_or_answered() {
    for (key, before, line, leads) in KEYS {
        let text = format!("{before}{line}\n");
        let told = match (load(&text), leads) {
            (Ok(loaded), To(expected)) => {
                let toml = to_toml(&loaded.config, &[]);
                assert!(toml.contains(expected), "{key}: {toml}");
                continue;
            }
            (Ok(loaded), Note(expected)) => {
                assert!(
                    loaded.notes.iter().any(|note| note.text.contains(expected)),
                    "{key}: {:?}",
                    loaded.notes
                );
                continue;
            }
            (Ok(loaded), Default) => {
                let toml = to_toml(&loaded.config, &[]);
                let without = to_toml(&load(before).unwrap().config, &[]);
                assert_eq!(toml, without, "{key}");
                continue;
            }
            (Ok(_), Stop(expected)) => panic!("{key}: started, expected: {expected}"),
            (Err(problems), Stop(expected)) => (problems.to_string(), *expected),
            (Err(problems), _) => panic!("{key}: {problems}"),
        };
        assert!(told.0.contains(told.1), "{key}: {}", told.0);
        assert!(told.0.starts_with("m.conf:"), "{key}: {}", told.0);
    }
}

#[test]
fn the_table_holds_every_key_there_is() {
    for known in mosquitto::keys() {
        assert!(KEYS.iter().any(|(key, ..)| *key == known.name), "{} is not tested", known.name);
    }
    for (key, ..) in KEYS {
        assert!(mosquitto::keys().any(|known| known.name == *key), "{key} is not known");
    }
    // Mosquitto 2.1 has 138, and four more that are written with a dot or any end.
    assert_eq!(mosquitto::keys().count(), 138 + 4);
}

#[test]
fn the_tests_that_the_reference_names_are_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let reading = (shown::READING.0, shown::READING.1, &[][..]);
    for (file, test, keys) in shown::TESTS.iter().copied().chain([reading]) {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(&format!("#[test]\nfn {test}() {{")), "{test} is not in {file}");
        for key in keys {
            assert!(mosquitto::keys().any(|known| known.name == *key), "{key} is not known");
            // It stands in the file, with the part after a `*` filled in.
            assert!(text.contains(key.trim_end_matches('*')), "{key} is not in {file}");
            assert_eq!(shown::effect_of(key), Some((file, test)), "{key} is named twice");
        }
    }
}

#[test]
fn every_key_needs_a_value_and_says_so() {
    for known in mosquitto::keys() {
        let text = format!("{LISTENER}{BRIDGE}{}\n", known.name.trim_end_matches('*'));
        // Whatever is said, it is not that all is well with an option that does nothing silently.
        match load(&text) {
            Ok(loaded) => assert!(!loaded.notes.is_empty(), "{}", known.name),
            Err(problems) => assert!(problems.first().unwrap().place.is_some(), "{}", known.name),
        }
    }
}

#[test]
fn what_is_imported_means_the_same_as_what_it_was_made_from() {
    for (key, before, line, _) in KEYS {
        let Ok(first) = load(&format!("{before}{line}\n")) else { continue };
        let toml = to_toml(&first.config, &first.notes);
        let source = Memory::new([("d.toml", toml.as_str())]);
        let second = Loader::new(&source).load(Some("d.toml"));
        let second = second.unwrap_or_else(|problems| panic!("{key}: {problems}\n{toml}"));
        assert_eq!(first.config, second.config, "{key}:\n{toml}");
    }
}
