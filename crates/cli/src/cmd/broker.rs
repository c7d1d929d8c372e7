//! `dunlin broker`: the broker itself.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use dunlin_server::{Durability, Handle, OnDamage, ServerOptions, Settings, StoreOptions};
use tracing_subscriber::filter::LevelFilter;

/// Options of the broker.
#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    /// Port to listen on; 0 picks a free one
    #[arg(short, long, default_value_t = 1883)]
    port: u16,
    /// Address or host name to listen on; may be repeated [default: this machine only]
    #[arg(long, value_name = "ADDRESS")]
    bind: Vec<String>,
    /// Log more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Log warnings and errors only
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Threads that serve clients [default: one for each core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    shards: Option<u16>,
    /// Seconds between refreshes of $SYS/broker/...; 0 turns it off
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    sys_interval: u64,
    /// Connections held at once [default: as many as the descriptor limit allows]
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<usize>,
    /// Longest time a turn is put off to gather input, in microseconds; 0 turns pacing off
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 600)]
    pacing_cap: u64,
    /// `QoS` 1 and 2 messages that may wait for one session; 0 lifts this limit and those in bytes
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    max_queued: usize,
    /// Directory in which sessions, their messages and retained messages are kept; made if there is none
    #[arg(long, value_name = "DIRECTORY", default_value = "dunlin-data")]
    data_dir: PathBuf,
    /// When something counts as kept and is acknowledged: `always` once it is on the disk, `interval` once
    /// it is written, with a sync every 100 ms or as given, `off` at once, and nothing is kept
    #[arg(long, value_name = "always|interval[=100ms]|off", default_value = "always", value_parser = keeping)]
    durability: Keeping,
    /// What to do when part of the data directory cannot be read: start without it and set it aside, or
    /// refuse to start
    #[arg(long, value_name = "WHAT", default_value = "set-aside")]
    on_damage: DamageChoice,
}

/// What `--durability` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// Nothing is kept.
    Off,
    /// Until the process or the power ends, or only the process.
    On(Durability),
}

/// What `--on-damage` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DamageChoice {
    /// Start with what can be read and keep a copy of the rest
    SetAside,
    /// Do not start
    Refuse,
}

/// How often the disk is asked with `--durability interval`.
const INTERVAL: Duration = Duration::from_millis(100);

/// Serves until a signal says to stop.
pub(crate) fn run(args: &BrokerArgs) -> Result<()> {
    log_to_stderr(args);
    let mut options = ServerOptions {
        listeners: listeners(args)?.into_iter().map(Into::into).collect(),
        max_connections: args.max_connections,
        pacing_cap: Duration::from_micros(args.pacing_cap),
        sys_interval: Duration::from_secs(args.sys_interval),
        settings: settings(args),
        store: store(args),
        ..ServerOptions::default()
    };
    if let Some(shards) = args.shards {
        options.shards = shards.into();
    }
    let handle = dunlin_server::start(options)?;
    handle.stop_on_signals().context("cannot watch for SIGTERM and SIGINT")?;
    // A closed stdout is no reason not to serve.
    drop(greet(&handle, args));
    handle.join()?;
    Ok(())
}

fn settings(args: &BrokerArgs) -> Settings {
    let mut settings = Settings { maximum_queued_messages: args.max_queued, ..Settings::default() };
    if args.max_queued == 0 {
        settings.maximum_queued_messages = usize::MAX;
        settings.maximum_queued_bytes = usize::MAX;
        settings.maximum_shard_queue_bytes = usize::MAX;
    }
    settings
}

fn store(args: &BrokerArgs) -> Option<StoreOptions> {
    let Keeping::On(durability) = args.durability else { return None };
    let on_damage = match args.on_damage {
        DamageChoice::SetAside => OnDamage::SetAside,
        DamageChoice::Refuse => OnDamage::Refuse,
    };
    Some(StoreOptions { durability, on_damage, ..StoreOptions::new(&args.data_dir) })
}

/// Understands the value of `--durability`.
fn keeping(text: &str) -> Result<Keeping, String> {
    match text.split_once('=') {
        None if text == "always" => Ok(Keeping::On(Durability::Always)),
        None if text == "interval" => Ok(Keeping::On(Durability::Interval(INTERVAL))),
        None if text == "off" => Ok(Keeping::Off),
        Some(("interval", length)) => {
            let (digits, unit) = match length.strip_suffix("ms") {
                Some(digits) => (digits, Duration::from_millis(1)),
                None => (length.strip_suffix('s').unwrap_or_default(), Duration::from_secs(1)),
            };
            let count: u32 = digits.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
                format!("`{length}` is no length of time: say for example 100ms or 1s")
            })?;
            Ok(Keeping::On(Durability::Interval(unit * count)))
        }
        _ => Err("say always, interval, interval=100ms or off".into()),
    }
}

