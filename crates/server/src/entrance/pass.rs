//! A connection's place in the counts of its listener.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Entrance;

/// Counted at the entrance until it is dropped.
pub(crate) struct Pass {
    pub(crate) entrance: Arc<Entrance>,
    opening: bool,
    /// From where it is counted, if addresses have limits.
    pub(crate) counted: Option<IpAddr>,
}

impl Pass {
    pub(super) fn new(entrance: Arc<Entrance>, opening: bool) -> Self {
        entrance.connections.fetch_add(1, Ordering::Relaxed);
        if opening {
            entrance.opening.fetch_add(1, Ordering::Relaxed);
        }
        Self { entrance, opening, counted: None }
    }

    /// The connection is through with its handshakes.
    pub(crate) fn opened(&mut self) {
        if std::mem::take(&mut self.opening) {
            self.entrance.opening.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.opened();
        self.entrance.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
