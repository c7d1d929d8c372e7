//! `dunlin`: an MQTT broker and tools in one binary. Without a subcommand it is the broker.

mod cmd;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

/// Exit status when something failed at run time.
const FAILED: u8 = 1;

/// Exit status when the command line makes no sense, as of Mosquitto's broker.
const MISUSED: u8 = 3;

fn main() -> ExitCode {
    match cmd::Cli::try_parse() {
        Ok(cli) => match cmd::run(cli) {
            Ok(status) => status,
            Err(error) => {
                eprintln!("dunlin: {error:#}");
                ExitCode::from(FAILED)
            }
        },
        Err(error) => {
            // Help goes to stdout and is no failure; if the output is closed nobody wants to know.
            drop(error.print());
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(MISUSED),
            }
        }
    }
}
