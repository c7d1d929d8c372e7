//! One session: what the broker remembers of a client from one connection to the next (4.1).

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use dunlin_proto::Time;
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::window;

use crate::durable::{Spill, Spilled};
use crate::event::Tally;
use crate::guard::Identity;
use crate::journal::Target;
use crate::message::Message;
use crate::router::{Cursor, GroupId};
use crate::settings::Settings;
use crate::slab::NONE;

/// Session expiry interval that means "never" [MQTT-3.1.2-23].
pub(crate) const NEVER: u32 = u32::MAX;

/// The state of one client identifier.
pub(crate) struct Session {
    /// Who it belongs to, as rules see it: as of its last CONNECT.
    pub(crate) who: Arc<Identity>,
    /// Its number in records; 0 if it is in none.
    pub(crate) number: u64,
    /// It outlives the process, with its messages.
    pub(crate) keeps: bool,
    /// Slot of its connection, or `NONE`.
    pub(crate) connection: u32,
    /// Seconds it outlives its connection.
    pub(crate) expiry: u32,
    /// When it ends, while it is without a connection.
    pub(crate) ends_at: Time,
    /// Sorted by filter.
    pub(crate) subscriptions: Vec<Held>,
    /// Messages on their way to the client.
    pub(crate) outbound: Option<Box<Outbound>>,
    /// QoS 2 messages received and not yet released.
    pub(crate) inbound: Option<Box<window::Inbound<Arc<Message>>>>,
    pub(crate) inbound_bytes: usize,
    pub(crate) will: Option<Box<Will>>,
    /// Retained messages still to be sent for new subscriptions.
    #[expect(clippy::box_collection, reason = "one word in a session that is sent none")]
    pub(crate) replays: Option<Box<VecDeque<Replay>>>,
    /// What was told of it since it connected.
    pub(crate) told: Option<Box<Tally>>,
}

/// A subscription as its session remembers it.
#[derive(Debug)]
pub(crate) struct Held {
    /// As it was subscribed, `$share/...` included.
    pub(crate) filter: Box<str>,
    pub(crate) shared: bool,
}

/// Messages on their way to one client.
#[derive(Default)]
pub(crate) struct Outbound {
    /// Sent and not yet acknowledged.
    pub(crate) window: window::Outbound<Copy>,
    /// Waiting for room in the window, or for the client to come back.
    pub(crate) queue: VecDeque<Copy>,
    pub(crate) queued_bytes: usize,
    /// Bytes of what is in the window, where they have a limit.
    in_flight_bytes: usize,
    /// Behind the queue: what is on disk only.
    pub(crate) spill: Option<Box<Spill>>,
    /// Nothing in the queue expires before.
    unexpired_until: Time,
    /// The rules by which all of the queue was let in.
    pub(crate) judged: u64,
    /// Whether some of it is denied by now: it is left out when its turn has come.
    pub(crate) has_denied: bool,
    /// Whether some of it may be at QoS 0.
    pub(crate) has_at_most_once: bool,
}

/// A message as it goes to one receiver.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) message: Arc<Message>,
    /// Identifier of the subscription it matched; 0 when that has none.
    pub(crate) identifier: u32,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// The shared subscription it was taken from.
    pub(crate) group: Option<GroupId>,
}

impl Copy {
    /// The identifier under which it is stored for its receiver; 0 if it is not. At QoS 0 nothing is, though
    /// others may have the message stored.
    pub(crate) fn id(&self) -> u64 {
        if self.qos == QoS::AtMostOnce { 0 } else { self.message.id() }
    }

    /// As the session of this number has it in records.
    pub(crate) fn target(&self, number: u64, sent: Option<PacketId>) -> Target {
        let Self { identifier, qos, retain, .. } = *self;
        Target { number, qos, retain, shared: self.group.is_some(), identifier, sent }
    }
}

/// A will that is armed, or waiting for its delay.
pub(crate) struct Will {
    pub(crate) message: Arc<Message>,
    /// Expiry interval in seconds, counted from the moment it is published.
    pub(crate) expiry: Option<u32>,
    /// Seconds.
    pub(crate) delay: u32,
    /// When it is published; `Time::MAX` while the connection lives.
    pub(crate) due: Time,
}

/// Retained messages being sent for one new subscription, page by page.
pub(crate) struct Replay {
    pub(crate) filter: Box<str>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) identifier: u32,
    pub(crate) qos: QoS,
}

impl Session {
    pub(crate) const fn new(who: Arc<Identity>) -> Self {
        Self {
            who,
            number: 0,
            keeps: false,
            connection: NONE,
            expiry: 0,
            ends_at: Time::MAX,
            subscriptions: Vec::new(),
            outbound: None,
            inbound: None,
            inbound_bytes: 0,
            will: None,
            replays: None,
            told: None,
        }
    }

    /// Whether it keeps its messages, and those that come now wait on disk only.
    #[inline]
    pub(crate) fn is_spilling(&self) -> bool {
        self.keeps && self.outbound.as_ref().is_some_and(|outbound| outbound.spill.is_some())
    }

    pub(crate) const fn connected(&self) -> bool {
        self.connection != NONE
    }

    /// When it ends if its connection ends now.
    pub(crate) fn outlives(&self, now: Time) -> Time {
        if self.expiry == NEVER {
            return Time::MAX;
        }
        now.saturating_add(Duration::from_secs(u64::from(self.expiry)))
    }

    /// Whether it has this subscription.
    pub(crate) fn holds(&self, filter: &str) -> bool {
        self.subscriptions.binary_search_by(|held| (*held.filter).cmp(filter)).is_ok()
    }

