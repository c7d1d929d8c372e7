//! The options that `pub` and `sub` share: which broker, as whom, with which will.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use clap::{ArgAction, Args};
use dunlin_proto::property::Property;
use dunlin_proto::{QoS, TopicName, Version};

use super::property_args::{self, PropertySets};
use super::route::{Route, RouteArgs};

/// A session that does not expire (3.1.2.11.2).
const NEVER_EXPIRES: u32 = u32::MAX;

/// Where to connect and as whom, as typed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ClientOptions {
    #[command(flatten)]
    route: RouteArgs,
    /// Protocol version: mqttv31, mqttv311 or mqttv5
    #[arg(short = 'V', long, value_parser = parse_version, default_value = "mqttv311")]
    protocol_version: Version,
    /// Client identifier [default: the broker assigns one]
    #[arg(short, long, allow_hyphen_values = true)]
    id: Option<String>,
    /// Client identifier made of this and the process id
    #[arg(short = 'I', long, conflicts_with = "id", allow_hyphen_values = true)]
    id_prefix: Option<String>,
    /// User name
    #[arg(short, long, allow_hyphen_values = true)]
    username: Option<String>,
    /// Password
    #[arg(short = 'P', long = "pw", value_name = "PASSWORD", allow_hyphen_values = true)]
    password: Option<String>,
    /// Keep alive in seconds, 0 for none
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    keepalive: u16,
    /// Keep the session after disconnecting, and take up the one that is there
    #[arg(short = 'c', long)]
    disable_clean_session: bool,
    /// Seconds that the session outlives the connection, -1 for ever (MQTT 5)
    #[arg(short = 'x', long, value_name = "SECONDS", value_parser = parse_expiry)]
    #[arg(allow_hyphen_values = true)]
    session_expiry_interval: Option<u32>,
    /// A property of MQTT 5 for CONNECT, PUBLISH, ...: `publish content-type text/plain`
    #[arg(short = 'D', long = "property", num_args = 3..=4, action = ArgAction::Append)]
    #[arg(value_names = ["PACKET", "NAME", "VALUE"])]
    properties: Vec<String>,
    #[command(flatten)]
    will: WillOptions,
    /// Say on standard error what is sent and received
    #[arg(short, long, help_heading = "Other")]
    debug: bool,
    /// Do not print errors
    #[arg(long, help_heading = "Other")]
    quiet: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help, help_heading = "Other")]
    help: Option<bool>,
}

/// The will, as typed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Will")]
struct WillOptions {
    /// Topic of the will
    #[arg(long, value_name = "TOPIC")]
    will_topic: Option<String>,
    /// Payload of the will [default: empty]
    #[arg(long, value_name = "PAYLOAD", requires = "will_topic", allow_hyphen_values = true)]
    will_payload: Option<String>,
    /// QoS of the will
    #[arg(long, value_name = "QOS", requires = "will_topic", value_parser = parse_qos)]
    will_qos: Option<QoS>,
    /// The will is retained
    #[arg(long, requires = "will_topic")]
    will_retain: bool,
}

/// What the options mean: all that is needed to connect.
#[derive(Debug)]
pub(crate) struct Login {
    pub(super) route: Route,
    /// The topic of an `-L` URL.
    pub(crate) url_topic: Option<String>,
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive: u16,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) will: Option<WillMessage>,
    pub(crate) properties: PropertySets,
    pub(crate) voice: Voice,
}

/// A will; its properties are in [`PropertySets`].
#[derive(Debug)]
pub(crate) struct WillMessage {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// How much goes to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    Quiet,
    Errors,
    Debug,
}

impl ClientOptions {
    pub(crate) fn voice(&self) -> Voice {
        match (self.quiet, self.debug) {
            (_, true) => Voice::Debug,
            (true, false) => Voice::Quiet,
            (false, false) => Voice::Errors,
        }
    }

    /// Checks what was typed. `role` goes into a client identifier that must be made up.
    pub(crate) fn resolve(self, role: &str) -> Result<Login> {
        let voice = self.voice();
        let version = self.protocol_version;
        let is_named = self.id.is_some() || self.id_prefix.is_some();
        ensure!(
            !self.disable_clean_session || is_named,
            "a session is kept under a client identifier: give one with -i when you use -c"
        );
        let mut properties = property_args::parse(&self.properties)?;
        if !version.is_v5() {
            ensure!(properties.is_empty(), "properties (-D) need MQTT 5: add -V mqttv5");
            ensure!(
                self.session_expiry_interval.is_none(),
                "a session expiry (-x) needs MQTT 5: add -V mqttv5"
            );
        }
        let has_expiry = properties.connect.as_properties().session_expiry_interval().is_some();
        if let Some(expiry) = self.session_expiry()
            && version.is_v5()
            && !has_expiry
        {
            properties.connect.push(Property::SessionExpiryInterval(expiry));
        }
        let (route, url) = self.route.resolve()?;
        Ok(Login {
            route,
            url_topic: url.topic,
            version,
            client_id: client_id(self.id, self.id_prefix, version, role),
            clean_start: !self.disable_clean_session,
            keep_alive: self.keepalive,
            username: self.username.or(url.username),
            password: self.password.or(url.password),
            will: self.will.resolve()?,
            properties,
            voice,
        })
    }

