//! The log of the process: which lines are told, what they begin with, and where they go.
//!
//! [`Logger::install`] makes it the receiver of everything that `tracing` is given. A line is put into words
//! on the thread that tells it and written by a thread of its own, so a terminal or a disk that is slow delays
//! no message. What does not fit into the queue between them is counted and told.

mod arrivals;
mod outlet;
mod stamp;
mod subscriber;
mod words;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use dunlin_broker::{Event, Level};
use dunlin_config::model::{Log, LogType, LogTypes, Wording};
use parking_lot::RwLock;
use tracing::callsite::rebuild_interest_cache;

use crate::start::Handle;
pub(crate) use arrivals::Arrivals;
use outlet::Outlets;
use subscriber::Subscriber;
pub(crate) use words::{Endpoint, as_mosquitto};

/// Lines that wait to be written. 8192: a burst of a second on a small machine, two megabytes.
const WAITING: usize = 8_192;

/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The target of lines about clients that come and go, which `connection_messages` turns off.
const CONNECTION: &str = "dunlin::connection";

/// The log of the process. Copies are the same log.
#[derive(Clone)]
pub struct Logger(Arc<Inner>);

struct Inner {
    /// A lock and not a message: every line asks it, on whatever thread.
    filter: RwLock<Filter>,
    lines: SyncSender<Order>,
    lost: AtomicU64,
}

/// Which lines are told.
#[derive(Debug, Clone, Copy)]
struct Filter {
    types: LogTypes,
    connections: bool,
}

/// What the writer is told.
enum Order {
    /// A line to write.
    Line(Line),
    /// Where to write from now on.
    Outlets(Box<Outlets>),
    /// Topics can be published from now on.
    Publish(Arc<Handle>),
    /// Say when everything before is written; true if nothing comes after it.
    Flush(SyncSender<()>, bool),
}

struct Line {
    kind: LogType,
    at: SystemTime,
    text: String,
}

/// A configured log whose files are open.
pub struct PreparedLog {
    filter: Filter,
    outlets: Outlets,
    wording: Wording,
}

impl PreparedLog {
    /// Opens what is configured.
    ///
    /// # Errors
    /// The file cannot be opened, or the form of the time makes no sense; the text names which.
    pub fn open(log: &Log) -> io::Result<Self> {
        let filter = Filter { types: log.types, connections: log.connection_messages };
        Ok(Self { filter, outlets: Outlets::open(log)?, wording: log.wording })
    }
}

impl Logger {
    /// Makes this the log of the process.
    ///
    /// # Errors
    /// There is a log already, or no thread to write it.
    pub fn install(log: PreparedLog) -> io::Result<Self> {
        let (lines, orders) = sync_channel(WAITING);
        let inner = Inner { filter: RwLock::new(log.filter), lines, lost: AtomicU64::new(0) };
        let logger = Self(Arc::new(inner));
        logger.start(orders, log.outlets)?;
        words::speak(log.wording);
        tracing::subscriber::set_global_default(Subscriber::new(logger.clone()))
            .map_err(io::Error::other)?;
        Ok(logger)
    }

    fn start(&self, orders: Receiver<Order>, outlets: Outlets) -> io::Result<()> {
        let inner = Arc::clone(&self.0);
        let write = move || writer::run(&orders, outlets, &inner.lost);
        thread::Builder::new().name("log".into()).spawn(write).map(drop)
    }

    /// Goes on as this log says, whose files were opened before.
    pub fn replace(&self, log: PreparedLog) {
        self.set_filter(log.filter);
        words::speak(log.wording);
        self.order(Order::Outlets(Box::new(log.outlets)));
    }

    /// Tells these kinds of lines from now on.
    pub fn set_types(&self, types: LogTypes) {
        let filter = *self.0.filter.read();
        self.set_filter(Filter { types, ..filter });
    }

    /// The kinds of lines that are told.
    #[must_use]
    pub fn types(&self) -> LogTypes {
        self.0.filter.read().types
    }

    /// Publishes lines to `$SYS/broker/log/...` through this server, if that is configured.
    pub fn publish_through(&self, server: &Arc<Handle>) {
        self.order(Order::Publish(Arc::clone(server)));
    }

    /// Waits until what was told is written.
    pub fn flush(&self) {
        self.finish_with(false);
    }

    /// The same, and then nothing is told any more.
    pub fn finish(&self) {
        self.finish_with(true);
    }

    fn finish_with(&self, last: bool) {
        let (done, written) = sync_channel(1);
        self.order(Order::Flush(done, last));
        // If it takes longer, the lines have to do without us.
        let (Ok(()) | Err(_)) = written.recv_timeout(LAST_LINES);
    }

    fn set_filter(&self, filter: Filter) {
        *self.0.filter.write() = filter;
        rebuild_interest_cache();
    }

    /// Waits for room: only for what must not be lost.
    fn order(&self, order: Order) {
        // Without a writer there is nobody who could care.
        drop(self.0.lines.send(order));
    }

    /// Hands a line to the writer, or counts it.
    fn tell(&self, line: Line) {
        if self.0.lines.try_send(Order::Line(line)).is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One line about what the broker says has happened.
pub(crate) fn tell(event: &Event) {
    match words::mosquittos(event) {
        // To Mosquitto nobody who goes is worth a warning, and where lines are looked for, nothing stands before.
        Some(told) if matches!(event, Event::Refused { .. }) => tracing::info!("{told}"),
        Some(told) => tracing::info!(target: CONNECTION, "{told}"),
        None => tell_as(event),
    }
}

fn tell_as(told: &Event) {
    match (told.level(), told) {
        (Level::Debug, _) => tracing::debug!("{told}"),
        (Level::Info, Event::Connected { .. } | Event::Disconnected { .. }) => {
            tracing::info!(target: CONNECTION, "{told}");
        }
        (Level::Info, _) => tracing::info!("{told}"),
        (Level::Warn, _) => tracing::warn!("{told}"),
    }
}
