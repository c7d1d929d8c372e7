//! What a listener knows about its connections: the rules for new ones, and how many there are.

mod configured;
mod doors;
mod options;
mod pass;
mod waiting;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use dunlin_access::ban::Network;
use dunlin_broker::{Cause, Entry, Event, Time};
use parking_lot::RwLock;
use rustls::pki_types::CertificateDer;

pub use doors::ListenerReport;
pub(crate) use doors::{Change, Doors, Opened, Planned, check_listeners};
pub use options::{ListenerOptions, Place, ProxyOptions, ProxyRequires};
pub(crate) use pass::Pass;
use waiting::Waiting;

use crate::hush::{Hush, Withheld};
use crate::listener::HERE;
use crate::log::{self, Endpoint, as_mosquitto};
use crate::quic;
use crate::transport::{Expires, Fault, Known, Layers, TlsError, TlsSetup, TlsVersion, Trust};
use crate::why::{Reason, Why};

/// The names of protocols (ALPN) of MQTT in TLS; the second one is what devices made for a large cloud
/// ask for.
const MQTT: &[&str] = &["mqtt", "x-amzn-mqtt-ca"];

/// The same for WebSocket, which begins as HTTP.
const HTTP: &[&str] = &["http/1.1", "mqtt"];

/// How all reasons begin that are about certificates of clients.
const OF_CLIENT: &str = "the certificate of the client ";

/// The door of one listener, shared by it and its connections on all shards.
pub(crate) struct Entrance {
    pub(crate) label: String,
    /// A lock and not a message: a reload replaces the rules as a whole, and every accept looks at them
    /// once. Messages on their way never do.
    rules: RwLock<Arc<Rules>>,
    /// Connections that came in here and are still open.
    pub(crate) connections: AtomicUsize,
    /// Those of them that are not through with TLS, WebSocket and proxy.
    pub(crate) opening: AtomicUsize,
    /// Those of them whose CONNECT is not there.
    waiting: Waiting,
    pub(crate) counters: Counters,
    hush: Hush,
}

/// What happened at a listener.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Handshakes of TLS from the beginning.
    pub(crate) full: AtomicU64,
    /// Those that went on from an earlier connection.
    pub(crate) resumed: AtomicU64,
    /// Connections that ended below MQTT.
    pub(crate) failed: AtomicU64,
}

/// The rules for new connections.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) layers: Layers,
    /// Which certificates of clients are believed, where there is TLS.
    pub(crate) trust: Option<Trust>,
    /// What connections of QUIC are made with, where there are any.
    pub(crate) quic: Option<Arc<quinn_proto::ServerConfig>>,
    pub(crate) entry: Arc<Entry>,
    allow_from: Vec<Network>,
    deny_from: Vec<Network>,
    proxies: Vec<Network>,
    proxy_requires: Option<ProxyRequires>,
    pub(crate) maximum_connections: Option<usize>,
    maximum_opening: usize,
    maximum_waiting: usize,
    maximum_waiting_from_address: usize,
    maximum_waiting_bytes: usize,
    /// The first certificate to expire.
    pub(crate) expires: Option<Expires>,
}

/// Why somebody is turned away at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnedAway {
    #[error("its network may not connect (allow_from, deny_from)")]
    Network,
    #[error("it is none of the proxies that may connect (proxy_from)")]
    NoProxy,
    #[error("the proxy does not say that the client came by TLS (proxy_requires_tls)")]
    WithoutTls,
    #[error(
        "the proxy does not say that the client showed a certificate that is valid (require_certificate)"
    )]
    WithoutCertificate,
    #[error("{0} connections are in their handshakes, which is the limit (limits.half_open)")]
    Opening(usize),
    #[error(
        "{0} connections have not sent their CONNECT, which is the limit (limits.before_connect)"
    )]
    Waiting(usize),
    #[error(
        "{0} connections from this address have not sent their CONNECT, which is the limit (limits.before_connect_per_address)"
    )]
    WaitingFromAddress(usize),
    #[error(
        "{0} bytes of CONNECTs that are not complete are held, which is the limit (limits.before_connect_bytes)"
    )]
    WaitingBytes(usize),
}

/// Why somebody who is connected cannot stay under other rules.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwelcome {
    #[error(transparent)]
    Door(#[from] TurnedAway),
    #[error("the listener serves TLS only, from now on (certfile)")]
    NotEncrypted,
    #[error("{0}")]
    Certificate(Fault),
}

