//! What a sender has on its way.
//!
//! ```text
//!            send                acknowledge
//!   QoS 1  ───────▶ AtLeastOnce ────────────▶ gone
//!
//!            send                received               completed
//!   QoS 2  ───────▶ ExactlyOnce ─────────▶ Releasing ──────────▶ gone
//!                        └─ refused ▶ gone
//!
//!           request              answered
//!   other  ───────▶ Request ────────────▶ gone
//! ```

use alloc::collections::VecDeque;

use crate::qos::{PacketId, QoS};

/// The messages sent at QoS 1 and 2 and not yet acknowledged, oldest first.
///
/// Packet identifiers are given out in sequence, 65 535 followed by 1, so that an identifier's
/// place in the ring is arithmetic. What is acknowledged out of order leaves a gap until all
/// before it is acknowledged too; [`Outbound::can_send`] bounds the ring with its gaps.
///
/// Identifiers of SUBSCRIBE and UNSUBSCRIBE come from the same sequence ([`Outbound::request`]);
/// those do not count against the peer's receive maximum and are not sent again.
///
/// Part of the session: it outlives the connection. [`Outbound::restart`] begins to send it again.
#[derive(Debug, Clone)]
pub struct Outbound<T> {
    slots: VecDeque<Slot<T>>,
    /// Identifier of the first slot, or of the next message if there is none.
    first: PacketId,
    /// Slots at the back that were not sent on this connection yet.
    unsent: u16,
    /// Messages not done with, however old.
    in_flight: u16,
    /// Those of them sent on this connection: what the peer's receive maximum is about.
    outstanding: u16,
}

#[derive(Debug, Clone)]
enum Slot<T> {
    Request(T),
    AtLeastOnce(T),
    ExactlyOnce(T),
    Releasing,
    Done,
}

/// What a PUBREC did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received<T> {
    /// The peer has the message now; the PUBREL is due.
    First(T),
    /// It had told so before; the PUBREL is due again.
    Again,
    /// No QoS 2 message with that identifier is on its way.
    Unknown,
}

/// What has to be sent again on a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend<T> {
    /// The PUBLISH, with DUP set [MQTT-3.3.1-1].
    Publish {
        /// At this QoS.
        qos: QoS,
        /// What was given to [`Outbound::send`].
        message: T,
    },
    /// The PUBREL.
    Release,
}

