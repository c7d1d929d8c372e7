//! Opening many connections quickly: in batches, each step for the whole batch at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::args::TargetArgs;
use super::clock::now_ns;
use super::frames::{Credentials, SessionKind, Version};
use super::handshake::{Accepted, FILTERS_UNDER_WAY, Handshake, connect_packet};
use super::via::Opener;

/// Connections opened before the first of them is waited for.
pub(super) const BATCH: usize = 128;

/// Connections from one source address: the usual range of ephemeral ports holds 28 232.
const PER_SOURCE: usize = 25_000;

/// Descriptors that are not connections: poll, timer, standard streams, /proc.
const SPARE_DESCRIPTORS: u64 = 64;

/// How the clients of one run reach the broker.
#[derive(Debug)]
pub(super) struct Crowd {
    broker: SocketAddr,
    opener: Opener,
    version: Version,
    credentials: Credentials,
    run: u32,
    keep_alive_seconds: u16,
    session: SessionKind,
    opened: usize,
}

/// A client that is connected.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) handshake: Handshake,
    pub(super) accepted: Accepted,
    /// From before the socket was opened until CONNACK was read.
    pub(super) took_ns: u64,
}

impl Crowd {
    /// Resolves the broker's address. Nothing is sent for the keep alive, so 0 or a time longer
    /// than the run.
    pub(super) fn new(target: &TargetArgs, run: u32, keep_alive_seconds: u16) -> Result<Self> {
        let name = format!("{}:{}", target.host, target.port);
        let broker = name
            .to_socket_addrs()
            .with_context(|| format!("resolving {name}"))?
            .next()
            .with_context(|| format!("{name} has no address"))?;
        let credentials = target.credentials();
        Ok(Self {
            broker,
            opener: Opener::new(target.via)?,
            version: target.mqtt,
            credentials,
            run,
            keep_alive_seconds,
            session: SessionKind::Clean,
            opened: 0,
        })
    }

    /// The same clients, with sessions that outlive their connections.
    pub(super) fn with_persistent_sessions(self) -> Self {
        Self { session: SessionKind::Persistent, ..self }
    }

    /// Opens the connections `prefix0`, `prefix1` and so on.
    pub(super) fn open(&mut self, prefix: &str, count: u32) -> Result<Vec<Connected>> {
        let names: Vec<String> = (0..count).map(|index| format!("{prefix}{index}")).collect();
        let mut all = Vec::with_capacity(names.len());
        for batch in names.chunks(BATCH) {
            all.extend(self.open_batch(batch)?);
        }
        Ok(all)
    }

    /// Opens one batch.
    pub(super) fn open_batch(&mut self, names: &[String]) -> Result<Vec<Connected>> {
        let mut batch = Vec::with_capacity(names.len());
        for name in names {
            let connect = connect_packet(
                self.version,
                self.run,
                name,
                &self.credentials,
                self.keep_alive_seconds,
                self.session,
            );
            let opening_ns = now_ns();
            let handshake =
                Handshake::open(self.broker, self.source(), &self.opener, self.version, &connect)
                    .with_context(|| format!("client {name}"))?;
            self.opened += 1;
            batch.push((handshake, opening_ns));
        }
        let mut connected = Vec::with_capacity(names.len());
        for ((mut handshake, opening_ns), name) in batch.into_iter().zip(names) {
            let accepted = handshake.connected().with_context(|| format!("client {name}"))?;
            let took_ns = now_ns() - opening_ns;
            connected.push(Connected { handshake, accepted, took_ns });
        }
        Ok(connected)
    }

    /// Forgets how many are open: the caller closed them.
    pub(super) fn all_closed(&mut self) {
        self.opened = 0;
    }

    /// On loopback every 127.0.0.x has ports of its own.
    fn source(&self) -> Option<SocketAddr> {
        let last = u8::try_from(1 + self.opened / PER_SOURCE).unwrap_or(u8::MAX);
        if last == 1 || !self.broker.is_ipv4() || !self.broker.ip().is_loopback() {
            return None;
        }
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0))
    }
}

/// Subscribes each client to its filters.
pub(super) fn subscribe_all(
    clients: &mut [Connected],
    qos: u8,
    filters: impl Fn(u32) -> Vec<String>,
) -> Result<()> {
    for (batch, first) in clients.chunks_mut(BATCH).zip((0..).step_by(BATCH)) {
        let filters: Vec<Vec<String>> = (first..).take(batch.len()).map(&filters).collect();
        let most = filters.iter().map(Vec::len).max().unwrap_or(0);
        for from in (0..most).step_by(FILTERS_UNDER_WAY) {
            let part = |filters: &'_ Vec<String>| {
                let to = (from + FILTERS_UNDER_WAY).min(filters.len());
                from.min(to)..to
            };
            for (client, filters) in batch.iter_mut().zip(&filters) {
                client.handshake.subscribe(&filters[part(filters)], qos)?;
            }
            for (client, filters) in batch.iter_mut().zip(&filters) {
                client.handshake.granted(&filters[part(filters)])?;
            }
        }
    }
    Ok(())
}

/// Raises the descriptor limit to what is allowed, for this process and those it starts.
pub(super) fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("raising the limit of open files")
}

/// Raises the descriptor limit as far as it takes for `connections`; an error if it cannot be.
pub(super) fn allow_connections(connections: u64) -> Result<()> {
    let wanted = connections + SPARE_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = match limit.maximum {
        Some(maximum) if maximum < wanted => {
            Rlimit { current: Some(wanted), maximum: Some(wanted) }
        }
        maximum => Rlimit { current: Some(wanted), maximum },
    };
    setrlimit(Resource::Nofile, raised)
        .with_context(|| format!("{connections} connections need a limit of {wanted} open files"))
}