impl Rules {
    /// Reads what files there are.
    pub(crate) fn read(options: &ListenerOptions) -> Result<Self, TlsError> {
        let protocols = if options.websocket.is_some() { HTTP } else { MQTT };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let is_quic = matches!(options.place, Place::Udp { .. });
        let mut tls = options.tls.clone();
        if let Some(tls) = tls.as_mut().filter(|_| is_quic) {
            // There is no QUIC with anything older.
            tls.minimum_version = TlsVersion::V1_3;
        }
        let tls = tls.map(|tls| TlsSetup::read(&tls, protocols, now)).transpose()?;
        let config = tls.as_ref().map(|tls| Arc::clone(&tls.config.ours));
        let quic = match (is_quic, config) {
            (false, _) => None,
            (true, Some(config)) => Some(quic::setup(config, options.quic)?),
            (true, None) => return Err(TlsError::NoCertificate),
        };
        for warning in tls.iter().flat_map(|tls| &tls.warnings) {
            tracing::warn!("{}: {warning}", options.label());
        }
        let proxy = options.proxy.as_ref();
        Ok(Self {
            layers: Layers {
                proxy: proxy.map(|proxy| proxy.version),
                tls: tls.as_ref().map(|tls| tls.config.clone()),
                websocket: options.websocket.clone().map(Arc::new),
            },
            trust: tls.as_ref().map(|tls| tls.trust.clone()),
            quic,
            entry: Arc::new(options.entry.clone()),
            allow_from: options.allow_from.clone(),
            deny_from: options.deny_from.clone(),
            proxies: proxy.map(|proxy| proxy.from.clone()).unwrap_or_default(),
            proxy_requires: proxy.and_then(|proxy| proxy.requires),
            maximum_connections: options.maximum_connections,
            maximum_opening: options.maximum_opening,
            maximum_waiting: options.maximum_waiting,
            maximum_waiting_from_address: options.maximum_waiting_from_address,
            maximum_waiting_bytes: options.maximum_waiting_bytes,
            expires: tls.map(|tls| tls.expires),
        })
    }

    /// Whether a connection from this address may be served; behind a proxy it is that of the proxy.
    fn check(&self, address: IpAddr, opening: usize) -> Result<(), TurnedAway> {
        if self.layers.proxy.is_none() {
            self.check_client(address)?;
        } else {
            self.check_proxy(|| address)?;
        }
        if !self.layers.is_plain() && opening >= self.maximum_opening {
            return Err(TurnedAway::Opening(self.maximum_opening));
        }
        Ok(())
    }

    /// Whether a client that was told of by others may be served.
    pub(crate) fn check_known(&self, known: &Known) -> Result<(), TurnedAway> {
        let proxied = known.proxied.as_deref();
        match self.proxy_requires {
            Some(ProxyRequires::Certificate) if !proxied.is_some_and(|tls| tls.certificate) => {
                return Err(TurnedAway::WithoutCertificate);
            }
            Some(ProxyRequires::Tls) if proxied.is_none() => return Err(TurnedAway::WithoutTls),
            _ => {}
        }
        self.check_client(known.address.ip())
    }

    /// Whether a client that is connected could come in now: from where it is, and with what it has shown
    /// of certificates, `None` if it is not encrypted. What was `believed` of certificates when it came is
    /// not verified again.
    pub(crate) fn check_present(
        &self,
        address: IpAddr,
        chain: Option<&[CertificateDer<'_>]>,
        believed: Option<&Trust>,
    ) -> Result<(), Unwelcome> {
        self.check_client(address)?;
        let Some(trust) = &self.trust else { return Ok(()) };
        let Some(chain) = chain else { return Err(Unwelcome::NotEncrypted) };
        if believed.is_some_and(|believed| believed.equals(trust)) {
            return Ok(());
        }
        trust.judge(chain).map_err(|fault| Unwelcome::Certificate(Fault::Tls(fault)))
    }

    /// Whether whoever is at the other end of the socket may speak for clients.
    pub(crate) fn check_proxy(&self, address: impl FnOnce() -> IpAddr) -> Result<(), TurnedAway> {
        let all = self.layers.proxy.is_none() || self.proxies.is_empty();
        if all || among(&self.proxies, address()) { Ok(()) } else { Err(TurnedAway::NoProxy) }
    }

    fn check_client(&self, address: IpAddr) -> Result<(), TurnedAway> {
        let allowed = self.allow_from.is_empty() || among(&self.allow_from, address);
        if !allowed || among(&self.deny_from, address) {
            return Err(TurnedAway::Network);
        }
        Ok(())
    }
}

impl TurnedAway {
    /// What Mosquitto says of it, if it has words for that.
    pub(crate) fn in_mosquittos_words(self, address: SocketAddr) -> Option<String> {
        let why = match self {
            Self::WithoutTls => "client did not connect using TLS",
            Self::WithoutCertificate => "client did not provide a certificate",
            Self::Network
            | Self::NoProxy
            | Self::Opening(_)
            | Self::Waiting(_)
            | Self::WaitingFromAddress(_)
            | Self::WaitingBytes(_) => return None,
        };
        Some(format!("Connection from {} rejected, {why}.", Endpoint(address)))
    }
}

impl Reason for TurnedAway {
    fn cause(&self) -> Cause {
        match self {
            Self::Network => Cause::Network,
            Self::NoProxy | Self::WithoutTls => Cause::Proxy,
            Self::WithoutCertificate => Cause::ClientCertificate,
            Self::Opening(_)
            | Self::Waiting(_)
            | Self::WaitingFromAddress(_)
            | Self::WaitingBytes(_) => Cause::BeforeConnect,
        }
    }

