//! The MQTT broker without sockets, clocks or threads: inputs in, effects out.
//!
//! [`Broker`] is one shard: it owns sessions and their connections. Shards share the subscription
//! [`Index`] and the retained messages, and send each other [`Mail`]. Follow a message in this order:
//! `broker.rs` (input) → `publish.rs` → `routes.rs` (who is subscribed) → `hub.rs` (to whom and how) →
//! `frame.rs` (as which bytes) → `output.rs` (what is written to the socket).
#![forbid(unsafe_code)]

mod acks;
mod admission;
mod answer;
mod auth;
mod broker;
mod burst;
mod commons;
mod connect;
mod connection;
mod control;
mod declined;
mod downgrades;
mod durable;
mod entry;
mod event;
mod expel;
mod fights;
mod frame;
mod guard;
mod hub;
mod identities;
mod incoming;
mod inspect;
pub mod journal;
mod lifecycle;
mod limits;
mod mail;
mod message;
mod mount;
mod numbers;
mod outbound;
mod output;
mod pace;
mod pending;
mod pool;
mod publish;
mod rate;
mod reconfigure;
mod refusal;
mod replay;
mod retain;
pub mod router;
mod routes;
mod session;
mod settings;
mod slab;
mod stats;
mod subscribe;
mod timer;
mod users;
mod verdicts;
mod wills;

pub use broker::Broker;
pub use commons::{Commons, View};
pub use connection::{
    Admission, Admitted, CloseCause, ConnId, Moved, Next, Peer, Progress, Question, Verdict,
};
pub use dunlin_proto::Time;
pub use durable::{Journal, Load, Storage};
pub use entry::{Certified, Entry, Versions};
pub use event::{Cause, Causes, Downgrade, Drop, End, Event, Level, NotTaken};
pub use expel::Present;
pub use guard::{Action, Control, Guard, Guarded, Identity, Ruling};
pub use inspect::{Client, Online};
pub use limits::{Limit, Reached};
pub use mail::Mail;
pub use message::{Message, RetainedMessage};
pub use numbers::Numbers;
pub use output::Output;
pub use rate::{Meter, Rate};
pub use refusal::{By, Refusal};
pub use router::{Cursor, Index, Retained, SessionKey, Subscriber};
pub use settings::{
    DeniedPublish, Overlapping, QueueFull, ReasonStrings, RefusalCodes, RetainedExpiry, Settings,
    WillDelay,
};
pub use stats::Stats;
