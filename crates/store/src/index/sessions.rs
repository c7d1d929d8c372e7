//! Sessions: where it says what they are, what they have subscribed, and what they are to release.

use core::hash::BuildHasher;

use dunlin_broker::Time;
use dunlin_proto::qos::PacketId;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};

use super::live::{Live, Place};

/// Sessions by their numbers.
pub(crate) struct Sessions {
    hasher: FixedState,
    table: HashMap<u64, Session, FixedState>,
}

/// One session.
#[derive(Default)]
pub(crate) struct Session {
    /// `None` as long as its own record was not seen.
    pub(crate) place: Option<Place>,
    /// Session expiry interval, in seconds.
    pub(crate) expiry: u32,
    /// It had an expiry at some time, so that it may be the target of messages.
    pub(crate) kept: bool,
    /// Its record says a will, which was not published.
    pub(crate) will: bool,
    pub(crate) parted: Option<Parted>,
    subscriptions: HashTable<Subscription>,
    /// In the order of their PUBREC.
    pub(crate) releases: Vec<Release>,
}

/// Since when a session is without a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parted {
    pub(crate) ends_at: Time,
    pub(crate) due: Option<Time>,
    pub(crate) place: Place,
}

/// A packet identifier that waits for PUBCOMP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Release {
    pub(crate) packet_id: PacketId,
    place: Place,
}

/// A filter, by its hash: two of one session with the same are not to be expected.
struct Subscription {
    hash: u64,
    place: Place,
}

impl Sessions {
    pub(crate) fn new(seed: u64) -> Self {
        Self { hasher: FixedState::with_seed(seed), table: HashMap::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Session> {
        self.table.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Session> {
        self.table.get_mut(&number)
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Session)> {
        self.table.iter().map(|(number, session)| (*number, session))
    }

    /// The session; made for what comes before its own record while the log is read.
    pub(crate) fn known(&mut self, number: u64, reading: bool) -> Option<&mut Session> {
        if reading { Some(self.table.entry(number).or_default()) } else { self.get_mut(number) }
    }

    /// Whether messages for this session are kept.
    pub(crate) fn keeps(&self, number: u64) -> bool {
        self.get(number).is_some_and(|session| session.expiry > 0)
    }

    pub(crate) fn hash(&self, filter: &[u8]) -> u64 {
        self.hasher.hash_one(filter)
    }

    pub(crate) fn connected(
        &mut self,
        number: u64,
        expiry: u32,
        will: bool,
        place: Place,
        live: &mut Live,
    ) {
        let session = self.table.entry(number).or_default();
        for old in session.place.into_iter().chain(session.parted.map(|parted| parted.place)) {
            live.remove(old);
        }
        live.add(place);
        session.place = Some(place);
        session.parted = None;
        session.expiry = expiry;
        session.kept |= expiry > 0;
        session.will = will;
    }

    pub(crate) fn remove(&mut self, number: u64, live: &mut Live) -> Option<Session> {
        let session = self.table.remove(&number)?;
        session.places().for_each(|place| live.remove(place));
        Some(session)
    }

    /// All records are read: sessions without one of their own, and those that have ended with the process
    /// and have no will to publish, are no more.
    pub(crate) fn settle(&mut self, live: &mut Live) {
        self.table.retain(|_, session| {
            let stays = session.place.is_some() && (session.expiry > 0 || session.will);
            if !stays {
                session.places().for_each(|place| live.remove(place));
            } else if session.expiry == 0 {
                session.places().skip(1).for_each(|place| live.remove(place));
                session.subscriptions = HashTable::new();
                session.releases = Vec::new();
                // What is said of its will stays.
                if let Some(parted) = session.parted {
                    live.add(parted.place);
                }
            }
            stays
        });
    }

    /// Nothing in this segment can be read any more.
    pub(crate) fn forget(&mut self, segment: u32, live: &mut Live) {
        self.table.retain(|_, session| {
            let lost = |place: Place| place.segment == segment;
            if session.place.is_some_and(lost) {
                session.places().for_each(|place| live.remove(place));
                return false;
            }
            session.subscriptions.retain(|held| {
                let lost = lost(held.place);
                if lost {
                    live.remove(held.place);
                }
                !lost
            });
            session.releases.retain(|held| {
                let lost = lost(held.place);
                if lost {
                    live.remove(held.place);
                }
                !lost
            });
            true
        });
    }
}

impl Session {
    pub(super) fn part(&mut self, parted: Parted, live: &mut Live) {
        if let Some(old) = self.parted {
            live.remove(old.place);
        }
        live.add(parted.place);
        self.parted = Some(parted);
        self.will &= parted.due.is_some();
    }

    pub(super) const fn will_published(&mut self) {
        self.will = false;
        if let Some(parted) = &mut self.parted {
            parted.due = None;
        }
    }

    pub(super) fn subscribe(&mut self, hash: u64, place: Place, live: &mut Live) {
        live.add(place);
        match self.subscriptions.find_mut(hash, |held| held.hash == hash) {
            Some(held) => live.remove(std::mem::replace(&mut held.place, place)),
            None => {
                let new = Subscription { hash, place };
                self.subscriptions.insert_unique(hash, new, |held| held.hash);
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, hash: u64, live: &mut Live) {
        if let Ok(found) = self.subscriptions.find_entry(hash, |held| held.hash == hash) {
            live.remove(found.remove().0.place);
        }
    }

    pub(super) fn subscription(&self, hash: u64) -> Option<Place> {
        self.subscriptions.find(hash, |held| held.hash == hash).map(|held| held.place)
    }

    /// Said again, it is the last in the order of releases, as all of them are said again.
    pub(super) fn received(&mut self, packet_id: PacketId, place: Place, live: &mut Live) {
        self.completed(packet_id, live);
        live.add(place);
        self.releases.push(Release { packet_id, place });
    }

    pub(super) fn completed(&mut self, packet_id: PacketId, live: &mut Live) {
        // Clients answer in order, mostly.
        if let Some(at) = self.releases.iter().position(|held| held.packet_id == packet_id) {
            live.remove(self.releases.remove(at).place);
        }
    }

    pub(super) fn release(&self, packet_id: PacketId) -> Option<Place> {
        self.releases.iter().find(|held| held.packet_id == packet_id).map(|held| held.place)
    }

    pub(super) fn move_parted(&mut self, old: Place, new: Place, live: &mut Live) {
        if let Some(parted) = self.parted.as_mut().filter(|parted| parted.place == old) {
            parted.place = new;
            live.remove(old);
            live.add(new);
        }
    }

    /// Whatever lay there lies here.
    pub(super) fn move_place(&mut self, old: Place, new: Place) {
        let own = self.place.as_mut().into_iter();
        let subscriptions = self.subscriptions.iter_mut().map(|held| &mut held.place);
        let releases = self.releases.iter_mut().map(|held| &mut held.place);
        for place in own.chain(subscriptions).chain(releases) {
            if *place == old {
                *place = new;
            }
        }
    }

    /// Of all that is live of it, its own record first.
    fn places(&self) -> impl Iterator<Item = Place> {
        let own = self.place.into_iter();
        let parted = self.parted.iter().map(|parted| parted.place);
        let subscriptions = self.subscriptions.iter().map(|held| held.place);
        own.chain(parted).chain(subscriptions).chain(self.releases.iter().map(|held| held.place))
    }
}
