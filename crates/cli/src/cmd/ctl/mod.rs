//! `dunlin ctl`: asks a broker that runs, and looks after what one has stored.

mod admin;
mod check;
mod dump;
mod export;
mod import;
mod install;
mod mosquitto;
mod open;
mod overlay;
mod stats;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use dunlin_config::model::Listener;

/// Exit status when something in a store cannot be read.
const DAMAGED: u8 = 2;

/// Options of `dunlin ctl`.
#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// The store of a broker that is not running
    #[command(subcommand)]
    Store(StoreCommand),
    #[command(flatten)]
    Admin(admin::AdminCommand),
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Read everything and say what is right and what is wrong; exit status 2 if something is
    Check(Directory),
    /// Count what is stored
    Stats {
        #[command(flatten)]
        directory: Directory,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write everything as JSON, an object a line
    Export {
        #[command(flatten)]
        directory: Directory,
        /// File to write, which must not exist [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Fill a new or empty directory
    Import {
        #[command(flatten)]
        directory: Directory,
        /// What the file is
        #[arg(long, value_enum, default_value_t = Format::Dunlin)]
        from: Format,
        /// File to read
        file: PathBuf,
    },
}

/// Where the store is.
#[derive(Debug, Args)]
struct Directory {
    /// Directory of the store
    #[arg(long, value_name = "DIRECTORY", default_value = "./dunlin-data")]
    data_dir: PathBuf,
}

/// What can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// What `export` has written
    Dunlin,
    /// mosquitto.db, or the database of Mosquitto's SQLite plugin
    Mosquitto,
}

/// Does what was typed.
pub(crate) fn run(args: &CtlArgs) -> Result<ExitCode> {
    let command = match &args.subject {
        Subject::Store(command) => command,
        Subject::Admin(command) => return admin::run(command),
    };
    match command {
        StoreCommand::Check(directory) => check::run(&directory.data_dir),
        StoreCommand::Stats { directory, json } => stats::run(&directory.data_dir, *json),
        StoreCommand::Export { directory, output } => {
            export::run(&directory.data_dir, output.as_deref())
        }
        StoreCommand::Import { directory, from, file } => {
            import::run(&directory.data_dir, *from, file)
        }
    }
}

/// Whether a file is Mosquitto's database.
pub(super) fn is_mosquitto_snapshot(file: &Path) -> bool {
    mosquitto::is_snapshot(file)
}

/// Makes a store of what Mosquitto has kept, and says in words what that is. Who has published and whose sessions
/// they are is judged by the rules of their listeners, so these have to be the ones of the configuration.
pub(super) fn take_over_mosquitto(
    directory: &Path,
    file: &Path,
    listeners: &[Listener],
) -> Result<String> {
    let ports = listeners.iter().map(|listener| listener.port);
    let (counts, left_out) = import::take_over(directory, file, ports.zip(0..).collect())?;
    let mut summary = format!("{} sessions, {} messages", counts.sessions, counts.messages);
    for (count, what) in left_out.told() {
        summary.push_str(&format!("; left out: {count} {what}"));
    }
    Ok(summary)
}
