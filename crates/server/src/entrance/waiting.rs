//! Connections whose CONNECT is not there: how many, from where, and what is held of their beginnings.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::{Rules, TurnedAway};
use crate::why::network;

/// Counts of a listener.
#[derive(Default)]
pub(super) struct Waiting {
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// A lock and not messages: connections are accepted on one shard and heard on others. It is taken
    /// twice for each connection, and never by one that was heard.
    places: Mutex<HashMap<IpAddr, usize>>,
}

/// What one connection counts for, until its CONNECT is there.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// From where, where that is known.
    from: Option<IpAddr>,
    bytes: usize,
}

impl Waiting {
    /// One more connection, if there is room for it.
    pub(super) fn enter(&self, rules: &Rules, from: Option<IpAddr>) -> Result<Counted, TurnedAway> {
        if self.count.load(Ordering::Relaxed) >= rules.maximum_waiting {
            return Err(TurnedAway::Waiting(rules.maximum_waiting));
        }
        let mut counted = Counted::default();
        if let Some(from) = from {
            self.place(rules, &mut counted, from)?;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(counted)
    }

    /// From where a connection comes, if there is room for one more from there.
    pub(super) fn place(
        &self,
        rules: &Rules,
        counted: &mut Counted,
        from: IpAddr,
    ) -> Result<(), TurnedAway> {
        let from = network(from);
        let mut places = self.places.lock();
        let most = rules.maximum_waiting_from_address;
        if places.get(&from).copied().unwrap_or_default() >= most {
            return Err(TurnedAway::WaitingFromAddress(most));
        }
        *places.entry(from).or_default() += 1;
        drop(places);
        if let Some(before) = counted.from.replace(from) {
            self.forget(before);
        }
        Ok(())
    }

    /// So much of its CONNECT is held.
    pub(super) fn hold(
        &self,
        rules: &Rules,
        counted: &mut Counted,
        bytes: usize,
    ) -> Result<(), TurnedAway> {
        let before = std::mem::replace(&mut counted.bytes, bytes);
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
        let held = held.saturating_sub(before).saturating_add(bytes);
        if bytes > before && held > rules.maximum_waiting_bytes {
            return Err(TurnedAway::WaitingBytes(rules.maximum_waiting_bytes));
        }
        Ok(())
    }

    /// Its CONNECT is there, or it is gone.
    pub(super) fn leave(&self, counted: &Counted) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(counted.bytes, Ordering::Relaxed);
        if let Some(from) = counted.from {
            self.forget(from);
        }
    }

    fn forget(&self, from: IpAddr) {
        let mut places = self.places.lock();
        if let Some(count) = places.get_mut(&from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                places.remove(&from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entrance::ListenerOptions;
    use crate::listener::HERE;

    #[test]
    fn of_who_is_turned_away_nothing_stays() {
        let mut options = ListenerOptions::from(HERE);
        let waiting = Waiting::default();
        for most in [0, 1] {
            options.maximum_waiting_from_address = most;
            let rules = Rules::read(&options).expect("nothing is wrong with them");
            for host in 1..=50 {
                let from = Some(IpAddr::from([10, 0, 0, host]));
                let first = waiting.enter(&rules, from);
                assert_eq!(first.is_ok(), most > 0);
                assert!(waiting.enter(&rules, from).is_err());
                first.iter().for_each(|counted| waiting.leave(counted));
            }
            assert!(waiting.places.lock().is_empty());
            assert_eq!(waiting.count.load(Ordering::Relaxed), 0);
        }
    }
}
