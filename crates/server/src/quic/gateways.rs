//! The gateways that run.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use mio::{Poll, Token, Waker};
use parking_lot::Mutex;
use socket2::Socket;

use super::gateway::Gateway;
use super::udp::Udp;
use crate::entrance::{Entrance, Place};
use crate::shared::{Shared, Stop};

/// Connections have the tokens from 0 on.
pub(super) const UDP: Token = Token(usize::MAX - 1);
pub(super) const WAKER: Token = Token(usize::MAX - 2);

/// A port that nobody answers on yet, with all that it takes to: a reload that has come so far does not fail for it.
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) entrance: Arc<Entrance>,
    poll: Poll,
    udp: Udp,
    waker: Waker,
}

/// Threads and how to wake them. A lock, since a reload, a stop and the end may come from several
/// threads; no gateway and no shard takes it while it works.
#[derive(Default)]
pub(crate) struct Gateways(Mutex<Vec<Running>>);

struct Running {
    entrance: Arc<Entrance>,
    waker: Waker,
    retired: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Plan {
    pub(crate) fn new(place: Place, socket: Socket, entrance: Arc<Entrance>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let udp = Udp::new(socket)?;
        udp.register(poll.registry(), UDP)?;
        Ok(Self { place, entrance, poll, udp, waker })
    }
}

impl Gateways {
    /// Begins to answer.
    pub(crate) fn open(&self, shared: &Arc<Shared>, plan: Plan) -> io::Result<()> {
        let Plan { entrance, poll, udp, waker, .. } = plan;
        let retired = Arc::new(AtomicBool::new(false));
        let (shared, door) = (Arc::clone(shared), Arc::clone(&entrance));
        let gateway = Gateway::new(Arc::clone(&shared), door, (poll, udp), Arc::clone(&retired));
        let thread = thread::Builder::new().name("quic".into()).spawn(move || {
            let _end = EndTogether(&shared);
            let ended = gateway.run();
            if ended.is_err() {
                shared.stop(Stop::Now);
            }
            ended
        })?;
        self.0.lock().push(Running { entrance, waker, retired, thread });
        Ok(())
    }

    /// Ends those of these entrances, with their connections: the port is all they have.
    pub(crate) fn close(&self, entrances: &[Arc<Entrance>]) {
        let mut running = self.0.lock();
        let is_closed = |gateway: &mut Running| {
            entrances.iter().any(|entrance| Arc::ptr_eq(entrance, &gateway.entrance))
        };
        let closed: Vec<Running> = running.extract_if(.., is_closed).collect();
        drop(running);
        for gateway in closed {
            gateway.retired.store(true, Ordering::Release);
            gateway.rouse();
            // So that the port is free when this returns.
            if !matches!(gateway.thread.join(), Ok(Ok(()))) {
                tracing::error!("{}: the gateway ended with an error", gateway.entrance.label);
            }
        }
    }

    /// Lets all look around.
    pub(crate) fn rouse(&self) {
        self.0.lock().iter().for_each(Running::rouse);
    }

    /// Waits until all have ended: the error of one that failed, `None` in it for a panic.
    pub(crate) fn join(&self) -> Result<(), Option<io::Error>> {
        let running = std::mem::take(&mut *self.0.lock());
        let ended = running.into_iter().map(|gateway| match gateway.thread.join() {
            Ok(ended) => ended.map_err(Some),
            Err(_) => Err(None),
        });
        // All are waited for, whatever became of the first.
        ended.fold(Ok(()), Result::and)
    }
}

impl Running {
    fn rouse(&self) {
        if let Err(cause) = self.waker.wake() {
            tracing::error!("{}: the gateway cannot be woken: {cause}", self.entrance.label);
        }
    }
}

/// A gateway that fails ends the server, as a shard does: half of the clients without a way in is no
/// state to go on in.
struct EndTogether<'s>(&'s Shared);

impl Drop for EndTogether<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop(Stop::Now);
        }
    }
}
