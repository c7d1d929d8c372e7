//! Where clients come in.

use std::path::PathBuf;
use std::time::Duration;

pub use dunlin_broker::Versions;
use dunlin_proto::Version;

use super::Access;
use crate::place::{Place, Places};
use crate::value::{Limit, Setting, Value, words};

/// One way in.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// What the log calls it; none for its address.
    pub name: Option<String>,
    /// The port of TCP or UDP; zero for a unix socket.
    pub port: u16,
    /// The addresses that are listened on.
    pub address: Address,
    /// The network interface, by name.
    pub interface: Option<String>,
    /// Which addresses are used if `address` has both.
    pub ip_version: IpVersion,
    /// The path of a unix socket.
    pub unix_path: Option<PathBuf>,
    /// Its mode.
    pub unix_mode: Option<u32>,
    /// The name of a socket that the service manager has opened.
    pub socket: Option<String>,
    /// What is spoken.
    pub protocol: Protocol,
    /// Encryption.
    pub tls: Tls,
    /// What comes before every topic of its clients.
    pub mount_point: Option<String>,
    /// Connections at once.
    pub maximum_connections: Limit,
    /// The highest `QoS`.
    pub maximum_qos: u8,
    /// The versions of MQTT that may be spoken.
    pub versions: Versions,
    /// Topic aliases of a client towards us; none for that of all.
    pub topic_alias_maximum: Option<u16>,
    /// Our topic aliases towards a client; none for that of all.
    pub topic_alias_maximum_out: Option<u16>,
    /// What a proxy before it says about the client.
    pub proxy: ProxyProtocol,
    /// Networks of the proxies; empty for whoever may connect.
    pub proxy_from: Vec<String>,
    /// Whether a proxy must say that the client came by TLS.
    pub proxy_requires_tls: bool,
    /// WebSocket.
    pub websocket: WebSocket,
    /// QUIC.
    pub quic: Quic,
    /// Networks that may connect, if there are any.
    pub allow_from: Vec<String>,
    /// Networks that may not.
    pub deny_from: Vec<String>,
    /// Where the user name comes from.
    pub identity: Identity,
    /// Whether the user name is the client identifier too.
    pub username_as_client_id: bool,
    /// Who may connect here and what they may do.
    pub access: Access,
    /// Where the values come from.
    pub places: Places,
    /// Why it is here.
    pub(crate) standing: Standing,
}

/// Why a listener is among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Somebody asked for it.
    Asked,
    /// Nobody did: it is there because there must be one.
    Implied,
    /// It was there before a reload and is no longer.
    Retired,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            name: None,
            port: 1883,
            address: Address::Any,
            interface: None,
            ip_version: IpVersion::Both,
            unix_path: None,
            unix_mode: None,
            socket: None,
            protocol: Protocol::Mqtt,
            tls: Tls::default(),
            mount_point: None,
            maximum_connections: Limit::Unlimited,
            maximum_qos: 2,
            versions: Versions::ALL,
            topic_alias_maximum: None,
            topic_alias_maximum_out: None,
            proxy: ProxyProtocol::None,
            proxy_from: Vec::new(),
            proxy_requires_tls: false,
            websocket: WebSocket::default(),
            quic: Quic::default(),
            allow_from: Vec::new(),
            deny_from: Vec::new(),
            identity: Identity::Login,
            username_as_client_id: false,
            access: Access::default(),
            places: Places::default(),
            standing: Standing::Asked,
        }
    }
}

impl Listener {
    /// The one that is there if nobody asks for any: this machine only.
    #[must_use]
    pub fn implied(port: u16) -> Self {
        Self { port, address: Address::Loopback, standing: Standing::Implied, ..Self::default() }
    }

    /// Whether nobody asked for it.
    #[must_use]
    pub fn is_implied(&self) -> bool {
        self.standing == Standing::Implied
    }

    /// Whether nobody is to listen here any more; see [`crate::Config::follow`].
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.standing == Standing::Retired
    }

    /// Encryption, if there is a certificate.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.certfile.is_some().then_some(&self.tls)
    }

    /// Where it was configured.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.places.get("listener")
    }

    /// Its name, or else its address: what the log and a reload know it by.
    #[must_use]
    pub fn label(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        match (&self.unix_path, &self.socket) {
            (Some(path), _) => path.display().to_string(),
            (None, Some(socket)) => format!("socket {socket}"),
            (None, None) => self.endpoint(),
        }
    }

    fn endpoint(&self) -> String {
        let host = match &self.address {
            Address::Any => "*",
            Address::Loopback => "localhost",
            Address::Named(host) if host.contains(':') => return format!("[{host}]:{}", self.port),
            Address::Named(host) => host,
        };
        match &self.interface {
            Some(interface) => format!("{host}%{interface}:{}", self.port),
            None => format!("{host}:{}", self.port),
        }
    }
}

/// The addresses that are listened on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Address {
    /// All of this machine.
    #[default]
    Any,
    /// Those that only this machine can reach, of each family that there is.
    Loopback,
    /// An address, or a name that stands for one.
    Named(String),
}

