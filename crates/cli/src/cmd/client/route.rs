//! The way to the broker: an address or a path, TLS or not, WebSocket or not.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::tls_args::{Encryption, TlsArgs};

const DEFAULT_HOST: &str = "localhost";

/// Where to connect, as typed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct RouteArgs {
    /// Name or address of the broker [default: localhost]
    #[arg(short = 'h', long, conflicts_with = "url")]
    host: Option<String>,
    /// Its port [default: 1883, with TLS 8883]
    #[arg(short, long)]
    port: Option<u16>,
    /// Broker and topic at once: `mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC`; `mqtts` with TLS, `ws`
    /// and `wss` over WebSocket
    #[arg(short = 'L', long, value_name = "URL", conflicts_with = "port")]
    url: Option<BrokerUrl>,
    /// Connect to the unix socket at this path
    #[arg(long, value_name = "PATH", conflicts_with_all = ["host", "port", "url"])]
    unix: Option<PathBuf>,
    /// The path of the WebSocket that `ws://` and `wss://` ask for
    #[arg(long, value_name = "PATH", default_value = "/mqtt", requires = "url")]
    ws_path: String,
    #[command(flatten)]
    tls: TlsArgs,
}

/// The way to the broker.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) place: Place,
    pub(super) encryption: Option<Encryption>,
    /// The path of a WebSocket, if there is to be one.
    pub(super) web_socket: Option<String>,
}

/// Where the broker listens.
#[derive(Debug)]
pub(super) enum Place {
    Port { host: String, port: u16 },
    Unix(PathBuf),
}

impl RouteArgs {
    /// The way, and what else the URL says.
    pub(super) fn resolve(self) -> Result<(Route, BrokerUrl)> {
        let mut url = self.url.unwrap_or_default();
        if let Some(path) = self.unix {
            let encryption = self.tls.resolve(false, DEFAULT_HOST)?;
            return Ok((Route { place: Place::Unix(path), encryption, web_socket: None }, url));
        }
        let host = url.host.take().or(self.host).unwrap_or_else(|| DEFAULT_HOST.to_owned());
        let port = url.port.or(self.port);
        let is_asked_for = url.scheme.is_encrypted() || port == Some(Scheme::Mqtts.port());
        let encryption = self.tls.resolve(is_asked_for, &host)?;
        let scheme = match (url.scheme, &encryption) {
            (Scheme::Mqtt, Some(_)) => Scheme::Mqtts,
            (Scheme::Ws, Some(_)) => Scheme::Wss,
            (scheme, _) => scheme,
        };
        let port = port.unwrap_or_else(|| scheme.port());
        let web_socket = matches!(scheme, Scheme::Ws | Scheme::Wss).then_some(self.ws_path);
        Ok((Route { place: Place::Port { host, port }, encryption, web_socket }, url))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Port { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Port { host, port } => write!(f, "{host}:{port}"),
            Place::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What an URL asks to be spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Scheme {
    #[default]
    Mqtt,
    Mqtts,
    Ws,
    Wss,
}

impl Scheme {
    /// The port when none is named.
    const fn port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    const fn is_encrypted(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss)
    }
}

/// The parts of an `-L` URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BrokerUrl {
    scheme: Scheme,
    host: Option<String>,
    port: Option<u16>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) topic: Option<String>,
}

impl FromStr for BrokerUrl {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            bail!("no mqtt:// in front");
        };
        let scheme = match scheme {
            "mqtt" => Scheme::Mqtt,
            "mqtts" => Scheme::Mqtts,
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            other => bail!("the scheme {other:?} is not supported; mqtt, mqtts, ws and wss are"),
        };
        let (authority, topic) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address)?;
        ensure!(!host.is_empty(), "no host");
        let (username, password) = match user.map(|user| user.split_once(':').unwrap_or((user, "")))
        {
            Some((name, "")) => (Some(name.to_owned()), None),
            Some((name, password)) => (Some(name.to_owned()), Some(password.to_owned())),
            None => (None, None),
        };
        let topic = (!topic.is_empty()).then(|| topic.to_owned());
        Ok(Self { scheme, host: Some(host.to_owned()), port, username, password, topic })
    }
}

/// `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
fn split_port(address: &str) -> Result<(&str, Option<u16>)> {
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = port.map(|port| port.parse().with_context(|| format!("{port:?} is not a port")));
    Ok((host, port.transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::typed::typed;

    fn resolve(line: &str) -> Result<(Route, BrokerUrl)> {
        typed::<RouteArgs>(line.split_whitespace())?.resolve()
    }

    #[test]
    fn an_url_gives_broker_credentials_and_topic() {
        let (route, url) = resolve("-L mqtt://user:p@ss@broker.example:1884/a/b").unwrap();
        assert_eq!(route.to_string(), "broker.example:1884");
        assert_eq!(url.username.as_deref(), Some("user"));
        assert_eq!(url.password.as_deref(), Some("p@ss"));
        assert_eq!(url.topic.as_deref(), Some("a/b"));
        for wrong in ["host/topic", "http://host/t", "mqtt:///t", "mqtt://host:port/t"] {
            assert!(resolve(&format!("-L {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_way_follows_from_what_is_asked_for() {
        for (line, way, encrypted, web_socket) in [
            ("", "localhost:1883", false, false),
            ("-h ::1", "[::1]:1883", false, false),
            ("-L mqtt://[::1]:1884/t", "[::1]:1884", false, false),
            ("-L mqtt://host", "host:1883", false, false),
            ("-L mqtts://host/t", "host:8883", true, false),
            ("-L ws://host/t", "host:80", false, true),
            ("-L wss://host:9001/t", "host:9001", true, true),
            ("--cafile ca.crt", "localhost:8883", true, false),
            ("--cafile ca.crt -p 1884", "localhost:1884", true, false),
            ("-p 8883", "localhost:8883", true, false),
            ("--unix /run/b.sock", "/run/b.sock", false, false),
        ] {
            let (route, _) = resolve(line).unwrap();
            assert_eq!(route.to_string(), way, "{line}");
            assert_eq!(route.encryption.is_some(), encrypted, "{line}");
            assert_eq!(route.web_socket.is_some(), web_socket, "{line}");
        }
        for wrong in ["--unix /s -p 1", "--cert c", "--key k", "--cafile c --tls-version tlsv1"] {
            assert!(resolve(wrong).is_err(), "{wrong}");
        }
    }
}
