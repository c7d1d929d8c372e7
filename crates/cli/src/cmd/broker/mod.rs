//! `dunlin broker`, and `dunlin` without a subcommand: the broker itself.
//!
//! [`run`] is the life of the process: read the configuration, take what only root may, serve, end.

mod accounts;
mod args;
mod daemon;
mod files;
mod greet;
mod owner;

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use dunlin_config::command_line::WRONG_CONFIGURATION;
use dunlin_config::model::{Log, LogType, LogTypes, Timestamps};
use dunlin_config::{Disk, Format, Loaded, Loader, Problems, Weight};
use dunlin_server::{
    Before, Logger, PreparedLog, Reloader, RunError, ServerOptions, Signals, StartError,
};

pub(crate) use args::BrokerArgs;
use files::Files;

/// Exit status when the broker could not start or go on.
const FAILED: u8 = 1;

/// What a test of the configuration tells besides whether it is right.
const WARNINGS: LogTypes = LogTypes::NONE.with(LogType::Error).with(LogType::Warning);

/// Why the broker does not run.
#[derive(Debug)]
enum Failure {
    /// The configuration is wrong, or a file that it names.
    Configuration(String),
    /// A certificate, or what belongs to it, cannot be used.
    Tls(String),
    /// Anything else.
    Other(String),
}

impl Failure {
    /// Mosquitto looks at certificates only when it opens its listeners, and says so by another status.
    fn told_late(self) -> Self {
        match self {
            Self::Tls(what) => Self::Other(what),
            other => other,
        }
    }
}

/// Serves until a signal says to stop.
pub(crate) fn run(args: &BrokerArgs) -> ExitCode {
    match live(args) {
        Ok(status) => status,
        Err(Failure::Configuration(what) | Failure::Tls(what)) => tell(&what, WRONG_CONFIGURATION),
        Err(Failure::Other(what)) => tell(&what, FAILED),
    }
}

fn tell(what: &str, status: u8) -> ExitCode {
    for line in what.lines() {
        eprintln!("Error: {line}");
    }
    ExitCode::from(status)
}

fn live(args: &BrokerArgs) -> Result<ExitCode, Failure> {
    if args.only_checks() {
        return check(&load(args)?);
    }
    let loaded = load(args).map_err(|unusable| Failure::from(unusable).told_late())?;
    let is_mosquittos = loaded.format == Some(Format::Mosquitto);
    if loaded.config.server.daemon && !daemon::is_one() {
        return daemon::spawn()
            .map_err(|cause| Failure::Other(format!("cannot leave the terminal: {cause}")));
    }
    // Before there are other threads.
    Signals::leave_reloads_to_who_accepts()
        .map_err(|cause| Failure::Other(format!("cannot watch for signals: {cause}")))?;
    let log = PreparedLog::open(&loaded.config.log)
        .map_err(|cause| Failure::Configuration(cause.to_string()))?;
    let logger = Logger::install(log).map_err(|cause| Failure::Other(cause.to_string()))?;
    let ended = serve(args, loaded, &logger);
    logger.finish();
    ended.map_err(|failure| if is_mosquittos { failure.told_late() } else { failure })
}

/// Why a configuration cannot be used.
enum Unusable {
    Problems(Problems),
    Other(String),
}

/// The configuration with all that the command line and the environment say.
fn load(args: &BrokerArgs) -> Result<Loaded, Unusable> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loader = Loader::new(&Disk).with_environment(variables);
    let mut loaded = loader.load_command_line(&args.command_line()).map_err(Unusable::Problems)?;
    args.apply(&mut loaded).map_err(Unusable::Other)?;
    Ok(loaded)
}

/// Says whether a broker could start with this configuration, as far as that can be told without taking its
/// ports.
fn check(loaded: &Loaded) -> Result<ExitCode, Failure> {
    for note in &loaded.notes {
        eprintln!("{}{note}", if note.weight == Weight::Warning { "Warning: " } else { "" });
    }
    // What the start would warn of.
    let log = Log {
        destinations: vec!["stderr".into()],
        timestamps: Timestamps::None,
        types: WARNINGS,
        ..Log::default()
    };
    let log = PreparedLog::open(&log).map_err(|cause| Failure::Other(cause.to_string()))?;
    let logger = Logger::install(log).map_err(|cause| Failure::Other(cause.to_string()))?;
    let checked = dunlin_server::check(&loaded.config);
    logger.finish();
    checked?;
    eprintln!("The configuration is right.");
    Ok(ExitCode::SUCCESS)
}

