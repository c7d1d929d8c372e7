//! A connection's place in the counts of its listener.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::pki_types::CertificateDer;

use super::{Entrance, Rules};

/// Counted at the entrance until it is dropped.
pub(crate) struct Pass {
    pub(crate) entrance: Arc<Entrance>,
    /// The rules that it was judged by last.
    pub(crate) rules: Arc<Rules>,
    opening: bool,
    /// From where it is counted, if addresses have limits.
    pub(crate) counted: Option<IpAddr>,
    /// Others say later from where it comes: until then it is not counted.
    pub(crate) is_announced: bool,
    /// What a client of QUIC has shown; of others their TLS keeps it.
    pub(crate) chain: Option<Box<[CertificateDer<'static>]>>,
}

impl Pass {
    pub(super) fn new(entrance: Arc<Entrance>, rules: Arc<Rules>) -> Self {
        let opening = !rules.layers.is_plain();
        entrance.connections.fetch_add(1, Ordering::Relaxed);
        if opening {
            entrance.opening.fetch_add(1, Ordering::Relaxed);
        }
        Self { entrance, rules, opening, counted: None, is_announced: false, chain: None }
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