    /// Remembers a subscription; false if it was there already.
    pub(crate) fn hold(&mut self, filter: &str, shared: bool) -> bool {
        match self.subscriptions.binary_search_by(|held| (*held.filter).cmp(filter)) {
            Ok(_) => false,
            Err(place) => {
                self.subscriptions.insert(place, Held { filter: filter.into(), shared });
                true
            }
        }
    }

    /// Forgets a subscription; false if there was none.
    pub(crate) fn release(&mut self, filter: &str) -> bool {
        match self.subscriptions.binary_search_by(|held| (*held.filter).cmp(filter)) {
            Ok(place) => {
                self.subscriptions.remove(place);
                true
            }
            Err(_) => false,
        }
    }

    /// The QoS 2 message with this identifier, which is not held any longer.
    pub(crate) fn release_inbound(&mut self, packet_id: PacketId) -> Option<Arc<Message>> {
        let message = self.inbound.as_mut()?.release(packet_id)?;
        self.inbound_bytes -= message.bytes();
        Some(message)
    }

    /// Gives up sending retained messages for a filter.
    pub(crate) fn stop_replay(&mut self, filter: &str) {
        let Some(replays) = &mut self.replays else { return };
        replays.retain(|replay| *replay.filter != *filter);
        if replays.is_empty() {
            self.replays = None;
        }
    }

    /// The earlier of the will's and the session's own end.
    pub(crate) fn deadline(&self) -> Time {
        let will = self.will.as_ref().map_or(Time::MAX, |will| will.due);
        will.min(if self.connected() { Time::MAX } else { self.ends_at })
    }
}

impl Outbound {
    /// Whether one more message may be sent.
    #[inline]
    pub(crate) fn has_room(&self, window: u16, settings: &Settings) -> bool {
        self.window.can_send(window) && self.in_flight_bytes < settings.maximum_inflight_bytes
    }

    /// One more message goes into the window.
    #[inline]
    pub(crate) fn weigh(&mut self, message: &Message, settings: &Settings) {
        if settings.maximum_inflight_bytes < usize::MAX {
            self.in_flight_bytes += message.payload.len();
        }
    }

    /// The client has a message, or will never have it.
    #[inline]
    pub(crate) fn landed(&mut self, message: &Message) {
        if self.in_flight_bytes > 0 {
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(message.payload.len());
        }
    }

    /// Messages held, in flight or waiting.
    pub(crate) fn held(&self) -> usize {
        self.waiting() + usize::from(self.window.in_flight())
    }

    /// Messages that were not sent yet.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len() + self.spill.as_ref().map_or(0, |spill| spill.len())
    }

    /// Bytes of them, wherever they are.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.queued_bytes + self.spill.as_ref().map_or(0, |spill| spill.bytes())
    }

    /// Whether anything waits for a place in the window.
    #[inline]
    pub(crate) fn waits(&self) -> bool {
        !self.queue.is_empty() || self.window.resending() || self.spill.is_some()
    }

    pub(crate) fn push(&mut self, copy: Copy) {
        self.queued_bytes += copy.message.bytes();
        self.unexpired_until = self.unexpired_until.min(copy.message.expires);
        self.has_at_most_once |= copy.qos == QoS::AtMostOnce;
        self.queue.push_back(copy);
    }

    pub(crate) fn pop(&mut self) -> Option<Copy> {
        let copy = self.queue.pop_front()?;
        self.queued_bytes -= copy.message.bytes();
        Some(copy)
    }

    /// Takes out what waits at QoS 0.
    pub(crate) fn take_at_most_once(&mut self) -> Vec<Copy> {
        let (taken, queue) = core::mem::take(&mut self.queue)
            .into_iter()
            .partition::<Vec<_>, _>(|copy| copy.qos == QoS::AtMostOnce);
        self.queue = queue.into();
        self.has_at_most_once = false;
        self.queued_bytes -= taken.iter().map(|copy| copy.message.bytes()).sum::<usize>();
        taken
    }

    pub(crate) fn spill(&mut self, spilled: Spilled) {
        self.unexpired_until = self.unexpired_until.min(spilled.expires);
        self.spill.get_or_insert_default().push(spilled);
    }

    /// The oldest of what is on disk only.
    pub(crate) fn pop_spilled(&mut self) -> Option<Spilled> {
        let spill = self.spill.as_mut()?;
        let spilled = spill.pop();
        if spill.is_empty() {
            self.spill = None;
        }
        spilled
    }

    /// Drops what has expired, and passes the stored ones to `done`; returns how many messages, and of how
    /// many bytes in memory. Looks at them only when one may have.
    pub(crate) fn drop_expired(
        &mut self,
        now: Time,
        number: u64,
        mut done: impl FnMut(u64, Target),
    ) -> (u64, u64) {
        if now < self.unexpired_until {
            return (0, 0);
        }
        let before = (self.waiting(), self.queued_bytes);
        self.queue.retain(|copy| {
            let expired = copy.message.expired(now);
            if expired {
                done(copy.id(), copy.target(number, None));
            }
            !expired
        });
        self.queued_bytes = self.queue.iter().map(|copy| copy.message.bytes()).sum();
        let expiries = self.queue.iter().map(|copy| copy.message.expires);
        self.unexpired_until = expiries.min().unwrap_or(Time::MAX);
        if let Some(spill) = &mut self.spill {
            spill.drop_expired(now, number, done);
            self.unexpired_until = self.unexpired_until.min(spill.unexpired_until());
        }
        ((before.0 - self.waiting()) as u64, (before.1 - self.queued_bytes) as u64)
    }
}