impl Setting for Address {
    fn kind() -> String {
        "`\"any\"`, `\"loopback\"`, address or host name".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        Ok(match String::from_value(value)?.as_str() {
            "any" => Self::Any,
            "loopback" => Self::Loopback,
            "" => return Err("an address is not empty; all addresses are \"any\"".into()),
            name => Self::Named(name.to_owned()),
        })
    }

    fn to_value(&self) -> Option<Value> {
        let text = match self {
            Self::Any => "any",
            Self::Loopback => "loopback",
            Self::Named(name) => name,
        };
        Some(Value::Text(text.to_owned()))
    }
}

words! {
    /// Which families of addresses are used.
    IpVersion {
        /// Those that there are.
        Both = "both",
        /// IPv4.
        V4 = "4",
        /// IPv6.
        V6 = "6",
    }
}

words! {
    /// What is spoken.
    Protocol {
        /// MQTT on TCP or TLS.
        Mqtt = "mqtt",
        /// MQTT on WebSocket.
        WebSockets = "websockets",
        /// MQTT on QUIC.
        Quic = "quic",
    }
}

words! {
    /// What a proxy before the listener says about the client.
    ProxyProtocol {
        /// There is none.
        None = "none",
        /// One line of text.
        V1 = "v1",
        /// Binary.
        V2 = "v2",
    }
}

words! {
    /// Where the user name of a client comes from.
    Identity {
        /// The client says it in CONNECT.
        Login = "login",
        /// The common name of its certificate.
        CommonName = "common-name",
        /// The whole subject of its certificate.
        Subject = "subject",
        /// The first alternative name of its certificate.
        AlternativeName = "alternative-name",
    }
}

/// Encryption of a listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// The certificate of the server and what leads to its authority, PEM.
    pub certfile: Option<PathBuf>,
    /// Its key, PEM.
    pub keyfile: Option<PathBuf>,
    /// Authorities that sign clients, PEM.
    pub cafile: Option<PathBuf>,
    /// A directory of them.
    pub capath: Option<PathBuf>,
    /// Certificates that are no longer valid, PEM.
    pub crlfile: Option<PathBuf>,
    /// Whether clients show a certificate.
    pub client_certificate: ClientCertificate,
    /// Whether the dates of client certificates count.
    pub client_dates: CheckDates,
    /// The lowest version.
    pub minimum_version: TlsVersion,
    /// Names of cipher suites, best first; empty for all that are secure.
    pub ciphers: Vec<String>,
    /// Directories with further certificates, chosen by the name that a client asks for.
    pub sni: Vec<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certfile: None,
            keyfile: None,
            cafile: None,
            capath: None,
            crlfile: None,
            client_certificate: ClientCertificate::None,
            client_dates: CheckDates::Check,
            minimum_version: TlsVersion::V1_2,
            ciphers: Vec::new(),
            sni: Vec::new(),
        }
    }
}

words! {
    /// Whether clients show a certificate.
    ClientCertificate {
        /// They are not asked.
        None = "none",
        /// They are asked, and what they show must be valid.
        Optional = "optional",
        /// They must.
        Required = "required",
    }
}

words! {
    /// Whether the dates of client certificates count.
    CheckDates {
        /// They do.
        Check = "check",
        /// They do not, for devices that cannot know the time.
        Ignore = "ignore",
    }
}

words! {
    /// A version of TLS.
    TlsVersion {
        /// 1.2.
        V1_2 = "1.2",
        /// 1.3.
        V1_3 = "1.3",
    }
}

/// MQTT on WebSocket.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WebSocket {
    /// The path that must be asked for; none for any.
    pub path: Option<String>,
    /// Pages that may connect; empty for all.
    pub origins: Vec<String>,
    /// What others are told.
    pub refusal: OriginRefusal,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
}

words! {
    /// What a page is told that may not connect.
    #[derive(Default)]
    OriginRefusal {
        /// HTTP status 403, as RFC 6455 has it.
        #[default]
        Answer = "answer",
        /// Nothing, as by Mosquitto: the connection is closed.
        Close = "close",
    }
}

/// MQTT on QUIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quic {
    /// A connection ends that shows no sign of life for so long.
    pub idle_timeout: Duration,
    /// A silent client is asked for a sign that often.
    pub keep_alive: Duration,
}

impl Default for Quic {
    fn default() -> Self {
        Self { idle_timeout: Duration::from_secs(120), keep_alive: Duration::from_secs(25) }
    }
}

/// As the specifications name them.
const VERSIONS: [(&str, Version); 3] =
    [("3.1", Version::V3_1), ("3.1.1", Version::V3_1_1), ("5.0", Version::V5_0)];

impl Setting for Versions {
    fn kind() -> String {
        "list of `\"3.1\"`, `\"3.1.1\"`, `\"5.0\"`".into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        let names = Vec::<String>::from_value(value)?;
        names.iter().try_fold(Self::NONE, |set, name| {
            let known = VERSIONS.iter().find(|(known, _)| known == name);
            let (_, version) = known
                .ok_or_else(|| format!("`{name}` is no version: there are 3.1, 3.1.1 and 5.0"))?;
            Ok(set.with(*version))
        })
    }

    fn to_value(&self) -> Option<Value> {
        let names = VERSIONS.iter().filter(|(_, version)| self.has(*version));
        Some(Value::List(names.map(|(name, _)| (*name).to_owned()).collect()))
    }
}
