//! From what Mosquitto means to what dunlin keeps.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use dunlin_proto::TopicFilter;

use super::super::dump::{self, Body, Held, Message, Parted, Receiver, Session};
use super::snapshot::{BaseMessage, Client, ClientMessage, Snapshot, Subscription, Will, state};

/// What is to be imported.
#[derive(Debug, Default)]
pub(crate) struct Converted {
    pub(crate) sessions: Vec<Session>,
    pub(crate) messages: Vec<Message>,
    pub(crate) left_out: LeftOut,
}

/// What dunlin does not keep, or what belongs to nothing in the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Sessions that end with their connections.
    pub(crate) sessions: u64,
    /// QoS 0 messages that waited.
    pub(crate) qos0: u64,
    /// Messages and subscriptions of clients that are not in the file, and messages that are not.
    pub(crate) strays: u64,
    /// What has a form that MQTT does not allow: topics, filters, packet identifiers.
    pub(crate) malformed: u64,
}

/// The numbers of listeners by their ports. Mosquitto knows listeners by port, dunlin by their place in the
/// configuration. Without a configuration everybody came in by the first.
pub(crate) type Listeners = HashMap<u16, u16>;

/// `now` in seconds since 1970.
pub(super) fn convert(snapshot: Snapshot, now: u64, listeners: Listeners) -> Converted {
    let mut builder = Builder { listeners, ..Builder::default() };
    let Snapshot { messages, clients, client_messages, subscriptions, retained, wills } = snapshot;
    for client in clients {
        builder.client(client, now);
    }
    for subscription in subscriptions {
        builder.subscription(subscription);
    }
    for client_message in client_messages {
        builder.client_message(&client_message, &messages);
    }
    for id in retained {
        builder.retained(id, &messages);
    }
    // Last, as a session that is left out may come back for its will alone.
    for will in wills {
        builder.will(&will);
    }
    builder.finish()
}

/// Where a message lies: Mosquitto's number, then which copy of it, then of which message and client.
///
/// A queue of Mosquitto is in the order of its entries, a queue of dunlin in the order of identifiers.
/// A message that comes late in a queue is copied behind the one before it.
type Place = (u64, u64, u64, u64);

#[derive(Debug, Default)]
struct Builder {
    converted: Converted,
    listeners: Listeners,
    /// 0 for a client whose session is left out.
    numbers: HashMap<String, u64>,
    clients: HashMap<u64, Client>,
    messages: BTreeMap<Place, Message>,
    /// The last place in each session's queue.
    last: HashMap<u64, Place>,
    /// Packet identifiers in use, so that a broken file does not use one twice: session, direction.
    used: HashSet<(u64, u8, u16)>,
}

impl Builder {
    fn client(&mut self, client: Client, now: u64) {
        let interval = client.session_expiry_interval;
        if self.numbers.contains_key(&client.client_id) || client.client_id.contains('\0') {
            self.converted.left_out.malformed += 1;
            return;
        }
        if interval == 0 {
            self.converted.left_out.sessions += 1;
            self.numbers.insert(client.client_id, 0);
            return;
        }
        let ends_at = match seconds(client.session_expiry_time) {
            _ if interval == u32::MAX => None,
            None => Some(now.saturating_add(interval.into())),
            ends_at => ends_at,
        };
        let parted = Some(Parted { ends_at_us: ends_at.map(micros), will_due_us: None });
        let listener = self.listener(client.port).unwrap_or_default();
        let number = self.add(&client.client_id, client.username.as_deref(), interval, parted);
        if let Some(session) = self.converted.sessions.last_mut() {
            session.listener = listener;
        }
        self.numbers.insert(client.client_id.clone(), number);
        self.clients.insert(number, client);
    }

