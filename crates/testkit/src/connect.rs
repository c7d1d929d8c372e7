use crate::property::{Properties, SESSION_EXPIRY_INTERVAL};
use crate::version::Version;
use crate::wire::Bytes;

/// A CONNECT to be written, field by field.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Decides name, level and whether there are properties.
    pub version: Version,
    /// Client identifier.
    pub client_id: String,
    /// Clean Session or Clean Start.
    pub clean_start: bool,
    /// Seconds.
    pub keep_alive: u16,
    /// The will, if any.
    pub will: Option<Will>,
    /// User name, if any.
    pub username: Option<String>,
    /// Password, if any.
    pub password: Option<Vec<u8>>,
    /// CONNECT properties; only written for 5.0.
    pub properties: Properties,
}

/// The will of a CONNECT.
#[derive(Debug, Clone)]
pub struct Will {
    /// Will topic.
    pub topic: String,
    /// Will payload.
    pub payload: Vec<u8>,
    /// Will QoS.
    pub qos: u8,
    /// Will retain.
    pub retain: bool,
    /// Will properties; only written for 5.0.
    pub properties: Properties,
}

impl Will {
    /// A will at QoS 0.
    #[must_use]
    pub fn new(topic: &str, payload: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.into(),
            qos: 0,
            retain: false,
            properties: Properties::new(),
        }
    }

    /// The same at another QoS.
    #[must_use]
    pub fn qos(self, qos: u8) -> Self {
        Self { qos, ..self }
    }

    /// The same, to be retained.
    #[must_use]
    pub fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    /// The same with these properties.
    #[must_use]
    pub fn properties(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }
}

impl Connect {
    /// Clean start, a minute of keep alive and nothing else.
    #[must_use]
    pub fn new(version: Version, client_id: &str) -> Self {
        Self {
            version,
            client_id: client_id.to_owned(),
            clean_start: true,
            keep_alive: 60,
            will: None,
            username: None,
            password: None,
            properties: Properties::new(),
        }
    }

    /// Resumes or makes a session that outlives the connection, in the words of the version.
    #[must_use]
    pub fn persistent(version: Version, client_id: &str) -> Self {
        let connect = Self { clean_start: false, ..Self::new(version, client_id) };
        connect.properties(Properties::new().four(SESSION_EXPIRY_INTERVAL, 1000))
    }

    /// The same with another keep alive.
    #[must_use]
    pub fn keep_alive(self, keep_alive: u16) -> Self {
        Self { keep_alive, ..self }
    }

    /// The same with a will.
    #[must_use]
    pub fn will(self, will: Will) -> Self {
        Self { will: Some(will), ..self }
    }

    /// The same with a user name.
    #[must_use]
    pub fn username(self, username: &str) -> Self {
        Self { username: Some(username.to_owned()), ..self }
    }

    /// The same with a password.
    #[must_use]
    pub fn password(self, password: &[u8]) -> Self {
        Self { password: Some(password.to_vec()), ..self }
    }

    /// The same with these properties instead.
    #[must_use]
    pub fn properties(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }

    /// The connect flags that belong to the fields.
    #[must_use]
    pub fn flags(&self) -> u8 {
        let will = self
            .will
            .as_ref()
            .map_or(0, |will| 0x04 | ((will.qos & 3) << 3) | (u8::from(will.retain) << 5));
        will | (u8::from(self.clean_start) << 1)
            | (u8::from(self.password.is_some()) << 6)
            | (u8::from(self.username.is_some()) << 7)
    }

    /// The packet.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_with_flags(self.flags())
    }

    /// The packet with flags that need not belong to its fields.
    #[must_use]
    pub fn bytes_with_flags(&self, flags: u8) -> Vec<u8> {
        self.header_with_flags(flags).raw(&self.payload()).frame(0x10)
    }

    /// The variable header alone.
    #[must_use]
    pub fn header_with_flags(&self, flags: u8) -> Bytes {
        let header = Bytes::new()
            .text(self.version.protocol_name())
            .u8(self.version.level())
            .u8(flags)
            .u16(self.keep_alive);
        if self.version.is_5() { header.raw(&self.properties.encode()) } else { header }
    }

    /// The payload alone.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = Bytes::new().text(&self.client_id);
        if let Some(will) = &self.will {
            if self.version.is_5() {
                payload = payload.raw(&will.properties.encode());
            }
            payload = payload.text(&will.topic).binary(&will.payload);
        }
        if let Some(username) = &self.username {
            payload = payload.text(username);
        }
        if let Some(password) = &self.password {
            payload = payload.binary(password);
        }
        payload.into_vec()
    }
}
