//! The program under the name `mosquitto`: its command line, its answers.

use std::io::{Write, stdout};
use std::process::ExitCode;

use dunlin_config::command_line::{Task, WRONG_CONFIGURATION};
use dunlin_config::{CommandLine, Problems};

use super::broker::{self, BrokerArgs};

const HELP: &str = "Usage: mosquitto [-c config_file] [-d] [-h] [-p port] [-v] [-q] [--test-config] [--tls-keylog file]

  -c, --config-file FILE  mosquitto.conf, or dunlin.toml
  -d, --daemon            leave the terminal once everything listens
  -p, --port PORT         listen on this port, unless the configuration has listeners; may be repeated
  -q, --quiet             log nothing
  -v, --verbose           log everything
      --test-config       check the configuration and end: status 0, or 3 with what is wrong
      --tls-keylog FILE   write the secrets of TLS connections, for debugging only
  -h, --help              this text
      --version           the version

This is dunlin. Under its own name it has more options and commands: dunlin --help
";

/// Does what was typed.
pub(super) fn run() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let line = match CommandLine::parse(arguments.iter().map(String::as_str)) {
        Ok(line) => line,
        Err(problem) => {
            for line in Problems::from(problem).in_both_words().lines() {
                eprintln!("Error: {line}");
            }
            eprintln!("\n{HELP}");
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    let version = concat!("mosquitto: dunlin ", env!("CARGO_PKG_VERSION"), "\n");
    // If the output is closed nobody wants to know.
    match line.task {
        Task::Help => drop(stdout().write_all(HELP.as_bytes())),
        Task::Version => drop(stdout().write_all(version.as_bytes())),
        Task::Serve | Task::Test => return broker::run(&BrokerArgs::of_mosquitto(&line)),
    }
    ExitCode::SUCCESS
}
