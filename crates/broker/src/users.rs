//! How many sessions there are, and how many connections a user has, on all shards.

use std::sync::Arc;

use crate::broker::Broker;
use crate::commons::Commons;
use crate::guard::Identity;
use crate::limits::{Limit, Reached};
use crate::refusal::Refusal;

impl Broker {
    /// Whether there is room for the session of a client.
    pub(crate) fn admit_session(&self, id: &str, commons: &dyn Commons) -> Result<(), Refusal> {
        let allowed = self.hub.settings.maximum_sessions;
        if allowed == usize::MAX || self.session_of(id).is_some() {
            return Ok(());
        }
        // This one has its home already.
        let before = commons.sessions().saturating_sub(1);
        if before < allowed {
            return Ok(());
        }
        Err(Refusal::Limit(Reached::new(Limit::Sessions, before, allowed)))
    }

    /// Counts a connection for its user, if that has a limit, until its socket is closed.
    pub(crate) fn count_user(
        &mut self,
        slot: u32,
        who: &Identity,
        commons: &dyn Commons,
    ) -> Result<(), Refusal> {
        let allowed = self.hub.settings.maximum_user_connections;
        let Some(user) = who.username.as_ref().filter(|_| allowed < usize::MAX) else {
            return Ok(());
        };
        // Who comes back may find its own old connection.
        let session = self.session_of(&who.client_id);
        let session = session.and_then(|session| self.hub.sessions.at(session));
        let takes_over = session
            .is_some_and(|held| held.connected() && held.who.username.as_ref() == Some(user));
        commons
            .user_came(user, allowed + usize::from(takes_over))
            .map_err(|open| Refusal::Limit(Reached::new(Limit::UserConnections, open, allowed)))?;
        if let Some(connection) = self.hub.connections.at_mut(slot) {
            connection.metered.get_or_insert_default().user = Some(Arc::clone(user));
        }
        Ok(())
    }

    /// The socket of a connection is closed.
    pub(crate) fn uncount_user(&self, slot: u32, commons: &dyn Commons) {
        let connection = self.hub.connections.at(slot);
        let metered = connection.and_then(|connection| connection.metered.as_ref());
        if let Some(user) = metered.and_then(|metered| metered.user.as_ref()) {
            commons.user_left(user);
        }
    }
}
