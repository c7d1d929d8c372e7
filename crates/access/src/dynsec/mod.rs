//! Users, groups and roles that are changed while the broker runs: the commands, the file and the
//! order of evaluation of Mosquitto's dynamic security plugin.
//!
//! A client (a user name, in the words of the plugin) has roles and is in groups, which have roles; a
//! role has lists of ACLs. The roles of the client are asked in the order of their priorities, then
//! those of its groups; within a role the ACLs in the order of theirs. The first that matches decides,
//! otherwise a default does, one for each kind of action.

mod check;
mod command;
mod file;
mod first;
mod state;

pub use check::{By, Decision};
pub use command::{Connections, Kick, Outcome};
pub use first::make_password;
pub use state::{AclType, Dynsec};

/// The topic that commands are published to.
pub const COMMAND_TOPIC: &str = "$CONTROL/dynamic-security/v1";
/// The topic that the answers are published to, for the client that sent the command only.
pub const RESPONSE_TOPIC: &str = "$CONTROL/dynamic-security/v1/response";
