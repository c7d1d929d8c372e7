//! The `-D PACKET NAME VALUE` options: properties of MQTT 5 packets.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use dunlin_proto::PacketType;
use dunlin_proto::property::{Property, PropertyBuf, PropertyId};
use dunlin_proto::violation::PropertyContext;

/// The properties of each packet that the command sends.
#[derive(Debug, Default)]
pub(crate) struct PropertySets {
    pub(crate) connect: PropertyBuf,
    pub(crate) will: PropertyBuf,
    pub(crate) publish: PropertyBuf,
    pub(crate) subscribe: PropertyBuf,
    pub(crate) unsubscribe: PropertyBuf,
    pub(crate) disconnect: PropertyBuf,
}

impl PropertySets {
    pub(crate) fn is_empty(&self) -> bool {
        [
            &self.connect,
            &self.will,
            &self.publish,
            &self.subscribe,
            &self.unsubscribe,
            &self.disconnect,
        ]
        .into_iter()
        .all(PropertyBuf::is_empty)
    }

    /// Where the properties of `packet` go, and what may stand there.
    fn of(&mut self, packet: &str) -> Result<(&mut PropertyBuf, PropertyContext)> {
        let (set, packet_type) = match packet {
            "connect" => (&mut self.connect, PacketType::Connect),
            "publish" => (&mut self.publish, PacketType::Publish),
            "subscribe" => (&mut self.subscribe, PacketType::Subscribe),
            "unsubscribe" => (&mut self.unsubscribe, PacketType::Unsubscribe),
            "disconnect" => (&mut self.disconnect, PacketType::Disconnect),
            "will" => return Ok((&mut self.will, PropertyContext::Will)),
            _ => bail!(
                "-D {packet}: connect, will, publish, subscribe, unsubscribe and disconnect have \
                 properties"
            ),
        };
        Ok((set, PropertyContext::Packet(packet_type)))
    }
}

/// Parses the words of all `-D` options, one after the other: the name tells how many values
/// follow.
pub(crate) fn parse(words: &[String]) -> Result<PropertySets> {
    let mut sets = PropertySets::default();
    let mut words = words.iter().map(String::as_str);
    while let Some(packet) = words.next() {
        let (set, context) = sets.of(packet)?;
        let name = words.next().ok_or_else(|| anyhow!("-D {packet}: which property?"))?;
        let id = find(name).ok_or_else(|| anyhow!("-D {packet} {name}: no such property"))?;
        ensure!(id.allowed_in(context), "-D {packet} {name}: not a property of that packet");
        let is_new = set.as_properties().find(id).is_none();
        ensure!(is_new || id.repeatable_in(context), "-D {packet} {name}: given twice");
        let value = words.next().ok_or_else(|| anyhow!("-D {packet} {name}: no value"))?;
        let property = property(id, value, &mut words)
            .with_context(|| format!("-D {packet} {name} {value}"))?;
        set.try_push(property).with_context(|| format!("-D {packet} {name}"))?;
    }
    Ok(sets)
}

/// Names are those of the specification in lower case, with hyphens.
fn find(name: &str) -> Option<PropertyId> {
    let is_it = |id: &&PropertyId| id.name().to_lowercase().replace(' ', "-") == name;
    PropertyId::ALL.iter().find(is_it).copied()
}

fn property<'a>(
    id: PropertyId,
    value: &'a str,
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<Property<'a>> {
    Ok(match id {
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(flag(value)?),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(number(value)?),
        PropertyId::ContentType => Property::ContentType(value),
        PropertyId::ResponseTopic => Property::ResponseTopic(value),
        PropertyId::CorrelationData => Property::CorrelationData(value.as_bytes()),
        PropertyId::SubscriptionIdentifier => Property::SubscriptionIdentifier(identifier(value)?),
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(number(value)?),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(value),
        PropertyId::AuthenticationData => Property::AuthenticationData(value.as_bytes()),
        PropertyId::RequestProblemInformation => Property::RequestProblemInformation(flag(value)?),
        PropertyId::RequestResponseInformation => {
            Property::RequestResponseInformation(flag(value)?)
        }
        PropertyId::WillDelayInterval => Property::WillDelayInterval(number(value)?),
        PropertyId::ReasonString => Property::ReasonString(value),
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(positive(value)?),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(number(value)?),
        PropertyId::MaximumPacketSize => Property::MaximumPacketSize(positive(value)?),
        PropertyId::UserProperty => {
            let text = words.next().ok_or_else(|| anyhow!("a name and a value are needed"))?;
            Property::UserProperty(value, text)
        }
        PropertyId::TopicAlias => bail!("topic aliases belong to a connection, not to a message"),
        _ => bail!("only a broker sends this property"),
    })
}

fn number<T: FromStr<Err: Display>>(value: &str) -> Result<T> {
    value.parse().map_err(|error: T::Err| anyhow!("{error}"))
}

/// Zero is a protocol error for these (3.1.2.11.3, 3.1.2.11.4).
fn positive<T: FromStr<Err: Display> + Default + PartialEq>(value: &str) -> Result<T> {
    let value: T = number(value)?;
    ensure!(value != T::default(), "it must not be 0");
    Ok(value)
}

/// Subscription identifiers are variable byte integers above 0.
fn identifier(value: &str) -> Result<u32> {
    let value: u32 = number(value)?;
    ensure!((1..=268_435_455).contains(&value), "it is from 1 to 268435455");
    Ok(value)
}

fn flag(value: &str) -> Result<bool> {
    match value {
        "0" | "false" => Ok(false),
        "1" | "true" => Ok(true),
        _ => bail!("it is 0 or 1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<PropertySets> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn each_packet_gets_its_own_properties_in_order() {
        let sets = parsed(
            "publish user-property b 1 publish content-type text publish user-property a 2 \
             connect receive-maximum 7 will will-delay-interval 3 subscribe subscription-identifier 9",
        )
        .unwrap();
        let publish: Vec<_> = sets.publish.as_properties().iter().collect();
        assert_eq!(
            publish,
            [
                Property::UserProperty("b", "1"),
                Property::ContentType("text"),
                Property::UserProperty("a", "2"),
            ]
        );
        assert_eq!(sets.connect.as_properties().receive_maximum(), Some(7));
        assert!(sets.will.as_properties().find(PropertyId::WillDelayInterval).is_some());
        assert!(sets.disconnect.is_empty() && !sets.is_empty());
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for wrong in [
            "pingreq reason-string x",
            "publish",
            "publish no-such-thing 1",
            "publish receive-maximum 1",
            "publish content-type",
            "publish content-type a publish content-type b",
            "publish message-expiry-interval soon",
            "publish payload-format-indicator 2",
            "connect receive-maximum 0",
            "connect receive-maximum 65536",
            "subscribe subscription-identifier 0",
            "publish user-property name",
            "publish topic-alias 1",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
