//! One connection as the broker sees it: bytes in, bytes out, and who is behind it.

use core::any::Any;
use core::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_proto::qos::PacketId;
use dunlin_proto::{Time, server};

use crate::auth::Login;
use crate::entry::{Certified, Entry};
use crate::output::Output;
use crate::pace::Metered;
use crate::refusal::Refusal;
use crate::slab::NONE;
use crate::verdicts::Permits;

/// A connection of a shard. Slots are reused; the epoch tells the tenants apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnId {
    /// Place in dense tables.
    pub slot: u32,
    /// Which tenant of the slot.
    pub epoch: u32,
}

/// Who has connected.
#[derive(Debug, Clone)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// Whether there is room; a refusal is told in the answer to CONNECT.
    pub admission: Admission,
    /// What the listener allows that it came in by.
    pub entry: Arc<Entry>,
    /// What its certificate says.
    pub certificate: Option<Arc<Certified>>,
}

impl Peer {
    /// A peer that may come in, by a listener that allows everything.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, admission: Admission::Admit, entry: Arc::default(), certificate: None }
    }
}

/// Whether a connection may be used at all.
#[derive(Debug, Clone)]
pub enum Admission {
    /// It may.
    Admit,
    /// It may, and who it is was answered before it was moved here.
    Admitted(Box<Moved>),
    /// Its CONNECT is answered with this.
    Refuse(Refusal),
}

/// What is known of a connection that was moved to another shard.
#[derive(Debug, Clone)]
pub struct Moved {
    who: Admitted,
    login: Option<Box<Login>>,
}

/// How the socket of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCause {
    /// The other side closed it.
    PeerClosed,
    /// It broke.
    Error(std::io::ErrorKind),
    /// The broker wanted it closed, and it is.
    Finished,
    /// The process ends.
    Shutdown,
}

/// What became of the bytes offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many were used.
    pub consumed: usize,
    /// What to do with the connection now.
    pub next: Next,
}

/// What to do with a connection after it was offered bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Keep the rest, read more.
    Read,
    /// Subscription changes wait: commit, then offer the rest again.
    Commit,
    /// The session lives in that shard: move the socket there with all unread bytes.
    Handover(u16),
    /// An answer is awaited: offer the rest again when the connection is resumed.
    Wait,
    /// Read no more; flush, then close.
    Close,
}

/// State of a connection.
pub(crate) struct Connection {
    pub(crate) engine: server::Connection,
    /// The client identifier, assigned ones included, while its CONNECT waits for an answer.
    pub(crate) claimed: Option<Box<str>>,
    /// Slot of its session, or `NONE` until CONNECT is accepted.
    pub(crate) session: u32,
    /// QoS 1 and 2 messages that may be in flight to it.
    pub(crate) window: u16,
    /// Whether reason strings are sent to it.
    pub(crate) explain: bool,
    /// Whether its listener has a mount point.
    pub(crate) mounted: bool,
    /// Which frames it takes as they came from others.
    pub(crate) takes: Takes,
    /// Answers that wait until something is durable.
    pub(crate) waiting: u32,
    /// Messages to it among them.
    pub(crate) withheld: u32,
    /// The QoS 2 message that it has repeated.
    pub(crate) repeated: Option<PacketId>,
    /// The route of its previous PUBLISH.
    pub(crate) route: u32,
    /// Topics that rules let it publish to.
    pub(crate) permits: Option<Box<Permits>>,
    pub(crate) output: Output,
    pub(crate) address: SocketAddr,
    pub(crate) entry: Arc<Entry>,
    pub(crate) certificate: Option<Arc<Certified>>,
    pub(crate) stage: Stage,
    /// What there is to know of how it was let in.
    pub(crate) login: Option<Box<Login>>,
    /// What is counted of it, where that has a limit.
    pub(crate) metered: Option<Box<Metered>>,
}

/// Which frames can be sent on as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Those of versions before 5.0.
    Before5,
    /// Those of 5.0.
    Version5,
    /// None: its topics are named by aliases, or are told without a mount point.
    None,
}

impl Takes {
    /// Who takes a frame of this family of versions.
    #[inline]
    pub(crate) const fn as_it_came(v5: bool) -> Self {
        if v5 { Self::Version5 } else { Self::Before5 }
    }
}

