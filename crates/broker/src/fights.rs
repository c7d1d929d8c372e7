//! Fights: two clients that use one client identifier and take it from each other again and again.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use dunlin_proto::Time;

use crate::broker::Broker;
use crate::event::Event;

/// Takeovers of one client identifier that make a fight: a client that comes back before its old
/// connection is known to be gone has one or two.
const TIMES: u32 = 5;

/// Within this time, after which a fight that goes on is told again.
const WITHIN: Duration = Duration::from_secs(60);

/// Client identifiers watched; the one that was quiet longest makes room.
const MOST: usize = 256;

/// The client identifiers of a shard that were taken over lately.
#[derive(Debug, Default)]
pub(crate) struct Fights {
    /// The latest at the end.
    watched: VecDeque<Watched>,
}

#[derive(Debug)]
struct Watched {
    client: Arc<str>,
    since: Time,
    times: u32,
    told: bool,
}

/// A fight, as it is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fight {
    pub(crate) times: u32,
    pub(crate) within: Duration,
}

impl Fights {
    /// A client identifier was taken over; the fight, if it is one and has to be told now.
    pub(crate) fn note(&mut self, now: Time, client: &Arc<str>) -> Option<Fight> {
        let known = self.watched.iter().position(|watched| watched.client == *client);
        let known = known.and_then(|place| self.watched.remove(place));
        if self.watched.len() >= MOST {
            self.watched.pop_front();
        }
        let fresh = |client| Watched { client, since: now, times: 0, told: false };
        let mut watched = known
            .filter(|watched| now.since(watched.since) < WITHIN)
            .unwrap_or_else(|| fresh(Arc::clone(client)));
        watched.times += 1;
        let fight = (watched.times >= TIMES && !watched.told)
            .then(|| Fight { times: watched.times, within: now.since(watched.since) });
        watched.told |= fight.is_some();
        self.watched.push_back(watched);
        fight
    }
}

impl Broker {
    /// The connection of a session is taken over by another one.
    pub(crate) fn note_fight(&mut self, now: Time, session: u32, connections: [u32; 2]) {
        let address = |slot: u32| self.hub.connections.at(slot).map(|held| held.address);
        let [Some(one), Some(other)] = connections.map(address) else { return };
        let Some(session) = self.hub.sessions.at(session) else { return };
        let client = &session.who.client_id;
        if let Some(Fight { times, within }) = self.fights.note(now, client) {
            let client = Arc::clone(client);
            self.hub.events.push(Event::Fight { client, one, other, times, within });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds, of one takeover a second, in which a fight was told.
    fn told(
        fights: &mut Fights,
        client: &Arc<str>,
        seconds: impl Iterator<Item = u64>,
    ) -> Vec<u64> {
        seconds.filter(|second| fights.note(Time::from_secs(*second), client).is_some()).collect()
    }

    #[test]
    fn a_fight_is_told_once_a_minute() {
        let (mut fights, client) = (Fights::default(), Arc::from("c"));
        assert_eq!(told(&mut fights, &client, 100..180), [104, 164]);
    }

    #[test]
    fn a_client_that_comes_back_now_and_then_fights_nobody() {
        let (mut fights, client) = (Fights::default(), Arc::from("c"));
        assert!(told(&mut fights, &client, (0..3600).step_by(16)).is_empty());
    }

    #[test]
    fn many_identifiers_do_not_fill_the_memory() {
        let mut fights = Fights::default();
        for number in 0..10_000 {
            let client = Arc::from(number.to_string());
            fights.note(Time::ZERO, &client);
        }
        assert_eq!(fights.watched.len(), MOST);
    }
}
