//! What a receiver knows of QoS 2 messages.

use alloc::collections::BTreeMap;

use crate::qos::PacketId;

/// The identifiers of QoS 2 messages that were received and not yet released, each with what the
/// receiver keeps for it [MQTT-4.3.3-10].
///
/// Part of the session: it outlives the connection. Bounded by the 65 535 identifiers, and by the
/// receive maximum where that is enforced.
#[derive(Debug, Clone)]
pub struct Inbound<T> {
    messages: BTreeMap<PacketId, T>,
}

/// Whether a QoS 2 PUBLISH is a new message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is.
    New,
    /// One with its identifier was received and not released: it is the same again.
    Duplicate,
}

impl<T> Inbound<T> {
    /// Nothing received. Does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self { messages: BTreeMap::new() }
    }

    /// PUBLISH: keeps `message`, unless the identifier is known already.
    pub fn accept(&mut self, packet_id: PacketId, message: T) -> Accepted {
        match self.messages.entry(packet_id) {
            alloc::collections::btree_map::Entry::Occupied(_) => Accepted::Duplicate,
            alloc::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(message);
                Accepted::New
            }
        }
    }

    /// PUBREL: gives out what was kept; `None` if the identifier is not known.
    pub fn release(&mut self, packet_id: PacketId) -> Option<T> {
        self.messages.remove(&packet_id)
    }

    /// Whether a message with that identifier waits for its PUBREL.
    #[must_use]
    pub fn contains(&self, packet_id: PacketId) -> bool {
        self.messages.contains_key(&packet_id)
    }

    /// What is kept for an identifier.
    #[must_use]
    pub fn get(&self, packet_id: PacketId) -> Option<&T> {
        self.messages.get(&packet_id)
    }

    /// How many messages wait for their PUBREL.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Their identifiers, in order of the numbers.
    pub fn packet_ids(&self) -> impl Iterator<Item = PacketId> {
        self.messages.keys().copied()
    }

    /// What is kept, in order of the identifiers.
    pub fn iter(&self) -> impl Iterator<Item = (PacketId, &T)> {
        self.messages.iter().map(|(packet_id, message)| (*packet_id, message))
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.messages.clear();
    }
}

impl<T> Default for Inbound<T> {
    fn default() -> Self {
        Self::new()
    }
}
