//! Who is kept out for a while or for good, and who is about to be.

mod flapping;
mod list;
mod network;

pub use flapping::{Flapping, FlappingLimits};
pub use list::{Ban, BanFault, BanList, Target};
pub use network::{Network, NetworkFault};
