//! A message as one line of JSON.

use std::fmt::Write;

use dunlin_proto::QoS;
use dunlin_proto::client::Message;
use dunlin_proto::property::Properties;

use super::civil_time::CivilTime;
use super::format::payload_format;

/// How the payload is put in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Payload {
    /// As a string.
    Quoted,
    /// It is JSON itself.
    AsItIs,
}

/// The fields are named and ordered as Mosquitto's client does it.
pub(crate) fn message(message: &Message, now: CivilTime, payload: Payload) -> Vec<u8> {
    let mut out = Object::new();
    out.text("tst", &now.iso_micros());
    out.text("topic", message.topic().as_str());
    out.number("qos", &message.qos.as_u8());
    out.number("retain", &u8::from(message.retain));
    if message.qos != QoS::AtMostOnce && message.dup {
        out.number("dup", &1_u8);
    }
    out.number("payloadlen", &message.payload.len());
    if !message.properties.is_empty() {
        out.raw("properties", &properties(message.properties.as_properties()));
    }
    let text = String::from_utf8_lossy(&message.payload);
    match payload {
        Payload::Quoted => out.text("payload", &text),
        Payload::AsItIs if text.trim().is_empty() => out.raw("payload", "null"),
        Payload::AsItIs => out.raw("payload", &text),
    }
    out.finish().into_bytes()
}

fn properties(properties: Properties<'_>) -> String {
    let mut out = Object::new();
    let identifiers: Vec<_> = properties.subscription_identifiers().collect();
    match identifiers.as_slice() {
        [] => {}
        [one] => out.number("subscription-identifier", one),
        many => out.raw("subscription-identifier", &format!("{many:?}")),
    }
    if let Some(content_type) = properties.content_type() {
        out.text("content-type", content_type);
    }
    // An array of pairs: names may repeat, and their order means something.
    let pairs: Vec<_> = properties
        .user_properties()
        .map(|(name, value)| {
            let mut pair = Object::new();
            pair.text(name, value);
            pair.finish()
        })
        .collect();
    if !pairs.is_empty() {
        out.raw("user-properties", &format!("[{}]", pairs.join(",")));
    }
    if let Some(data) = properties.correlation_data() {
        out.text("correlation-data", &String::from_utf8_lossy(data));
    }
    if let Some(utf8) = payload_format(properties) {
        out.number("payload-format-indicator", &u8::from(utf8));
    }
    if let Some(topic) = properties.response_topic() {
        out.text("response-topic", topic);
    }
    if let Some(expiry) = properties.message_expiry_interval() {
        out.number("message-expiry-interval", &expiry);
    }
    out.finish()
}

/// An object that is being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.quote(value);
    }

    fn number(&mut self, name: &str, value: &impl ToString) {
        self.raw(name, &value.to_string());
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(value);
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.quote(name);
        self.0.push(':');
    }

    fn quote(&mut self, text: &str) {
        self.0.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                control if control < ' ' => {
                    let written = write!(self.0, "\\u{:04x}", u32::from(control));
                    debug_assert!(written.is_ok(), "writing to a String does not fail");
                }
                plain => self.0.push(plain),
            }
        }
        self.0.push('"');
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dunlin_proto::TopicName;
    use dunlin_proto::property::Property;

    use super::*;

    fn written(payload: &[u8], how: Payload) -> String {
        let mut sent = Message::new(TopicName::new("t").unwrap(), payload.to_vec());
        sent.properties.push(Property::UserProperty("a", "1"));
        sent.properties.push(Property::UserProperty("a", "2"));
        String::from_utf8(message(&sent, CivilTime::new(Duration::ZERO), how)).unwrap()
    }

    #[test]
    fn a_message_is_one_object() {
        assert_eq!(
            written(b"say \"hi\"\n\x01", Payload::Quoted),
            r#"{"tst":"1970-01-01T00:00:00.000000Z","topic":"t","qos":0,"retain":0,"payloadlen":10,"#
                .to_owned()
                + r#""properties":{"user-properties":[{"a":"1"},{"a":"2"}]},"#
                + r#""payload":"say \"hi\"\n\u0001"}"#
        );
    }

    #[test]
    fn a_payload_that_is_json_can_stay_so() {
        assert!(written(b"{\"x\":1}", Payload::AsItIs).ends_with(r#""payload":{"x":1}}"#));
        assert!(written(b"", Payload::AsItIs).ends_with(r#""payload":null}"#));
    }
}