impl<T> Outbound<T> {
    /// Nothing on its way; the first identifier will be 1. Does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self::starting_at(PacketId::MIN)
    }

    /// Nothing on its way; the first identifier will be `first`: for a session that is restored.
    #[must_use]
    pub const fn starting_at(first: PacketId) -> Self {
        Self { slots: VecDeque::new(), first, unsent: 0, in_flight: 0, outstanding: 0 }
    }

    /// Whether another message may be sent to a peer with that receive maximum [MQTT-3.3.4-7],
    /// [MQTT-3.3.4-9].
    ///
    /// False as well while older messages wait to be sent again, and while the ring with its gaps
    /// is at its bound of 8 times the receive maximum, at least 256 and at most 16 384 slots.
    #[inline]
    #[must_use]
    pub fn can_send(&self, receive_maximum: u16) -> bool {
        self.outstanding < receive_maximum
            && self.unsent == 0
            && self.slots.len() < span(receive_maximum)
    }

    /// Whether the ring has room for another SUBSCRIBE or UNSUBSCRIBE.
    #[inline]
    #[must_use]
    pub fn can_request(&self) -> bool {
        self.slots.len() < MAX_SPAN
    }

    /// Takes a message that is sent now, at QoS 2 or else as one that a PUBACK ends.
    ///
    /// # Panics
    /// All 65 535 identifiers are taken; [`Outbound::can_send`] is false long before that.
    pub fn send(&mut self, qos: QoS, message: T) -> PacketId {
        self.in_flight += 1;
        self.outstanding += 1;
        self.push(match qos {
            QoS::ExactlyOnce => Slot::ExactlyOnce(message),
            QoS::AtMostOnce | QoS::AtLeastOnce => Slot::AtLeastOnce(message),
        })
    }

    /// Takes a SUBSCRIBE or UNSUBSCRIBE that is sent now.
    ///
    /// # Panics
    /// As [`Outbound::send`]; [`Outbound::can_request`] is false long before.
    pub fn request(&mut self, request: T) -> PacketId {
        self.push(Slot::Request(request))
    }

    /// Leaves an identifier out: for a message that is not sent after all. So those behind it have the
    /// identifiers that they would have had with it, as clients know it from brokers that number messages when
    /// they are queued. Gaps are not to stop what can be sent, so none is made in a ring that is long.
    pub fn skip(&mut self) {
        if self.slots.is_empty() {
            self.first = advance(self.first, 1);
        } else if self.unsent == 0 && self.slots.len() < MIN_SPAN / 2 {
            self.slots.push_back(Slot::Done);
        }
    }

    /// PUBACK: the message, or `None` if no QoS 1 message has that identifier.
    #[inline]
    pub fn acknowledge(&mut self, packet_id: PacketId) -> Option<T> {
        let index = self.index(packet_id)?;
        match self.slots.get(index) {
            Some(Slot::AtLeastOnce(_)) => self.finish(index),
            _ => None,
        }
    }

    /// PUBREC that reports success: from now on the PUBREL is what is sent again.
    pub fn received(&mut self, packet_id: PacketId) -> Received<T> {
        let slot = self.index(packet_id).and_then(|index| self.slots.get_mut(index));
        match slot {
            Some(slot @ Slot::ExactlyOnce(_)) => match core::mem::replace(slot, Slot::Releasing) {
                Slot::ExactlyOnce(message) => Received::First(message),
                _ => Received::Again,
            },
            Some(Slot::Releasing) => Received::Again,
            _ => Received::Unknown,
        }
    }

    /// PUBREC that reports failure: the message, which is done with.
    pub fn refused(&mut self, packet_id: PacketId) -> Option<T> {
        let index = self.index(packet_id)?;
        match self.slots.get(index) {
            Some(Slot::ExactlyOnce(_)) => self.finish(index),
            _ => None,
        }
    }

    /// PUBCOMP: whether a PUBREL with that identifier was on its way.
    pub fn completed(&mut self, packet_id: PacketId) -> bool {
        let Some(index) = self.index(packet_id) else {
            return false;
        };
        let releasing = matches!(self.slots.get(index), Some(Slot::Releasing));
        if releasing {
            self.finish(index);
        }
        releasing
    }

    /// SUBACK or UNSUBACK: what was asked, or `None` if nothing was under that identifier.
    pub fn answered(&mut self, packet_id: PacketId) -> Option<T> {
        let index = self.index(packet_id)?;
        match self.slots.get(index) {
            Some(Slot::Request(_)) => self.finish(index),
            _ => None,
        }
    }

    /// Messages sent and not done with, on this connection or an earlier one.
    #[inline]
    #[must_use]
    pub const fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// Whether nothing is on its way.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The identifier that the next message gets.
    #[inline]
    #[must_use]
    pub fn next_packet_id(&self) -> PacketId {
        advance(self.first, self.slots.len())
    }

    /// What is on its way under an identifier.
    #[must_use]
    pub fn get(&self, packet_id: PacketId) -> Option<Resend<&T>> {
        self.slots.get(self.index(packet_id)?)?.resend()
    }

    /// Everything on its way in the order it was first sent in [MQTT-4.4.0-1], [MQTT-4.6.0-1].
    pub fn iter_resend(&self) -> impl Iterator<Item = (PacketId, Resend<&T>)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            slot.resend().map(|resend| (advance(self.first, index), resend))
        })
    }

    /// Everything on its way in the order it was first sent in, given up.
    pub fn into_messages(self) -> impl Iterator<Item = (PacketId, Resend<T>)> {
        let first = self.first;
        self.slots.into_iter().enumerate().filter_map(move |(index, slot)| {
            let message = match slot {
                Slot::AtLeastOnce(message) => Resend::Publish { qos: QoS::AtLeastOnce, message },
                Slot::ExactlyOnce(message) => Resend::Publish { qos: QoS::ExactlyOnce, message },
                Slot::Releasing => Resend::Release,
                Slot::Request(_) | Slot::Done => return None,
            };
            Some((advance(first, index), message))
        })
    }

    /// Begins a new connection: everything on its way is to be sent again, by
    /// [`Outbound::next_resend`], before anything new.
    pub fn restart(&mut self) {
        self.outstanding = 0;
        self.unsent = len_u16(self.slots.len());
    }

    /// Whether messages of an earlier connection wait to be sent again.
    #[inline]
    #[must_use]
    pub const fn resending(&self) -> bool {
        self.unsent > 0
    }

    /// The next message to send again on this connection, in the original order
    /// [MQTT-4.4.0-1], or `None` if there is none or the peer takes no more for now.
    ///
    /// A PUBREL is no PUBLISH, so it goes out whatever the receive maximum, but it counts until
    /// its PUBCOMP: the peer may still count it.
    pub fn next_resend(&mut self, receive_maximum: u16) -> Option<(PacketId, Resend<&T>)> {
        loop {
            let index = self.slots.len().checked_sub(usize::from(self.unsent))?;
            match self.slots.get(index)? {
                Slot::Done | Slot::Request(_) => self.unsent -= 1,
                Slot::Releasing => break,
                Slot::AtLeastOnce(_) | Slot::ExactlyOnce(_)
                    if self.outstanding < receive_maximum =>
                {
                    break;
                }
                Slot::AtLeastOnce(_) | Slot::ExactlyOnce(_) => return None,
            }
        }
        let index = self.slots.len().checked_sub(usize::from(self.unsent))?;
        self.unsent -= 1;
        self.outstanding += 1;
        let resend = self.slots.get(index)?.resend()?;
        Some((advance(self.first, index), resend))
    }

    /// Takes out the SUBSCRIBE and UNSUBSCRIBE that were not answered, oldest first: they are not
    /// part of a session.
    pub fn take_requests(&mut self, mut each: impl FnMut(PacketId, T)) {
        for index in 0..self.slots.len() {
            let packet_id = advance(self.first, index);
            if let Some(slot @ Slot::Request(_)) = self.slots.get_mut(index)
                && let Slot::Request(request) = core::mem::replace(slot, Slot::Done)
            {
                each(packet_id, request);
            }
        }
        self.drop_done();
    }

    /// Puts back a message of a stored session, in the order of first sending. Returns false,
    /// and takes nothing, if the identifier is not within reach behind those there already.
    pub fn restore(&mut self, packet_id: PacketId, message: Resend<T>) -> bool {
        if self.slots.is_empty() {
            self.first = packet_id;
        }
        let gap = distance(self.next_packet_id(), packet_id);
        if self.slots.len() + gap >= MAX_SPAN {
            return false;
        }
        self.slots.extend(core::iter::repeat_with(|| Slot::Done).take(gap));
        self.slots.push_back(match message {
            Resend::Release => Slot::Releasing,
            Resend::Publish { qos: QoS::ExactlyOnce, message } => Slot::ExactlyOnce(message),
            Resend::Publish { message, .. } => Slot::AtLeastOnce(message),
        });
        self.in_flight += 1;
        self.outstanding += 1;
        true
    }

    fn push(&mut self, slot: Slot<T>) -> PacketId {
        assert!(self.slots.len() < usize::from(u16::MAX), "every packet identifier is taken");
        let packet_id = self.next_packet_id();
        self.slots.push_back(slot);
        if self.unsent > 0 {
            // Only requests come here while a session is being sent again: the cursor passes them.
            self.unsent += 1;
        }
        packet_id
    }

    #[inline]
    fn index(&self, packet_id: PacketId) -> Option<usize> {
        let index = distance(self.first, packet_id);
        (index < self.slots.len()).then_some(index)
    }

    /// Empties a slot and drops what is done with at the front.
    fn finish(&mut self, index: usize) -> Option<T> {
        let unsent_from = self.slots.len().saturating_sub(usize::from(self.unsent));
        let slot = core::mem::replace(self.slots.get_mut(index)?, Slot::Done);
        if !matches!(slot, Slot::Request(_) | Slot::Done) {
            self.in_flight = self.in_flight.saturating_sub(1);
            // An answer to what was sent on an earlier connection frees nothing on this one.
            if index < unsent_from {
                self.outstanding = self.outstanding.saturating_sub(1);
            }
        }
        self.drop_done();
        match slot {
            Slot::Request(message) | Slot::AtLeastOnce(message) | Slot::ExactlyOnce(message) => {
                Some(message)
            }
            Slot::Releasing | Slot::Done => None,
        }
    }

    fn drop_done(&mut self) {
        while let Some(Slot::Done) = self.slots.front() {
            self.slots.pop_front();
            self.first = advance(self.first, 1);
        }
        self.unsent = self.unsent.min(len_u16(self.slots.len()));
    }
}

