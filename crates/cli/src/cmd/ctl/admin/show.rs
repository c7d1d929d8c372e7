//! Answers for people.

use std::io::{Result, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// A list of an answer.
fn items<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text as it is, anything else as JSON writes it, and nothing as a dash.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace(char::is_control, " "),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

pub(super) fn status(answer: &Value, out: &mut impl Write) -> Result<()> {
    let of = |name: &str| word(answer.get(name).unwrap_or(&Value::Null));
    writeln!(
        out,
        "{}, process {}, up for {}",
        of("broker"),
        of("process"),
        span(answer.get("uptime_seconds").and_then(Value::as_u64).unwrap_or(0))
    )?;
    writeln!(
        out,
        "{} connections of {}, {} clients, {} sessions, {} messages wait",
        of("connections"),
        of("maximum_connections"),
        of("clients"),
        of("sessions"),
        of("queued_messages")
    )?;
    match answer.get("store").and_then(Value::as_str) {
        Some(store) => writeln!(out, "kept in {store}")?,
        None => writeln!(out, "nothing is kept beyond the end of the process")?,
    }
    for listener in items(answer, "listeners") {
        let of = |name: &str| word(listener.get(name).unwrap_or(&Value::Null));
        let (name, connections, away) = (of("listener"), of("connections"), of("turned_away"));
        write!(out, "listener {name}: {connections} connections, {away} turned away")?;
        if listener.get("certificate_expires").is_some_and(|expires| !expires.is_null()) {
            let (full, resumed) = (of("full_handshakes"), of("resumed_handshakes"));
            write!(out, ", {full} + {resumed} TLS handshakes (full, resumed)")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

pub(super) fn clients(answer: &Value, out: &mut impl Write) -> Result<()> {
    let rows = items(answer, "clients").iter().map(|client| {
        let of = |name: &str| word(client.get(name).unwrap_or(&Value::Null));
        let state = if client.get("online") == Some(&Value::Bool(true)) {
            format!("{} {}", of("address"), of("version"))
        } else if client.get("ends_in_seconds").is_some() {
            let left = client.get("ends_in_seconds").and_then(Value::as_u64);
            format!("away, ends in {}", span(left.unwrap_or(0)))
        } else {
            "away".into()
        };
        [of("client"), of("user"), state, of("subscriptions"), of("waiting")]
    });
    table(["CLIENT", "USER", "FROM", "SUBSCRIPTIONS", "WAITING"], rows.collect(), out)?;
    if answer.get("more") == Some(&Value::Bool(true)) {
        writeln!(out, "(there are more: --limit, or the beginning of an identifier)")?;
    }
    Ok(())
}

pub(super) fn why(answer: &Value, out: &mut impl Write) -> Result<()> {
    if let Some(topic) = answer.get("topic") {
        let of = |name: &str| word(topic.get(name).unwrap_or(&Value::Null));
        let retained = match topic.get("retained") {
            Some(Value::Bool(true)) => ", and there is a retained message",
            _ => "",
        };
        writeln!(out, "{}: {} subscriptions match{retained}", of("topic"), of("subscriptions"))?;
        for filter in items(topic, "nearest") {
            writeln!(out, "  nearly: {}", word(filter))?;
        }
    }
    if answer.get("told").is_none() {
        return Ok(());
    }
    let told = items(answer, "told");
    if told.is_empty() {
        return writeln!(out, "nothing was told lately");
    }
    for event in told {
        let at = event.get("at").and_then(Value::as_u64).unwrap_or(0);
        let of = |name: &str| word(event.get(name).unwrap_or(&Value::Null));
        writeln!(out, "{} ago  {}  {}", span(now().saturating_sub(at)), of("cause"), of("text"))?;
    }
    Ok(())
}

pub(super) fn alarms(answer: &Value, out: &mut impl Write) -> Result<()> {
    let alarms = items(answer, "alarms");
    if alarms.is_empty() {
        return writeln!(out, "no alarm");
    }
    for alarm in alarms {
        let since = alarm.get("since").and_then(Value::as_u64).unwrap_or(0);
        let of = |name: &str| word(alarm.get(name).unwrap_or(&Value::Null));
        writeln!(out, "{} for {}: {}", of("alarm"), span(now().saturating_sub(since)), of("text"))?;
    }
    Ok(())
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

pub(super) fn bans(answer: &Value, out: &mut impl Write) -> Result<()> {
    let rows = items(answer, "bans").iter().map(|ban| {
        let of = |name: &str| word(ban.get(name).unwrap_or(&Value::Null));
        let until = ban.get("until").and_then(Value::as_u64);
        let left =
            until.map_or_else(|| "for good".into(), |until| span(until.saturating_sub(now())));
        [of("target"), left, of("reason")]
    });
    table(["TARGET", "STILL", "REASON"], rows.collect(), out)
}

pub(super) fn changes(answer: &Value, out: &mut impl Write) -> Result<()> {
    let changes = items(answer, "changes");
    if changes.is_empty() {
        return writeln!(out, "reloaded; no key has changed");
    }
    writeln!(out, "reloaded:")?;
    changes.iter().try_for_each(|change| writeln!(out, "  {}", word(change)))
}

pub(super) fn types(answer: &Value, out: &mut impl Write) -> Result<()> {
    let types: Vec<String> = items(answer, "types").iter().map(word).collect();
    writeln!(out, "{}", types.join(" "))
}

/// Columns as wide as what is in them.
fn table<const N: usize>(
    head: [&str; N],
    rows: Vec<[String; N]>,
    out: &mut impl Write,
) -> Result<()> {
    let head = head.map(ToOwned::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line: Vec<String> = cells.collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

/// A length of time in its largest unit.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn handshakes_are_told_of_listeners_with_tls_only() {
        let listener = |name: &str, expires: Value| {
            json!({
                "listener": name, "connections": 1, "turned_away": 0, "full_handshakes": 2,
                "resumed_handshakes": 3, "certificate_expires": expires,
            })
        };
        let all =
            json!({ "listeners": [listener("plain", Value::Null), listener("tls", json!(5))] });
        let mut out = Vec::new();
        status(&all, &mut out).expect("it is written to memory");
        let told = String::from_utf8(out).expect("it is text");
        assert!(told.contains("listener plain: 1 connections, 0 turned away\n"), "{told}");
        assert!(told.contains("listener tls: 1 connections, 0 turned away, 2 + 3 TLS"), "{told}");
    }
}
