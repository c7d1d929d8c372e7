//! Keys of the whole broker.

use std::time::Duration;

use super::reader::Reader;
use super::{MosquittoKey, Outcome, Repeat, Scope, sets};
use crate::model::OverlappingSubscriptions;
use crate::problem::Weight;
use crate::value::{Expiry, Limit};

use super::line::Line;

pub(super) const KEYS: &[&[MosquittoKey]] = &[SETTING, ANSWERED];

#[rustfmt::skip]
const SETTING: &[MosquittoKey] = sets! {
    "allow_duplicate_messages" Broker "delivery.overlapping" Allowed |r, l| {
        let each = l.flag()?;
        use OverlappingSubscriptions::{Each, Once};
        r.config.delivery.overlapping = if each { Each } else { Once };
        Ok(())
    };
    "check_retain_source" Broker "retained.check_source" Allowed |r, l| { r.config.retained.check_source = l.flag()?; Ok(()) };
    "clientid_prefixes" Broker "security.client_id_prefixes" Allowed |r, l| { r.config.security.access.client_id_prefixes = vec![l.text()?.into()]; Ok(()) };
    "enable_control_api" Broker "server.control_api" Allowed |r, l| { r.config.server.control_api = l.flag()?; Ok(()) };
    "global_max_clients" Broker "limits.clients" Allowed |r, l| { r.config.limits.clients = Limit::zero_is_none(l.number()?); Ok(()) };
    "global_max_connections" Broker "limits.connections" Allowed |r, l| { r.config.limits.connections = Limit::zero_is_none(l.number()?); Ok(()) };
    "max_inflight_bytes" Broker "limits.maximum_inflight_bytes" Allowed |r, l| { r.config.limits.maximum_inflight_bytes = Limit::zero_is_none(l.number()?); Ok(()) };
    "max_inflight_messages" Broker "limits.maximum_inflight" Allowed inflight;
    "max_keepalive" Broker "limits.maximum_keep_alive" Allowed |r, l| {
        let seconds: u16 = l.count(65_535)?;
        r.config.limits.maximum_keep_alive = if seconds == 0 { u16::MAX } else { seconds };
        Ok(())
    };
    "max_packet_size" Broker "limits.maximum_packet_size" Allowed |r, l| {
        r.config.limits.maximum_packet_size = u32::try_from(l.between(20, i64::from(i32::MAX))?).unwrap_or(u32::MAX);
        Ok(())
    };
    "max_queued_bytes" Broker "limits.maximum_queued_bytes" Allowed |r, l| { r.config.limits.maximum_queued_bytes = Limit::zero_is_none(l.number()?); Ok(()) };
    "max_queued_messages" Broker "limits.maximum_queued_messages" Allowed |r, l| { r.config.limits.maximum_queued_messages = Limit::zero_is_none(l.number()?); Ok(()) };
    "memory_limit" Broker "limits.memory" Allowed memory_limit;
    "message_size_limit" Broker "limits.maximum_payload_size" Allowed |r, l| {
        r.config.limits.maximum_payload_size = Limit::zero_is_none(l.between(0, 268_435_455)?);
        Ok(())
    };
    "persistence" Broker "persistence.enabled" Allowed |r, l| { r.config.persistence.enabled = l.flag()?; Ok(()) };
    "retained_persistence" Broker "persistence.enabled" Allowed |r, l| { r.config.persistence.enabled = l.flag()?; Ok(()) };
    "persistence_file" Broker "persistence.mosquitto_file" Refused |r, l| { r.persistence_file = Some(l.text()?.into()); Ok(()) };
    "persistence_location" Broker "persistence.directory" Refused |r, l| { r.persistence_location = Some(l.text()?.into()); Ok(()) };
    "persistent_client_expiration" Broker "limits.maximum_session_expiry" Allowed session_expiry;
    "pid_file" Broker "server.pid_file" Refused |r, l| { r.config.server.pid_file = Some(l.text()?.into()); Ok(()) };
    "queue_qos0_messages" Broker "delivery.queue_qos0" Allowed |r, l| { r.config.delivery.queue_qos0 = l.flag()?; Ok(()) };
    "retain_available" Broker "retained.available" Allowed |r, l| { r.config.retained.available = l.flag()?; Ok(()) };
    "retain_expiry_interval" Broker "retained.expiry" Allowed |r, l| {
        // Minutes, at most 19 years of them, as in Mosquitto.
        let minutes = l.between(1, i64::from(i32::MAX))?.min(10_000_000);
        r.config.retained.expiry = Expiry::After(Duration::from_secs(minutes.unsigned_abs() * 60));
        Ok(())
    };
    "set_tcp_nodelay" Broker "server.tcp_nodelay" Allowed |r, l| { r.config.server.tcp_nodelay = l.flag()?; Ok(()) };
    "sys_interval" Broker "server.sys_interval" Allowed |r, l| { r.config.server.sys_interval = Duration::from_secs(l.count(65_535)?); Ok(()) };
    "upgrade_outgoing_qos" Broker "delivery.upgrade_qos" Allowed |r, l| { r.config.delivery.upgrade_qos = l.flag()?; Ok(()) };
    "user" Broker "server.user" Allowed |r, l| { r.config.server.user = Some(l.text()?.into()); Ok(()) };
};

