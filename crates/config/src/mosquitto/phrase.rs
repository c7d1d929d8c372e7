//! What Mosquitto says of a line that is wrong. Scripts and test suites look for it, so it is told before our own
//! words, which say more.

use super::bridge::OPEN_QUOTE;
use super::line::{Line, NO_NUMBER};
use super::{MosquittoKey, Scope};
use crate::nearest::shown;

/// What was wrong with a line whose key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It stands where it has no meaning.
    Place,
    /// Its value is wrong, or it is there twice.
    Value,
}

/// Why a key cannot be given again.
pub(super) const TWICE: &str = "it is there twice";

/// Of a key that there is not.
pub(super) fn of_unknown(key: &str) -> String {
    match key {
        "plugin_opt_" | "auth_opt_" => format!("Invalid '{key}' config option."),
        key => format!("Unknown configuration variable '{}'.", shown(key)),
    }
}

/// Of any other line, of which we say `why`; none where Mosquitto would have nothing to say.
pub(super) fn of(key: &MosquittoKey, line: &Line<'_>, stage: Stage, why: &str) -> Option<String> {
    if matches!(key.outcome, super::Outcome::Stops(text) if text == why) {
        return None;
    }
    if stage == Stage::Place {
        let section = match key.scope {
            Scope::Bridge => "a bridge",
            Scope::Plugin => "plugin/global_plugin/plugin_load",
            _ => "a listener",
        };
        return Some(format!("The '{}' option requires {section} to be defined first.", line.key));
    }
    let Ok(word) = line.word() else {
        return Some(format!("Empty '{}' value in configuration.", name(line.key)));
    };
    if why == TWICE {
        return Some(format!("Duplicate '{}' value in configuration.", line.key));
    }
    if why.ends_with(NO_NUMBER) {
        return Some(format!("'{}' value not a number.", line.key));
    }
    if why == OPEN_QUOTE {
        return Some(format!("Missing closing quote in topic value ({}).", line.after_word()));
    }
    of_value(key.name, &shown(word))
}

/// What an empty value is called.
fn name(key: &str) -> &str {
    let option = ["plugin_opt_", "auth_opt_"].iter().find_map(|start| key.strip_prefix(start));
    match key {
        "listener" => "listener port",
        key => option.unwrap_or(key),
    }
}

/// Of a value that is none of those that there are.
fn of_value(key: &str, word: &str) -> Option<String> {
    Some(match key {
        // Not for everybody's eyes.
        key if key.contains("password") => return None,
        "max_qos" | "maximum_qos" => "'max_qos' must be between 0 and 2 inclusive.".into(),
        "max_inflight_messages" => "'max_inflight_messages' must be <= 65535.".into(),
        "max_packet_size" => "'max_packet_size' must be >= 20.".into(),
        "max_topic_alias" | "max_topic_alias_broker" => {
            format!("Invalid '{key}' value in configuration.")
        }
        "packet_buffer_size" | "websockets_headers_size" => {
            "Packet buffer size must be between 0 and 65535 inclusive.".into()
        }
        "enable_proxy_protocol" => "enable_proxy_protocol must be 1 or 2.".into(),
        "auto_id_prefix" => "auto_id_prefix length must be <= 50.".into(),
        "listener_auto_id_prefix" => "'listener_auto_id_prefix' length must be <= 50.".into(),
        "listener" if word == "0" => {
            "A listener with port 0 must provide a Unix socket path.".into()
        }
        "listener" | "port" => format!("Invalid 'port' value ({word})."),
        // These have forms of their own, or are no plugins of ours.
        "topic" | "plugin" | "auth_plugin" | "global_plugin" | "plugin_load" | "plugin_use" => {
            return None;
        }
        _ => format!("Invalid '{key}' value ({word})."),
    })
}

/// Whether Mosquitto reads the value only when it opens the listener.
pub(super) fn is_late(key: &MosquittoKey, line: &Line<'_>) -> bool {
    matches!(key.name, "tls_version" | "ciphers" | "ciphers_tls1.3") && line.word().is_ok()
}
