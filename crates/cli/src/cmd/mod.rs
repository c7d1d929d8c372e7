//! The subcommands: one module each, with its options and its `run`.

mod audit;
mod bench;
mod broker;
mod cert;
mod client;
mod ctl;
mod import;
mod init;
mod mosquitto;
mod passwd;
mod pub_;
mod sub;
#[cfg(test)]
mod typed;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// What can be typed.
#[derive(Debug, Parser)]
#[command(
    name = "dunlin",
    version,
    about = "MQTT 3.1, 3.1.1 and 5.0: a broker and tools. Without a subcommand it is the broker.",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    broker: broker::BrokerArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker (the default)
    Broker(broker::BrokerArgs),
    /// Publish messages
    Pub(Box<pub_::PubOptions>),
    /// Subscribe and print messages
    Sub(Box<sub::SubOptions>),
    /// Load a broker and measure it
    Bench(bench::BenchArgs),
    /// Ask a running broker, or look after what one has stored
    Ctl(ctl::CtlArgs),
    /// Write the dunlin.toml that says what a mosquitto.conf says
    Import(import::ImportArgs),
    /// Set up a secure broker: authority, certificates, users, rules, configuration
    Init(init::InitArgs),
    /// Make, renew, revoke and show certificates
    Cert(cert::CertArgs),
    /// Change a password file
    Passwd(passwd::PasswdArgs),
    /// Judge a configuration by seven rules; the exit status is 1 if one is broken
    Audit(audit::AuditArgs),
}

/// Does what was typed.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command.unwrap_or(Command::Broker(cli.broker)) {
        Command::Broker(args) => return Ok(broker::run(&args)),
        Command::Pub(options) => return Ok(pub_::run(*options)),
        Command::Sub(options) => return Ok(sub::run(*options)),
        Command::Bench(args) => bench::run(args)?,
        Command::Ctl(args) => return ctl::run(&args),
        Command::Import(args) => return import::run(&args),
        Command::Init(args) => return init::run(&args),
        Command::Cert(args) => return cert::run(&args),
        Command::Passwd(args) => return passwd::run(&args),
        Command::Audit(args) => return audit::run(&args),
    }
    Ok(ExitCode::SUCCESS)
}

/// The same under the name of Mosquitto's broker.
pub(crate) fn run_as_mosquitto() -> ExitCode {
    mosquitto::run()
}