/// What a connection waits for, besides its next packet.
pub(crate) enum Stage {
    /// Nothing: packets are taken as they come.
    Open,
    /// Its CONNECT will be refused.
    Unwelcome(Box<Refusal>),
    /// Subscription changes are to be committed.
    Committing,
    /// The question who it is was asked.
    Asked,
    /// And answered.
    Answered(Box<Verdict>),
    /// There is no room to keep what it publishes.
    Parked,
    /// Its end: nothing is read any more.
    Ended,
}

/// The answer to the question who a client is.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It may connect; or, asked again, stay.
    Allow(Admitted),
    /// It may not.
    Deny(Refusal),
    /// It has to say more first: sent in an AUTH with reason 0x18 (4.12).
    Continue(Box<[u8]>),
}

/// Who was let in, and until when.
#[derive(Debug, Clone, Default)]
pub struct Admitted {
    /// The user name that rules go by; it may come from a certificate or a token.
    pub username: Option<Arc<str>>,
    /// Takes the place of the client identifier that was sent.
    pub client_id: Option<Box<str>>,
    /// What its token grants; the broker does not look into it.
    pub claims: Option<Arc<dyn Any + Send + Sync>>,
    /// Authentication data of the CONNACK, or of the AUTH that ends an exchange (4.12).
    pub auth_data: Option<Box<[u8]>>,
    /// When it is disconnected: the end of its token.
    pub expires: Option<Time>,
}

/// The question who a client is.
#[derive(Clone)]
pub struct Question {
    /// Where to send the answer.
    pub connection: ConnId,
    /// From where it comes.
    pub address: SocketAddr,
    /// The listener that it came in by.
    pub entry: Arc<Entry>,
    /// What its certificate says.
    pub certificate: Option<Arc<Certified>>,
    /// Its client identifier; empty if it is to be assigned.
    pub client_id: Box<str>,
    /// The user name, if one was given.
    pub username: Option<Box<str>>,
    /// The password, if one was given.
    pub password: Option<Box<[u8]>>,
    /// The authentication method, if one was named (4.12).
    pub method: Option<Box<str>>,
    /// The authentication data of the CONNECT or AUTH at hand.
    pub data: Option<Box<[u8]>>,
    /// 0 for CONNECT, then one more for each AUTH.
    pub step: u32,
    /// Whether it is connected and authenticates itself again: then client identifier and user name
    /// are those it was let in with, and there is no password.
    pub again: bool,
}

/// Without what is secret.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("connection", &self.connection)
            .field("address", &self.address)
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("method", &self.method)
            .field("step", &self.step)
            .field("again", &self.again)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(engine: server::Connection, peer: &Peer) -> Self {
        Self {
            engine,
            claimed: None,
            session: NONE,
            window: 0,
            explain: false,
            mounted: peer.entry.mount_point.is_some(),
            takes: Takes::None,
            waiting: 0,
            withheld: 0,
            repeated: None,
            route: NONE,
            permits: None,
            output: Output::default(),
            address: peer.address,
            entry: Arc::clone(&peer.entry),
            certificate: peer.certificate.clone(),
            metered: None,
            login: match &peer.admission {
                Admission::Admitted(moved) => moved.login.clone(),
                Admission::Admit | Admission::Refuse(_) => None,
            },
            stage: match &peer.admission {
                Admission::Admit => Stage::Open,
                Admission::Admitted(moved) => {
                    Stage::Answered(Box::new(Verdict::Allow(moved.who.clone())))
                }
                Admission::Refuse(refusal) => Stage::Unwelcome(Box::new(refusal.clone())),
            },
        }
    }

    /// Who has connected, as far as it is known by now.
    pub(crate) fn peer(&self) -> Peer {
        Peer {
            address: self.address,
            admission: match &self.stage {
                Stage::Unwelcome(refusal) => Admission::Refuse(Refusal::clone(refusal)),
                Stage::Answered(verdict) => match &**verdict {
                    Verdict::Allow(who) => {
                        let (who, login) = (who.clone(), self.login.clone());
                        Admission::Admitted(Box::new(Moved { who, login }))
                    }
                    Verdict::Deny(refusal) => Admission::Refuse(refusal.clone()),
                    Verdict::Continue(_) => Admission::Admit,
                },
                _ => Admission::Admit,
            },
            entry: Arc::clone(&self.entry),
            certificate: self.certificate.clone(),
        }
    }
}
