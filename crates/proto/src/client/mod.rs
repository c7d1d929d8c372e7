//! The client's side: one value that speaks MQTT over whatever carries its bytes.
//!
//! Call in this order, whenever something happens:
//!
//! 1. a command: [`connect`](Connection::connect), [`publish`](Connection::publish),
//!    [`subscribe`](Connection::subscribe), [`unsubscribe`](Connection::unsubscribe),
//!    [`disconnect`](Connection::disconnect); or bytes from the server:
//!    [`handle_input`](Connection::handle_input); or the time that
//!    [`poll_timeout`](Connection::poll_timeout) named: [`handle_timeout`](Connection::handle_timeout);
//!    or the end of the transport: [`connection_lost`](Connection::connection_lost);
//! 2. [`poll_event`](Connection::poll_event) until there is none;
//! 3. [`poll_transmit`](Connection::poll_transmit), and send what it appends;
//! 4. [`poll_timeout`](Connection::poll_timeout), and wait.
//!
//! ```text
//!            connect               CONNACK 0
//!   Closed ──────────▶ Connecting ──────────▶ Open
//!      ▲                   │                    │ disconnect, DISCONNECT, violation,
//!      └───────────────────┴────────────────────┘ timeout, transport lost
//! ```
//!
//! Commands are taken in any state and wait for the connection. What is on its way is the
//! [`Session`], which outlives connections.

mod command;
mod event;
mod input;
mod message;
mod options;
mod output;
mod session;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

pub use command::CommandError;
pub use event::{Cause, Event, Failure};
pub use message::{Message, Token};
pub use options::{ConnectOptions, ServerLimits, SubscriptionsAvailable, WillOptions};
pub use session::Session;

use crate::alias::{AliasIn, AliasOut};
use crate::codec::{self, EncodeError};
use crate::keep_alive::{Due, PingSchedule};
use crate::packet::{Disconnect, Packet};
use crate::property::{Properties, PropertyBuf};
use crate::reason::ReasonCode;
use crate::time::Time;
use crate::version::Version;
use crate::violation::Violation;

/// The client's side of one connection after another, with one session.
#[derive(Debug)]
pub struct Connection {
    session: Session,
    link: Link,
    events: VecDeque<Event>,
    /// Packets to be sent.
    transmit: Vec<u8>,
}

/// What holds for one connection only.
#[derive(Debug)]
struct Link {
    state: State,
    version: Version,
    server: ServerLimits,
    alias_in: AliasIn,
    alias_out: AliasOut,
    ping: PingSchedule,
    /// QoS 2 messages that came on this connection and were not released yet.
    unreleased: u16,
    /// When the CONNACK is overdue.
    connect_deadline: Time,
    /// From the options of the CONNECT.
    asked: Asked,
}

/// What the CONNECT asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    clean_start: bool,
    authentication: bool,
    topic_aliases: bool,
    receive_maximum: u16,
    maximum_packet_size: u32,
    keep_alive: u16,
}

/// See the diagram above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No connection, or one that is done with once what is to be transmitted is sent.
    Closed,
    /// CONNECT is sent.
    Connecting,
    /// CONNACK accepted it.
    Open,
}

