//! What the broker wants kept beyond the life of its process: records, and the state made of them.
//!
//! While it handles input, a shard writes [`Record`]s into its journal and counts tokens; what the records
//! promise is told to clients only when the server says that the token is durable. After a restart the
//! records make a [`State`], from which the shards go on. How records get onto a disk, and which of them
//! are still needed there, is not the broker's business but the store's.
//!
//! Records of one shard are durable in the order it wrote them. A record about a message that another
//! shard stored is handed over after that message's own record, because that shard hands over its
//! records before its mail. Everything else is independent of the order between shards.

mod decode;
mod publisher;
mod record;
mod state;
mod wire;

pub use decode::{Broken, Records};
pub use publisher::Publisher;
pub(crate) use record::{Head, message_record, route_record};
pub use record::{Held, Kind, Origin, Record, StoredMessage, Target, Will};
pub use state::{
    HeldState, QueuedState, RetainedState, SessionState, State, SubscriptionState, WillState,
};