impl<T> Default for Outbound<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slot<T> {
    const fn resend(&self) -> Option<Resend<&T>> {
        match self {
            Self::AtLeastOnce(message) => Some(Resend::Publish { qos: QoS::AtLeastOnce, message }),
            Self::ExactlyOnce(message) => Some(Resend::Publish { qos: QoS::ExactlyOnce, message }),
            Self::Releasing => Some(Resend::Release),
            Self::Request(_) | Self::Done => None,
        }
    }
}

/// How many slots a peer with that receive maximum may keep open.
fn span(receive_maximum: u16) -> usize {
    usize::from(receive_maximum).saturating_mul(8).clamp(MIN_SPAN, MAX_SPAN)
}

/// The identifier so many places behind another, 0 left out.
#[inline]
fn advance(packet_id: PacketId, by: usize) -> PacketId {
    let place = (usize::from(packet_id.get()) - 1 + by) % IDENTIFIERS;
    u16::try_from(place + 1).ok().and_then(PacketId::new).unwrap_or(PacketId::MIN)
}

/// How many places behind `from` the identifier `to` is.
#[inline]
fn distance(from: PacketId, to: PacketId) -> usize {
    let (from, to) = (usize::from(from.get()), usize::from(to.get()));
    if to >= from { to - from } else { to + IDENTIFIERS - from }
}

fn len_u16(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

const IDENTIFIERS: usize = u16::MAX as usize;
/// Bounds of the ring in slots: enough for any order of acknowledgements of a small window, and
/// far enough from all identifiers that one is never taken for another.
const MIN_SPAN: usize = 256;
const MAX_SPAN: usize = 16_384;
