//! `dunlin broker`: the broker itself.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use dunlin_server::{Handle, ServerOptions, Settings};
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
    /// Directory of the durable store; not used yet, since there is no store so far
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
}

/// Serves until a signal says to stop.
pub(crate) fn run(args: &BrokerArgs) -> Result<()> {
    log_to_stderr(args);
    let mut options = ServerOptions {
        listeners: listeners(args)?,
        max_connections: args.max_connections,
        pacing_cap: Duration::from_micros(args.pacing_cap),
        sys_interval: Duration::from_secs(args.sys_interval),
        settings: settings(args),
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
    writeln!(out, "{who} Off: TLS, passwords, persistence (what is kept ends with the process).")?;
    if let Some(directory) = &args.data_dir {
        writeln!(
            out,
            "--data-dir {} is not used yet: there is no durable store so far.",
            directory.display()
        )?;
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
    fn examples_name_an_address_that_can_be_connected_to() {
        let any = ["0.0.0.0:1883".parse().unwrap()];
        assert_eq!(reachable(&any), (IpAddr::V4(Ipv4Addr::LOCALHOST), 1883));
    }
}
