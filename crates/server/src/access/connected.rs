//! From where the users of dynamic security are connected, for who asks about them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use dunlin_broker::Identity;

use super::Accesses;
use crate::shared::Shared;

/// Connections of a shard that are told at most: an answer with more is of no use to anybody.
const MOST: usize = 100_000;

/// What the shards say, asked when the first answer needs it.
pub(super) struct Connected {
    shared: Option<Arc<Shared>>,
    /// Where the users are at home that are asked about.
    listeners: Vec<u16>,
    found: Option<HashMap<String, Vec<Connection>>>,
}

struct Connection {
    client_id: Arc<str>,
    address: String,
}

impl Connected {
    pub(super) fn new(accesses: &Accesses, listeners: Vec<u16>) -> Self {
        let shared = accesses.shared.get().and_then(Weak::upgrade);
        Self { shared, listeners, found: None }
    }

    /// The addresses of a user, of one client identifier only if that is the only one it may have.
    pub(super) fn addresses(&mut self, user: &str, client_id: Option<&str>) -> Vec<String> {
        let Self { shared, listeners, found } = self;
        let found = found.get_or_insert_with(|| ask(shared.as_deref(), listeners));
        let connections = found.get(user).into_iter().flatten();
        let meant = connections.filter(|one| client_id.is_none_or(|only| *only == *one.client_id));
        meant.map(|one| one.address.clone()).collect()
    }
}

fn ask(shared: Option<&Shared>, listeners: &[u16]) -> HashMap<String, Vec<Connection>> {
    let mut found: HashMap<String, Vec<Connection>> = HashMap::new();
    let Some(shared) = shared else { return found };
    let listeners = listeners.to_vec();
    let shards = shared.ask(move |broker, _| {
        let wanted = |who: &Identity| who.username.is_some() && listeners.contains(&who.listener);
        let clients = broker.clients(&wanted, MOST).into_iter();
        clients
            .filter_map(|client| Some((client.who, client.online?.address.ip().to_string())))
            .collect::<Vec<_>>()
    });
    for (who, address) in shards.into_iter().flatten() {
        let user = who.username.as_deref().unwrap_or_default();
        let client_id = Arc::from(&*who.client_id);
        found.entry(user.into()).or_default().push(Connection { client_id, address });
    }
    found
}