    fn add(
        &mut self,
        client_id: &str,
        username: Option<&str>,
        expiry: u32,
        parted: Option<Parted>,
    ) -> u64 {
        let number = self.converted.sessions.len() as u64 + 1;
        self.converted.sessions.push(Session {
            number,
            client_id: client_id.to_owned(),
            username: username.map(str::to_owned),
            listener: 0,
            session_expiry_interval: expiry,
            parted,
            will: None,
            subscriptions: Vec::new(),
            releases: Vec::new(),
        });
        number
    }

    /// The session of a client, unless it is left out.
    fn session(&mut self, client_id: &str) -> Option<&mut Session> {
        let Some(number) = self.numbers.get(client_id) else {
            self.converted.left_out.strays += 1;
            return None;
        };
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.converted.sessions.get_mut(index)
    }

    fn will(&mut self, will: &Will) {
        let body = body(&will.message);
        if body.check().is_err() {
            self.converted.left_out.malformed += 1;
            return;
        }
        let number = match self.numbers.get(&will.client_id) {
            Some(0) | None => {
                let number = self.add(&will.client_id, None, 0, None);
                self.numbers.insert(will.client_id.clone(), number);
                number
            }
            Some(number) => *number,
        };
        let index = usize::try_from(number - 1).unwrap_or_default();
        let Some(session) = self.converted.sessions.get_mut(index) else { return };
        let client = self.clients.get(&number);
        match client.and_then(|client| seconds(client.will_delay_time)) {
            Some(due) => {
                let parted = session.parted.get_or_insert_default();
                parted.will_due_us = Some(micros(due));
            }
            // It had a connection: the will is due as if dunlin had lost it.
            None => session.parted = None,
        }
        session.will = Some(dump::Will {
            message: body,
            will_delay_interval: client.map_or(0, |client| client.will_delay_interval),
            message_expiry_interval: will.message_expiry_interval,
        });
    }

    fn subscription(&mut self, subscription: Subscription) {
        let filter = TopicFilter::new(&subscription.topic_filter);
        let sound = filter.is_ok_and(|filter| filter.shared().is_ok());
        let qos = subscription.options & 0b11;
        if !sound || qos > 2 || subscription.identifier > 268_435_455 {
            self.converted.left_out.malformed += 1;
            return;
        }
        let Some(session) = self.session(&subscription.client_id) else { return };
        session.subscriptions.push(dump::Subscription {
            topic_filter: subscription.topic_filter,
            qos,
            no_local: subscription.options & 0b100 != 0,
            retain_as_published: subscription.options & 0b1000 != 0,
            subscription_identifier: subscription.identifier,
        });
    }

    fn client_message(&mut self, entry: &ClientMessage, messages: &BTreeMap<u64, BaseMessage>) {
        let Some(session) = self.session(&entry.client_id) else { return };
        let number = session.number;
        if entry.direction == 1 && is_release(entry) {
            self.release(number, entry.packet_id);
            return;
        }
        let Some(message) = messages.get(&entry.message) else {
            self.converted.left_out.strays += 1;
            return;
        };
        match (entry.direction, entry.qos) {
            (0, _) => self.held(number, entry, message),
            (_, 1 | 2) => self.queued(number, entry, message),
            (_, 0) => self.converted.left_out.qos0 += 1,
            _ => self.converted.left_out.malformed += 1,
        }
    }

    fn release(&mut self, number: u64, packet_id: u16) {
        if packet_id == 0 || !self.used.insert((number, 1, packet_id)) {
            self.converted.left_out.malformed += 1;
            return;
        }
        let index = usize::try_from(number - 1).ok();
        if let Some(session) = index.and_then(|index| self.converted.sessions.get_mut(index)) {
            session.releases.push(packet_id);
        }
    }

