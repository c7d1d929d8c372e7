//! The state of the broker, made of what is live in the log.

use std::collections::VecDeque;
use std::sync::Arc;

use dunlin_broker::Message;
use dunlin_broker::journal::{
    HeldState, QueuedState, Record, Records, RetainedState, SessionState, State, SubscriptionState,
    WillState,
};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::disk::Disk;
use crate::error::OpenError;
use crate::format::{Identity, segment_name};
use crate::index::{Index, Place, Session};
use crate::open::PIECE;
use crate::publishers::Publishers;
use crate::reader::Frames;
use crate::segment::Segment;
use crate::view::{MessageView, View, Views};

/// Reads the log once more, for what the index knows to count; retained messages go to `retained` as they
/// are come to.
pub(crate) fn restore<D: Disk>(
    disk: &mut D,
    log: &VecDeque<Segment<D::File>>,
    index: &Index,
    identity: Identity,
    retained: &mut dyn FnMut(RetainedState),
) -> Result<State, OpenError> {
    let mut building = Building::new(index, retained);
    let mut frames = Frames::new(0, identity, 0, PIECE);
    frames.forgive();
    for Segment { id, file, end, .. } in log {
        if index.live.of(*id) == 0 {
            continue;
        }
        let io = || OpenError::io(format!("read {}", segment_name(*id)));
        frames.begin(*id, *end);
        loop {
            let Some(frame) = frames.next(disk, file).map_err(io())? else {
                if frames.is_at_end() || frames.resync(disk, file).map_err(io())?.is_none() {
                    break;
                }
                continue;
            };
            let mut offset = frame.start() as u32;
            for (record, view) in Views::new(frame.records).flatten() {
                let length = record.len() as u32;
                if building.take(record, &view, Place { segment: *id, offset, length }).is_none() {
                    let (file, offset) = (segment_name(*id), offset.into());
                    return Err(OpenError::Record { file, offset });
                }
                offset += length;
            }
        }
    }
    Ok(building.finish())
}

struct Building<'a> {
    index: &'a Index,
    state: State,
    retained: &'a mut dyn FnMut(RetainedState),
    /// Where the sessions are in the state.
    sessions: HashMap<u64, u32, FixedState>,
    /// Of the message before.
    slot: u32,
    publishers: Publishers,
}

impl<'a> Building<'a> {
    fn new(index: &'a Index, retained: &'a mut dyn FnMut(RetainedState)) -> Self {
        let mut known: Vec<(u64, &Session)> = index.sessions.iter().collect();
        known.sort_unstable_by_key(|(number, _)| *number);
        let sessions = known.iter().zip(0..).map(|((number, _), at)| (*number, at)).collect();
        let state = State {
            sessions: known.into_iter().map(|(number, session)| begun(number, session)).collect(),
            retained: Vec::new(),
            next_number: index.next.number,
            next_message: index.next.message,
            next_stamp: index.next.stamp,
        };
        let publishers = Publishers::new();
        Self { index, state, retained, sessions, slot: 0, publishers }
    }

    fn session(&mut self, number: u64) -> Option<&mut SessionState> {
        let at = self.sessions.get(&number)?;
        self.state.sessions.get_mut(*at as usize)
    }

    /// Takes a record if it counts; `None` if it cannot be understood.
    fn take(&mut self, record: &[u8], view: &View<'_>, place: Place) -> Option<()> {
        match view {
            View::Message(m) => {
                let messages = &self.index.messages;
                let slot = messages.find_after(self.slot, m.id);
                let Some(slot) = slot.filter(|slot| messages.at(*slot).place == place) else {
                    return Some(());
                };
                self.slot = slot;
                self.message(slot, m)
            }
            View::Session { .. } | View::Subscribed { .. } if self.index.is_live(view, place) => {
                let (_, said) = Records::new(record).next()?.ok()?;
                match said? {
                    Record::Session { number, client_id, username, listener, will, .. } => {
                        let index = self.index.sessions.get(number);
                        let due = index.and_then(|session| session.parted).and_then(|p| p.due);
                        let will = will.filter(|_| index.is_some_and(|session| session.will));
                        let state = self.session(number)?;
                        state.client_id = client_id.to_owned();
                        state.username = username.map(str::to_owned);
                        state.listener = listener;
                        if let Some(will) = will {
                            let message = Message::restored(0, &will.message)?;
                            let (expiry, delay) = (will.expiry, will.delay);
                            state.will = Some(WillState { message, expiry, delay, due });
                        }
                    }
                    Record::Subscribed {
                        number,
                        filter,
                        qos,
                        no_local,
                        retain_as_published,
                        identifier,
                    } => {
                        let filter = filter.to_owned();
                        self.session(number)?.subscriptions.push(SubscriptionState {
                            filter,
                            qos,
                            no_local,
                            retain_as_published,
                            identifier,
                        });
                    }
                    _ => return None,
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    fn message(&mut self, slot: u32, m: &MessageView<'_>) -> Option<()> {
        let index = self.index;
        let entry = index.messages.at(slot);
        let mut message = None;
        let mut message = || -> Option<Arc<Message>> {
            if message.is_none() {
                message = Some(Arc::new(Message::restored(m.id, &m.stored()?)?));
            }
            message.clone()
        };
        if entry.is_retained() {
            let stamp = index.retained.stamp(entry.topic());
            let publisher = m.publisher().map(|publisher| self.publishers.of(&publisher));
            (self.retained)(RetainedState { message: message()?, stamp, publisher });
        }
        if let Some(held) = index.messages.held(m.id)
            && let Some(session) = self.session(held.number)
        {
            let packet_id = held.packet_id;
            session.held.push(HeldState { packet_id, message: message()? });
        }
        for target in entry.targets() {
            let message = if target.sent.is_some() { Some(message()?) } else { None };
            let Some(session) = self.session(target.number) else { continue };
            session.queue.push(QueuedState {
                id: m.id,
                target,
                bytes: u32::try_from(m.bytes()).unwrap_or(u32::MAX),
                expires: m.expires,
                message,
            });
        }
        Some(())
    }

    fn finish(mut self) -> State {
        for session in &mut self.state.sessions {
            session.subscriptions.sort_unstable_by(|a, b| a.filter.cmp(&b.filter));
            // Stable, for what a session has more than once.
            session.queue.sort_by_key(|held| held.id);
            session.held.sort_by_key(|held| held.message.id());
        }
        self.state
    }
}

/// What the index alone knows of a session.
fn begun(number: u64, session: &Session) -> SessionState {
    SessionState {
        number,
        client_id: String::new(),
        username: None,
        listener: 0,
        expiry: session.expiry,
        ends_at: session.parted.map(|parted| parted.ends_at),
        will: None,
        subscriptions: Vec::new(),
        queue: Vec::new(),
        releases: session.releases.iter().map(|held| held.packet_id).collect(),
        held: Vec::new(),
    }
}
