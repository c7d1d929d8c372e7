use crate::property::{self, Properties};
use crate::version::Version;
use crate::wire::{Bytes, Malformed, Reader};

/// A PUBLISH, to be written or as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Topic name.
    pub topic: String,
    /// Application message.
    pub payload: Vec<u8>,
    /// 0 to 2 when it came; 3 can be written.
    pub qos: u8,
    /// DUP flag.
    pub dup: bool,
    /// RETAIN flag.
    pub retain: bool,
    /// 0 at QoS 0; 0 can be written at any QoS.
    pub packet_id: u16,
    /// Properties; only written for 5.0.
    pub properties: Properties,
}

impl Publish {
    /// QoS 0 without flags.
    #[must_use]
    pub fn new(topic: &str, payload: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.into(),
            qos: 0,
            dup: false,
            retain: false,
            packet_id: 0,
            properties: Properties::new(),
        }
    }

    /// The same at another QoS, with a packet identifier.
    #[must_use]
    pub fn qos(self, qos: u8, packet_id: u16) -> Self {
        Self { qos, packet_id, ..self }
    }

    /// The same with RETAIN.
    #[must_use]
    pub fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    /// The same with DUP.
    #[must_use]
    pub fn dup(self) -> Self {
        Self { dup: true, ..self }
    }

    /// The same with these properties.
    #[must_use]
    pub fn properties(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }

    /// The payload as text, for comparing.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The packet.
    #[must_use]
    pub fn bytes(&self, version: Version) -> Vec<u8> {
        let mut body = Bytes::new().text(&self.topic);
        if self.qos > 0 {
            body = body.u16(self.packet_id);
        }
        if version.is_5() {
            body = body.raw(&self.properties.encode());
        }
        let flags = (u8::from(self.dup) << 3) | ((self.qos & 3) << 1) | u8::from(self.retain);
        body.raw(&self.payload).frame(0x30 | flags)
    }

    pub(crate) fn parse(
        flags: u8,
        mut reader: Reader<'_>,
        version: Version,
    ) -> Result<Self, Malformed> {
        let qos = (flags >> 1) & 3;
        let dup = flags & 8 != 0;
        if qos == 3 || (qos == 0 && dup) {
            return Err(format!("PUBLISH with flags 0x{flags:x}"));
        }
        let topic = reader.text()?;
        if topic.contains(['+', '#']) {
            return Err(format!("wildcard in topic name {topic:?}"));
        }
        let packet_id = if qos > 0 { reader.u16()? } else { 0 };
        if qos > 0 && packet_id == 0 {
            return Err("PUBLISH with packet identifier 0".into());
        }
        let properties =
            if version.is_5() { parse_properties(&mut reader)? } else { Properties::new() };
        if topic.is_empty() && properties.get(property::TOPIC_ALIAS).is_none() {
            return Err("PUBLISH without topic".into());
        }
        let payload = reader.rest().to_vec();
        Ok(Self { topic, payload, qos, dup, retain: flags & 1 != 0, packet_id, properties })
    }
}

fn parse_properties(reader: &mut Reader<'_>) -> Result<Properties, Malformed> {
    Properties::parse(reader)?.only(&[
        property::PAYLOAD_FORMAT_INDICATOR,
        property::MESSAGE_EXPIRY_INTERVAL,
        property::CONTENT_TYPE,
        property::RESPONSE_TOPIC,
        property::CORRELATION_DATA,
        property::SUBSCRIPTION_IDENTIFIER,
        property::TOPIC_ALIAS,
        property::USER_PROPERTY,
    ])
}
