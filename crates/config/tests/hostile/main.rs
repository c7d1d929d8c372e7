//! Hostile configurations: an answer with a place, in time and memory that follow their size.
//! `SEEDS=10000 cargo test -p dunlin-config --test hostile` tries more of them.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod bodies;
#[path = "../../../../fuzz/harness/measure.rs"]
mod measure;
#[path = "../../../../fuzz/harness/mutation.rs"]
mod mutation;

use dunlin_config::{Loader, Memory, keys, mosquitto, to_toml};
use measure::bounded;
use mutation::seeds;

/// As people have them: at home, with TLS and a bridge, in a container, with a listener for each purpose.
const MOSQUITTO: &[&str] = &[
    "listener 1883\nallow_anonymous false\npassword_file /mosquitto/config/passwd\npersistence true\n\
     persistence_location /mosquitto/data/\nlog_dest stdout\nlog_dest file /mosquitto/log/mosquitto.log\n",
    "per_listener_settings true\nlistener 1883 localhost\nallow_anonymous true\nlistener 8883\ncafile /c/ca.crt\n\
     certfile /c/server.crt\nkeyfile /c/server.key\nrequire_certificate true\nuse_identity_as_username true\n\
     tls_version tlsv1.2\nacl_file /c/acl\nmax_connections 100\nlistener 9001\nprotocol websockets\n\
     mount_point ws/\nmax_qos 1\n",
    "connection cloud\naddress broker.example.com:8883 10.0.0.2\ntopic sensors/# out 1 home/ site/\n\
     topic commands/# in 2 \"\" site/\nremote_username edge\nremote_password s3cret\nbridge_cafile /c/ca.crt\n\
     bridge_insecure false\ncleansession false\nnotifications true\nstart_type automatic\nrestart_timeout 10 30\n\
     try_private true\nkeepalive_interval 60\nbridge_protocol_version mqttv50\n",
    "include_dir d\nmax_queued_messages 1000\nmax_inflight_messages 20\nmessage_size_limit 0\nsys_interval 10\n\
     persistent_client_expiration 2m\nautosave_interval 1800\nlog_type error\nlog_type warning\n\
     log_timestamp_format %Y-%m-%dT%H:%M:%S\nplugin /usr/lib/mosquitto_dynamic_security.so\n\
     plugin_opt_config_file /var/lib/mosquitto/dynamic-security.json\n# end\n",
];
const MOSQUITTO_WORDS: &[&str] = &[
    "include_dir d\n",
    "listener ",
    "connection ",
    "topic ",
    "\"\"",
    " both 2 ",
    "true",
    "false",
    "\n",
    "\r\n",
    "#",
    "\t",
    "0x",
    "65536",
    "-1",
    "unix:",
    "/",
    "\u{FEFF}",
    "plugin_opt_",
    "d",
    "h",
    "%",
];

#[test]
fn mosquitto_conf() {
    let keys: Vec<&str> = mosquitto::keys().map(|key| key.name).collect();
    let words = [MOSQUITTO_WORDS, &keys].concat();
    seeds(150, |mutator| {
        let text = mutator.text(MOSQUITTO, &words);
        bounded(text.len(), || bodies::file("m.conf", &text));
    });
}

#[test]
fn dunlin_toml() {
    // Every kind of value, as the program itself writes it.
    let written: Vec<String> = MOSQUITTO
        .iter()
        .map(|text| {
            let source = Memory::new([("m.conf", *text), ("d/x.conf", "")]);
            let loaded = Loader::new(&source).load(Some("m.conf")).unwrap();
            to_toml(&loaded.config, &loaded.notes)
        })
        .collect();
    let mut samples: Vec<&str> = written.iter().map(String::as_str).collect();
    samples.push("[server]\n[limits]\nconnections = \"16 MiB\"\n[[listener]]\nport = 1_883\naddress = \"::\"\n");
    let mut words = vec![
        "[[listener]]\n",
        "[[bridge]]\n",
        "[security]\n",
        "[limits]\n",
        " = ",
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        "\"\"\"",
        "true",
        "1979-05-27",
        "\n",
        "_file",
        "0x",
        "inf",
        "\"secret\"",
        ",",
        "10 MiB",
        "30 s",
    ];
    words.extend(keys::general().map(|key| key.name));
    words.extend(keys::listener().map(|key| key.name));
    words.extend(keys::bridge().map(|key| key.name));
    seeds(150, |mutator| {
        let text = mutator.text(&samples, &words);
        bounded(text.len(), || bodies::file("d.toml", &text));
    });
}

#[test]
fn files_whose_names_say_nothing() {
    seeds(100, |mutator| {
        let text = mutator.text(MOSQUITTO, &["[", "=", " = 1\n", "{}", "\n"]);
        bounded(text.len(), || bodies::file("config", &text));
    });
}

#[test]
fn variables_of_the_environment() {
    let names: Vec<String> = keys::general()
        .map(|key| format!("DUNLIN_{}", key.name.replace('.', "_").to_uppercase()))
        .collect();
    let all: String = names.iter().map(|name| format!("{name}=1\n")).collect();
    let samples = [
        "DUNLIN_LISTENER_1_PORT=1883\nDUNLIN_LISTENER_2_PORT=8883\nDUNLIN_LOG_TYPES=error,warning\n",
        "DUNLIN_BRIDGE_1_NAME=x\nDUNLIN_BRIDGE_1_ADDRESSES=a:1883\nDUNLIN_BRIDGE_1_PASSWORD_FILE=secret\n",
        &all,
    ];
    let mut words = vec![
        "DUNLIN_",
        "LISTENER_",
        "_99999999999999999999_",
        "BRIDGE_",
        "_FILE",
        "=",
        "\n",
        "true",
        "[",
        "\"",
        "-1",
        "secret",
        "0_",
    ];
    words.extend(names.iter().map(String::as_str));
    seeds(150, |mutator| {
        let text = mutator.text(&samples, &words);
        bounded(text.len(), || bodies::environment(&text));
    });
}

#[test]
fn command_lines() {
    let samples = [
        "-v\n-c\nm.conf\n-p\n1884",
        "-d\n--test-config\n-c\nm.conf",
        "-p\n1\n-p\n2\n--tls-keylog\nx",
    ];
    let words = [
        "-c",
        "-p",
        "-q",
        "-v",
        "--port",
        "--help",
        "--version",
        "\n",
        "\n-p\n",
        "65536",
        "-",
        "--",
    ];
    seeds(500, |mutator| {
        let text = mutator.text(&samples, &words);
        bounded(text.len(), || bodies::command_line(&text));
    });
}
