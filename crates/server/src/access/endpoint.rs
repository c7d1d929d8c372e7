//! `$CONTROL/broker/v1`: which listeners and plugins there are, as the broker of Mosquitto 2.1 tells it; and what
//! is answered where nobody serves a topic of commands.

use dunlin_access::control;
use dunlin_access::dynsec;
use dunlin_config::Config;
use dunlin_config::model::{Address, Listener, Protocol};
use serde_json::{Value, json};

pub(super) const COMMAND_TOPIC: &str = "$CONTROL/broker/v1";
pub(super) const RESPONSE_TOPIC: &str = "$CONTROL/broker/v1/response";

/// The answer where nobody serves the topic.
pub(super) const NOT_AVAILABLE: &[u8] = br#"{"error": "endpoint not available"}"#;

/// What it tells: it changes only with the configuration.
pub(super) struct Endpoint {
    listeners: Vec<Value>,
    plugins: Vec<Value>,
}

impl Endpoint {
    /// None where the configuration does not ask for it.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let there = || config.listeners.iter().filter(|listener| !listener.is_retired());
        config.server.control_api.then(|| Self {
            listeners: there().map(listener).collect(),
            plugins: plugins(config, there()),
        })
    }

    /// Runs the commands of a message.
    pub(super) fn answer(&self, payload: &[u8]) -> String {
        control::answer(payload, |name, _| match name.to_ascii_lowercase().as_str() {
            "listlisteners" => Ok(Some(json!({ "listeners": self.listeners }))),
            "listplugins" => Ok(Some(json!({ "plugins": self.plugins }))),
            _ => Err("Unknown command".into()),
        })
    }
}

fn listener(listener: &Listener) -> Value {
    let protocol = match listener.protocol {
        Protocol::Mqtt => "mqtt",
        Protocol::WebSockets => "mqtt+websockets",
        Protocol::Quic => "mqtt+quic",
    };
    let mut told = json!({
        "port": listener.port,
        "protocol": protocol,
        "tls": listener.tls().is_some(),
    });
    match &listener.address {
        Address::Any => {}
        Address::Loopback => told["bind-address"] = "localhost".into(),
        Address::Named(host) => told["bind-address"] = host.as_str().into(),
    }
    if let Some(path) = &listener.unix_path {
        told["socket-path"] = path.to_string_lossy().into();
    }
    told
}

/// Of Mosquitto's plugins, dynamic security is the one with commands.
fn plugins<'a>(config: &Config, listeners: impl Iterator<Item = &'a Listener>) -> Vec<Value> {
    let plugin =
        || json!({ "name": "dynamic-security", "control-endpoints": [dynsec::COMMAND_TOPIC] });
    let everywhere = config.security.access.dynamic_security_file.as_ref().map(|_| plugin());
    let own = listeners.filter(|listener| listener.access.dynamic_security_file.is_some());
    let own = own.map(|listener| {
        let mut plugin = plugin();
        plugin["port"] = listener.port.into();
        plugin
    });
    everywhere.into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use dunlin_config::{Loader, Memory};

    use super::*;

    fn endpoint(text: &str) -> Option<Endpoint> {
        let files = Memory::new([("a.conf", text)]);
        let loaded = Loader::new(&files).load(Some("a.conf")).expect("it is right");
        Endpoint::of(&loaded.config)
    }

    #[test]
    fn listeners_and_plugins_are_listed() {
        let text = "enable_control_api true\nplugin dynamic_security.so\nplugin_opt_config_file d.json\n\
                    listener 1 127.0.0.1\nlistener 2\nprotocol websockets\ncertfile a\nkeyfile b\n\
                    listener 0 a.sock\n";
        let endpoint = endpoint(text).unwrap();
        let ask = |command: &str| -> Value {
            let payload = format!(r#"{{"commands":[{{"command":"{command}"}}]}}"#);
            let answer: Value = serde_json::from_str(&endpoint.answer(payload.as_bytes())).unwrap();
            answer["responses"][0].clone()
        };
        let listeners = json!([
            { "port": 1, "protocol": "mqtt", "tls": false, "bind-address": "127.0.0.1" },
            { "port": 2, "protocol": "mqtt+websockets", "tls": true },
            { "port": 0, "protocol": "mqtt", "tls": false, "socket-path": "a.sock" },
        ]);
        assert_eq!(ask("listListeners")["data"], json!({ "listeners": listeners }));
        let plugin = json!({
            "name": "dynamic-security",
            "control-endpoints": ["$CONTROL/dynamic-security/v1"],
        });
        assert_eq!(ask("listPlugins")["data"], json!({ "plugins": [plugin] }));
        assert_eq!(ask("other")["error"], "Unknown command");
    }

    #[test]
    fn it_is_there_only_where_it_is_asked_for() {
        assert!(endpoint("listener 1\n").is_none());
    }
}
