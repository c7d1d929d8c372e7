//! One subscribing client: judges what arrives, notes its latency, acknowledges in batches.

use anyhow::{Result, bail};
use mio::{Registry, Token};

use super::board::Board;
use super::clock::now_ns;
use super::crowd::Connected;
use super::frames::acknowledgement;
use super::inbox::{AckKind, Delivery, Inbox, Incoming};
use super::link::{Link, Who};
use super::plan::{Layout, Plan};
use super::split::Split;
use super::track::{Arrival, SparseTrack, Track};

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBCOMP: u8 = 0x70;

/// A client that receives.
#[derive(Debug)]
pub(super) struct Subscriber {
    link: Link,
    inbox: Inbox,
    index: u32,
    run: u32,
    checks: Checks,
}

/// What this subscriber is due of the publishers it hears.
#[derive(Debug)]
enum Checks {
    /// Every message of publishers `first`, `first + 1` and so on.
    Every { first: u32, sources: Vec<Source<Track>> },
    /// Those that match its filters.
    Some(Vec<Source<SparseTrack>>),
    /// Its share; the board knows what the group has.
    Share(Vec<Source<SparseTrack>>),
}

/// One publisher as a subscriber sees it.
#[derive(Debug)]
struct Source<T> {
    track: T,
    /// The local publisher whose window opens when its messages arrive here.
    opens: Option<usize>,
}

impl Subscriber {
    /// Subscriber `index` of the plan.
    pub(super) fn new(plan: &Plan, split: Split, index: u32, connected: Connected) -> Result<Self> {
        Ok(Self {
            link: Link::new(connected, Who::Subscriber(index))?,
            inbox: Inbox::new(plan.version),
            index,
            run: plan.run,
            checks: Checks::new(plan, split, index),
        })
    }

    /// Adds the socket to a poll.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> Result<()> {
        self.link.register(registry, token)
    }

    /// Tries again what the kernel refused.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.link.flush()
    }

    /// Takes everything that is there; acknowledgements go through `scratch`.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        scratch: &mut Vec<u8>,
        board: &mut Board,
    ) -> Result<()> {
        while let Some(len) = self.link.read(buffer)? {
            // Taken anew for every read: a turn over a thousand sockets lasts milliseconds.
            let now = now_ns();
            scratch.clear();
            let mut closing = None;
            let (checks, run) = (&mut self.checks, self.run);
            let fed = self.inbox.feed(&buffer[..len], |incoming| match incoming {
                Incoming::Publish(delivery) => {
                    checks.arrive(&delivery, run, now, board);
                    acknowledge(&delivery, scratch);
                }
                Incoming::Acknowledgement { kind: AckKind::PubRel, packet_id, .. } => {
                    scratch.extend_from_slice(&acknowledgement(PUBCOMP, packet_id));
                }
                Incoming::Disconnect { reason } => closing = Some(reason),
                Incoming::Acknowledgement { .. } | Incoming::Other => {}
            });
            board.latency.settle(now);
            fed.map_err(|error| self.link.failed(error, "reading what the broker sent"))?;
            if let Some(reason) = closing {
                bail!("subscriber {}: the broker disconnected: 0x{reason:02x}", self.index);
            }
            if !scratch.is_empty() {
                self.link.write(scratch)?;
            }
            if len < buffer.len() {
                break;
            }
        }
        Ok(())
    }
}

impl Checks {
    fn new(plan: &Plan, split: Split, index: u32) -> Self {
        let opens = |publisher| split.opens(plan, index, publisher);
        let all = 0..plan.publishers;
        let sparse = || {
            let source = |p| Source { track: SparseTrack::default(), opens: opens(p) };
            (0..plan.publishers).map(source).collect()
        };
        let every = |publishers: std::ops::Range<u32>| {
            let source = |p| Source { track: Track::default(), opens: opens(p) };
            Self::Every { first: publishers.start, sources: publishers.map(source).collect() }
        };
        match plan.layout {
            Layout::Pairs => every(index..index + 1),
            Layout::OneTopic | Layout::OwnTopics => every(all),
            Layout::Shared => Self::Share(sparse()),
            Layout::Groups { .. } => Self::Some(sparse()),
        }
    }

    #[inline]
    fn arrive(&mut self, delivery: &Delivery, run: u32, now_ns: u64, board: &mut Board) {
        let Some(stamp) = delivery.stamp.filter(|stamp| stamp.run == run) else {
            board.counts.foreign += 1;
            return;
        };
        let (publisher, sequence) = (stamp.publisher, stamp.sequence);
        let judged = match self {
            Self::Every { first, sources } => sources
                .get_mut(publisher.wrapping_sub(*first) as usize)
                .map(|source| (source.track.arrive(sequence), source.opens)),
            Self::Some(sources) => sources
                .get_mut(publisher as usize)
                .map(|source| (source.track.arrive(sequence), source.opens)),
            Self::Share(sources) => sources.get_mut(publisher as usize).map(|source| {
                let is_first = board.group[publisher as usize].first_time(sequence);
                let in_order = source.track.arrive(sequence);
                (if is_first { in_order } else { Arrival::Duplicate }, source.opens)
            }),
        };
        let Some((arrival, opens)) = judged else {
            board.counts.foreign += 1;
            return;
        };
        board.counts.received += 1;
        match arrival {
            Arrival::InOrder => {}
            Arrival::Late => board.counts.out_of_order += 1,
            Arrival::Duplicate => board.counts.duplicates += 1,
        }
        board.latency.note(stamp.scheduled_ns, now_ns);
        if let Some(local) = opens {
            board.progress.arrived(local, sequence);
        }
    }
}

#[inline]
fn acknowledge(delivery: &Delivery, replies: &mut Vec<u8>) {
    match delivery.qos {
        0 => {}
        1 => replies.extend_from_slice(&acknowledgement(PUBACK, delivery.packet_id)),
        _ => replies.extend_from_slice(&acknowledgement(PUBREC, delivery.packet_id)),
    }
}
