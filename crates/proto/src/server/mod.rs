//! The server's side of one connection.
//!
//! ```text
//!                 CONNECT                    DISCONNECT, violation
//!   AwaitConnect ─────────▶ Open ───────────────────────────────▶ Closed
//!        │ CONNECT that names      ▲                                 ▲
//!        │ an authentication       │ accept                          │
//!        ▼ method                  │                                 │
//!   Authenticating ────────────────┴─────────────────────────────────┘
//! ```
//!
//! Bytes and the time go into [`Connection::receive`], checked packets come out. What they mean
//! is the broker's affair; what it answers goes out by [`Connection::send`], which keeps to the
//! limits that the client named.

mod check;
mod send;

use core::time::Duration;

pub use send::Sent;

use crate::alias::{AliasIn, AliasOut};
use crate::codec::{self, Framing};
use crate::keep_alive::server_deadline;
use crate::packet::{Connect, Packet};
use crate::packet_type::PacketType;
use crate::qos::QoS;
use crate::time::Time;
use crate::version::Version;
use crate::violation::Violation;

/// What the server allows on a connection, and tells a 5.0 client in its CONNACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole packet that are taken. Default 2 000 000: as much as Mosquitto takes.
    pub maximum_packet_size: u32,
    /// QoS 1 and 2 messages that may wait for an acknowledgement. Default 20. Not enforced before
    /// 5.0, where a client cannot be told.
    pub receive_maximum: u16,
    /// The highest topic alias a client may set. Default 10: a table of 10 topics is small.
    pub topic_alias_maximum: u16,
    /// The highest QoS of a message. Default 2.
    pub maximum_qos: QoS,
    /// Whether messages may be retained. Default yes.
    pub retain_available: bool,
    /// Seconds within which the CONNECT has to be there. Default 10.
    pub connect_timeout: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            maximum_packet_size: 2_000_000,
            receive_maximum: 20,
            topic_alias_maximum: 10,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            connect_timeout: 10,
        }
    }
}

/// The server's side of one connection. Small: there may be very many idle ones.
#[derive(Debug)]
pub struct Connection {
    /// The topic aliases that the client sets. Public beside `alias_out` so that both can be
    /// borrowed at once.
    pub alias_in: AliasIn,
    /// The topic aliases that were set for the client.
    pub alias_out: AliasOut,
    /// When the last whole packet came in; before the first, when the connection was opened.
    last_received: Time,
    limits: Limits,
    /// The client's limits, from its CONNECT.
    maximum_packet_size: u32,
    receive_maximum: u16,
    /// Seconds; 0 is no keep alive.
    keep_alive: u16,
    /// QoS 1 and 2 messages of the client that were not acknowledged yet.
    unacknowledged: u16,
    state: State,
    version: Version,
    asked: Asked,
}

/// See the diagram above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing came in yet.
    AwaitConnect,
    /// A CONNECT that names an authentication method came in and was not accepted yet: only AUTH
    /// and DISCONNECT may follow.
    Authenticating,
    /// A CONNECT came in. The client need not wait for the CONNACK before it sends more.
    Open,
    /// DISCONNECT came in, or the client broke a rule.
    Closed,
}

/// What a CONNECT says about packets still to come.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// Reason strings and user properties are welcome on any packet.
    problem_information: bool,
    /// It named an authentication method.
    authentication: bool,
    /// The session ends with the connection.
    session_expiry_zero: bool,
}

/// What came of some input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received<'a> {
    /// No whole packet.
    Incomplete {
        /// The bytes that the packet has if that is known already, else more than there are.
        need: usize,
    },
    /// The packet at the front of the input.
    Packet {
        /// The packet.
        packet: Packet<'a>,
        /// How many bytes it took.
        len: usize,
    },
}

/// What a connection was closed for when time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// No CONNECT came.
    Connect,
    /// Nothing came for one and a half times the keep alive.
    KeepAlive,
}

impl Connection {
    /// A connection that was opened now.
    #[must_use]
    pub const fn new(limits: Limits, now: Time) -> Self {
        Self {
            alias_in: AliasIn::new(0),
            alias_out: AliasOut::new(0),
            last_received: now,
            limits,
            maximum_packet_size: codec::MAX_PACKET_SIZE,
            receive_maximum: u16::MAX,
            keep_alive: 0,
            unacknowledged: 0,
            state: State::AwaitConnect,
            version: Version::V3_1_1,
            asked: Asked {
                problem_information: true,
                authentication: false,
                session_expiry_zero: false,
            },
        }
    }

