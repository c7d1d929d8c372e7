//! Whether the lines of a file fit together, and the records they come to.

use std::collections::HashSet;
use std::fmt;

use dunlin_broker::Time;
use dunlin_broker::journal::{self, Origin, Publisher, Record, StoredMessage, Target};
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::topic::TopicFilter;

use super::body::{quality, time};
use super::line::{Counts, Message, Parted, Session, Subscription, Will};

/// Why something cannot be imported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong(String);

impl Wrong {
    pub(crate) const fn new(why: String) -> Self {
        Self(why)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// Turns lines into records, refusing what no broker could have written.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    counts: Counts,
    /// In ascending order.
    sessions: Vec<u64>,
    client_ids: HashSet<String>,
    last_message: u64,
    /// Packet identifiers towards a client that are in use.
    sent: HashSet<(u64, PacketId)>,
    /// Packet identifiers of publishers that are in use.
    held: HashSet<(u64, PacketId)>,
    /// Sessions and packet identifiers, in order.
    releases: Vec<(u64, PacketId)>,
}

impl Checker {
    /// What was taken so far.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// Appends the records of a session.
    pub(crate) fn session(&mut self, session: &Session, into: &mut Vec<u8>) -> Result<(), Wrong> {
        let number = session.number;
        let last = self.sessions.last().copied().unwrap_or_default();
        if number <= last || number > HIGHEST {
            return Err(Wrong(format!("session {number}: numbers ascend, from 1 to {HIGHEST}")));
        }
        self.sessions.push(number);
        self.client_id(session)?;
        let properties = session.will.as_ref().map_or(Ok(Vec::new()), |will| will.message.check());
        let properties = properties.map_err(|Wrong(why)| Wrong(format!("will: {why}")))?;
        let will = session.will.as_ref().map(|will| will.record(&properties));
        if session.session_expiry_interval == 0 && will.is_none() {
            return Err(Wrong(format!(
                "session {number} ends with its connection: nothing to keep"
            )));
        }
        let expiry = session.session_expiry_interval;
        Record::Session {
            number,
            client_id: &session.client_id,
            username: session.username.as_deref(),
            listener: session.listener,
            expiry,
            will,
        }
        .write(into);
        for subscription in &session.subscriptions {
            subscription.record(number)?.write(into);
        }
        for packet_id in &session.releases {
            let packet_id = self.towards(number, *packet_id)?;
            self.releases.push((number, packet_id));
        }
        if let Some(parted) = &session.parted {
            parted.record(number).write(into);
        }
        self.counts.sessions += 1;
        Ok(())
    }

    fn client_id(&mut self, session: &Session) -> Result<(), Wrong> {
        let client_id = &session.client_id;
        names(client_id, session.username.as_deref())
            .map_err(|Wrong(why)| Wrong(format!("session {}: {why}", session.number)))?;
        if !self.client_ids.insert(client_id.clone()) {
            return Err(Wrong(format!("two sessions of client {client_id:?}")));
        }
        Ok(())
    }

    /// Appends the record of a message.
    pub(crate) fn message(&mut self, line: &Message, into: &mut Vec<u8>) -> Result<(), Wrong> {
        let id = line.id;
        if id <= self.last_message || id > HIGHEST {
            return Err(Wrong(format!("message {id}: identifiers ascend, from 1 to {HIGHEST}")));
        }
        self.last_message = id;
        let named = |Wrong(why)| Wrong(format!("message {id}: {why}"));
        let properties = line.message.check().map_err(named)?;
        if line.retained.is_some() && line.message.payload().is_empty() {
            return Err(named(Wrong("a retained message has a payload".to_owned())));
        }
        if line.retained.is_some_and(|stamp| stamp > HIGHEST) {
            return Err(named(Wrong(format!("retained is above {HIGHEST}"))));
        }
        let publisher = line.publisher.as_ref().map(|who| {
            let (client_id, username) = (who.client_id.as_str(), who.username.as_deref());
            names(client_id, username).map_err(named)?;
            Ok(Publisher { client_id, username, listener: who.listener })
        });
        let publisher = publisher.transpose()?;
        let held = match &line.held {
            None => None,
            Some(held) => Some(self.held(held.session, held.packet_id).map_err(named)?),
        };
        let mut targets = Vec::with_capacity(line.receivers.len());
        for receiver in &line.receivers {
            let number = self.known(receiver.session).map_err(named)?;
            // Equal ones are of overlapping subscriptions.
            if targets.last().is_some_and(|last: &Target| last.number > number) {
                return Err(named(Wrong(format!("receiver {number}: they have to ascend"))));
            }
            let qos = quality(receiver.qos).map_err(named)?;
            if qos == QoS::AtMostOnce {
                return Err(named(Wrong("QoS 0 is not kept".to_owned())));
            }
            let sent = receiver.packet_id.map(|packet_id| self.towards(number, packet_id));
            targets.push(Target {
                number,
                qos,
                retain: receiver.retain,
                shared: receiver.shared,
                identifier: identifier(receiver.subscription_identifier).map_err(named)?,
                sent: sent.transpose().map_err(named)?,
            });
        }
        let (origin, retained) = (Origin::Client, line.retained);
        let message = line.message.stored(&properties);
        Record::Message { id, origin, retained, held, publisher, message, targets }.write(into);
        self.counts.messages += 1;
        Ok(())
    }

