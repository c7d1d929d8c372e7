//! `dunlin ctl status | clients | kick | ...`: questions to a broker that runs, and commands.

mod show;
mod socket;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use dunlin_config::Problems;
use serde_json::{Value, json};

/// Exit status when what was asked for is not there, or there is an alarm.
const NOT_FOUND: u8 = 2;

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// How the broker is doing
    Status(Reach),
    /// Its clients
    Clients {
        #[command(flatten)]
        reach: Reach,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: u64,
        /// Those whose identifiers begin so
        #[arg(default_value = "")]
        prefix: String,
    },
    /// What happened to a client, or to any, lately, and who gets what is published to a topic
    Why {
        #[command(flatten)]
        reach: Reach,
        /// Its identifier [default: whatever was told lately]
        client: Option<String>,
        /// A topic: how many get it, and which filters only nearly match
        #[arg(long, value_name = "TOPIC")]
        topic: Option<String>,
        /// At most so many events, the latest
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: u64,
    },
    /// What somebody has to look after; exit status 2 if there is anything
    Alarms(Reach),
    /// End the connection of a client; exit status 2 if it has none
    Kick {
        #[command(flatten)]
        reach: Reach,
        /// Its identifier
        client: String,
    },
    /// Keep somebody out
    Ban {
        #[command(flatten)]
        reach: Reach,
        /// Whom: client:ID, user:NAME or address:NETWORK
        target: String,
        /// Why, for the log and for whoever looks later
        #[arg(long, default_value = "an operator said so")]
        reason: String,
        /// For how long, as 90s, 15m, 12h or 7d [default: until `unban`]
        #[arg(long = "for", value_name = "TIME", value_parser = length)]
        length: Option<Duration>,
    },
    /// Let somebody in again; exit status 2 if nobody kept it out
    Unban {
        #[command(flatten)]
        reach: Reach,
        /// Whom, as `bans` names it
        target: String,
    },
    /// Who is kept out
    Bans(Reach),
    /// Read the configuration again; exit status 3 if it is wrong, and then nothing changes
    Reload(Reach),
    /// Which kinds of lines are logged; with kinds, log these from now on, until a reload
    LogLevel {
        #[command(flatten)]
        reach: Reach,
        /// error, warning, notice, information, debug, ..., `all` or `none`
        types: Vec<String>,
    },
}

/// How the broker is reached, and how it is told.
#[derive(Debug, Args)]
pub(super) struct Reach {
    /// Socket of the broker [default: admin.sock in its data directory]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Configuration that the broker was started with: it names the socket
    #[arg(short, long = "config-file", value_name = "FILE", conflicts_with = "socket")]
    config_file: Option<String>,
    /// Data directory of the broker [default: ./dunlin-data]
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["socket", "config_file"])]
    data_dir: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Asks the broker, and prints what it says.
pub(super) fn run(command: &AdminCommand) -> Result<ExitCode> {
    let (reach, request) = command.request();
    let answer = match reach.ask(&request) {
        Err(wrong) if wrong.is::<Problems>() => {
            eprintln!("Error: {wrong}");
            return Ok(ExitCode::from(dunlin_config::command_line::WRONG_CONFIGURATION));
        }
        answer => answer?,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(what) if matches!(command, AdminCommand::Reload(_)) => {
            for line in what.lines() {
                eprintln!("Error: {line}");
            }
            eprintln!("Nothing has changed.");
            return Ok(ExitCode::from(dunlin_config::command_line::WRONG_CONFIGURATION));
        }
        Err(what) => return Err(anyhow!(what)),
    };
    let mut out = stdout().lock();
    if reach.json {
        writeln!(out, "{answer}")?;
    } else {
        command.show(&answer, &mut out)?;
    }
    out.flush()?;
    let missing =
        answer.get("kicked") == Some(&json!(0)) || answer.get("unbanned") == Some(&json!(false));
    let alarmed = answer.get("alarms").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    Ok(if missing || alarmed { ExitCode::from(NOT_FOUND) } else { ExitCode::SUCCESS })
}

impl AdminCommand {
    fn request(&self) -> (&Reach, Value) {
        match self {
            Self::Status(reach) => (reach, json!({ "command": "status" })),
            Self::Clients { reach, limit, prefix } => {
                (reach, json!({ "command": "clients", "limit": limit, "prefix": prefix }))
            }
            Self::Why { reach, client, topic, limit } => {
                let request =
                    json!({ "command": "why", "client": client, "topic": topic, "limit": limit });
                (reach, request)
            }
            Self::Alarms(reach) => (reach, json!({ "command": "alarms" })),
            Self::Kick { reach, client } => (reach, json!({ "command": "kick", "client": client })),
            Self::Ban { reach, target, reason, length } => {
                let seconds = length.map(|length| length.as_secs());
                let request = json!({
                    "command": "ban", "target": target, "reason": reason, "seconds": seconds
                });
                (reach, request)
            }
            Self::Unban { reach, target } => {
                (reach, json!({ "command": "unban", "target": target }))
            }
            Self::Bans(reach) => (reach, json!({ "command": "bans" })),
            Self::Reload(reach) => (reach, json!({ "command": "reload" })),
            Self::LogLevel { reach, types } => {
                let types = Some(types).filter(|types| !types.is_empty());
                (reach, json!({ "command": "log-level", "types": types }))
            }
        }
    }

    fn show(&self, answer: &Value, out: &mut impl Write) -> std::io::Result<()> {
        match self {
            Self::Status(_) => show::status(answer, out),
            Self::Clients { .. } => show::clients(answer, out),
            Self::Why { .. } => show::why(answer, out),
            Self::Alarms(_) => show::alarms(answer, out),
            Self::Kick { client, .. } => match answer["kicked"].as_u64() {
                Some(0) | None => writeln!(out, "client {client} is not connected"),
                Some(_) => writeln!(out, "client {client} is disconnected"),
            },
            Self::Ban { target, .. } => writeln!(out, "{target} is kept out"),
            Self::Unban { target, .. } => match answer["unbanned"].as_bool() {
                Some(true) => writeln!(out, "{target} may come again"),
                _ => writeln!(out, "{target} was not kept out"),
            },
            Self::Bans(_) => show::bans(answer, out),
            Self::Reload(_) => show::changes(answer, out),
            Self::LogLevel { .. } => show::types(answer, out),
        }
    }
}

/// A number with a unit of time.
fn length(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time: say for example 90s, 15m, 12h or 7d");
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let found =
        units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)));
    let (digits, seconds) = found.ok_or_else(wrong)?;
    let count: u32 = digits.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
    Ok(Duration::from_secs(u64::from(count) * seconds))
}
