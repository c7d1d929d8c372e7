//! What a client can be told to do.

use alloc::boxed::Box;
use core::fmt;

use super::message::{Command, Message, SubscribeCommand, Token, UnsubscribeCommand};
use super::{Connection, State};
use crate::codec::{self, EncodeError};
use crate::packet::{Auth, Packet, SubscribeOptions};
use crate::packet_type::PacketType;
use crate::property::{Properties, PropertyBuf, PropertyId};
use crate::reason::ReasonCode;
use crate::topic::TopicFilter;
use crate::violation::{PropertyContext, Violation};

/// Why a command is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// As many commands wait as the session allows.
    QueueFull,
    /// No topic filter was given.
    FiltersMissing,
    /// The properties are not those of such a packet.
    Properties(Violation),
    /// The connection is not in the state for it.
    NotConnected,
    /// It cannot be put on the wire.
    Encode(EncodeError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull => f.write_str("too many commands wait to be sent"),
            Self::FiltersMissing => f.write_str("no topic filter"),
            Self::Properties(violation) => violation.fmt(f),
            Self::NotConnected => f.write_str("not connected"),
            Self::Encode(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CommandError {}

impl Connection {
    /// Publishes a message, as soon as there is a connection and the server takes it.
    ///
    /// # Errors
    /// The queue is full, or the properties are not those of a client's PUBLISH.
    pub fn publish(&mut self, message: Message) -> Result<Token, CommandError> {
        let properties = checked(&message.properties, PacketType::Publish)?;
        // [MQTT-3.3.4-6]; aliases are set by the engine alone.
        for property in [PropertyId::SubscriptionIdentifier, PropertyId::TopicAlias] {
            if properties.find(property).is_some() {
                let packet = PropertyContext::Packet(PacketType::Publish);
                let violation = Violation::PropertyNotAllowed { property, packet };
                return Err(CommandError::Properties(violation));
            }
        }
        self.enqueue(Command::Publish(message))
    }

    /// Subscribes, as soon as there is a connection.
    ///
    /// # Errors
    /// The queue is full, there is no filter, or the properties are not those of SUBSCRIBE.
    pub fn subscribe(
        &mut self,
        filters: &[(TopicFilter<'_>, SubscribeOptions)],
        properties: PropertyBuf,
    ) -> Result<Token, CommandError> {
        checked(&properties, PacketType::Subscribe)?;
        // [MQTT-3.8.3-2]
        if filters.is_empty() {
            return Err(CommandError::FiltersMissing);
        }
        let filters =
            filters.iter().map(|(filter, options)| (filter.as_str().into(), *options)).collect();
        self.enqueue(Command::Subscribe(Box::new(SubscribeCommand { filters, properties })))
    }

    /// Unsubscribes, as soon as there is a connection.
    ///
    /// # Errors
    /// The queue is full, there is no filter, or the properties are not those of UNSUBSCRIBE.
    pub fn unsubscribe(
        &mut self,
        filters: &[TopicFilter<'_>],
        properties: PropertyBuf,
    ) -> Result<Token, CommandError> {
        checked(&properties, PacketType::Unsubscribe)?;
        // [MQTT-3.10.3-2]
        if filters.is_empty() {
            return Err(CommandError::FiltersMissing);
        }
        let filters = filters.iter().map(|filter| filter.as_str().into()).collect();
        self.enqueue(Command::Unsubscribe(Box::new(UnsubscribeCommand { filters, properties })))
    }

    /// Sends AUTH: the next step of an exchange, or the first of a new one.
    ///
    /// # Errors
    /// The CONNECT named no authentication method [MQTT-4.12.0-7], or the properties are not
    /// those of AUTH.
    pub fn authenticate(
        &mut self,
        reason: ReasonCode,
        properties: &PropertyBuf,
    ) -> Result<(), CommandError> {
        let properties = checked(properties, PacketType::Auth)?;
        if self.link.state == State::Closed || !self.link.asked.authentication {
            return Err(CommandError::NotConnected);
        }
        let packet = Packet::Auth(Auth { reason, properties });
        codec::encode(&packet, self.link.version, &mut self.transmit).map_err(CommandError::Encode)
    }

    fn enqueue(&mut self, command: Command) -> Result<Token, CommandError> {
        self.session.enqueue(command).ok_or(CommandError::QueueFull)
    }
}

fn checked(
    properties: &PropertyBuf,
    packet_type: PacketType,
) -> Result<Properties<'_>, CommandError> {
    let bytes = properties.as_properties().as_bytes();
    Properties::parse(bytes, PropertyContext::Packet(packet_type)).map_err(CommandError::Properties)
}
