//! What a client is told.

use alloc::vec::Vec;

use super::message::{Message, Token};
use crate::property::PropertyBuf;
use crate::reason::ReasonCode;
use crate::violation::Violation;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server accepted the connection.
    Connected {
        /// It had the session; if not, the subscriptions are gone.
        session_present: bool,
        /// CONNACK properties.
        properties: PropertyBuf,
    },
    /// The server refused the connection; the transport can be closed.
    Refused {
        /// Why.
        reason: ReasonCode,
        /// CONNACK properties.
        properties: PropertyBuf,
    },
    /// A message came in.
    Message(Message),
    /// A message is done with: handed over at QoS 0, acknowledged or refused at QoS 1 and 2.
    PublishDone {
        /// Of the command.
        token: Token,
        /// What the server said, or why it was not asked.
        result: Result<ReasonCode, Failure>,
    },
    /// The server answered a SUBSCRIBE.
    SubscribeDone {
        /// Of the command.
        token: Token,
        /// One code for each filter, or why the server was not asked.
        result: Result<Vec<ReasonCode>, Failure>,
    },
    /// The server answered an UNSUBSCRIBE.
    UnsubscribeDone {
        /// Of the command.
        token: Token,
        /// One code for each filter (none before 5.0), or why the server was not asked.
        result: Result<Vec<ReasonCode>, Failure>,
    },
    /// The server sent AUTH.
    Auth {
        /// Success, or continue.
        reason: ReasonCode,
        /// Authentication method and data.
        properties: PropertyBuf,
    },
    /// The connection is over. What is left to transmit is to be sent, then the transport closed.
    Disconnected(Cause),
}

/// Why a command came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The server lost the session with the QoS 2 message in it: it may or may not have been
    /// delivered, and sending it again might deliver it twice.
    SessionLost,
    /// The packet is longer than the server takes.
    TooLarge,
    /// The QoS is above what the server supports.
    QoSNotSupported,
    /// The server does not retain messages.
    RetainNotSupported,
    /// The packet cannot be encoded in this version.
    NotEncodable,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The client asked for it.
    Requested,
    /// The server sent DISCONNECT.
    Server {
        /// Why.
        reason: ReasonCode,
        /// DISCONNECT properties.
        properties: PropertyBuf,
    },
    /// The server broke a rule.
    Violation(Violation),
    /// No CONNACK came in time.
    ConnectTimeout,
    /// No answer to a PINGREQ came in time.
    PingTimeout,
    /// The transport was closed.
    TransportLost,
}
