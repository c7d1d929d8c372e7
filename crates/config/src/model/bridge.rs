//! Connections to other brokers. They are read and kept; they run once bridges do.

use std::path::PathBuf;
use std::time::Duration;

use crate::place::{Place, Places};
use crate::value::{Expiry, Limit, Row, Secret, Setting, Value, words};

/// One connection to another broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Bridge {
    /// What it is called.
    pub name: String,
    /// Host and port of the other broker, and of those to try after it.
    pub addresses: Vec<String>,
    /// What goes which way.
    pub topics: Vec<BridgeTopic>,
    /// The version that is spoken.
    pub version: BridgeVersion,
    /// Who we are to the other broker.
    pub remote: Login,
    /// Who the bridge is to this broker.
    pub local: Login,
    /// Whether the other broker forgets us when the connection ends.
    pub remote_clean_start: bool,
    /// Whether this broker forgets the bridge then; none for the same.
    pub local_clean_start: Option<bool>,
    /// The keep alive, in seconds.
    pub keep_alive: u16,
    /// When a broken connection is made again.
    pub reconnect: Reconnect,
    /// Whether the state is published.
    pub notify: Notify,
    /// Where; none for the usual topic.
    pub notification_topic: Option<String>,
    /// What is done at first and after a reload.
    pub habits: Habits,
    /// Bounds.
    pub bounds: BridgeBounds,
    /// Encryption.
    pub tls: BridgeTls,
    /// The address that connections leave from.
    pub bind_address: Option<String>,
    /// The probes of TCP: idle seconds, seconds between, how many.
    pub tcp_keep_alive: Vec<String>,
    /// Milliseconds until unacknowledged bytes end the connection.
    pub tcp_user_timeout: Option<u32>,
    /// Where the values come from.
    pub places: Places,
}

impl Default for Bridge {
    fn default() -> Self {
        Self {
            name: String::new(),
            addresses: Vec::new(),
            topics: Vec::new(),
            version: BridgeVersion::V3_1_1,
            remote: Login::default(),
            local: Login::default(),
            remote_clean_start: false,
            local_clean_start: None,
            keep_alive: 60,
            reconnect: Reconnect::default(),
            notify: Notify::Both,
            notification_topic: None,
            habits: Habits::default(),
            bounds: BridgeBounds::default(),
            tls: BridgeTls::default(),
            bind_address: None,
            tcp_keep_alive: Vec::new(),
            tcp_user_timeout: None,
            places: Places::default(),
        }
    }
}

impl Bridge {
    /// Where it was configured.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.places.get("bridge")
    }
}

/// Who one side of a bridge is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Login {
    /// The client identifier; none for one made of the name.
    pub client_id: Option<String>,
    /// The user name.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
}

/// When a broken connection is made again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconnect {
    /// At first after this long.
    pub after: Duration,
    /// Twice as long each time, up to this; the same as `after` for always the same.
    pub at_most: Duration,
    /// A connection that lasted this long begins from `after` again.
    pub stable_after: Duration,
    /// A lazy bridge ends after being idle for so long.
    pub idle_timeout: Duration,
    /// A lazy bridge begins when so many messages wait.
    pub threshold: u32,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(5),
            at_most: Duration::from_secs(30),
            stable_after: Duration::ZERO,
            idle_timeout: Duration::from_secs(60),
            threshold: 10,
        }
    }
}

/// How a bridge behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Habits {
    /// When it connects.
    pub start: StartType,
    /// When a reload changes it.
    pub reload: ReloadType,
    /// Which of several addresses is used.
    pub choice: AddressChoice,
    /// Whether it tells the other side that it is a bridge.
    pub try_private: bool,
    /// Whether topics that are no longer configured are unsubscribed.
    pub attempt_unsubscribe: bool,
    /// Whether the retain flag is kept on what goes out.
    pub outgoing_retain: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            start: StartType::Automatic,
            reload: ReloadType::Lazy,
            choice: AddressChoice::FirstBest,
            try_private: true,
            attempt_unsubscribe: true,
            outgoing_retain: true,
        }
    }
}

/// Bounds of a bridge.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeBounds {
    /// Bytes of one packet.
    pub maximum_packet_size: Limit,
    /// Topic aliases of the other side.
    pub topic_alias_maximum: u16,
    /// Unacknowledged messages of the other side.
    pub receive_maximum: Option<u16>,
    /// How long the other side keeps the session; none for by `remote_clean_start`.
    pub session_expiry: Option<Expiry>,
}

impl Default for BridgeBounds {
    fn default() -> Self {
        Self {
            maximum_packet_size: Limit::Unlimited,
            topic_alias_maximum: 10,
            receive_maximum: None,
            session_expiry: None,
        }
    }
}

