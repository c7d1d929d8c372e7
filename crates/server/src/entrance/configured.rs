//! From the configuration to listeners.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;

use dunlin_access::ban::Network;
use dunlin_broker::Entry;
use dunlin_config::Config;
use dunlin_config::model::{
    Address, CheckDates, ClientCertificate, IpVersion, Listener, OriginRefusal, Protocol,
    ProxyProtocol, Tls, TlsVersion as ConfiguredVersion,
};
use dunlin_config::value::Limit;
use dunlin_proto::QoS;

use super::{ListenerOptions, Place, ProxyOptions, ProxyRequires};
use crate::error::StartError;
use crate::quic::QuicOptions;
use crate::transport::{
    CertificateFiles, ClientCertificates, ClientTrust, KEY_LOG, ProxyVersion, TlsOptions,
    TlsVersion, WebSocketOptions,
};

/// What Let's Encrypt's tools, and most others, call the files of a name.
const CHAIN: &str = "fullchain.pem";
const KEY: &str = "privkey.pem";

impl ListenerOptions {
    /// The listeners that are configured. One with several addresses becomes several here; they have
    /// the same number, which is its place among [`Config::listeners`].
    ///
    /// # Errors
    /// A network is none, a host name stands for no address, or the protocol is not served.
    pub fn from_config(config: &Config) -> Result<Vec<Self>, StartError> {
        let mut all = Vec::new();
        let numbered = (0u16..).zip(&config.listeners);
        for (number, listener) in numbered.filter(|(_, listener)| !listener.is_retired()) {
            let wrong = |what| StartError::Setting {
                place: listener.place().cloned(),
                listener: listener.label(),
                what,
            };
            let at = |key: &str| listener.places.get(key).or_else(|| listener.place()).cloned();
            let mut options = Self::new(Place::Inherited { name: String::new() });
            options.name.clone_from(&listener.name);
            options.allow_from = networks(&listener.allow_from).map_err(wrong)?;
            options.deny_from = networks(&listener.deny_from).map_err(wrong)?;
            let maximum = listener.maximum_connections.get();
            options.maximum_connections = maximum.and_then(|most| usize::try_from(most).ok());
            let (limits, most) = (&config.limits, |limit: Limit| {
                let most = limit.get().and_then(|most| usize::try_from(most).ok());
                most.unwrap_or(usize::MAX)
            });
            options.maximum_opening = most(limits.half_open);
            options.maximum_waiting = most(limits.before_connect);
            options.maximum_waiting_from_address = most(limits.before_connect_per_address);
            options.maximum_waiting_bytes = most(limits.before_connect_bytes);
            options.tls = listener.tls().map(|tls| tls_options(tls, listener, config));
            options.websocket = websocket(listener).map_err(wrong)?;
            options.proxy = proxy(listener).map_err(wrong)?;
            options.quic = QuicOptions {
                idle_timeout: listener.quic.idle_timeout,
                keep_alive: listener.quic.keep_alive,
            };
            options.entry = entry(number, listener);
            let places = places(listener);
            for place in places.map_err(|what| StartError::Setting {
                place: at("address"),
                listener: listener.label(),
                what,
            })? {
                all.push(Self { place, ..options.clone() });
            }
        }
        Ok(all)
    }
}

fn networks(texts: &[String]) -> Result<Vec<Network>, String> {
    let parse = |text: &String| text.parse().map_err(|fault| format!("`{text}`: {fault}"));
    texts.iter().map(parse).collect()
}

fn websocket(listener: &Listener) -> Result<Option<WebSocketOptions>, String> {
    match listener.protocol {
        Protocol::Mqtt | Protocol::Quic => Ok(None),
        Protocol::WebSockets => Ok(Some(WebSocketOptions {
            path: listener.websocket.path.clone(),
            origins: listener.websocket.origins.clone(),
            answers_origins: listener.websocket.refusal == OriginRefusal::Answer,
            trusted_proxies: networks(&listener.websocket.trusted_proxies)?,
            ..WebSocketOptions::default()
        })),
    }
}

fn proxy(listener: &Listener) -> Result<Option<ProxyOptions>, String> {
    let version = match listener.proxy {
        ProxyProtocol::None => return Ok(None),
        ProxyProtocol::V1 => ProxyVersion::V1,
        ProxyProtocol::V2 => ProxyVersion::V2,
    };
    let from = networks(&listener.proxy_from)?;
    // Where the listener has no TLS of its own, it is the proxy that asks clients for certificates.
    let shown = listener.tls.client_certificate == ClientCertificate::Required;
    let requires = match listener.tls() {
        None if shown && version == ProxyVersion::V2 => Some(ProxyRequires::Certificate),
        _ => listener.proxy_requires_tls.then_some(ProxyRequires::Tls),
    };
    Ok(Some(ProxyOptions { version, from, requires }))
}