    /// Appends what comes last. A release belongs to a message that the client has; an identifier may have
    /// only one, so each is given an empty message behind all others.
    pub(crate) fn finish(&mut self, into: &mut Vec<u8>) {
        let message = StoredMessage {
            topic: "released",
            payload: &[],
            properties: &[],
            expires: Time::MAX,
            qos: QoS::ExactlyOnce,
            retain: false,
        };
        for (number, packet_id) in core::mem::take(&mut self.releases) {
            self.last_message += 1;
            let id = self.last_message;
            let target = Target {
                number,
                qos: QoS::ExactlyOnce,
                retain: false,
                shared: false,
                identifier: 0,
                sent: Some(packet_id),
            };
            let (origin, targets) = (Origin::Client, vec![target]);
            let (retained, held, publisher) = (None, None, None);
            Record::Message { id, origin, retained, held, publisher, message, targets }.write(into);
            Record::Received { number, packet_id, id }.write(into);
        }
    }

    fn known(&self, number: u64) -> Result<u64, Wrong> {
        match self.sessions.binary_search(&number) {
            Ok(_) => Ok(number),
            Err(_) => Err(Wrong(format!("there is no session {number}"))),
        }
    }

    fn towards(&mut self, number: u64, packet_id: u16) -> Result<PacketId, Wrong> {
        let packet_id = nonzero(packet_id)?;
        if self.sent.insert((number, packet_id)) {
            return Ok(packet_id);
        }
        Err(Wrong(format!("packet identifier {packet_id} of session {number} is in use twice")))
    }

    fn held(&mut self, session: u64, packet_id: u16) -> Result<journal::Held, Wrong> {
        let (number, packet_id) = (self.known(session)?, nonzero(packet_id)?);
        if self.held.insert((number, packet_id)) {
            return Ok(journal::Held { number, packet_id });
        }
        Err(Wrong(format!("session {number} holds packet identifier {packet_id} twice")))
    }
}

impl Will {
    fn record<'a>(&'a self, properties: &'a [u8]) -> journal::Will<'a> {
        journal::Will {
            message: self.message.stored(properties),
            expiry: self.message_expiry_interval,
            delay: self.will_delay_interval,
        }
    }
}

impl Subscription {
    fn record(&self, number: u64) -> Result<Record<'_>, Wrong> {
        let named = |why: String| Wrong(format!("topic filter {:?}: {why}", self.topic_filter));
        let filter = TopicFilter::new(&self.topic_filter).map_err(|why| named(why.to_string()))?;
        filter.shared().map_err(|why| named(why.to_string()))?;
        Ok(Record::Subscribed {
            number,
            filter: filter.as_str(),
            qos: quality(self.qos)?,
            no_local: self.no_local,
            retain_as_published: self.retain_as_published,
            identifier: identifier(self.subscription_identifier)?,
        })
    }
}

impl Parted {
    fn record(&self, number: u64) -> Record<'static> {
        let will_due = self.will_due_us.map(Time::from_micros);
        Record::Parted { number, ends_at: time(self.ends_at_us), will_due }
    }
}

/// Client identifier and user name that a CONNECT could have.
fn names(client_id: &str, username: Option<&str>) -> Result<(), Wrong> {
    let fits = |name: &str| name.len() <= usize::from(u16::MAX) && !name.contains('\0');
    if !fits(client_id) {
        return Err(Wrong("no client identifier".to_owned()));
    }
    if !username.is_none_or(fits) {
        return Err(Wrong("no user name".to_owned()));
    }
    Ok(())
}

fn nonzero(packet_id: u16) -> Result<PacketId, Wrong> {
    PacketId::new(packet_id).ok_or_else(|| Wrong("packet identifier 0".to_owned()))
}

fn identifier(identifier: u32) -> Result<u32, Wrong> {
    if identifier <= HIGHEST_IDENTIFIER {
        return Ok(identifier);
    }
    Err(Wrong(format!("subscription identifier {identifier} is above {HIGHEST_IDENTIFIER}")))
}

/// Of numbers, identifiers and stamps: those to come have to be higher.
const HIGHEST: u64 = 1 << 62;

/// What four bytes of a Variable Byte Integer can say.
const HIGHEST_IDENTIFIER: u32 = 268_435_455;
