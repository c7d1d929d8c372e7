//! Who is subscribed to what, and the retained message of each topic.
//!
//! Both structures are shared by all shards: any number of them read at once, and the server
//! applies changes in batches in between. Nothing here has a clock, a lock or an order that
//! depends on hashing: the same calls in the same order give the same answers.
//!
//! [`Index`] is the entry. `filters` finds the filters that match, with `shapes` where it can and
//! `trie` where it must; `roster` has the subscribers of one filter, `shared` the groups of shared
//! subscriptions. [`Retained`] stands alone.
#![allow(
    clippy::indexing_slicing,
    reason = "indices come from the arenas of this module, which hand out and take back their own"
)]

use dunlin_proto::qos::QoS;

mod filters;
mod hashing;
mod index;
mod levels;
mod nearest;
mod retained;
mod roster;
mod segment;
mod shapes;
mod shared;
mod slots;
mod steps;
mod trie;

#[cfg(test)]
mod tests;

pub use index::{Index, Matches};
pub use retained::{Cursor, Retained};
pub use shared::GroupId;

/// A session: where it lives and which one it is there.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct SessionKey {
    /// The shard that owns it.
    pub shard: u16,
    /// Its place in that shard.
    pub slot: u32,
    /// Tells it from earlier sessions in the same place.
    pub generation: u32,
}

/// One subscription of a session, as delivery needs it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Whose subscription it is.
    pub session: SessionKey,
    /// The subscription identifier; 0 if there is none.
    pub identifier: u32,
    /// The maximum QoS.
    pub qos: QoS,
    /// Not to be sent what the session itself publishes.
    pub no_local: bool,
    /// The RETAIN flag is forwarded as it was published.
    pub retain_as_published: bool,
}

/// Makes room for one more, an eighth at a time: doubling would leave up to half of it unused.
fn grow<T>(vector: &mut Vec<T>) {
    if vector.len() == vector.capacity() {
        vector.reserve_exact(vector.len() / 8 + 8);
    }
}