fn tls_options(tls: &Tls, listener: &Listener, config: &Config) -> TlsOptions {
    let mut places = listener.places.clone();
    if let Some(place) = config.places.get(KEY_LOG) {
        places.set(KEY_LOG, place);
    }
    let trust = || ClientTrust {
        authorities: tls.cafile.iter().chain(&tls.capath).cloned().collect(),
        revoked: tls.crlfile.clone(),
        ignore_dates: tls.client_dates == CheckDates::Ignore,
    };
    let further = |directory: &String| {
        let directory = PathBuf::from(directory);
        let (chain, key) = (directory.join(CHAIN), directory.join(KEY));
        CertificateFiles { chain, key, authorities: None }
    };
    TlsOptions {
        certificate: CertificateFiles {
            chain: tls.certfile.clone().unwrap_or_default(),
            key: tls.keyfile.clone().unwrap_or_default(),
            authorities: tls.cafile.clone(),
        },
        by_name: tls.sni.iter().map(further).collect(),
        clients: match tls.client_certificate {
            ClientCertificate::None => ClientCertificates::Ignored,
            ClientCertificate::Optional => ClientCertificates::Optional(trust()),
            ClientCertificate::Required => ClientCertificates::Required(trust()),
        },
        idle_list: match tls.client_certificate {
            ClientCertificate::None => tls.crlfile.clone(),
            ClientCertificate::Optional | ClientCertificate::Required => None,
        },
        minimum_version: match tls.minimum_version {
            ConfiguredVersion::V1_2 => TlsVersion::V1_2,
            ConfiguredVersion::V1_3 => TlsVersion::V1_3,
        },
        ciphers: tls.ciphers.clone(),
        key_log: config.server.tls_keylog.clone(),
        places,
    }
}

fn entry(number: u16, listener: &Listener) -> Entry {
    Entry {
        number,
        versions: listener.versions,
        maximum_qos: QoS::try_from(listener.maximum_qos).unwrap_or(QoS::ExactlyOnce),
        topic_alias_maximum: listener.topic_alias_maximum,
        topic_alias_maximum_out: listener.topic_alias_maximum_out,
        mount_point: listener.mount_point.as_deref().map(Box::from),
        assigned_id_prefix: listener.access.assigned_id_prefix.as_deref().map(Box::from),
    }
}

fn places(listener: &Listener) -> Result<Vec<Place>, String> {
    if let Some(name) = &listener.socket {
        return Ok(vec![Place::Inherited { name: name.clone() }]);
    }
    if let Some(path) = &listener.unix_path {
        return Ok(vec![Place::Unix { path: path.clone(), mode: listener.unix_mode }]);
    }
    let addresses: Vec<SocketAddr> = match &listener.address {
        Address::Any => of_machine(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED, listener),
        Address::Loopback => of_machine(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST, listener),
        Address::Named(host) => {
            let found = (host.as_str(), listener.port).to_socket_addrs();
            let found = found.map_err(|cause| format!("{host}: {cause}"))?;
            found.filter(|address| is_wanted(listener, address.ip())).collect()
        }
    };
    if addresses.is_empty() {
        return Err("no address of this family stands for it (ip_version)".into());
    }
    let interface = &listener.interface;
    let place = |address| match listener.protocol {
        Protocol::Quic => Place::Udp { address, interface: interface.clone() },
        Protocol::Mqtt | Protocol::WebSockets => {
            Place::Tcp { address, interface: interface.clone() }
        }
    };
    Ok(addresses.into_iter().map(place).collect())
}

/// These addresses, as far as the machine has their families.
fn of_machine(v4: Ipv4Addr, v6: Ipv6Addr, listener: &Listener) -> Vec<SocketAddr> {
    let has_v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let families = [Some(IpAddr::V4(v4)), has_v6.then_some(IpAddr::V6(v6))];
    families
        .into_iter()
        .flatten()
        .filter(|address| is_wanted(listener, *address))
        .map(|address| SocketAddr::new(address, listener.port))
        .collect()
}

const fn is_wanted(listener: &Listener, address: IpAddr) -> bool {
    match listener.ip_version {
        IpVersion::Both => true,
        IpVersion::V4 => address.is_ipv4(),
        IpVersion::V6 => address.is_ipv6(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxies_of_a_listener_are_those_that_are_configured() {
        let mut listener = Listener::default();
        assert!(proxy(&listener).unwrap().is_none());
        listener.proxy = ProxyProtocol::V2;
        listener.proxy_from = vec!["10.0.0.0/8".into()];
        let from = proxy(&listener).unwrap().unwrap().from;
        assert!(from[0].contains(Ipv4Addr::new(10, 1, 2, 3).into()));
        assert!(!from[0].contains(Ipv4Addr::LOCALHOST.into()));
        let requires = |listener: &Listener| proxy(listener).unwrap().unwrap().requires;
        assert_eq!(requires(&listener), None);
        listener.proxy_requires_tls = true;
        assert_eq!(requires(&listener), Some(ProxyRequires::Tls));
        listener.tls.client_certificate = ClientCertificate::Required;
        assert_eq!(requires(&listener), Some(ProxyRequires::Certificate));
        listener.proxy_from = vec!["balancer".into()];
        assert!(proxy(&listener).is_err());
    }
}
