//! What can still be made out in bytes that are damaged.

use std::collections::BTreeSet;
use std::io;

use dunlin_broker::journal::Target;

use crate::disk::Disk;
use crate::format::FRAME_HEADER;
use crate::view::{View, Views};

/// Not more is looked at.
const MAXIMUM_BYTES: u64 = 16 << 20;

/// How many sessions and topics are named in what lies between two places of a file, as far as records can be
/// followed.
pub(crate) fn touched<D: Disk>(
    disk: &mut D,
    file: &D::File,
    from: u64,
    to: u64,
) -> io::Result<(u64, u64)> {
    let mut bytes = vec![0; to.saturating_sub(from).min(MAXIMUM_BYTES) as usize];
    disk.read_at(file, from, &mut bytes)?;
    let (mut sessions, mut topics) = (BTreeSet::new(), BTreeSet::new());
    for (_, view) in
        Views::new(bytes.get(FRAME_HEADER..).unwrap_or_default()).map_while(|read| read)
    {
        match view {
            View::Message(m) => {
                topics.insert(m.topic);
                sessions.extend(m.targets.map(|target| target.number));
            }
            View::Route { targets, .. } => sessions.extend(targets.map(|target| target.number)),
            View::Unretained { topic, .. } => {
                topics.insert(topic);
            }
            View::Session { number, .. }
            | View::Parted { number, .. }
            | View::Ended { number }
            | View::Subscribed { number, .. }
            | View::Unsubscribed { number, .. }
            | View::Sent { target: Target { number, .. }, .. }
            | View::Done { target: Target { number, .. }, .. }
            | View::Received { number, .. }
            | View::Completed { number, .. } => {
                sessions.insert(number);
            }
            View::Unknown => {}
        }
    }
    Ok((sessions.len() as u64, topics.len() as u64))
}
