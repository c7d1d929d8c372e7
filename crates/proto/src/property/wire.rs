//! One property as it stands on the wire, both ways.

use alloc::vec::Vec;

use super::{Property, PropertyId};
use crate::codec::reader::Reader;
use crate::codec::writer;
use crate::qos::QoS;
use crate::text;
use crate::violation::Violation;

/// Takes one property and checks its value.
pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Property<'a>, Violation> {
    let number = reader.integer()?;
    let id = PropertyId::from_u32(number).ok_or(Violation::PropertyUnknown { id: number })?;
    Ok(match id {
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(flag(reader, id)?),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(reader.u32()?),
        PropertyId::ContentType => Property::ContentType(reader.text()?),
        PropertyId::ResponseTopic => Property::ResponseTopic(response_topic(reader)?),
        PropertyId::CorrelationData => Property::CorrelationData(reader.binary()?),
        PropertyId::SubscriptionIdentifier => {
            Property::SubscriptionIdentifier(not_zero(reader.integer()?, id)?)
        }
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(reader.u32()?),
        PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(reader.text()?),
        PropertyId::ServerKeepAlive => Property::ServerKeepAlive(reader.u16()?),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(reader.text()?),
        PropertyId::AuthenticationData => Property::AuthenticationData(reader.binary()?),
        PropertyId::RequestProblemInformation => {
            Property::RequestProblemInformation(flag(reader, id)?)
        }
        PropertyId::WillDelayInterval => Property::WillDelayInterval(reader.u32()?),
        PropertyId::RequestResponseInformation => {
            Property::RequestResponseInformation(flag(reader, id)?)
        }
        PropertyId::ResponseInformation => Property::ResponseInformation(reader.text()?),
        PropertyId::ServerReference => Property::ServerReference(reader.text()?),
        PropertyId::ReasonString => Property::ReasonString(reader.text()?),
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(not_zero(reader.u16()?, id)?),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(reader.u16()?),
        PropertyId::TopicAlias => match reader.u16()? {
            // [MQTT-3.3.2-8]
            0 => return Err(Violation::TopicAliasZero),
            alias => Property::TopicAlias(alias),
        },
        PropertyId::MaximumQoS => {
            Property::MaximumQoS(if flag(reader, id)? { QoS::AtLeastOnce } else { QoS::AtMostOnce })
        }
        PropertyId::RetainAvailable => Property::RetainAvailable(flag(reader, id)?),
        // [MQTT-1.5.7-1]
        PropertyId::UserProperty => Property::UserProperty(reader.text()?, reader.text()?),
        PropertyId::MaximumPacketSize => Property::MaximumPacketSize(not_zero(reader.u32()?, id)?),
        PropertyId::WildcardSubscriptionAvailable => {
            Property::WildcardSubscriptionAvailable(flag(reader, id)?)
        }
        PropertyId::SubscriptionIdentifierAvailable => {
            Property::SubscriptionIdentifierAvailable(flag(reader, id)?)
        }
        PropertyId::SharedSubscriptionAvailable => {
            Property::SharedSubscriptionAvailable(flag(reader, id)?)
        }
    })
}

/// Passes the user properties at the front of a block that was checked.
#[inline]
pub(super) fn skip_user_properties(reader: &mut Reader<'_>) {
    while reader.begins_with(PropertyId::UserProperty.as_u8()) {
        let mut behind = *reader;
        if behind.u8().is_err() || behind.binary().is_err() || behind.binary().is_err() {
            return;
        }
        *reader = behind;
    }
}

/// Appends one property. Texts and data longer than the wire carries are the caller's to refuse.
pub(super) fn write(property: &Property<'_>, out: &mut Vec<u8>) {
    out.push(property.id().as_u8());
    match *property {
        Property::PayloadFormatIndicator(value)
        | Property::RequestProblemInformation(value)
        | Property::RequestResponseInformation(value)
        | Property::RetainAvailable(value)
        | Property::WildcardSubscriptionAvailable(value)
        | Property::SubscriptionIdentifierAvailable(value)
        | Property::SharedSubscriptionAvailable(value) => out.push(u8::from(value)),
        Property::MaximumQoS(value) => out.push(value.as_u8()),
        Property::ServerKeepAlive(value)
        | Property::ReceiveMaximum(value)
        | Property::TopicAliasMaximum(value)
        | Property::TopicAlias(value) => out.extend_from_slice(&value.to_be_bytes()),
        Property::MessageExpiryInterval(value)
        | Property::SessionExpiryInterval(value)
        | Property::WillDelayInterval(value)
        | Property::MaximumPacketSize(value) => out.extend_from_slice(&value.to_be_bytes()),
        Property::SubscriptionIdentifier(value) => writer::put_integer(value, out),
        Property::ContentType(text)
        | Property::ResponseTopic(text)
        | Property::AssignedClientIdentifier(text)
        | Property::AuthenticationMethod(text)
        | Property::ResponseInformation(text)
        | Property::ServerReference(text)
        | Property::ReasonString(text) => writer::put_binary(text.as_bytes(), out),
        Property::CorrelationData(data) | Property::AuthenticationData(data) => {
            writer::put_binary(data, out);
        }
        Property::UserProperty(name, value) => {
            writer::put_binary(name.as_bytes(), out);
            writer::put_binary(value.as_bytes(), out);
        }
    }
}

/// A byte that is 0 or 1.
fn flag(reader: &mut Reader<'_>, property: PropertyId) -> Result<bool, Violation> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Violation::PropertyOutOfRange { property }),
    }
}

fn not_zero<T: Default + PartialEq>(value: T, property: PropertyId) -> Result<T, Violation> {
    if value == T::default() { Err(Violation::PropertyOutOfRange { property }) } else { Ok(value) }
}

fn response_topic<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Violation> {
    // [MQTT-3.3.2-13]
    let topic = reader.text()?;
    // [MQTT-3.3.2-14]
    if text::has_nul_or_wildcard(topic.as_bytes()) {
        return Err(Violation::ResponseTopicWildcard);
    }
    // [MQTT-4.7.3-1]
    if topic.is_empty() { Err(Violation::TopicNameEmpty) } else { Ok(topic) }
}
