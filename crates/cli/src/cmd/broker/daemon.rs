//! Leaving the terminal: the process starts itself once more, and ends when the other one listens.
//!
//! Forking would leave threads behind, and whoever starts a daemon wants to know whether it started. So the
//! one on the terminal waits until the other says that it is ready, or takes over its exit status.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Set for the process that is to go on without a terminal. (What begins with `DUNLIN_` is configuration.)
const MARK: &str = "DAEMON_OF_DUNLIN";

/// Whether this process is the one that goes on.
pub(super) fn is_one() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts it and waits until it is ready.
pub(super) fn spawn() -> io::Result<ExitCode> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0(arguments.next().unwrap_or_else(|| "dunlin".into())).args(arguments);
    // Its standard input is the way back to us.
    let mut daemon = command.env(MARK, "1").stdin(OwnedFd::from(theirs)).spawn()?;
    // It keeps the other end of the pair in the command otherwise, and never hears that nobody answers.
    drop(command);
    let mut ready = [0];
    if ours.read(&mut ready)? > 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let status = daemon.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(status.unwrap_or(1)))
}

/// Tells the one on the terminal that everything listens, and lets go of the terminal. Does nothing in a
/// process that stays in front.
pub(super) fn leave_the_terminal() {
    if !is_one() {
        return;
    }
    if let Err(cause) = let_go() {
        tracing::warn!("cannot leave the terminal: {cause}");
    }
}

fn let_go() -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::io::write(rustix::stdio::stdin(), b"!")?;
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(())
}
