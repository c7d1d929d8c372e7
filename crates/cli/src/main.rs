//! `dunlin`: an MQTT broker and tools in one binary. Without a subcommand it is the broker.

mod cmd;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

/// Measured against the system's allocator: a sixth less CPU for a QoS 1 or 2 message, at 40 bytes
/// more for an idle connection. (mimalloc: as fast, but 600 bytes more.)
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit status when something failed at run time.
const FAILED: u8 = 1;

/// Exit status when the command line makes no sense, as of Mosquitto's broker.
const MISUSED: u8 = 3;

fn main() -> ExitCode {
    if is_mosquitto() {
        return cmd::run_as_mosquitto();
    }
    match cmd::Cli::try_parse() {
        Ok(cli) => match cmd::run(cli) {
            Ok(status) => status,
            // Whoever reads the output has seen enough.
            Err(error) if is_closed_output(&error) => ExitCode::from(FAILED),
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

/// Whether nothing but the output was closed: what fails on the way to a broker says on which.
fn is_closed_output(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    error.chain().count() == 1
        && cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Whether it was started by a link that has the name of Mosquitto's broker.
fn is_mosquitto() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name() == Some(OsStr::new("mosquitto"))
}
