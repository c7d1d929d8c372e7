//! Connections to other brokers.

use std::time::Duration;

use super::line::{Line, number, within};
use super::reader::Reader;
use super::tls::{ciphers, tls_version};
use super::{MosquittoKey, Outcome, Repeat, Scope, answered, sets};
use crate::model::{
    AddressChoice, Bridge, BridgeTopic, BridgeVersion, Direction, Notify, ReloadType, StartType,
};
use crate::problem::Weight;
use crate::value::{Expiry, Limit, Secret};

pub(super) const KEYS: &[&[MosquittoKey]] = &[SECTIONS, SETTING, TLS, ANSWERED];

const SECTIONS: &[MosquittoKey] = &[MosquittoKey {
    name: "connection",
    scope: Scope::Section,
    outcome: Outcome::Reads("it begins a bridge: `[[bridge]]`, which comes with the bridges"),
    repeat: Repeat::Allowed,
    apply: |reader, line| {
        let bridge = Bridge { name: line.word()?.to_owned(), ..Bridge::default() };
        reader.begin_bridge(bridge, &line.place);
        Ok(())
    },
}];

#[rustfmt::skip]
const SETTING: &[MosquittoKey] = sets! {
    "address" Bridge "addresses" Allowed addresses;
    "addresses" Bridge "addresses" Allowed addresses;
    "topic" Bridge "topics" Allowed topic;
    "bridge_attempt_unsubscribe" Bridge "attempt_unsubscribe" Allowed |r, l| { r.bridge()?.habits.attempt_unsubscribe = l.flag()?; Ok(()) };
    "bridge_bind_address" Bridge "bind_address" Refused |r, l| { r.bridge()?.bind_address = Some(l.text()?.into()); Ok(()) };
    "bridge_max_packet_size" Bridge "maximum_packet_size" Allowed |r, l| { r.bridge()?.bounds.maximum_packet_size = Limit::zero_is_none(l.number()?); Ok(()) };
    "bridge_max_topic_alias" Bridge "topic_alias_maximum" Allowed |r, l| { r.bridge()?.bounds.topic_alias_maximum = l.count(65_535)?; Ok(()) };
    "bridge_outgoing_retain" Bridge "outgoing_retain" Allowed |r, l| { r.bridge()?.habits.outgoing_retain = l.flag()?; Ok(()) };
    "bridge_protocol_version" Bridge "version" Allowed |r, l| {
        r.bridge()?.version = match l.text()? {
            "mqttv31" => BridgeVersion::V3_1,
            "mqttv311" => BridgeVersion::V3_1_1,
            "mqttv50" => BridgeVersion::V5_0,
            other => return Err(format!("`{other}` is no version: there are mqttv31, mqttv311 and mqttv50")),
        };
        Ok(())
    };
    "bridge_receive_maximum" Bridge "receive_maximum" Allowed |r, l| {
        l.between(1, 65_535)?;
        r.bridge()?.bounds.receive_maximum = Some(l.count(65_535)?);
        Ok(())
    };
    "bridge_reload_type" Bridge "reload" Allowed |r, l| {
        r.bridge()?.habits.reload = match l.word()? {
            "lazy" => ReloadType::Lazy,
            "immediate" => ReloadType::Immediate,
            other => return Err(format!("`{other}` is neither lazy nor immediate")),
        };
        Ok(())
    };
    "bridge_session_expiry_interval" Bridge "session_expiry" Allowed |r, l| {
        let seconds = l.count(i64::from(i32::MAX))?;
        r.bridge()?.bounds.session_expiry = Some(Expiry::After(Duration::from_secs(seconds)));
        Ok(())
    };
    "bridge_tcp_keepalive" Bridge "tcp_keep_alive" Allowed |r, l| {
        let words: Vec<&str> = l.words().take(3).collect();
        if words.len() < 3 {
            return Err("it needs three numbers: idle seconds, seconds between probes, how many".into());
        }
        for word in &words {
            within(number(word)?, 1, i64::from(i32::MAX))?;
        }
        r.bridge()?.tcp_keep_alive = words.into_iter().map(ToOwned::to_owned).collect();
        Ok(())
    };
    "bridge_tcp_user_timeout" Bridge "tcp_user_timeout" Allowed |r, l| { r.bridge()?.tcp_user_timeout = Some(l.count(i64::from(i32::MAX))?); Ok(()) };
    "cleansession" Bridge "remote_clean_start" Allowed |r, l| { r.bridge()?.remote_clean_start = l.flag()?; Ok(()) };
    "local_cleansession" Bridge "local_clean_start" Allowed |r, l| { r.bridge()?.local_clean_start = Some(l.flag()?); Ok(()) };
    "clientid" Bridge "remote_client_id" Refused |r, l| { r.bridge()?.remote.client_id = Some(l.text()?.into()); Ok(()) };
    "remote_clientid" Bridge "remote_client_id" Refused |r, l| { r.bridge()?.remote.client_id = Some(l.text()?.into()); Ok(()) };
    "username" Bridge "remote_username" Refused |r, l| { r.bridge()?.remote.username = Some(l.text()?.into()); Ok(()) };
    "remote_username" Bridge "remote_username" Refused |r, l| { r.bridge()?.remote.username = Some(l.text()?.into()); Ok(()) };
    "password" Bridge "remote_password" Refused |r, l| { r.bridge()?.remote.password = Some(Secret::new(l.text()?)); Ok(()) };
    "remote_password" Bridge "remote_password" Refused |r, l| { r.bridge()?.remote.password = Some(Secret::new(l.text()?)); Ok(()) };
    "local_clientid" Bridge "local_client_id" Refused |r, l| { r.bridge()?.local.client_id = Some(l.text()?.into()); Ok(()) };
    "local_username" Bridge "local_username" Refused |r, l| { r.bridge()?.local.username = Some(l.text()?.into()); Ok(()) };
    "local_password" Bridge "local_password" Refused |r, l| { r.bridge()?.local.password = Some(Secret::new(l.text()?)); Ok(()) };
    "idle_timeout" Bridge "idle_timeout" Allowed |r, l| {
        let seconds = l.number()?.max(1).unsigned_abs();
        r.bridge()?.reconnect.idle_timeout = Duration::from_secs(seconds);
        Ok(())
    };
    "keepalive_interval" Bridge "keep_alive" Allowed |r, l| {
        let seconds = l.number()?.max(5);
        r.bridge()?.keep_alive = u16::try_from(seconds).map_err(|_| format!("{seconds} is more than 65535"))?;
        Ok(())
    };
    "notification_topic" Bridge "notification_topic" Refused |r, l| { r.bridge()?.notification_topic = Some(l.text()?.into()); Ok(()) };
    "notifications" Bridge "notifications" Allowed |r, l| {
        let on = l.flag()?;
        let notify = &mut r.bridge()?.notify;
        *notify = match (on, *notify) {
            (false, _) => Notify::None,
            (true, Notify::None) => Notify::Both,
            (true, notify) => notify,
        };
        Ok(())
    };
    "notifications_local_only" Bridge "notifications" Allowed |r, l| {
        let local = l.flag()?;
        let notify = &mut r.bridge()?.notify;
        *notify = match (local, *notify) {
            (_, Notify::None) => Notify::None,
            (true, _) => Notify::Local,
            (false, _) => Notify::Both,
        };
        Ok(())
    };
    "restart_timeout" Bridge "reconnect_after" Allowed restart_timeout;
    "round_robin" Bridge "address_choice" Allowed |r, l| {
        let round = l.flag()?;
        r.bridge()?.habits.choice = if round { AddressChoice::RoundRobin } else { AddressChoice::FirstBest };
        Ok(())
    };
    "start_type" Bridge "start" Allowed |r, l| {
        r.bridge()?.habits.start = match l.word()? {
            "automatic" => StartType::Automatic,
            "lazy" => StartType::Lazy,
            "once" => StartType::Once,
            "manual" => return Err("a bridge that is started by hand is not supported, as in Mosquitto".into()),
            other => return Err(format!("`{other}` is none of automatic, lazy and once")),
        };
        Ok(())
    };
    "threshold" Bridge "threshold" Allowed |r, l| {
        r.bridge()?.reconnect.threshold = u32::try_from(l.number()?.max(1)).unwrap_or(u32::MAX);
        Ok(())
    };
    "try_private" Bridge "try_private" Allowed |r, l| { r.bridge()?.habits.try_private = l.flag()?; Ok(()) };
};

