//! What one key alone cannot get wrong.

use std::net::IpAddr;

use dunlin_proto::TopicName;

use crate::keys::{self, Key};
use crate::model::{
    Bridge, ClientCertificate, Config, Identity, Listener, Log, Protocol, ProxyProtocol,
    Timestamps, Versions,
};
use crate::place::{Place, Places};
use crate::problem::{Note, Problem, Weight};

/// Collects what does not fit together.
pub(crate) fn check(config: &Config, problems: &mut Vec<Problem>, notes: &mut Vec<Note>) {
    let mut checker = Checker { problems, notes };
    checker.general(config);
    checker.undone(config);
    for (index, listener) in config.listeners.iter().enumerate() {
        checker.listener(listener);
        checker.twice(listener, config.listeners.get(..index).unwrap_or_default());
    }
    for (index, bridge) in config.bridges.iter().enumerate() {
        checker.bridge(bridge);
        let before = config.bridges.get(..index).unwrap_or_default();
        if before.iter().any(|other| other.name == bridge.name) {
            let what = format!("there is another bridge `{}`", bridge.name);
            checker.say(bridge.place(), what);
        }
    }
}

struct Checker<'a> {
    problems: &'a mut Vec<Problem>,
    notes: &'a mut Vec<Note>,
}

impl Checker<'_> {
    fn say(&mut self, place: Option<&Place>, what: impl Into<String>) {
        self.problems.push(Problem::new(place.cloned(), what));
    }

    /// The same where Mosquitto has words for it.
    fn say_as(&mut self, words: &str, place: Option<&Place>, what: impl Into<String>) {
        let problem = Problem::new(place.cloned(), what);
        self.problems.push(problem.in_mosquittos_words(words));
    }

    fn note(&mut self, place: Option<&Place>, key: &str, text: &str) {
        let (place, text) = (place.cloned(), text.to_owned());
        self.notes.push(Note { place, key: key.into(), weight: Weight::Warning, text });
    }

    fn general(&mut self, config: &Config) {
        let places = &config.places;
        for key in keys::general() {
            self.range(key, config, places.get(key.name));
        }
        self.log(&config.log, places);
        self.prefix(
            config.security.access.assigned_id_prefix.as_deref(),
            places.get("security.assigned_id_prefix"),
        );
    }

    /// A number that is none of those that its key can have.
    fn range<T>(&mut self, key: &Key<T>, of: &T, place: Option<&Place>) {
        if let Err(why) = key.check(of) {
            self.say(place, format!("`{}`: {why}", key.name));
        }
    }

    /// What is understood, but not part of the broker yet: nobody is to find out by missing messages.
    fn undone(&mut self, config: &Config) {
        if !config.server.tcp_nodelay {
            let key = "server.tcp_nodelay";
            let text = "small packets are never held back here: the broker gathers what is due before it writes";
            self.note(config.places.get(key), key, text);
        }
    }

    fn log(&mut self, log: &Log, places: &Places) {
        let place = places.get("log.destinations");
        for destination in &log.destinations {
            if !Log::DESTINATIONS.contains(&destination.as_str()) {
                let known = Log::DESTINATIONS.join(", ");
                self.say(
                    place,
                    format!("`{destination}` is no place for a log: there are {known}"),
                );
            }
        }
        if log.destinations.iter().any(|destination| destination == "file") && log.file.is_none() {
            self.say(place, "a log that goes to a file needs `log.file`");
        }
        if log.timestamps == Timestamps::Format && log.timestamp_format.is_none() {
            let place = places.get("log.timestamps");
            self.say(place, "timestamps by a format need `log.timestamp_format`");
        }
    }

    fn prefix(&mut self, prefix: Option<&str>, place: Option<&Place>) {
        // What is added must fit into 65 535 bytes with it; Mosquitto allows 50.
        if prefix.is_some_and(|prefix| prefix.len() > 50) {
            self.say(place, "what assigned client identifiers begin with has at most 50 bytes");
        }
    }

    fn listener(&mut self, listener: &Listener) {
        let place = |key: &str| listener.places.get(key).or_else(|| listener.place());
        let named = listener.unix_path.is_some() || listener.socket.is_some();
        if listener.port == 0 && !named {
            self.say(place("port"), "a listener with port 0 needs the path of a unix socket");
        }
        if listener.port != 0 && named {
            self.say(place("port"), "a unix socket has no port");
        }
        for key in keys::listener() {
            self.range(key, listener, place(key.name));
        }
        if listener.versions == Versions::NONE {
            self.say(place("versions"), "no version of MQTT is left: there are 3.1, 3.1.1 and 5.0");
        }
        if let Some(mount_point) = &listener.mount_point
            && TopicName::new(mount_point).is_err()
        {
            let what =
                format!("`{mount_point}` cannot come before topics: is there a wildcard in it?");
            let words = format!(
                "Invalid 'mount_point' value ({mount_point}). Does it contain a wildcard character?"
            );
            self.say_as(&words, place("mount_point"), what);
        }
        for (key, networks) in [
            ("allow_from", &listener.allow_from),
            ("deny_from", &listener.deny_from),
            ("trusted_proxies", &listener.websocket.trusted_proxies),
            ("proxy_from", &listener.proxy_from),
        ] {
            for network in networks.iter().filter(|network| !is_network(network)) {
                let what = format!("`{network}` is no network: write for example 192.168.0.0/16");
                self.say(place(key), what);
            }
        }
        self.prefix(listener.access.assigned_id_prefix.as_deref(), place("assigned_id_prefix"));
        self.tls(listener);
    }

    fn tls(&mut self, listener: &Listener) {
        let place = |key: &str| listener.places.get(key).or_else(|| listener.place());
        let tls = &listener.tls;
        let both = "Both certfile and keyfile must be provided to enable a TLS listener.";
        match (&tls.certfile, &tls.keyfile) {
            (Some(_), None) => {
                let what = "`certfile` needs `keyfile`, the key of the certificate";
                self.say_as(both, place("certfile"), what);
            }
            (None, Some(_)) => {
                let what = "`keyfile` needs `certfile`, the certificate";
                self.say_as(both, place("keyfile"), what);
            }
            (None, None) => {
                for (key, set) in [("cafile", &tls.cafile), ("capath", &tls.capath)] {
                    if set.is_some() {
                        let what = format!(
                            "`{key}` needs `certfile` and `keyfile`: without them the \
                                            listener would not be encrypted"
                        );
                        let words = format!("{key} specified without certfile and keyfile.");
                        self.say_as(&words, place(key), what);
                    }
                }
                if listener.protocol == Protocol::Quic {
                    self.say(
                        place("protocol"),
                        "QUIC is always encrypted: it needs `certfile` and `keyfile`",
                    );
                }
            }
            (Some(_), Some(_)) => {}
        }
        let asks = tls.client_certificate != ClientCertificate::None;
        if asks && tls.certfile.is_none() && listener.proxy == ProxyProtocol::None {
            self.note(
                place("client_certificate"),
                "client_certificate",
                "clients are not asked for certificates, since the listener is not encrypted: give it `certfile` and \
                 `keyfile`",
            );
        }
        if asks && tls.certfile.is_some() && tls.cafile.is_none() && tls.capath.is_none() {
            let what = "to ask clients for certificates, `cafile` or `capath` must say whose count";
            self.say(place("client_certificate"), what);
        }
        self.identity(listener);
    }

    fn identity(&mut self, listener: &Listener) {
        let place = |key: &str| listener.places.get(key).or_else(|| listener.place());
        let tls = &listener.tls;
        let asks = tls.client_certificate != ClientCertificate::None;
        if listener.protocol == Protocol::Quic {
            self.quic(listener);
        }
        if listener.proxy == ProxyProtocol::V2 && tls.certfile.is_some() {
            let what = "behind a proxy that speaks PROXY v2 a listener has no certificate: the proxy has it";
            let words = "certfile and keyfile cannot be used with `enable_proxy_protocol 2`.";
            self.say_as(words, place("proxy_protocol"), what);
        }
        if listener.proxy == ProxyProtocol::V2 && listener.identity == Identity::Subject {
            let what = "a proxy tells the common name of a certificate, not its subject";
            let words = "use_subject_as_username cannot be used with `enable_proxy_protocol 2`.";
            self.say_as(words, place("identity"), what);
        }
        if listener.identity != Identity::Login
            && listener.proxy != ProxyProtocol::None
            && listener.proxy_from.is_empty()
            && listener.unix_path.is_none()
        {
            self.note(
                place("identity"),
                "identity",
                "the user name comes from what the proxy says, and whoever reaches this port can say it: name the \
                 networks of the proxies with `proxy_from` (dunlin.toml), or let only them reach it",
            );
        }
        if listener.identity != Identity::Login && listener.proxy == ProxyProtocol::None && !asks {
            self.note(
                place("identity"),
                "identity",
                "the user name comes from the client certificate, but clients are not asked for one: \
                 none can connect until `require_certificate true` or \
                 `client_certificate = \"required\"` is set",
            );
        }
    }

    fn quic(&mut self, listener: &Listener) {
        let place = |key: &str| listener.places.get(key).or_else(|| listener.place());
        if listener.unix_path.is_some() || listener.socket.is_some() {
            let what = "QUIC needs a port of UDP: no unix socket, and none of the service manager";
            self.say(place("protocol"), what);
        }
        if listener.proxy != ProxyProtocol::None {
            let what = "a proxy cannot say who a client of QUIC is: the header is for TCP";
            self.say(place("proxy_protocol"), what);
        }
        if listener.quic.keep_alive >= listener.quic.idle_timeout {
            let what = "`quic_keep_alive` must be shorter than `quic_idle_timeout`: a silent client would be asked too late";
            self.say(place("quic_keep_alive"), what);
        }
        if listener.quic.keep_alive.is_zero() {
            self.say(place("quic_keep_alive"), "`quic_keep_alive` is a time from 1 ms on");
        }
    }

    /// Two listeners cannot have the same address.
    fn twice(&mut self, listener: &Listener, before: &[Listener]) {
        let same = before.iter().find(|other| {
            let unix = (&other.unix_path, &other.socket) == (&listener.unix_path, &listener.socket);
            // QUIC has the ports of UDP, which are others.
            let transport = |listener: &Listener| listener.protocol == Protocol::Quic;
            let families = other.ip_version == listener.ip_version;
            let address =
                other.address == listener.address && other.interface == listener.interface;
            other.port == listener.port
                && unix
                && address
                && families
                && transport(other) == transport(listener)
        });
        if let Some(other) = same {
            let there = other.place().map_or_else(String::new, |place| format!(" at {place}"));
            let what = format!("there is another listener on the same address{there}");
            self.say(listener.place(), what);
        }
    }

    fn bridge(&mut self, bridge: &Bridge) {
        let place = |key: &str| bridge.places.get(key).or_else(|| bridge.place());
        for key in keys::bridge() {
            self.range(key, bridge, place(key.name));
        }
        let name = &bridge.name;
        for (missing, what, words) in [
            (name.is_empty(), "a bridge needs a `name`".to_owned(), "bridge name not defined"),
            (
                bridge.addresses.is_empty(),
                format!("bridge `{name}` needs the `address` of a broker"),
                "no remote addresses defined",
            ),
            (
                bridge.topics.is_empty(),
                format!("bridge `{name}` needs a `topic`"),
                "no topics defined",
            ),
        ] {
            if missing {
                let words = format!("Invalid bridge configuration: {words}.");
                self.say_as(&words, bridge.place(), what);
            }
        }
        for address in &bridge.addresses {
            if !is_address(address) {
                let what = format!("`{address}` is no address: write host or host:port");
                self.say(place("addresses"), what);
            }
        }
        if bridge.tls.certfile.is_some() != bridge.tls.keyfile.is_some() {
            self.say(place("certfile"), format!("bridge `{name}` needs both certificate and key"));
        }
        if bridge.reconnect.at_most < bridge.reconnect.after {
            let what = "the longest time between attempts is shorter than the first";
            self.say(place("reconnect_at_most"), what);
        }
        self.note(
            bridge.place(),
            "connection",
            &format!("bridge `{name}` is read and checked, but not connected: this version has no bridges yet"),
        );
    }
}

/// Whether it is an address, alone or with the length of a prefix.
fn is_network(text: &str) -> bool {
    let (address, length) = text.split_once('/').unwrap_or((text, "0"));
    let bits = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= bits)
}

/// Whether it is a host with or without a port; the last colon is that of the port, as in Mosquitto.
fn is_address(text: &str) -> bool {
    match text.rsplit_once(':') {
        None => !text.is_empty(),
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0),
    }
}
