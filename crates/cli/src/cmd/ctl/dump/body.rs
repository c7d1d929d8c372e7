//! A message of a line as the broker's records have it, and back.

use dunlin_broker::Time;
use dunlin_broker::journal::StoredMessage;
use dunlin_proto::property::{self, Property, PropertyBuf};
use dunlin_proto::qos::QoS;
use dunlin_proto::violation::PropertyContext;
use dunlin_proto::{PacketType, TopicName};

use super::check::Wrong;
use super::line::{Base64, Body, Properties};

impl Body {
    /// A stored message for people to read.
    pub(crate) fn of(stored: &StoredMessage<'_>) -> Self {
        let mut body = Self {
            topic: stored.topic.to_owned(),
            qos: stored.qos.as_u8(),
            retain: stored.retain,
            expires_us: micros(stored.expires),
            properties: Properties::of(stored.properties),
            ..Self::default()
        };
        body.set_payload(stored.payload);
        body
    }

    /// Text stays text.
    pub(crate) fn set_payload(&mut self, payload: &[u8]) {
        match core::str::from_utf8(payload) {
            Ok(text) => self.payload = Some(text.to_owned()),
            Err(_) => self.payload_base64 = Some(Base64(payload.to_vec())),
        }
    }

    /// The application data.
    pub(crate) fn payload(&self) -> &[u8] {
        match (&self.payload, &self.payload_base64) {
            (Some(text), _) => text.as_bytes(),
            (None, Some(bytes)) => &bytes.0,
            (None, None) => &[],
        }
    }

    /// Whether a broker could have stored it; the properties as records have them.
    pub(crate) fn check(&self) -> Result<Vec<u8>, Wrong> {
        TopicName::new(&self.topic).map_err(|why| Wrong::new(format!("topic: {why}")))?;
        if self.payload.is_some() && self.payload_base64.is_some() {
            return Err(Wrong::new("both payload and payload_base64".to_owned()));
        }
        quality(self.qos)?;
        self.properties.encode()
    }

    /// The message as records have it. To be called with what [`Body::check`] gave.
    pub(crate) fn stored<'a>(&'a self, properties: &'a [u8]) -> StoredMessage<'a> {
        StoredMessage {
            topic: &self.topic,
            payload: self.payload(),
            properties,
            expires: time(self.expires_us),
            qos: QoS::try_from(self.qos).unwrap_or_default(),
            retain: self.retain,
        }
    }
}

impl Properties {
    /// None if they are not those of a PUBLISH.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut all = Self::default();
        let context = PropertyContext::Packet(PacketType::Publish);
        let parsed = property::Properties::parse(bytes, context).unwrap_or_default();
        for property in parsed.iter() {
            match property {
                Property::PayloadFormatIndicator(text) => {
                    all.payload_format_indicator = Some(text.into());
                }
                Property::ContentType(text) => all.content_type = Some(text.to_owned()),
                Property::ResponseTopic(topic) => all.response_topic = Some(topic.to_owned()),
                Property::CorrelationData(data) => {
                    all.correlation_data_base64 = Some(Base64(data.to_vec()));
                }
                Property::UserProperty(name, value) => {
                    all.user_properties.push((name.to_owned(), value.to_owned()));
                }
                _ => {}
            }
        }
        all
    }

    /// As a PUBLISH has them, without their length.
    fn encode(&self) -> Result<Vec<u8>, Wrong> {
        let mut buf = PropertyBuf::new();
        let mut push = |property: Property<'_>| {
            buf.try_push(property).map_err(|why| Wrong::new(format!("properties: {why}")))
        };
        match self.payload_format_indicator {
            None => {}
            Some(bit @ 0..=1) => push(Property::PayloadFormatIndicator(bit == 1))?,
            Some(other) => {
                return Err(Wrong::new(format!("payload_format_indicator is {other}, not 0 or 1")));
            }
        }
        if let Some(text) = &self.content_type {
            push(Property::ContentType(text))?;
        }
        if let Some(topic) = &self.response_topic {
            push(Property::ResponseTopic(topic))?;
        }
        if let Some(data) = &self.correlation_data_base64 {
            push(Property::CorrelationData(&data.0))?;
        }
        for (name, value) in &self.user_properties {
            push(Property::UserProperty(name, value))?;
        }
        Ok(buf.as_properties().as_bytes().to_vec())
    }
}

/// A QoS that came as a number.
pub(super) fn quality(qos: u8) -> Result<QoS, Wrong> {
    QoS::try_from(qos).map_err(|why| Wrong::new(why.to_string()))
}

/// Never is nothing.
pub(crate) fn micros(time: Time) -> Option<u64> {
    (time != Time::MAX).then_some(time.as_micros())
}

/// Nothing is never.
pub(crate) fn time(micros: Option<u64>) -> Time {
    micros.map_or(Time::MAX, Time::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_with_all_its_properties() {
        let properties = [
            [1, 1].as_slice(),
            &[3, 0, 1, b'c'],
            &[8, 0, 1, b'r'],
            &[9, 0, 2, 0xFF, 0],
            &[38, 0, 1, b'b', 0, 1, b'1', 38, 0, 1, b'a', 0, 0],
        ]
        .concat();
        for payload in [b"text \x01\n\"".as_slice(), b"\xFF\xFE", b""] {
            let stored = StoredMessage {
                topic: "a/b",
                payload,
                properties: &properties,
                expires: Time::from_micros(1_700_000_000_000_001),
                qos: QoS::ExactlyOnce,
                retain: true,
            };
            let json = serde_json::to_string(&Body::of(&stored)).unwrap();
            let body: Body = serde_json::from_str(&json).unwrap();
            let encoded = body.check().unwrap();
            assert_eq!(body.stored(&encoded), stored, "{json}");
        }
    }

    #[test]
    fn what_no_broker_stores_is_refused() {
        let good = Body { topic: "t".to_owned(), ..Body::default() };
        assert!(good.check().is_ok());
        let long = "x".repeat(65_536);
        let properties = Properties { content_type: Some(long), ..Properties::default() };
        let format = Properties { payload_format_indicator: Some(2), ..Properties::default() };
        for (bad, why) in [
            (Body { topic: "a/#".to_owned(), ..Body::default() }, "topic"),
            (Body { topic: "t".to_owned(), qos: 3, ..Body::default() }, "QoS"),
            (Body { topic: "t".to_owned(), properties, ..Body::default() }, "Content Type"),
            (Body { topic: "t".to_owned(), properties: format, ..Body::default() }, "indicator"),
        ] {
            let wrong = bad.check().unwrap_err().to_string();
            assert!(wrong.contains(why), "{wrong}");
        }
    }
}
