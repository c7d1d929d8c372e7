//! Messages on their way at QoS 1 and 2: the sender's and the receiver's half.

mod inbound;
mod outbound;

pub use inbound::{Accepted, Inbound};
pub use outbound::{Outbound, Received, Resend};
