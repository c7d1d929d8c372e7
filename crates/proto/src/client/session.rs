//! What outlives a connection.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;

use super::event::{Event, Failure};
use super::message::{Command, Pending, Token};
use super::options::ConnectOptions;
use crate::qos::{PacketId, QoS};
use crate::window::{Inbound, Outbound, Resend};

/// The client's half of a session: commands that wait, messages that are on their way, and the
/// QoS 2 messages that were received.
#[derive(Debug)]
pub struct Session {
    /// Commands not sent yet, in order.
    pub(super) queue: VecDeque<Pending>,
    queue_limit: usize,
    /// Commands sent and not answered.
    pub(super) outbound: Outbound<Pending>,
    /// Whose message a PUBREL belongs to: the message itself is dropped by then.
    pub(super) releasing: BTreeMap<PacketId, Token>,
    /// QoS 2 messages that were given out already.
    pub(super) inbound: Inbound<()>,
    /// The client identifier that the server assigned.
    pub(super) assigned_client_id: Option<String>,
    next_token: u64,
}

impl Session {
    /// Commands that may wait unless [`Session::with_queue_limit`] says otherwise: far more than
    /// a connection keeps on its way, far less than what would exhaust a small machine.
    pub const DEFAULT_QUEUE_LIMIT: usize = 10_000;

    /// A new session in which so many commands may wait for a connection or for their turn.
    #[must_use]
    pub const fn with_queue_limit(queue_limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            queue_limit,
            outbound: Outbound::new(),
            releasing: BTreeMap::new(),
            inbound: Inbound::new(),
            assigned_client_id: None,
            next_token: 0,
        }
    }

    /// Commands that wait to be sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// QoS 1 and 2 messages sent and not done with.
    #[must_use]
    pub const fn in_flight(&self) -> u16 {
        self.outbound.in_flight()
    }

    /// The client identifier that the server assigned, if it did.
    #[must_use]
    pub fn assigned_client_id(&self) -> Option<&str> {
        self.assigned_client_id.as_deref()
    }

    /// The client identifier to connect with: the assigned one belongs to the session.
    pub(super) fn client_id<'a>(&'a self, options: &'a ConnectOptions) -> &'a str {
        match &self.assigned_client_id {
            Some(assigned) if options.client_id.is_empty() && !options.clean_start => assigned,
            _ => &options.client_id,
        }
    }

    /// Puts a command behind those that wait; `None` if the queue is full.
    pub(super) fn enqueue(&mut self, command: Command) -> Option<Token> {
        if self.queue.len() >= self.queue_limit {
            return None;
        }
        let token = Token(self.next_token);
        self.next_token += 1;
        self.queue.push_back(Pending { token, command });
        Some(token)
    }

    /// The connection is over: what was asked and not answered will be asked again.
    pub(super) fn connection_ended(&mut self) {
        let mut unanswered = VecDeque::new();
        self.outbound.take_requests(|_, pending| unanswered.push_back(pending));
        unanswered.append(&mut self.queue);
        self.queue = unanswered;
    }

    /// A connection is open and the server has the session: all on its way goes out again.
    pub(super) fn resume(&mut self) {
        // [MQTT-4.4.0-1]
        self.outbound.restart();
    }

    /// A connection is open and the server does not have the session: state that only made sense
    /// together with the server's is dropped [MQTT-3.2.2-5].
    ///
    /// QoS 1 messages are published anew. For QoS 2 messages that could break "exactly once", so
    /// they are reported.
    pub(super) fn start_anew(&mut self, events: &mut VecDeque<Event>) {
        self.inbound.clear();
        let next = self.outbound.next_packet_id();
        let lost = core::mem::replace(&mut self.outbound, Outbound::starting_at(next));
        let mut again = VecDeque::new();
        for pending in lost.into_messages() {
            match pending {
                (_, Resend::Publish { qos: QoS::ExactlyOnce, message }) => {
                    events.push_back(lost_message(message.token));
                }
                (_, Resend::Publish { message, .. }) => again.push_back(message),
                (packet_id, Resend::Release) => {
                    if let Some(token) = self.releasing.remove(&packet_id) {
                        events.push_back(lost_message(token));
                    }
                }
            }
        }
        self.releasing.clear();
        again.append(&mut self.queue);
        self.queue = again;
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::with_queue_limit(Self::DEFAULT_QUEUE_LIMIT)
    }
}

const fn lost_message(token: Token) -> Event {
    Event::PublishDone { token, result: Err(Failure::SessionLost) }
}
