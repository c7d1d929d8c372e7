//! What Mosquitto says of a wrong file, which scripts look for, stands before our own words.

use dunlin_config::{Loader, Memory, Problems};

fn problems(name: &str, text: &str) -> Problems {
    let files = Memory::new([(name, text)]);
    Loader::new(&files).load(Some(name)).expect_err(text)
}

fn told(text: &str) -> String {
    problems("a.conf", text).in_both_words()
}

#[test]
fn wrong_lines_are_told_in_mosquittos_words_and_then_in_ours() {
    let long = format!("listener 1883\nlistener_auto_id_prefix {}", "a".repeat(51));
    for (text, words) in [
        ("unknown_option x", "Unknown configuration variable 'unknown_option'."),
        ("user", "Empty 'user' value in configuration."),
        ("user  ", "Empty 'user' value in configuration."),
        ("pid_file a\npid_file b", "Duplicate 'pid_file' value in configuration."),
        ("mount_point a/", "The 'mount_point' option requires a listener to be defined first."),
        ("threshold 10", "The 'threshold' option requires a bridge to be defined first."),
        (
            "plugin_opt_a b",
            "The 'plugin_opt_a' option requires plugin/global_plugin/plugin_load to be defined first.",
        ),
        ("plugin other.so\nplugin_opt_a", "Empty 'a' value in configuration."),
        ("plugin other.so\nplugin_opt_ a", "Invalid 'plugin_opt_' config option."),
        ("allow_anonymous falst", "Invalid 'allow_anonymous' value (falst)."),
        ("autosave_interval x", "'autosave_interval' value not a number."),
        ("listener", "Empty 'listener port' value in configuration."),
        ("listener 100000", "Invalid 'port' value (100000)."),
        ("listener 0", "A listener with port 0 must provide a Unix socket path."),
        ("listener 1\nprotocol x", "Invalid 'protocol' value (x)."),
        (
            "listener 1\nmount_point a/+/",
            "Invalid 'mount_point' value (a/+/). Does it contain a wildcard character?",
        ),
        ("connection", "Empty 'connection' value in configuration."),
        ("connection a\ntopic b", "Invalid bridge configuration: no remote addresses defined."),
        ("connection a\naddress b", "Invalid bridge configuration: no topics defined."),
        ("connection a\ntopic \"b c", "Missing closing quote in topic value (c)."),
        ("connection a\nbridge_psk", "Empty 'bridge_psk' value in configuration."),
        ("maximum_qos 3", "'max_qos' must be between 0 and 2 inclusive."),
        ("max_inflight_messages 65536", "'max_inflight_messages' must be <= 65535."),
        ("max_packet_size 19", "'max_packet_size' must be >= 20."),
        ("max_keepalive -1", "Invalid 'max_keepalive' value (-1)."),
        ("memory_limit -1", "Invalid 'memory_limit' value (-1)."),
        ("listener 1\nmax_topic_alias -1", "Invalid 'max_topic_alias' value in configuration."),
        (&long, "'listener_auto_id_prefix' length must be <= 50."),
        (
            "websockets_headers_size 65536",
            "Packet buffer size must be between 0 and 65535 inclusive.",
        ),
        ("listener 1\nenable_proxy_protocol 3", "enable_proxy_protocol must be 1 or 2."),
        (
            "listener 1\nenable_proxy_protocol 2\ncertfile a\nkeyfile b",
            "certfile and keyfile cannot be used with `enable_proxy_protocol 2`.",
        ),
        (
            "listener 1\nenable_proxy_protocol 2\nuse_subject_as_username true",
            "use_subject_as_username cannot be used with `enable_proxy_protocol 2`.",
        ),
    ] {
        let told = told(text);
        let mut lines = told.lines().skip_while(|line| *line != words);
        assert!(lines.next().is_some(), "{text}: {told}");
        let ours = lines.next().unwrap_or_default();
        assert!(ours.starts_with("a.conf:"), "{text}: {told}");
    }
}

#[test]
fn passwords_are_not_repeated() {
    let text = "connection a\naddress b\ntopic c\nremote_password secret\0";
    assert!(!told(text).contains("secret"));
}

#[test]
fn of_our_own_files_only_we_speak() {
    let problems = problems("dunlin.toml", "[[listener]]\nport = 1\ncertfile = \"a\"\n");
    assert_eq!(problems.in_both_words(), problems.to_string());
    let files = Memory::new([]);
    let missing = |name| Loader::new(&files).load(Some(name)).unwrap_err().in_both_words();
    assert_eq!(missing("dunlin.toml").lines().count(), 1);
    assert!(missing("a.conf").starts_with("Unable to open config file 'a.conf'.\n"));
}

#[test]
fn only_what_mosquitto_reads_when_it_listens_is_late() {
    assert!(problems("a.conf", "listener 1\nciphers x").are_late());
    assert!(!problems("a.conf", "listener 1\nciphers").are_late());
    assert!(!problems("a.conf", "listener 1\nciphers x\nport 0").are_late());
}