impl Connection {
    /// A client with a session: a new one, or one from an earlier connection.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self { session, link: Link::closed(), events: VecDeque::new(), transmit: Vec::new() }
    }

    /// The session, to be kept for another connection.
    #[must_use]
    pub fn into_session(self) -> Session {
        self.session
    }

    /// Opens an MQTT connection over a transport that was opened just now. Whatever was of an
    /// earlier connection is dropped; the session stays.
    ///
    /// # Errors
    /// An option cannot be sent.
    pub fn connect(&mut self, options: &ConnectOptions, now: Time) -> Result<(), EncodeError> {
        self.session.connection_ended();
        self.transmit.clear();
        let properties = options.properties()?;
        let client_id = self.session.client_id(options);
        let connect = options.packet(client_id, &properties);
        codec::encode(&Packet::Connect(connect), options.version, &mut self.transmit)?;
        self.link = Link {
            state: State::Connecting,
            version: options.version,
            server: ServerLimits::default(),
            alias_in: AliasIn::new(options.topic_alias_maximum),
            alias_out: AliasOut::new(0),
            ping: PingSchedule::new(0, now),
            unreleased: 0,
            connect_deadline: now.saturating_add(options.connect_timeout),
            asked: options.asked(),
        };
        Ok(())
    }

    /// Ends the connection by DISCONNECT, after what is to be transmitted already. Without an
    /// open connection nothing is sent.
    ///
    /// # Errors
    /// A property cannot be sent.
    pub fn disconnect(
        &mut self,
        reason: ReasonCode,
        properties: Properties<'_>,
    ) -> Result<(), EncodeError> {
        if self.link.state == State::Open {
            let packet = Packet::Disconnect(Disconnect { reason, properties });
            codec::encode(&packet, self.link.version, &mut self.transmit)?;
        }
        self.close(Cause::Requested);
        Ok(())
    }

    /// The transport is gone.
    pub fn connection_lost(&mut self) {
        self.transmit.clear();
        self.close(Cause::TransportLost);
    }

    /// The time that [`Connection::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Time) {
        match self.link.state {
            State::Connecting if now >= self.link.connect_deadline => {
                self.close(Cause::ConnectTimeout);
            }
            State::Open => match self.link.ping.due(now) {
                Due::Nothing => {}
                Due::Ping => self.ping(now),
                Due::Dead => self.close(Cause::PingTimeout),
            },
            State::Connecting | State::Closed => {}
        }
    }

    /// What has happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Appends what is to be sent, a bounded part of it at a time; false if that was nothing.
    pub fn poll_transmit(&mut self, now: Time, out: &mut Vec<u8>) -> bool {
        self.fill_transmit();
        if self.transmit.is_empty() {
            return false;
        }
        out.extend_from_slice(&self.transmit);
        self.transmit.clear();
        self.link.ping.sent(now);
        true
    }

    /// When [`Connection::handle_timeout`] is to be called, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.link.state {
            State::Closed => None,
            State::Connecting => Some(self.link.connect_deadline),
            State::Open => self.link.ping.deadline(),
        }
    }

    /// Where the connection stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.link.state
    }

    /// What the server allows, from its CONNACK.
    #[must_use]
    pub const fn server_limits(&self) -> &ServerLimits {
        &self.link.server
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    fn ping(&mut self, now: Time) {
        // PINGREQ has nothing that could not be encoded.
        if codec::encode(&Packet::PingReq, self.link.version, &mut self.transmit).is_ok() {
            self.link.ping.ping_sent(now);
        }
    }

    /// The server broke a rule: tells it so where the version can, and closes.
    fn close_over(&mut self, violation: Violation) {
        if self.link.state == State::Open && self.link.version.is_v5() {
            let reason = violation.reason_code();
            let packet = Packet::Disconnect(Disconnect { reason, properties: Properties::EMPTY });
            // [MQTT-4.13.1-1]; the packet is three bytes, which always can be encoded.
            codec::encode(&packet, self.link.version, &mut self.transmit).unwrap_or_default();
        }
        self.close(Cause::Violation(violation));
    }

    fn close(&mut self, cause: Cause) {
        if self.link.state != State::Closed {
            self.link.state = State::Closed;
            self.session.connection_ended();
            self.events.push_back(Event::Disconnected(cause));
        }
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new(Session::default())
    }
}

impl Link {
    fn closed() -> Self {
        Self {
            state: State::Closed,
            version: Version::V5_0,
            server: ServerLimits::default(),
            alias_in: AliasIn::new(0),
            alias_out: AliasOut::new(0),
            ping: PingSchedule::new(0, Time::ZERO),
            unreleased: 0,
            connect_deadline: Time::MAX,
            asked: ConnectOptions::default().asked(),
        }
    }
}

/// The properties of a packet, kept.
fn keep(properties: Properties<'_>) -> PropertyBuf {
    PropertyBuf::from(properties)
}

/// How long a server may take for its CONNACK unless the options say otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