/// Encryption of a bridge.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BridgeTls {
    /// Authorities that sign the other broker, PEM.
    pub cafile: Option<PathBuf>,
    /// A directory of them.
    pub capath: Option<PathBuf>,
    /// Our certificate, PEM.
    pub certfile: Option<PathBuf>,
    /// Its key, PEM.
    pub keyfile: Option<PathBuf>,
    /// Whether the authorities of this machine are trusted.
    pub use_os_certs: bool,
    /// Whether the name of the other broker does not matter.
    pub insecure: bool,
    /// Whether the other broker must show that its certificate is still valid.
    pub require_ocsp: bool,
    /// The lowest version; none for 1.2.
    pub minimum_version: Option<super::TlsVersion>,
    /// Names of cipher suites, best first; empty for all that are secure.
    pub ciphers: Vec<String>,
    /// What is offered as the protocol.
    pub alpn: Option<String>,
}

words! {
    /// The version that a bridge speaks.
    BridgeVersion {
        /// MQTT 3.1.
        V3_1 = "3.1",
        /// MQTT 3.1.1.
        V3_1_1 = "3.1.1",
        /// MQTT 5.0.
        V5_0 = "5.0",
    }
}

words! {
    /// When a bridge connects.
    StartType {
        /// At once and whenever the connection is lost.
        Automatic = "automatic",
        /// When enough messages wait.
        Lazy = "lazy",
        /// At once, and not again.
        Once = "once",
    }
}

words! {
    /// When a reload changes a bridge.
    ReloadType {
        /// With its next connection.
        Lazy = "lazy",
        /// At once.
        Immediate = "immediate",
    }
}

words! {
    /// Which of several addresses is used.
    AddressChoice {
        /// The first that can be reached, going back to it when it can be again.
        FirstBest = "first",
        /// One after the other.
        RoundRobin = "round-robin",
    }
}

words! {
    /// Where the state of a bridge is published.
    Notify {
        /// On both brokers.
        Both = "both",
        /// Only here.
        Local = "local",
        /// Nowhere.
        None = "none",
    }
}

words! {
    /// Which way messages go.
    Direction {
        /// From here to there.
        Out = "out",
        /// From there to here.
        In = "in",
        /// Both.
        Both = "both",
    }
}

/// What goes which way.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeTopic {
    /// The filter, without prefixes. Empty for one that consists of the prefixes alone.
    pub filter: String,
    /// Which way.
    pub direction: Direction,
    /// The highest `QoS`.
    pub qos: u8,
    /// What comes before it here.
    pub local_prefix: String,
    /// What comes before it there.
    pub remote_prefix: String,
}

impl Setting for Vec<BridgeTopic> {
    fn kind() -> String {
        "list of tables with `filter`, `direction` (`\"out\"`, `\"in\"`, `\"both\"`), `qos`, `local_prefix`, `remote_prefix`"
            .into()
    }

    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Rows(rows) => rows.into_iter().map(topic).collect(),
            Value::List(texts) if texts.is_empty() => Ok(Self::new()),
            _ => {
                Err("expected a list of tables, as [{ filter = \"#\", direction = \"out\" }]"
                    .into())
            }
        }
    }

    fn to_value(&self) -> Option<Value> {
        let rows = self.iter().map(|topic| {
            let mut row = Row::new();
            let mut put = |name: &str, value: Option<Value>| {
                row.extend(value.map(|value| (name.to_owned(), value)));
            };
            put("filter", topic.filter.to_value());
            put("direction", topic.direction.to_value());
            put("qos", topic.qos.to_value());
            for (name, prefix) in
                [("local_prefix", &topic.local_prefix), ("remote_prefix", &topic.remote_prefix)]
            {
                put(name, prefix.to_value().filter(|_| !prefix.is_empty()));
            }
            row
        });
        (!self.is_empty()).then(|| Value::Rows(rows.collect()))
    }
}

fn topic(mut row: Row) -> Result<BridgeTopic, String> {
    let mut take = |name: &str| row.remove(name);
    let mut text = |name: &str| take(name).map_or_else(|| Ok(String::new()), String::from_value);
    let (filter, local_prefix, remote_prefix) =
        (text("filter")?, text("local_prefix")?, text("remote_prefix")?);
    let direction = take("direction").map_or(Ok(Direction::Out), Direction::from_value)?;
    let qos = take("qos").map_or(Ok(0), u8::from_value)?;
    if let Some(unknown) = row.keys().next() {
        return Err(format!("a topic of a bridge has no `{unknown}`"));
    }
    if qos > 2 {
        return Err(format!("{qos} is no QoS: there are 0, 1 and 2"));
    }
    Ok(BridgeTopic { filter, direction, qos, local_prefix, remote_prefix })
}