    /// The session expiry of the CONNECT; none when the session is to end with the connection.
    fn session_expiry(&self) -> Option<u32> {
        let kept = self.disable_clean_session.then_some(NEVER_EXPIRES);
        self.session_expiry_interval.or(kept)
    }
}

impl WillOptions {
    fn resolve(self) -> Result<Option<WillMessage>> {
        let Some(topic) = self.will_topic else { return Ok(None) };
        TopicName::new(&topic).with_context(|| format!("{topic:?} cannot be a will topic"))?;
        Ok(Some(WillMessage {
            topic,
            payload: self.will_payload.unwrap_or_default().into_bytes(),
            qos: self.will_qos.unwrap_or_default(),
            retain: self.will_retain,
        }))
    }
}

/// MQTT 3.1 demands an identifier; later versions let the broker assign one, which cannot clash.
fn client_id(id: Option<String>, prefix: Option<String>, version: Version, role: &str) -> String {
    let process = std::process::id();
    match (id, prefix) {
        (Some(id), _) => id,
        (None, Some(prefix)) => format!("{prefix}{process}"),
        (None, None) if version == Version::V3_1 => format!("dunlin-{role}-{process}"),
        (None, None) => String::new(),
    }
}

fn parse_version(text: &str) -> Result<Version> {
    Ok(match text {
        "mqttv31" | "31" | "3.1" => Version::V3_1,
        "mqttv311" | "311" | "3.1.1" => Version::V3_1_1,
        "mqttv5" | "5" | "5.0" => Version::V5_0,
        _ => bail!("mqttv31, mqttv311 and mqttv5 are known"),
    })
}

pub(crate) fn parse_qos(text: &str) -> Result<QoS> {
    let number: u8 = text.parse().context("QoS is 0, 1 or 2")?;
    Ok(QoS::try_from(number)?)
}

/// A positive number of seconds, fractions allowed.
pub(crate) fn parse_seconds(text: &str) -> Result<std::time::Duration> {
    let seconds: f64 = text.parse().context("not a number of seconds")?;
    std::time::Duration::try_from_secs_f64(seconds).context("not a number of seconds")
}

fn parse_expiry(text: &str) -> Result<u32> {
    match text {
        "-1" | "∞" => Ok(NEVER_EXPIRES),
        _ => text.parse().context("seconds from 0 to 4294967295, or -1 for ever"),
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.route.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::typed::typed;

    fn resolve(line: &str) -> Result<Login> {
        typed::<ClientOptions>(line.split_whitespace())?.resolve("test")
    }

    #[test]
    fn without_options_it_is_a_clean_session_on_localhost() {
        let login = resolve("").unwrap();
        assert_eq!(login.to_string(), "localhost:1883");
        assert_eq!((login.version, login.keep_alive), (Version::V3_1_1, 60));
        assert!(login.clean_start && login.client_id.is_empty() && login.will.is_none());
    }

    #[test]
    fn every_spelling_of_a_version_is_understood() {
        for (text, version) in [
            ("mqttv31", Version::V3_1),
            ("31", Version::V3_1),
            ("mqttv311", Version::V3_1_1),
            ("311", Version::V3_1_1),
            ("mqttv5", Version::V5_0),
            ("5", Version::V5_0),
        ] {
            assert_eq!(resolve(&format!("-V {text}")).unwrap().version, version);
        }
        assert!(resolve("-V 4").is_err());
    }

    #[test]
    fn a_kept_session_needs_an_identifier_and_never_expires_unless_told() {
        assert!(resolve("-c").is_err());
        assert!(!resolve("-c -i me").unwrap().clean_start);
        let expiry = |line: &str| {
            let login = resolve(line).unwrap();
            login.properties.connect.as_properties().session_expiry_interval()
        };
        assert_eq!(expiry("-V 5 -c -i me"), Some(u32::MAX));
        assert_eq!(expiry("-V 5 -c -i me -x 30"), Some(30));
        assert_eq!(expiry("-V 5 -x -1"), Some(u32::MAX));
        assert_eq!(expiry("-V 5"), None);
        assert_eq!(expiry("-c -i me"), None);
    }

    #[test]
    fn an_identifier_is_made_up_only_where_it_must_be() {
        let process = std::process::id();
        assert_eq!(resolve("-V 31").unwrap().client_id, format!("dunlin-test-{process}"));
        assert_eq!(resolve("-I p-").unwrap().client_id, format!("p-{process}"));
        assert_eq!(resolve("-i -x-").unwrap().client_id, "-x-");
    }

    #[test]
    fn a_will_needs_a_topic_that_can_be_published_to() {
        let line = "--will-topic gone --will-payload -1 --will-qos 2 --will-retain";
        let will = resolve(line).unwrap().will.unwrap();
        assert_eq!((will.topic.as_str(), will.payload.as_slice()), ("gone", b"-1".as_slice()));
        assert!(will.retain && will.qos == QoS::ExactlyOnce);
        for wrong in ["--will-topic a/#", "--will-payload x", "--will-topic t --will-qos 3"] {
            assert!(resolve(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn properties_are_refused_before_version_5() {
        assert!(resolve("-D connect receive-maximum 5").is_err());
        assert!(resolve("-x 5").is_err());
        assert!(resolve("-V 5 -D connect receive-maximum 5 -D connect user-property a b").is_ok());
    }
}
