//! `dunlin import`: the `dunlin.toml` that says what a `mosquitto.conf` says.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use dunlin_config::command_line::WRONG_CONFIGURATION;
use dunlin_config::{Disk, Loader, to_toml};

/// Passwords of bridges may be in it.
const MODE: u32 = 0o600;

/// Options of `dunlin import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The configuration of Mosquitto
    #[arg(default_value = "/etc/mosquitto/mosquitto.conf")]
    file: String,
    /// File to write, which must not exist [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &ImportArgs) -> Result<ExitCode> {
    let loaded = match Loader::new(&Disk).load(Some(&args.file)) {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in &problems {
                eprintln!("Error: {problem}");
            }
            return Ok(ExitCode::from(WRONG_CONFIGURATION));
        }
    };
    let text = to_toml(&loaded.config, &loaded.notes);
    match &args.output {
        None => io::stdout().write_all(text.as_bytes())?,
        Some(path) => {
            write(path, &text)?;
            for note in &loaded.notes {
                eprintln!("{note}");
            }
            eprintln!("{} says what {} says; start with: dunlin -c {0}", path.display(), args.file);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
    let mut file = match opened {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            return Err(anyhow!("{} exists; name a file that does not", path.display()));
        }
        opened => opened.with_context(|| format!("cannot write {}", path.display()))?,
    };
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
