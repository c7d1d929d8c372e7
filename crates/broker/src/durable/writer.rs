//! The journal of a shard while it is written.

use core::mem;
use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Journal;
use crate::guard::Identity;
use crate::incoming::Incoming;
use crate::journal::{Head, Held, Origin, Record, Target, message_record, route_record};
use crate::numbers::Numbers;

/// Message identifiers taken at once, for one turn.
const IDS: u64 = 4096;

/// What became of the retained message of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Nothing.
    None,
    /// The message at hand is it now; its place in the order of changes.
    Set(u64),
    /// There is none any more.
    Cleared(u64),
}

/// Who waits for what is written in this turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Haste {
    /// Nobody.
    None,
    /// Somebody.
    Urgent,
    /// Somebody, though what they wait for may still have to be written.
    Awaited,
}

/// Whether the receivers of a message are noted just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noting {
    No,
    /// Of one that is not stored yet.
    New,
    /// Of one that is.
    Known,
}

/// Writes records, and knows which of them are durable.
pub(crate) struct Writer {
    pub(crate) on: bool,
    /// There is no room for more messages.
    pub(crate) full: bool,
    records: Vec<u8>,
    /// What has to stand behind the records of the same turn: the end of what they may refer to, and
    /// what refers to messages that are written once all their receivers are known.
    late: Vec<u8>,
    /// Under which everything written now will be durable.
    token: u64,
    durable: u64,
    /// Sessions whose end is not durable yet: under which token it will be, and the hashes of their
    /// client identifiers.
    ended: VecDeque<(u64, u64)>,
    /// The last of these of each client.
    ending: HashMap<u64, u64, FixedState>,
    haste: Haste,
    /// The receivers of the message at hand, while they are noted.
    targets: Vec<Target>,
    /// Who published it, if it is to be retained.
    pub(crate) publisher: Option<Arc<Identity>>,
    noting: Noting,
    /// Not yet used.
    ids: core::ops::Range<u64>,
}

impl Writer {
    pub(crate) fn new(on: bool) -> Self {
        Self {
            on,
            full: false,
            records: Vec::new(),
            late: Vec::new(),
            token: 1,
            durable: 0,
            ended: VecDeque::new(),
            ending: HashMap::with_hasher(FixedState::with_seed(0)),
            haste: Haste::None,
            targets: Vec::new(),
            publisher: None,
            noting: Noting::No,
            ids: 0..0,
        }
    }

    /// Takes what was written, if anything.
    pub(super) fn take(&mut self) -> Option<Journal> {
        // Messages of later turns are to be behind those that other shards take meanwhile.
        self.ids = 0..0;
        if self.is_empty() {
            return None;
        }
        let mut records = mem::take(&mut self.records);
        records.append(&mut self.late);
        let urgent = mem::replace(&mut self.haste, Haste::None) > Haste::None;
        let token = self.token;
        self.token += 1;
        Some(Journal { records, token, urgent })
    }

    /// Uses this memory for the next records.
    pub(super) fn lend(&mut self, mut memory: Vec<u8>) {
        if self.records.capacity() == 0 {
            memory.clear();
            self.records = memory;
        }
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.late.is_empty() && self.haste < Haste::Awaited
    }

    pub(super) fn durable(&mut self, token: u64) {
        self.durable = self.durable.max(token);
        let durable = self.durable;
        while let Some((token, client)) = self.ended.pop_front_if(|(token, _)| *token <= durable) {
            if self.ending.get(&client) == Some(&token) {
                self.ending.remove(&client);
            }
        }
    }

    /// Writes that a session is over.
    pub(crate) fn ended(&mut self, number: u64, client: u64) {
        self.write_late(&Record::Ended { number });
        self.ended.push_back((self.token, client));
        self.ending.insert(client, self.token);
    }

    /// The token until which an earlier session of this client might come back.
    pub(crate) fn ending(&self, client: u64) -> Option<u64> {
        self.ending.get(&client).copied()
    }

    /// Whether everything up to a token is durable.
    pub(crate) const fn is_durable(&self, token: u64) -> bool {
        token <= self.durable
    }