    /// Mosquitto gives a QoS 2 message to its subscribers when the publisher releases it, as dunlin does.
    fn held(&mut self, number: u64, entry: &ClientMessage, message: &BaseMessage) {
        if !matches!(entry.state, state::WAIT_FOR_PUBREL | state::SEND_PUBREC | state::QUEUED) {
            return;
        }
        let packet_id = entry.packet_id;
        if packet_id == 0 || !self.used.insert((number, 0, packet_id)) {
            self.converted.left_out.malformed += 1;
            return;
        }
        let place = (entry.message, u64::MAX, number, packet_id.into());
        if let Some(line) = self.line(place, message) {
            line.held = Some(Held { session: number, packet_id });
        }
    }

    fn queued(&mut self, number: u64, entry: &ClientMessage, message: &BaseMessage) {
        let sent = entry.state != state::QUEUED;
        if sent && (entry.packet_id == 0 || !self.used.insert((number, 1, entry.packet_id))) {
            self.converted.left_out.malformed += 1;
            return;
        }
        let plain = (entry.message, 0, 0, 0);
        let place = match self.last.get(&number) {
            Some(last) if *last > plain => (last.0, last.1 + 1, entry.message, number),
            _ => plain,
        };
        let receiver = Receiver {
            session: number,
            qos: entry.qos,
            retain: entry.retain,
            shared: false,
            subscription_identifier: entry.subscription_identifier.min(268_435_455),
            packet_id: sent.then_some(entry.packet_id),
        };
        if let Some(line) = self.line(place, message) {
            line.receivers.push(receiver);
            self.last.insert(number, place);
        }
    }

    fn retained(&mut self, id: u64, messages: &BTreeMap<u64, BaseMessage>) {
        let Some(message) = messages.get(&id) else {
            self.converted.left_out.strays += 1;
            return;
        };
        // What Mosquitto says of itself is not what dunlin says of itself.
        if message.topic.starts_with("$SYS/") || message.payload.is_empty() {
            return;
        }
        let publisher = message.source.as_ref().and_then(|source| {
            Some(dump::Publisher {
                client_id: source.client_id.clone(),
                username: source.username.clone(),
                listener: self.listener(source.port)?,
            })
        });
        if let Some(line) = self.line((id, 0, 0, 0), message) {
            line.retained = Some(id.clamp(1, 1 << 62));
            line.publisher = publisher;
        }
    }

    /// The number of a listener; none if it is not there any more.
    fn listener(&self, port: u16) -> Option<u16> {
        // A single one may have moved to another port.
        let several = self.listeners.len() > 1;
        if several { self.listeners.get(&port).copied() } else { Some(0) }
    }

    fn line(&mut self, place: Place, message: &BaseMessage) -> Option<&mut Message> {
        match self.messages.entry(place) {
            Entry::Occupied(line) => Some(line.into_mut()),
            Entry::Vacant(vacant) => {
                let body = body(message);
                if body.check().is_err() {
                    self.converted.left_out.malformed += 1;
                    return None;
                }
                let (retained, publisher, held, receivers) = (None, None, None, Vec::new());
                let message = body;
                let line = Message { id: 0, message, retained, publisher, held, receivers };
                Some(vacant.insert(line))
            }
        }
    }

    fn finish(mut self) -> Converted {
        for (id, mut message) in (1..).zip(self.messages.into_values()) {
            message.id = id;
            message.receivers.sort_by_key(|receiver| receiver.session);
            self.converted.messages.push(message);
        }
        self.converted
    }
}

fn is_release(entry: &ClientMessage) -> bool {
    matches!(entry.state, state::RESEND_PUBREL | state::WAIT_FOR_PUBCOMP)
}

fn body(message: &BaseMessage) -> Body {
    let mut body = Body {
        topic: message.topic.clone(),
        qos: message.qos,
        retain: message.retain,
        expires_us: seconds(message.expiry_time).map(micros),
        properties: message.properties.clone(),
        ..Body::default()
    };
    body.set_payload(&message.payload);
    body
}

/// Mosquitto has 0 for none.
fn seconds(time: i64) -> Option<u64> {
    u64::try_from(time).ok().filter(|time| *time > 0)
}

const fn micros(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000_000)
}
