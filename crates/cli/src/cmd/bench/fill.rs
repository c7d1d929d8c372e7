//! Filling a broker and reading a session, one blocking connection at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::clock::{SECOND_NS, now_ns};
use super::crowd::Connected;
use super::frames::{self, Version, acknowledgement, packet_id_of};
use super::inbox::{AckKind, Delivery, Inbox, Incoming};
use super::plan::Plan;
use super::track::{Arrival, Track};

/// Messages written before their acknowledgements are read.
const FILL_BATCH: u32 = 1000;

/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;

/// A session has no more when nothing comes for so long.
const SILENCE: Duration = Duration::from_millis(1500);

/// Longest time for one session.
const PATIENCE_NS: u64 = 20 * SECOND_NS;

/// QoS 1.
const PUBLISH: u8 = 0x32;
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBCOMP: u8 = 0x70;

/// Whether the broker keeps the messages as the last ones of their topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retain {
    No,
    Yes,
}

/// Publishes `count` messages at QoS 1 and waits for all acknowledgements; MQTT 3.1.1 only, where
/// each has four bytes.
pub(super) fn publish(
    client: Connected,
    count: u32,
    payload: &[u8],
    retain: Retain,
    topic: impl Fn(u32) -> String,
) -> Result<()> {
    let mut stream = client.handshake.into_stream()?;
    let first_byte = PUBLISH | u8::from(retain == Retain::Yes);
    let (mut out, mut acks) = (Vec::new(), Vec::new());
    for first in (0..count).step_by(FILL_BATCH as usize) {
        let batch = first..count.min(first + FILL_BATCH);
        out.clear();
        for index in batch.clone() {
            let packet_id = packet_id_of(u64::from(index));
            out.extend(frames::publish(first_byte, &topic(index), packet_id, payload));
        }
        stream.write_all(&out).context("publishing")?;
        acks.resize(batch.len() * 4, 0);
        stream.read_exact(&mut acks).context("waiting for PUBACK")?;
        ensure!(acks.chunks(4).all(|ack| ack[0] == PUBACK), "an answer that is not PUBACK");
    }
    Ok(())
}

/// Takes and acknowledges what the broker has for a session, until `due` messages of the plan or
/// nothing more have come; gives how many came, repetitions not counted.
pub(super) fn receive(client: Connected, plan: &Plan, due: u64) -> Result<u64> {
    let mut tracks: Vec<Track> = (0..plan.publishers).map(|_| Track::default()).collect();
    take(client, plan.version, due, |delivery| {
        let stamp = delivery.stamp.filter(|stamp| stamp.run == plan.run);
        let Some(stamp) = stamp else { return false };
        let track = tracks.get_mut(stamp.publisher as usize);
        track.is_some_and(|track| track.arrive(stamp.sequence) != Arrival::Duplicate)
    })
}

/// The same for messages without a stamp, of which repetitions cannot be known.
pub(super) fn count_publishes(client: Connected, due: u64) -> Result<u64> {
    take(client, Version::V311, due, |_| true)
}

fn take(
    client: Connected,
    version: Version,
    due: u64,
    mut counts: impl FnMut(&Delivery) -> bool,
) -> Result<u64> {
    let mut stream = client.handshake.into_stream()?;
    stream.set_read_timeout(Some(SILENCE))?;
    let mut inbox = Inbox::new(version);
    let (mut buffer, mut replies) = (vec![0; READ_BYTES], Vec::new());
    let (mut found, deadline_ns) = (0, now_ns() + PATIENCE_NS);
    while found < due && now_ns() < deadline_ns {
        let len = read(&mut stream, &mut buffer)?;
        if len == 0 {
            break;
        }
        replies.clear();
        inbox.feed(&buffer[..len], |incoming| match incoming {
            Incoming::Publish(delivery) => {
                found += u64::from(counts(&delivery));
                let first_byte = if delivery.qos == 1 { PUBACK } else { PUBREC };
                replies.extend_from_slice(&acknowledgement(first_byte, delivery.packet_id));
            }
            Incoming::Acknowledgement { kind: AckKind::PubRel, packet_id, .. } => {
                replies.extend_from_slice(&acknowledgement(PUBCOMP, packet_id));
            }
            Incoming::Acknowledgement { .. } | Incoming::Disconnect { .. } | Incoming::Other => {}
        })?;
        stream.write_all(&replies).context("acknowledging")?;
    }
    Ok(found.min(due))
}

/// Reads once; 0 when nothing comes any more.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize> {
    match stream.read(buffer) {
        Ok(0) => bail!("the broker closed the connection of a session"),
        Ok(len) => Ok(len),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(0),
        Err(error) => Err(error).context("reading a session"),
    }
}
