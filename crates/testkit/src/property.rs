//! The properties of 5.0.

use crate::wire::{Bytes, Malformed, Reader};

macro_rules! identifiers {
    ($($name:ident = $value:literal $kind:ident,)*) => {
        $(
            #[doc = concat!("Property identifier ", stringify!($value), ".")]
            pub const $name: u8 = $value;
        )*

        fn kind(identifier: u8) -> Option<Kind> {
            Some(match identifier {
                $($value => Kind::$kind,)*
                _ => return None,
            })
        }
    };
}

identifiers! {
    PAYLOAD_FORMAT_INDICATOR = 0x01 Byte,
    MESSAGE_EXPIRY_INTERVAL = 0x02 Four,
    CONTENT_TYPE = 0x03 Text,
    RESPONSE_TOPIC = 0x08 Text,
    CORRELATION_DATA = 0x09 Binary,
    SUBSCRIPTION_IDENTIFIER = 0x0b Variable,
    SESSION_EXPIRY_INTERVAL = 0x11 Four,
    ASSIGNED_CLIENT_IDENTIFIER = 0x12 Text,
    SERVER_KEEP_ALIVE = 0x13 Two,
    AUTHENTICATION_METHOD = 0x15 Text,
    AUTHENTICATION_DATA = 0x16 Binary,
    REQUEST_PROBLEM_INFORMATION = 0x17 Byte,
    WILL_DELAY_INTERVAL = 0x18 Four,
    REQUEST_RESPONSE_INFORMATION = 0x19 Byte,
    RESPONSE_INFORMATION = 0x1a Text,
    SERVER_REFERENCE = 0x1c Text,
    REASON_STRING = 0x1f Text,
    RECEIVE_MAXIMUM = 0x21 Two,
    TOPIC_ALIAS_MAXIMUM = 0x22 Two,
    TOPIC_ALIAS = 0x23 Two,
    MAXIMUM_QOS = 0x24 Byte,
    RETAIN_AVAILABLE = 0x25 Byte,
    USER_PROPERTY = 0x26 Pair,
    MAXIMUM_PACKET_SIZE = 0x27 Four,
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28 Byte,
    SUBSCRIPTION_IDENTIFIERS_AVAILABLE = 0x29 Byte,
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2a Byte,
}

enum Kind {
    Byte,
    Two,
    Four,
    Variable,
    Text,
    Binary,
    Pair,
}

/// The value of one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Byte.
    Byte(u8),
    /// Two byte integer.
    Two(u16),
    /// Four byte integer.
    Four(u32),
    /// Variable byte integer.
    Variable(u32),
    /// String.
    Text(String),
    /// Binary data.
    Binary(Vec<u8>),
    /// String pair.
    Pair(String, String),
}

/// Properties in the order they are sent or came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(pub Vec<(u8, Value)>);

impl Properties {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These and one more.
    #[must_use]
    pub fn with(mut self, identifier: u8, value: Value) -> Self {
        self.0.push((identifier, value));
        self
    }

    /// These and a byte.
    #[must_use]
    pub fn byte(self, identifier: u8, value: u8) -> Self {
        self.with(identifier, Value::Byte(value))
    }

    /// These and a two byte integer.
    #[must_use]
    pub fn two(self, identifier: u8, value: u16) -> Self {
        self.with(identifier, Value::Two(value))
    }

    /// These and a four byte integer.
    #[must_use]
    pub fn four(self, identifier: u8, value: u32) -> Self {
        self.with(identifier, Value::Four(value))
    }

    /// These and a variable byte integer.
    #[must_use]
    pub fn variable(self, identifier: u8, value: u32) -> Self {
        self.with(identifier, Value::Variable(value))
    }

    /// These and a string.
    #[must_use]
    pub fn text(self, identifier: u8, value: &str) -> Self {
        self.with(identifier, Value::Text(value.to_owned()))
    }

    /// These and binary data.
    #[must_use]
    pub fn binary(self, identifier: u8, value: &[u8]) -> Self {
        self.with(identifier, Value::Binary(value.to_vec()))
    }

    /// These and a user property.
    #[must_use]
    pub fn user(self, name: &str, value: &str) -> Self {
        self.with(USER_PROPERTY, Value::Pair(name.to_owned(), value.to_owned()))
    }

    /// The first value of a property.
    #[must_use]
    pub fn get(&self, identifier: u8) -> Option<&Value> {
        self.0.iter().find(|(found, _)| *found == identifier).map(|(_, value)| value)
    }

    /// The first value of a property of any integer type.
    #[must_use]
    pub fn number(&self, identifier: u8) -> Option<u32> {
        match self.get(identifier)? {
            Value::Byte(value) => Some((*value).into()),
            Value::Two(value) => Some((*value).into()),
            Value::Four(value) | Value::Variable(value) => Some(*value),
            Value::Text(_) | Value::Binary(_) | Value::Pair(..) => None,
        }
    }

    /// The first value of a property that is a string.
    #[must_use]
    pub fn string(&self, identifier: u8) -> Option<&str> {
        match self.get(identifier)? {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The user properties, in order.
    #[must_use]
    pub fn user_properties(&self) -> Vec<(&str, &str)> {
        self.0
            .iter()
            .filter_map(|(_, value)| match value {
                Value::Pair(name, value) => Some((name.as_str(), value.as_str())),
                _ => None,
            })
            .collect()
    }

    /// The values with the property length in front.
    ///
    /// # Panics
    /// When a value is longer than its field can be.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Bytes::new();
        for (identifier, value) in &self.0 {
            body = body.u8(*identifier);
            body = match value {
                Value::Byte(value) => body.u8(*value),
                Value::Two(value) => body.u16(*value),
                Value::Four(value) => body.u32(*value),
                Value::Variable(value) => body.variable(*value),
                Value::Text(value) => body.text(value),
                Value::Binary(value) => body.binary(value),
                Value::Pair(name, value) => body.text(name).text(value),
            };
        }
        let body = body.into_vec();
        let length = u32::try_from(body.len()).expect("properties over 4 GiB");
        Bytes::new().variable(length).raw(&body).into_vec()
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let length = reader.variable()? as usize;
        let mut reader = Reader(reader.take(length)?);
        let mut properties = Self::new();
        while !reader.is_empty() {
            let identifier = reader.u8()?;
            let may_repeat = matches!(identifier, USER_PROPERTY | SUBSCRIPTION_IDENTIFIER);
            if !may_repeat && properties.get(identifier).is_some() {
                return Err(format!("property 0x{identifier:02x} twice"));
            }
            properties = properties.with(identifier, parse_value(identifier, &mut reader)?);
        }
        Ok(properties)
    }

    /// Refuses what the packet type may not carry.
    pub(crate) fn only(self, allowed: &[u8]) -> Result<Self, Malformed> {
        match self.0.iter().find(|(identifier, _)| !allowed.contains(identifier)) {
            Some((identifier, _)) => Err(format!("property 0x{identifier:02x} does not go here")),
            None => Ok(self),
        }
    }
}

fn parse_value(identifier: u8, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    Ok(match kind(identifier).ok_or_else(|| format!("unknown property 0x{identifier:02x}"))? {
        Kind::Byte => Value::Byte(reader.u8()?),
        Kind::Two => Value::Two(reader.u16()?),
        Kind::Four => Value::Four(reader.u32()?),
        Kind::Variable => Value::Variable(reader.variable()?),
        Kind::Text => Value::Text(reader.text()?),
        Kind::Binary => Value::Binary(reader.binary()?),
        Kind::Pair => Value::Pair(reader.text()?, reader.text()?),
    })
}