    /// Takes the packet that `input` begins with.
    ///
    /// # Errors
    /// The client broke a rule. The connection is closed then: all that is left to do is to say
    /// so, where [`Connection::state`] was not [`State::AwaitConnect`] before.
    #[inline]
    pub fn receive<'a>(&mut self, now: Time, input: &'a [u8]) -> Result<Received<'a>, Violation> {
        let result = self.take(now, input);
        if result.is_err() {
            self.state = State::Closed;
        }
        result
    }

    #[inline]
    fn take<'a>(&mut self, now: Time, input: &'a [u8]) -> Result<Received<'a>, Violation> {
        if self.state != State::Open
            && let Some(&first) = input.first()
        {
            self.check_type(PacketType::from_first_byte(first)?)?;
        }
        let len = match codec::frame(input, self.limits.maximum_packet_size)? {
            Framing::Incomplete { need } => return Ok(Received::Incomplete { need }),
            Framing::Complete { len } => len,
        };
        let frame = input.get(..len).unwrap_or_default();
        if self.state == State::AwaitConnect {
            // Known before the rest is read, so that a refusal has the form of the version.
            self.version = codec::connect_version(frame)?.0;
        }
        // PUBLISH by itself, so that it is not moved about as any packet before it is checked.
        let packet = if codec::is_publish(frame) {
            let publish = codec::decode_publish(frame, codec::header_len(frame), self.version)?;
            self.check_publish(&publish)?;
            Packet::Publish(publish)
        } else {
            let packet = codec::decode_framed(frame, self.version)?;
            self.check(&packet)?;
            packet
        };
        self.last_received = now;
        Ok(Received::Packet { packet, len })
    }

    /// The CONNECT is accepted; `server_keep_alive` takes the place of the client's keep alive
    /// [MQTT-3.2.2-21].
    pub const fn accept(&mut self, server_keep_alive: Option<u16>) {
        if let Some(keep_alive) = server_keep_alive {
            self.keep_alive = keep_alive;
        }
        if matches!(self.state, State::Authenticating) {
            self.state = State::Open;
        }
    }

    /// A whole packet came in that did not go through [`Connection::receive`].
    #[inline]
    pub const fn heard(&mut self, now: Time) {
        self.last_received = now;
    }

    /// Counts a QoS 1 or 2 message that did not go through [`Connection::receive`]; false if the
    /// receive maximum has no room for it.
    #[inline]
    pub const fn inbound_published(&mut self) -> bool {
        if self.version.is_v5() {
            if self.unacknowledged >= self.limits.receive_maximum {
                return false;
            }
            self.unacknowledged += 1;
        }
        true
    }

    /// A PUBACK, a PUBCOMP or a PUBREC that reports failure goes out: the client may send one
    /// message more.
    #[inline]
    pub const fn inbound_acknowledged(&mut self) {
        self.unacknowledged = self.unacknowledged.saturating_sub(1);
    }

    /// When [`Connection::timeout`] has something to say, if nothing comes in before.
    #[inline]
    #[must_use]
    pub fn deadline(&self) -> Time {
        match self.state {
            State::AwaitConnect => {
                let timeout = Duration::from_secs(u64::from(self.limits.connect_timeout));
                self.last_received.saturating_add(timeout)
            }
            // [MQTT-3.1.2-22]
            State::Authenticating | State::Open => {
                server_deadline(self.last_received, self.keep_alive)
            }
            State::Closed => Time::MAX,
        }
    }

    /// Whether the time has come to close the connection.
    #[inline]
    #[must_use]
    pub fn timeout(&self, now: Time) -> Option<Timeout> {
        if now < self.deadline() {
            return None;
        }
        match self.state {
            State::AwaitConnect => Some(Timeout::Connect),
            State::Authenticating | State::Open => Some(Timeout::KeepAlive),
            State::Closed => None,
        }
    }

    /// Where the connection stands.
    #[inline]
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The version of the CONNECT; 3.1.1 before there is one.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The longest packet that the client takes.
    #[inline]
    #[must_use]
    pub const fn maximum_packet_size(&self) -> u32 {
        self.maximum_packet_size
    }

    /// How many QoS 1 and 2 messages the client takes before it acknowledges.
    #[inline]
    #[must_use]
    pub const fn receive_maximum(&self) -> u16 {
        self.receive_maximum
    }

    /// The keep alive in force, in seconds; 0 is none.
    #[inline]
    #[must_use]
    pub const fn keep_alive(&self) -> u16 {
        self.keep_alive
    }

    /// Whether the CONNECT named an authentication method.
    #[inline]
    #[must_use]
    pub const fn uses_authentication(&self) -> bool {
        self.asked.authentication
    }

    /// Messages of the client that were not acknowledged yet; always 0 before 5.0.
    #[inline]
    #[must_use]
    pub const fn unacknowledged(&self) -> u16 {
        self.unacknowledged
    }

    /// When the last whole packet came in.
    #[inline]
    #[must_use]
    pub const fn last_received(&self) -> Time {
        self.last_received
    }

    /// Takes over what a CONNECT says.
    fn open(&mut self, connect: &Connect<'_>) {
        self.keep_alive = connect.keep_alive;
        let properties = connect.properties;
        self.asked = Asked {
            problem_information: properties.request_problem_information().unwrap_or(true),
            authentication: properties.authentication_method().is_some(),
            session_expiry_zero: properties.session_expiry_interval().unwrap_or(0) == 0,
        };
        // [MQTT-3.1.2-24]
        if let Some(maximum) = properties.maximum_packet_size() {
            self.maximum_packet_size = maximum;
        }
        // [MQTT-3.3.4-9]
        self.receive_maximum = properties.receive_maximum().unwrap_or(u16::MAX);
        // [MQTT-3.1.2-26], [MQTT-3.1.2-27]
        self.alias_out = AliasOut::new(properties.topic_alias_maximum().unwrap_or(0));
        if self.version.is_v5() {
            self.alias_in = AliasIn::new(self.limits.topic_alias_maximum);
        }
        self.state = if self.asked.authentication { State::Authenticating } else { State::Open };
    }
}
