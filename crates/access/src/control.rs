//! Commands in JSON that are published below `$CONTROL`: the form that Mosquitto's broker and its plugins have
//! in common. Tools compare the words of its errors.

use serde_json::{Map, Value, json};

/// A command with its parameters.
pub type Command = Map<String, Value>;

/// More commands than this in one message are not run: each may hash a password.
const COMMANDS_MAX: usize = 1000;

/// Whose command nobody can tell.
const UNNAMED: &str = "Unknown command";

/// Why a command was not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Malformed {
    #[error("Payload not valid JSON")]
    NotJson,
    #[error("Invalid/missing commands")]
    NoCommands,
    #[error("Too many commands")]
    TooMany,
    #[error("Command not an object")]
    NotAnObject,
    #[error("Missing command")]
    MissingCommand,
    #[error("Invalid correlationData data type.")]
    CorrelationData,
}

/// Runs the commands of a message, each by its name, and makes the message that answers it. A command gives
/// data for the answer, if it has any, or says why it failed.
#[must_use]
pub fn answer(
    payload: &[u8],
    mut run: impl FnMut(&str, &Command) -> Result<Option<Value>, String>,
) -> String {
    let responses = match serde_json::from_slice::<Value>(payload) {
        Err(_) => vec![malformed(Malformed::NotJson)],
        Ok(value) => match value.get("commands").and_then(Value::as_array) {
            None => vec![malformed(Malformed::NoCommands)],
            Some(commands) if commands.len() > COMMANDS_MAX => vec![malformed(Malformed::TooMany)],
            Some(commands) => {
                commands.iter().map(|command| answer_one(command, &mut run)).collect()
            }
        },
    };
    json!({ "responses": responses }).to_string()
}

fn answer_one(
    command: &Value,
    run: &mut impl FnMut(&str, &Command) -> Result<Option<Value>, String>,
) -> Value {
    let Some(object) = command.as_object() else { return malformed(Malformed::NotAnObject) };
    let Some(name) = object.get("command").and_then(Value::as_str) else {
        return malformed(Malformed::MissingCommand);
    };
    let correlation = object.get("correlationData");
    if correlation.is_some_and(|data| !data.is_string()) {
        return failure(name, &Malformed::CorrelationData.to_string());
    }
    let mut response = match run(name, object) {
        Ok(None) => json!({ "command": name }),
        Ok(Some(data)) => json!({ "command": name, "data": data }),
        Err(error) => failure(name, &error),
    };
    if let Some(data) = correlation {
        response["correlationData"] = data.clone();
    }
    response
}

fn malformed(why: Malformed) -> Value {
    failure(UNNAMED, &why.to_string())
}

fn failure(command: &str, error: &str) -> Value {
    json!({ "command": command, "error": error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_command_is_answered_in_mosquittos_words() {
        for (payload, command, error) in [
            ("no json", UNNAMED, "Payload not valid JSON"),
            ("{}", UNNAMED, "Invalid/missing commands"),
            (r#"{"commands":["a"]}"#, UNNAMED, "Command not an object"),
            (r#"{"commands":[{}]}"#, UNNAMED, "Missing command"),
            (
                r#"{"commands":[{"command":"a","correlationData":true}]}"#,
                "a",
                "Invalid correlationData data type.",
            ),
            (r#"{"commands":[{"command":"b"}]}"#, "b", "no b"),
        ] {
            let answered = answer(payload.as_bytes(), |name, _| Err(format!("no {name}")));
            let answered: Value = serde_json::from_str(&answered).unwrap();
            let expected = json!({ "responses": [{ "command": command, "error": error }] });
            assert_eq!(answered, expected, "{payload}");
        }
    }

    #[test]
    fn each_command_is_answered_with_its_correlation_data() {
        let payload = br#"{"commands":[{"command":"a","correlationData":"x"},{"command":"b"}]}"#;
        let answered = answer(payload, |name, _| Ok((name == "a").then(|| json!({ "n": 1 }))));
        let answered: Value = serde_json::from_str(&answered).unwrap();
        let expected = json!({ "responses": [
            { "command": "a", "data": { "n": 1 }, "correlationData": "x" },
            { "command": "b" },
        ] });
        assert_eq!(answered, expected);
    }
}
