//! What an operator can say.

use serde_json::{Map, Value};

/// The version of requests and answers. It grows when one is no longer understood.
pub(super) const VERSION: u64 = 1;

/// A command with what it needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// How it goes.
    Status,
    /// The clients, at most so many, whose identifiers begin so.
    Clients { limit: usize, prefix: String },
    /// What was told of a client or of anybody lately, and who gets what is published to a topic.
    Why { client: Option<String>, topic: Option<String>, limit: usize },
    /// What somebody has to look after.
    Alarms,
    /// End the connection of a client.
    Kick { client: String },
    /// Keep somebody out.
    Ban { target: String, reason: String, seconds: Option<u64> },
    /// No longer.
    Unban { target: String },
    /// Who is kept out.
    Bans,
    /// Read the configuration again.
    Reload,
    /// Which kinds of lines are logged, and from now on these.
    LogLevel { types: Option<Vec<String>> },
}

/// Clients that are told unless asked otherwise. 100: a page for a person.
const CLIENTS: u64 = 100;

/// The most that are: a list, not a copy of everything.
const MOST_CLIENTS: u64 = 100_000;

/// Events that are told unless asked otherwise. 50: as many as are kept for each client.
const EVENTS: u64 = 50;

/// The most that are: as many as are kept for all.
const MOST_EVENTS: u64 = 1_000;

impl Request {
    /// Understands a line.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(line).map_err(|cause| format!("this is no JSON: {cause}"))?;
        let Value::Object(fields) = value else { return Err("a request is an object".into()) };
        match fields.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(other) => {
                return Err(format!(
                    "version {other} is not known here: this broker speaks {VERSION}"
                ));
            }
            None => return Err(format!("`version` is missing: this broker speaks {VERSION}")),
        }
        let command = text(&fields, "command")?.ok_or("`command` is missing")?;
        let needed =
            |name: &str| text(&fields, name)?.ok_or_else(|| format!("{command} needs `{name}`"));
        Ok(match command.as_str() {
            "status" => Self::Status,
            "clients" => Self::Clients {
                limit: usize::try_from(
                    number(&fields, "limit")?.unwrap_or(CLIENTS).min(MOST_CLIENTS),
                )
                .unwrap_or(usize::MAX),
                prefix: text(&fields, "prefix")?.unwrap_or_default(),
            },
            "why" => Self::Why {
                client: text(&fields, "client")?,
                topic: text(&fields, "topic")?,
                limit: usize::try_from(
                    number(&fields, "limit")?.unwrap_or(EVENTS).min(MOST_EVENTS),
                )
                .unwrap_or(usize::MAX),
            },
            "alarms" => Self::Alarms,
            "kick" => Self::Kick { client: needed("client")? },
            "ban" => Self::Ban {
                target: needed("target")?,
                reason: text(&fields, "reason")?.unwrap_or_else(|| "an operator said so".into()),
                seconds: number(&fields, "seconds")?,
            },
            "unban" => Self::Unban { target: needed("target")? },
            "bans" => Self::Bans,
            "reload" => Self::Reload,
            "log-level" => Self::LogLevel { types: list(&fields, "types")? },
            other => return Err(format!("there is no command `{other}`")),
        })
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{name}` is a text")),
    }
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| format!("`{name}` is a number, and not negative")),
    }
}

fn list(fields: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, String> {
    let wrong = || format!("`{name}` is a list of texts");
    let values = match fields.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_array().ok_or_else(wrong)?,
    };
    let texts = values.iter().map(|value| value.as_str().map(ToOwned::to_owned));
    texts.collect::<Option<_>>().map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        Request::parse(line.as_bytes())
    }

    #[test]
    fn commands_are_understood() {
        for (line, request) in [
            (r#"{"version":1,"command":"status"}"#, Request::Status),
            (
                r#"{"version":1,"command":"clients"}"#,
                Request::Clients { limit: 100, prefix: String::new() },
            ),
            (
                r#"{"version":1,"command":"kick","client":"a\"b"}"#,
                Request::Kick { client: "a\"b".into() },
            ),
            (
                r#"{"version":1,"command":"ban","target":"user:x","reason":"y","seconds":60}"#,
                Request::Ban { target: "user:x".into(), reason: "y".into(), seconds: Some(60) },
            ),
            (
                r#"{"version":1,"command":"log-level","types":["error"]}"#,
                Request::LogLevel { types: Some(vec!["error".into()]) },
            ),
        ] {
            assert_eq!(parse(line), Ok(request), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, told) in [
            ("x", "no JSON"),
            ("[]", "is an object"),
            ("{}", "`version` is missing"),
            (r#"{"version":2}"#, "version 2 is not known"),
            (r#"{"version":1}"#, "`command` is missing"),
            (r#"{"version":1,"command":"kik"}"#, "no command `kik`"),
            (r#"{"version":1,"command":"kick"}"#, "kick needs `client`"),
            (r#"{"version":1,"command":"kick","client":7}"#, "`client` is a text"),
            (r#"{"version":1,"command":"clients","limit":-1}"#, "`limit` is a number"),
            (r#"{"version":1,"command":"log-level","types":[1]}"#, "list of texts"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
    }
}