fn serve(args: &BrokerArgs, loaded: Loaded, logger: &Logger) -> Result<ExitCode, Failure> {
    tracing::info!("dunlin {} starts", env!("CARGO_PKG_VERSION"));
    tell_about(&loaded, args);
    let files = Arc::new(Files::new(&loaded, args.has_file())?);
    let mut options = ServerOptions::from_config(&loaded.config)?;
    let prepared = Arc::clone(&files);
    // From here on a signal waits until there is a server.
    let signals = Signals::catch()
        .map_err(|cause| Failure::Other(format!("cannot watch for signals: {cause}")))?;
    options.before_store = Some(Before(Box::new(move |sockets| prepared.prepare(sockets))));
    let handle = Arc::new(dunlin_server::start(options)?);
    files.after_start();
    logger.publish_through(&handle);
    let config = loaded.config.clone();
    let again = args.clone();
    let load = move || load(&again).map_err(|unusable| unusable.to_string());
    let reloader = Reloader::start(&handle, logger, loaded, load)
        .map_err(|cause| Failure::Other(format!("cannot watch for changes: {cause}")))?;
    if let Some(path) = config.admin_socket()
        && let Err(cause) = dunlin_server::serve_admin(&path, &handle, &reloader, logger)
    {
        tracing::warn!("{}: `dunlin ctl` cannot reach this broker: {cause}", path.display());
    }
    handle
        .obey_signals(signals, move || reloader.request())
        .map_err(|cause| Failure::Other(format!("cannot watch for signals: {cause}")))?;
    if let Err(cause) = handle.tell_service_manager() {
        tracing::warn!("the service manager cannot be told that the broker is ready: {cause}");
    }
    if args.wants_a_greeting() {
        // A closed stdout is no reason not to serve.
        drop(greet::greet(&handle, &config));
    }
    daemon::leave_the_terminal();
    let ended = handle.join();
    files.after_end();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// What is worth knowing about the configuration, one line each.
fn tell_about(loaded: &Loaded, args: &BrokerArgs) {
    for note in &loaded.notes {
        match note.weight {
            Weight::Warning => tracing::warn!("{note}"),
            Weight::Information => tracing::info!("{note}"),
        }
    }
    let config = &loaded.config;
    if config.is_local_only() {
        let who = if config.listeners.iter().all(|listener| config.allows_anonymous(listener)) {
            "anybody on it may connect without a user name"
        } else {
            "clients need a user name"
        };
        let why = if args.has_file() {
            "no listener is configured"
        } else {
            "there is no configuration file"
        };
        tracing::info!("{why}: only this machine can connect, and {who}");
    }
    let open = |listener: &&dunlin_config::model::Listener| {
        !listener.is_implied() && config.allows_anonymous(listener) && !is_loopback(listener)
    };
    for listener in config.listeners.iter().filter(open) {
        tracing::warn!(
            "listener {}: whoever can reach it may connect without a user name (allow_anonymous)",
            listener.label()
        );
    }
    if !config.persistence.enabled {
        tracing::info!("persistence is off: sessions and retained messages end with the process");
    }
}

fn is_loopback(listener: &dunlin_config::model::Listener) -> bool {
    use dunlin_config::model::Address;
    match &listener.address {
        _ if listener.unix_path.is_some() => true,
        Address::Any => false,
        Address::Loopback => true,
        Address::Named(host) => {
            host == "localhost"
                || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => problems.fmt(f),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl From<Unusable> for Failure {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Problems(problems) if problems.are_late() => {
                Self::Tls(problems.in_both_words())
            }
            Unusable::Problems(problems) => Self::Configuration(problems.in_both_words()),
            Unusable::Other(what) => Self::Configuration(what),
        }
    }
}

impl From<String> for Failure {
    fn from(what: String) -> Self {
        Self::Configuration(what)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        if matches!(error, StartError::Tls { .. }) {
            Self::Tls(error.to_string())
        } else if error.is_configuration() {
            Self::Configuration(error.to_string())
        } else {
            Self::Other(error.to_string())
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Other(error.to_string())
    }
}