    /// The token under which everything said so far is durable; `None` if it is already.
    #[inline]
    pub(crate) fn due(&mut self) -> Option<u64> {
        let token = if self.is_empty() { self.token - 1 } else { self.token };
        if token <= self.durable {
            return None;
        }
        self.haste = self.haste.max(Haste::Urgent);
        Some(token)
    }

    /// What follows in this turn is to be waited for.
    pub(crate) const fn expect(&mut self) {
        self.haste = Haste::Awaited;
    }

    /// Whether something that is still to be written in this turn has to be waited for.
    #[inline]
    pub(crate) const fn is_awaited(&self) -> bool {
        matches!(self.haste, Haste::Awaited)
    }

    /// Begins to note who is to have a message that is to be stored.
    pub(crate) fn begin(&mut self, m: &Incoming<'_>, numbers: &Numbers) {
        self.noting = if m.id.get() == 0 { Noting::New } else { Noting::Known };
        if self.noting == Noting::New {
            if self.ids.is_empty() {
                let first = numbers.messages(IDS);
                self.ids = first..first + IDS;
            }
            let id = self.ids.next().unwrap_or_default();
            if !m.claim(id) {
                self.noting = Noting::Known;
            }
        }
    }

    /// Whether receivers are noted just now.
    #[inline]
    pub(crate) const fn is_noting(&self) -> bool {
        !matches!(self.noting, Noting::No)
    }

    /// A receiver that keeps its messages takes the one at hand.
    pub(crate) fn note(&mut self, target: Target) {
        if self.is_noting() {
            self.targets.push(target);
        }
    }

    /// Writes the message at hand and its receivers, if anybody is to keep it; false if nobody is.
    pub(crate) fn finish(
        &mut self,
        m: &Incoming<'_>,
        origin: Origin,
        retention: Retention,
        released: Option<Held>,
    ) -> bool {
        let known = mem::replace(&mut self.noting, Noting::No) == Noting::Known;
        if let Retention::Cleared(stamp) = retention {
            Record::Unretained { topic: m.topic, stamp }.write(&mut self.records);
        }
        let stamp = match retention {
            Retention::Set(stamp) => Some(stamp),
            Retention::None | Retention::Cleared(_) => None,
        };
        let wanted = stamp.is_some() || !self.targets.is_empty();
        if known && stamp.is_none() {
            if wanted || released.is_some() {
                route_record(m.id.get(), released, &self.targets, &mut self.records);
            }
        } else if wanted {
            // Said again in full, it is held no longer.
            let who = if stamp.is_some() { self.publisher.take() } else { None };
            let publisher = who.as_deref().map(Identity::as_publisher);
            let head = Head { id: m.id.get(), origin, retained: stamp, held: None, publisher };
            message_record(head, &m.stored(), &self.targets, &mut self.records);
        } else {
            m.disclaim();
        }
        self.targets.clear();
        wanted || released.is_some() || retention != Retention::None
    }

    /// A QoS 2 message from a publisher, until it is released.
    pub(crate) fn hold(&mut self, m: &Incoming<'_>, held: Held) {
        self.noting = Noting::No;
        let (id, origin, held) = (m.id.get(), Origin::Client, Some(held));
        let head = Head { id, origin, retained: None, held, publisher: None };
        message_record(head, &m.stored(), &[], &mut self.records);
    }

    /// A QoS 2 exchange whose message goes to nobody.
    pub(crate) fn release(&mut self, id: u64, held: Held) {
        route_record(id, Some(held), &[], &mut self.records);
    }

    /// A topic has no retained message any more.
    pub(crate) fn unretained(&mut self, topic: &str, stamp: u64) {
        if self.on {
            self.write(&Record::Unretained { topic, stamp });
        }
    }

    /// Something about a session, in the order it happened.
    pub(crate) fn write(&mut self, record: &Record<'_>) {
        record.write(&mut self.records);
    }

    /// Behind everything else of the turn.
    pub(crate) fn write_late(&mut self, record: &Record<'_>) {
        record.write(&mut self.late);
    }

    /// A session is done with its copy of a message.
    #[inline]
    pub(crate) fn done(&mut self, id: u64, target: Target) {
        if target.number != 0 && id != 0 {
            self.write_late(&Record::Done { id, target });
        }
    }

    /// A message is on its way.
    pub(crate) fn sent(&mut self, id: u64, target: Target) {
        self.write_late(&Record::Sent { id, target });
    }
}