#[rustfmt::skip]
const TLS: &[MosquittoKey] = sets! {
    "bridge_alpn" Bridge "alpn" Refused |r, l| { r.bridge()?.tls.alpn = Some(l.text()?.into()); Ok(()) };
    "bridge_cafile" Bridge "cafile" Refused |r, l| { r.bridge()?.tls.cafile = Some(l.text()?.into()); Ok(()) };
    "bridge_capath" Bridge "capath" Refused |r, l| { r.bridge()?.tls.capath = Some(l.text()?.into()); Ok(()) };
    "bridge_certfile" Bridge "certfile" Refused |r, l| { r.bridge()?.tls.certfile = Some(l.text()?.into()); Ok(()) };
    "bridge_keyfile" Bridge "keyfile" Allowed |r, l| { r.bridge()?.tls.keyfile = Some(l.text()?.into()); Ok(()) };
    "bridge_ciphers" Bridge "ciphers" Refused |r, l| {
        let known = ciphers(r, l, super::tls::TLS_1_2)?;
        r.bridge()?.tls.ciphers.extend(known);
        Ok(())
    };
    "bridge_ciphers_tls1.3" Bridge "ciphers" Refused |r, l| {
        let known = ciphers(r, l, super::tls::TLS_1_3)?;
        r.bridge()?.tls.ciphers.splice(0..0, known);
        Ok(())
    };
    "bridge_insecure" Bridge "insecure" Allowed |r, l| {
        let insecure = l.flag()?;
        r.bridge()?.tls.insecure = insecure;
        if insecure {
            r.note(l, Weight::Warning, "anybody with any certificate can answer in place of the other broker");
        }
        Ok(())
    };
    "bridge_require_ocsp" Bridge "require_ocsp" Allowed |r, l| { r.bridge()?.tls.require_ocsp = l.flag()?; Ok(()) };
    "bridge_tls_use_os_certs" Bridge "use_os_certs" Allowed |r, l| { r.bridge()?.tls.use_os_certs = l.flag()?; Ok(()) };
    "bridge_tls_version" Bridge "minimum_tls_version" Refused |r, l| {
        let version = tls_version(r, l)?;
        r.bridge()?.tls.minimum_version = Some(version);
        Ok(())
    };
};

