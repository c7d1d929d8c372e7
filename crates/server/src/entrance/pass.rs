//! A connection's place in the counts of its listener.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::pki_types::CertificateDer;

use super::waiting::Counted;
use super::{Entrance, Rules, TurnedAway};

/// Counted at the entrance until it is dropped.
pub(crate) struct Pass {
    pub(crate) entrance: Arc<Entrance>,
    /// The rules that it was judged by last.
    pub(crate) rules: Arc<Rules>,
    opening: bool,
    /// What it counts for until its CONNECT is there.
    waiting: Option<Counted>,
    /// From where it is counted, if addresses have limits.
    pub(crate) counted: Option<IpAddr>,
    /// Others say later from where it comes: until then it is not counted.
    pub(crate) is_announced: bool,
    /// What a client of QUIC has shown; of others their TLS keeps it.
    pub(crate) chain: Option<Box<[CertificateDer<'static>]>>,
}

impl Pass {
    pub(super) fn new(entrance: Arc<Entrance>, rules: Arc<Rules>, waiting: Counted) -> Self {
        let opening = !rules.layers.is_plain();
        entrance.connections.fetch_add(1, Ordering::Relaxed);
        if opening {
            entrance.opening.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            entrance,
            rules,
            opening,
            waiting: Some(waiting),
            counted: None,
            is_announced: false,
            chain: None,
        }
    }

    /// Whether its CONNECT is not there yet.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// A proxy says from where it comes.
    pub(crate) fn come_from(&mut self, address: IpAddr) -> Result<(), TurnedAway> {
        let Some(counted) = &mut self.waiting else { return Ok(()) };
        self.entrance.waiting.place(&self.rules, counted, address)
    }

    /// So many bytes of its CONNECT are held.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), TurnedAway> {
        let Some(counted) = &mut self.waiting else { return Ok(()) };
        self.entrance.waiting.hold(&self.rules, counted, bytes)
    }

    /// Its CONNECT is there.
    pub(crate) fn heard(&mut self) {
        if let Some(counted) = self.waiting.take() {
            self.entrance.waiting.leave(&counted);
        }
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
        self.heard();
        self.entrance.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
