//! Who may do what: the question as the broker puts it, and the form of the answer.

use core::any::Any;
use core::fmt;
use std::sync::Arc;

use crate::journal::Publisher;

/// Who a client is, as rules see it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its client identifier, assigned and replaced ones included.
    pub client_id: Arc<str>,
    /// The user name it was let in with.
    pub username: Option<Arc<str>>,
    /// The listener it came in by: `Entry::number`.
    pub listener: u16,
    /// What its token grants; the broker does not look into it.
    pub claims: Option<Arc<dyn Any + Send + Sync>>,
}

impl Identity {
    /// A client of which no more is known than its identifier.
    #[must_use]
    pub const fn unnamed(client_id: Arc<str>) -> Self {
        Self { client_id, username: None, listener: 0, claims: None }
    }

    /// As records hold it: without claims.
    pub(crate) fn as_publisher(&self) -> Publisher<'_> {
        let (client_id, username) = (&*self.client_id, self.username.as_deref());
        Publisher { client_id, username, listener: self.listener }
    }
}

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// To publish to a topic.
    Publish,
    /// To be sent what was published to a topic.
    Deliver,
    /// To subscribe to a topic filter.
    Subscribe,
    /// To end the subscription to a topic filter.
    Unsubscribe,
    /// To leave a will for a topic.
    Will,
    /// That what it once published to a topic is still sent to new subscribers.
    Retained,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish to",
            Self::Deliver => "read",
            Self::Subscribe => "subscribe to",
            Self::Unsubscribe => "unsubscribe from",
            Self::Will => "leave a will for",
            Self::Retained => "keep a retained message on",
        })
    }
}

/// The answer of a [`Guard`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Whether it may.
    pub allowed: bool,
    /// What says no: `file:line`, or the name of a role. `None` if nothing speaks of it, and where it
    /// may.
    pub rule: Option<Box<str>>,
}

impl Ruling {
    /// It may.
    pub const ALLOWED: Self = Self { allowed: true, rule: None };

    /// It may not, because of a rule, or because there is none that lets it.
    #[must_use]
    pub const fn denied(rule: Option<Box<str>>) -> Self {
        Self { allowed: false, rule }
    }
}

/// Whoever decides what clients may do. The answer to a question changes only with
/// [`Guarded::generation`].
pub trait Guard: Send + Sync {
    /// Whether a client may do this with a topic; for subscriptions it is the filter, without
    /// `$share/NAME/`.
    fn check(&self, who: &Identity, action: Action, topic: &str) -> Ruling;

    /// Whether a client has its rights by its names alone, and not by what it has shown when it came in: then
    /// they are the same after it has left.
    fn knows_by_name(&self, who: &Identity) -> bool {
        who.claims.is_none()
    }
}

/// The rules that hold for a turn.
#[derive(Clone, Copy)]
pub struct Guarded<'a> {
    /// Who decides.
    pub rules: &'a dyn Guard,
    /// Grows whenever an answer may differ from before.
    pub generation: u64,
}

/// A PUBLISH to `$CONTROL/...`: a command to the broker itself, from a client that may give it.
#[derive(Debug, Clone)]
pub struct Control {
    /// Where to send the answer.
    pub connection: crate::ConnId,
    /// Who.
    pub who: Arc<Identity>,
    /// `$CONTROL/NAME/v1`.
    pub topic: Arc<str>,
    /// The command.
    pub payload: Box<[u8]>,
}