fn log_to_stderr(args: &BrokerArgs) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => LevelFilter::WARN,
        (false, 0) => LevelFilter::INFO,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
}

/// Where to listen: loopback of both families unless told otherwise, as nothing asks for passwords.
fn listeners(args: &BrokerArgs) -> Result<Vec<SocketAddr>> {
    let mut listeners = Vec::new();
    for address in &args.bind {
        let host = address.trim_matches(['[', ']']);
        let resolved = (host, args.port)
            .to_socket_addrs()
            .with_context(|| format!("cannot resolve --bind {address}"))?;
        listeners.extend(resolved.filter(|found| !listeners.contains(found)).collect::<Vec<_>>());
    }
    if listeners.is_empty() {
        listeners.push(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)));
        // A port of its own choice would differ between the families.
        if args.port != 0 && has_ipv6() {
            listeners.push(SocketAddr::from((Ipv6Addr::LOCALHOST, args.port)));
        }
    }
    Ok(listeners)
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// How to connect, and what not to rely on.
fn greet(handle: &Handle, args: &BrokerArgs) -> std::io::Result<()> {
    let mut out = stdout().lock();
    let addresses: Vec<String> = handle.addresses().iter().map(ToString::to_string).collect();
    let (host, port) = reachable(handle.addresses());
    writeln!(out, "dunlin {} listens on {}", env!("CARGO_PKG_VERSION"), addresses.join(" and "))?;
    writeln!(out, "  dunlin sub -h {host} -p {port} -v -t '#'")?;
    writeln!(out, "  dunlin pub -h {host} -p {port} -t greeting -m hello")?;
    let who = if handle.addresses().iter().all(|address| address.ip().is_loopback()) {
        "Anybody on this machine may connect."
    } else {
        "Anybody who can reach these addresses may connect."
    };
    writeln!(out, "{who} Off: TLS, passwords.")?;
    match args.durability {
        Keeping::Off => writeln!(out, "Nothing is kept beyond the end of the process.")?,
        Keeping::On(_) => {
            // The absolute path says what a relative one was relative to.
            let directory = args.data_dir.canonicalize();
            let directory = directory.as_deref().unwrap_or(&args.data_dir);
            writeln!(out, "Sessions and retained messages are kept in {}.", directory.display())?;
        }
    }
    out.flush()
}

/// A host and port to put into an example.
fn reachable(addresses: &[SocketAddr]) -> (IpAddr, u16) {
    let first = addresses.first().copied();
    let address = first.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)));
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    (host, address.port())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: BrokerArgs,
    }

    fn parse(line: &[&str]) -> BrokerArgs {
        Line::try_parse_from([&["dunlin"], line].concat()).unwrap().args
    }

    #[test]
    fn listens_on_loopback_unless_told_otherwise() {
        let listeners = listeners(&parse(&["-v", "-p", "1884"])).unwrap();
        assert!(listeners.iter().all(|address| address.ip().is_loopback()));
        assert!(listeners.iter().all(|address| address.port() == 1884));
    }

    #[test]
    fn binds_every_address_that_is_named() {
        let args = parse(&["--bind", "0.0.0.0", "--bind", "[::]", "-p", "1885"]);
        let expected: [SocketAddr; 2] =
            ["0.0.0.0:1885".parse().unwrap(), "[::]:1885".parse().unwrap()];
        assert_eq!(listeners(&args).unwrap(), expected);
    }

    #[test]
    fn durability_is_told_by_name_and_interval() {
        let durability = |text: &str| match parse(&["--durability", text]).durability {
            Keeping::Off => None,
            Keeping::On(durability) => Some(durability),
        };
        assert_eq!(parse(&[]).durability, Keeping::On(Durability::Always));
        assert_eq!(durability("off"), None);
        let every = |length| Some(Durability::Interval(length));
        assert_eq!(durability("interval"), every(Duration::from_millis(100)));
        assert_eq!(durability("interval=20ms"), every(Duration::from_millis(20)));
        assert_eq!(durability("interval=2s"), every(Duration::from_secs(2)));
        for wrong in ["", "never", "interval=", "interval=0ms", "interval=5", "always=1s"] {
            let line = ["dunlin", "--durability", wrong];
            assert!(Line::try_parse_from(line).is_err(), "{wrong}");
        }
    }

    #[test]
    fn examples_name_an_address_that_can_be_connected_to() {
        let any = ["0.0.0.0:1883".parse().unwrap()];
        assert_eq!(reachable(&any), (IpAddr::V4(Ipv4Addr::LOCALHOST), 1883));
    }
}
