//! The reference pages, made of the tables that the reading uses.

use crate::changes::Effect;
use crate::environment::variable;
use crate::keys::{self, Key};
use crate::measure::Measure;
use crate::model::{Bridge, Config, Listener};
use crate::mosquitto::{self, Outcome, Scope};
use crate::shown;

/// `docs/configuration.md`.
#[must_use]
pub fn configuration() -> String {
    let mut page = String::from(HEAD);
    let config = Config::default();
    let mut section = "";
    for key in keys::general() {
        let table = key.name.rsplit_once('.').map_or("", |(table, _)| table);
        if table != section {
            section = table;
            heading(&mut page, &format!("[{table}]"));
        }
        describe(&mut page, key, &config, Some(&variable(key.name)));
    }
    heading(&mut page, "[[listener]]");
    page.push_str(LISTENERS);
    for key in keys::listener() {
        describe(&mut page, key, &Listener::default(), None);
    }
    heading(&mut page, "[[bridge]]");
    page.push_str(BRIDGES);
    for key in keys::bridge() {
        describe(&mut page, key, &Bridge::default(), None);
    }
    page.push_str(DEFINITIONS);
    page
}

/// `docs/mosquitto-keys.md`.
#[must_use]
pub fn mosquitto_keys() -> String {
    let mut page = String::from(KEYS_HEAD);
    page.push_str(
        "\n| key | where it stands | what it does here | shown by |\n|---|---|---|---|\n",
    );
    let mut all: Vec<_> = mosquitto::keys().collect();
    all.sort_by_key(|key| key.name);
    for key in all {
        let outcome = match (key.outcome, key.scope) {
            (Outcome::Sets(name), Scope::Listener | Scope::AnyListener) => {
                format!("the same: `{name}` of `[[listener]]`")
            }
            (Outcome::Sets(name), Scope::Bridge) => format!("the same: `{name}` of `[[bridge]]`"),
            (outcome, _) => outcome.to_string(),
        };
        let shown = match shown::effect_of(key.name) {
            Some((file, test)) => format!("`{test}` in [{}](../{file})", file_name(file)),
            None => "its reading".to_owned(),
        };
        let line = format!("| `{}` | {} | {outcome} | {shown} |\n", key.name, key.scope.word());
        page.push_str(&line);
    }
    page
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn heading(page: &mut String, title: &str) {
    page.push_str(&format!("\n## `{title}`\n\n"));
}

fn describe<T: 'static>(page: &mut String, key: &Key<T>, owner: &T, variable: Option<&str>) {
    let name = key.name.rsplit_once('.').map_or(key.name, |(_, name)| name);
    let default = key.get(owner).map_or_else(String::new, |value| format!(" = {value}"));
    let mut facts = vec![(key.kind)()];
    let measure = (key.measure)();
    facts.extend(Some(measure.unit.to_owned()).filter(|unit| !unit.is_empty()));
    facts.extend(measure.bounds.map(|bounds| between(measure, bounds)));
    facts.push(match key.effect {
        Effect::AtOnce => "a reload changes it at once".to_owned(),
        Effect::NewConnections => "a reload changes it for new connections".to_owned(),
        Effect::Reopen => "a reload opens the listener anew".to_owned(),
        Effect::Restart => "needs a restart".to_owned(),
    });
    facts.extend(variable.map(|variable| format!("`{variable}`")));
    let text = format!("- **`{name}`**`{default}` ({})  \n  {}\n", facts.join("; "), key.why);
    page.push_str(&text.replace("**``", "**"));
}

fn between(measure: Measure, (least, most): (i64, i64)) -> String {
    if measure.unit.starts_with("mode") {
        format!("{least} to 0o{most:o}")
    } else {
        format!("{least} to {most}")
    }
}

const HEAD: &str = "# Configuration

This page is made from the table that `dunlin.toml` is read with: `cargo run -p dunlin-config --example
reference`. Every key stands with its default, what may be written, and when a reload (SIGHUP) changes it.

- Without a file the broker listens on port 1883 for this machine only, and anybody on it may connect. As soon as
  there is a `[[listener]]`, clients need a user name unless `allow_anonymous = true`.
- A key or table that is not on this page stops the start with file, line and the nearest one that is.
- A variable of the environment wins over the file: `DUNLIN_LIMITS_CONNECTIONS=1000`. Listeners and bridges are
  counted from one: `DUNLIN_LISTENER_1_PORT=8883`; the next number makes a new one. Lists are separated by commas, an
  empty value takes one of the file back.
- A secret can be in a file of its own: `remote_password_file` in place of `remote_password`.
- Every key that counts bytes takes a number, or a text as `\"64 KiB\"` and `\"2 MB\"`; every key that is a time takes
  seconds, or a text as `\"100ms\"`, `\"30 s\"`, `\"5m\"`, `\"7d\"`, at most 4294967295 seconds. A number out of the range that
  stands here is refused with that range and its unit.
- Paths are relative to where the process is started, as in Mosquitto.

`mosquitto.conf` is read as well: see [its keys](mosquitto-keys.md). `dunlin import mosquitto.conf` writes the
same as `dunlin.toml`.
";

const LISTENERS: &str = "One table for each. What a listener leaves out of the access keys, it has from `[security]`.\n\n";

const BRIDGES: &str = "One table for each. They are read and checked; connections are made once bridges are part of the broker.\n\n";

const DEFINITIONS: &str = "
## `[users]`, `[groups]`, `[roles]`, `[anonymous]`, `[everyone]`

Who may do what, by name: see [access](access.md).
";

const KEYS_HEAD: &str = "# Keys of mosquitto.conf

This page is made from the table that `mosquitto.conf` is read with. Every key of Mosquitto 2.1 is here. Most mean the
same as there, and the column says which key of [`dunlin.toml`](configuration.md) they are. The others are answered at
start with one line in the log, which is the text of the column. Where leaving a key out would make the broker less
secure than the file says, the start stops instead.

Lines are read as Mosquitto reads them: a comment begins in the first column, key and value are separated by spaces, a
path goes to the end of the line, other values are one word. `include_dir` reads the `.conf` files of a directory in
alphabetical order, capitals before small letters. An unknown key or a bad value stops the start, with file, line and
the nearest key.

The last column names the test that shows with clients what a key does. Of all others it is shown what they set in
`dunlin.toml`, or with which words they are answered: by `every_key_is_honoured_or_answered` in
[mosquitto_keys.rs](../crates/config/tests/mosquitto_keys.rs).
";
