//! Who published what is retained, while a store is read.

use core::hash::BuildHasher;
use std::sync::Arc;

use dunlin_broker::Identity;
use dunlin_broker::journal::Publisher;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Every publisher once, however many messages it has: a device often has hundreds.
pub(crate) struct Publishers {
    hasher: FixedState,
    known: HashTable<Arc<Identity>>,
}

impl Publishers {
    pub(crate) const fn new() -> Self {
        Self { hasher: FixedState::with_seed(0), known: HashTable::new() }
    }

    /// The identity of a publisher.
    pub(crate) fn of(&mut self, who: &Publisher<'_>) -> Arc<Identity> {
        let hash = self.hasher.hash_one(who.client_id);
        if let Some(known) = self.known.find(hash, |known| is_same(known, who)) {
            return Arc::clone(known);
        }
        let identity = Arc::new(Identity {
            client_id: who.client_id.into(),
            username: who.username.map(Arc::from),
            listener: who.listener,
            claims: None,
        });
        let hasher = &self.hasher;
        self.known
            .insert_unique(hash, Arc::clone(&identity), |known| hasher.hash_one(&*known.client_id));
        identity
    }
}

fn is_same(known: &Identity, who: &Publisher<'_>) -> bool {
    *known.client_id == *who.client_id
        && known.username.as_deref() == who.username
        && known.listener == who.listener
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_publisher_is_one_identity_and_another_is_not() {
        let mut publishers = Publishers::new();
        let who = Publisher { client_id: "c", username: Some("u"), listener: 1 };
        let first = publishers.of(&who);
        assert!(Arc::ptr_eq(&first, &publishers.of(&who)));
        for other in [
            Publisher { client_id: "d", ..who },
            Publisher { username: None, ..who },
            Publisher { listener: 2, ..who },
        ] {
            let identity = publishers.of(&other);
            assert!(!Arc::ptr_eq(&first, &identity) && is_same(&identity, &other), "{other:?}");
        }
    }
}