const ANSWERED: &[MosquittoKey] = &[
    answered("bridge_identity", Scope::Bridge, Outcome::Stops(PSK)),
    answered("bridge_psk", Scope::Bridge, Outcome::Stops(PSK)),
];

const PSK: &str = "keys shared with the other broker (TLS-PSK) are not supported, and without them the bridge would not \
                   be encrypted; use `bridge_cafile`, and `bridge_certfile` with `bridge_keyfile`";

/// Hosts with or without ports, up to a comment.
fn addresses(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let words: Vec<String> =
        line.words().take_while(|word| !word.starts_with('#')).map(ToOwned::to_owned).collect();
    if words.is_empty() {
        return Err("it needs the address of a broker".into());
    }
    let bridge = reader.bridge()?;
    if !bridge.addresses.is_empty() {
        return Err(
            "a bridge has one line with addresses; several of them stand in the same line".into()
        );
    }
    bridge.addresses = words;
    Ok(())
}

/// Filter, direction, `QoS`, local prefix, remote prefix; an empty one is written as two quotes.
fn topic(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let (filter, rest) = quoted(line.text()?)?;
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let direction = match words.next().map(str::to_ascii_lowercase).as_deref() {
        None | Some("out") => Direction::Out,
        Some("in") => Direction::In,
        Some("both") => Direction::Both,
        Some(other) => {
            return Err(format!("`{other}` is no direction: there are out, in and both"));
        }
    };
    let mut words = words.take_while(|word| !word.starts_with('#'));
    let qos = match words.next() {
        None | Some("0") => 0,
        Some("1") => 1,
        Some("2") => 2,
        Some(other) => return Err(format!("`{other}` is no QoS: there are 0, 1 and 2")),
    };
    let mut prefix = || words.next().filter(|word| *word != "\"\"").unwrap_or_default().to_owned();
    let (local_prefix, remote_prefix) = (prefix(), prefix());
    // Empty prefixes and no filter leave nothing to subscribe to.
    if filter.is_empty() && (local_prefix.is_empty() || remote_prefix.is_empty()) {
        return Err("an empty topic needs both prefixes".into());
    }
    let topic = BridgeTopic { filter, direction, qos, local_prefix, remote_prefix };
    reader.bridge()?.topics.push(topic);
    Ok(())
}

/// Why a filter has no end.
pub(super) const OPEN_QUOTE: &str = "a quote is not closed";

/// The first word, or what stands between quotes, and the rest.
fn quoted(text: &str) -> Result<(String, &str), String> {
    if let Some(rest) = text.strip_prefix("\"\"") {
        return Ok((String::new(), rest));
    }
    if let Some(open) = text.strip_prefix('"') {
        let (inside, rest) = open.split_once('"').ok_or(OPEN_QUOTE)?;
        return Ok((inside.to_owned(), rest));
    }
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok((word.to_owned(), rest))
}

/// One number for always the same, or the first and the longest, and perhaps when a connection is stable.
fn restart_timeout(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    let mut words = line.words().map(number);
    let first = words.next().ok_or("it needs seconds")??.clamp(1, 3_600);
    let longest = match words.next().transpose()? {
        Some(longest) if longest < first => {
            return Err("the longest time is shorter than the first".into());
        }
        longest => longest.unwrap_or(first).min(7_200),
    };
    let stable = words.next().transpose()?.unwrap_or(0);
    if stable < 0 {
        return Err("the time after which a connection is stable is negative".into());
    }
    let reconnect = &mut reader.bridge()?.reconnect;
    reconnect.after = seconds(first);
    reconnect.at_most = seconds(longest);
    reconnect.stable_after = seconds(stable);
    Ok(())
}