const ANSWERED: &[MosquittoKey] = &[
    MosquittoKey {
        name: "include_dir",
        scope: Scope::Broker,
        outcome: Outcome::Reads("the `.conf` files of a directory are read, in alphabetical order"),
        repeat: Repeat::Allowed,
        // The reader does it, as it is the reader that knows files.
        apply: |_, _| Ok(()),
    },
    MosquittoKey {
        name: "per_listener_settings",
        scope: Scope::Broker,
        outcome: Outcome::Reads(
            "security keys hold for the listener that they stand below; in `dunlin.toml` a listener simply has them",
        ),
        repeat: Repeat::Allowed,
        apply: per_listener_settings,
    },
    needless(
        "autosave_interval",
        "it said how often the database is written; here everything is on the disk before it is acknowledged \
         (`persistence.durability`)",
        |_, line| line.number().map(drop),
    ),
    needless(
        "autosave_on_changes",
        "it said when the database is written; here everything is on the disk before it is acknowledged \
         (`persistence.durability`)",
        |_, line| line.flag().map(drop),
    ),
    needless(
        "packet_buffer_size",
        "it sized a buffer of each connection; here idle connections have none",
        |_, line| line.between(0, 65_535).map(drop),
    ),
    needless(
        "websockets_headers_size",
        "it sized a buffer for HTTP headers; here they may have 8 KiB",
        |_, line| line.between(0, 65_535).map(drop),
    ),
    needless(
        "websockets_log_level",
        "it set the log of a library that is not used here; `log_type websockets` tells about WebSocket",
        |_, line| line.number().map(drop),
    ),
    needless(
        "retry_interval",
        "messages are sent again when a client connects again, and only then, as the standard demands; \
         Mosquitto has dropped it too",
        |_, _| Ok(()),
    ),
];

/// A key without effect; its value must be right all the same, or the line may mean something else.
const fn needless(
    name: &'static str,
    text: &'static str,
    apply: fn(&mut Reader<'_>, &Line<'_>) -> Result<(), String>,
) -> MosquittoKey {
    MosquittoKey {
        name,
        scope: Scope::Broker,
        outcome: Outcome::Needless(text),
        repeat: Repeat::Allowed,
        apply,
    }
}

/// Both directions: what we send and what clients may send. Zero is no limit but that of MQTT.
fn inflight(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let messages = line.number()?.max(0);
    let messages =
        u16::try_from(messages).map_err(|_| format!("{messages} is not between 0 and 65535"))?;
    let messages = if messages == 0 { u16::MAX } else { messages };
    reader.config.limits.maximum_inflight = messages;
    reader.config.limits.receive_maximum = messages;
    Ok(())
}

fn memory_limit(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let word = line.word()?;
    let bytes = word.parse().map_err(|_| format!("`{word}` is no number of bytes"))?;
    if bytes < 0 {
        return Err(format!("{bytes} is negative"));
    }
    reader.config.limits.memory = Limit::zero_is_none(bytes);
    Ok(())
}

/// A number and a unit of time.
fn session_expiry(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    const DAY: u64 = 86_400;
    let word = line.word()?;
    let wrong =
        || format!("`{word}` is no length of time: write for example 12h, 7d, 2w, 3m or 1y");
    let units =
        [('s', 1), ('h', 3_600), ('d', DAY), ('w', 7 * DAY), ('m', 30 * DAY), ('y', 365 * DAY)];
    let split = units.iter().find_map(|(unit, length)| Some((word.strip_suffix(*unit)?, *length)));
    let (digits, length) = split.ok_or_else(wrong)?;
    let count = digits.parse::<u32>().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
    let length = Duration::from_secs(u64::from(count) * length);
    reader.config.limits.maximum_session_expiry = Expiry::After(length);
    Ok(())
}

fn per_listener_settings(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    // Once it is true it stays so.
    if reader.per_listener {
        return Ok(());
    }
    reader.per_listener = line.flag()?;
    if reader.per_listener && reader.security_was_set {
        return Err("it must come before all other security keys".into());
    }
    if reader.per_listener {
        let text = "security keys hold for the listener that they stand below";
        reader.note(line, Weight::Information, text);
    }
    Ok(())
}