    fn rule(&self) -> Option<&str> {
        Some(match self {
            Self::Network => "allow_from, deny_from",
            Self::NoProxy => "proxy_from",
            Self::WithoutTls => "proxy_requires_tls",
            Self::WithoutCertificate => "require_certificate",
            Self::Opening(_) => "limits.half_open",
            Self::Waiting(_) => "limits.before_connect",
            Self::WaitingFromAddress(_) => "limits.before_connect_per_address",
            Self::WaitingBytes(_) => "limits.before_connect_bytes",
        })
    }
}

impl Reason for Unwelcome {
    fn cause(&self) -> Cause {
        match self {
            Self::Door(why) => why.cause(),
            Self::NotEncrypted => Cause::WrongProtocol,
            Self::Certificate(fault) => fault.cause(),
        }
    }

    fn rule(&self) -> Option<&str> {
        match self {
            Self::Door(why) => why.rule(),
            Self::NotEncrypted => Some("certfile"),
            Self::Certificate(fault) => fault.rule(),
        }
    }
}

fn among(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

impl Entrance {
    pub(crate) fn new(label: String, rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            label,
            rules: RwLock::new(Arc::new(rules)),
            connections: AtomicUsize::new(0),
            opening: AtomicUsize::new(0),
            counters: Counters::default(),
            hush: Hush::default(),
            waiting: Waiting::default(),
        })
    }

    /// The rules of the moment.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read())
    }

    /// New rules for those who come from now on.
    pub(crate) fn replace_rules(&self, rules: Rules) {
        *self.rules.write() = Arc::new(rules);
    }

    /// Lets a connection in, which is counted until the pass is dropped.
    pub(crate) fn enter(
        self: &Arc<Self>,
        rules: &Arc<Rules>,
        address: SocketAddr,
    ) -> Result<Pass, TurnedAway> {
        rules.check(address.ip(), self.opening.load(Ordering::Relaxed))?;
        // Behind a proxy, others will be named; those who come by a unix socket have no address.
        let is_nobody = rules.layers.announces(address.ip()) || address == HERE;
        let from = (!is_nobody).then(|| address.ip());
        let counted = self.waiting.enter(rules, from)?;
        Ok(Pass::new(Arc::clone(self), Arc::clone(rules), counted))
    }

    /// Counts somebody who was turned away, and tells it unless there were others of the kind.
    pub(crate) fn tell(&self, why: &Why, now: Time, address: SocketAddr, reason: &dyn Reason) {
        self.tell_as(why, now, address, None, reason);
    }

    /// The same, after Mosquitto's words if these are wanted.
    pub(crate) fn tell_as(
        &self,
        why: &Why,
        now: Time,
        address: SocketAddr,
        words: Option<String>,
        reason: &dyn Reason,
    ) {
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
        why.turned.count(reason.cause());
        self.tell_withheld(now);
        let text = reason.to_string();
        // What is wrong with certificates would be one cause otherwise.
        let kind = text.strip_prefix(OF_CLIENT).unwrap_or(&text);
        if !self.hush.admits(now, kind, address.ip()) {
            return;
        }
        let event = Event::TurnedAway {
            listener: self.label.as_str().into(),
            address,
            cause: reason.cause(),
            rule: reason.rule().map(Into::into),
            why: text.as_str().into(),
        };
        match words.filter(|_| as_mosquitto()) {
            Some(words) => tracing::info!("{words} ({}, {address}: {text})", self.label),
            None => log::tell(&event),
        }
        why.note(now, [event].into_iter());
    }

    /// How many of whom no line was written.
    pub(crate) fn tell_withheld(&self, now: Time) {
        for Withheld { cause, from, count } in self.hush.overdue(now) {
            tracing::warn!(
                "{}: {count} more from {from} were turned away, for the same cause ({cause}...)",
                self.label
            );
        }
    }
}
