//! Which files are the log: each segment names the one before it and where that one ends.

use std::collections::{BTreeMap, VecDeque};

use crate::disk::Disk;
use crate::error::OpenError;
use crate::format::{
    Identity, MAJOR, NoHeader, SEGMENT_HEADER, SegmentHeader, segment_id, segment_name,
};
use crate::open::PIECE;
use crate::reader::Frames;
use crate::segment::Segment;

/// The files of a store.
pub(crate) struct Chain<F> {
    /// From the oldest segment on. The end of the last one is the end of its file.
    pub(crate) log: VecDeque<Segment<F>>,
    /// Their headers; `None` for one that is damaged.
    pub(crate) headers: Vec<Option<SegmentHeader>>,
    /// Numbers of their first records, as far as known.
    pub(crate) first: Vec<Option<u64>>,
    /// Files that are not part of the log: prepared, freed, failed or never finished.
    pub(crate) left: Vec<Segment<F>>,
    /// No file has this number or a higher one.
    pub(crate) next_id: u32,
}

struct Found<F> {
    file: F,
    bytes: u64,
    header: Option<SegmentHeader>,
}

pub(crate) fn find<D: Disk>(
    disk: &mut D,
    names: &[String],
    identity: Identity,
) -> Result<Chain<D::File>, OpenError> {
    let mut found = BTreeMap::new();
    for id in names.iter().filter_map(|name| segment_id(name)) {
        found.insert(id, look(disk, id, identity)?);
    }
    let next_id = found.keys().next_back().map_or(1, |id| id + 1);
    let mut chain = Chain {
        log: VecDeque::new(),
        headers: Vec::new(),
        first: Vec::new(),
        left: Vec::new(),
        next_id,
    };
    let ids: Vec<u32> = found.keys().copied().collect();
    let mut newest = None;
    for id in ids.into_iter().rev() {
        if found.get(&id).map_or(Ok(false), |file| is_used(disk, id, file, identity))? {
            newest = Some(id);
            break;
        }
    }
    let (mut id, mut end) = (newest, None);
    while let Some(this) = id.take() {
        let Some(Found { file, bytes, header }) = found.remove(&this) else { break };
        let segment_end = end.take().unwrap_or(bytes);
        chain.log.push_front(Segment { id: this, file, end: segment_end, bytes, failed: false });
        chain.headers.insert(0, header);
        chain.first.insert(0, header.map(|header| header.first));
        let Some(header) = header else {
            // Which one it follows is not known: the one with the next lower number, as a rule.
            id = found.range(..this).next_back().map(|(id, _)| *id);
            continue;
        };
        if header.previous == 0 {
            break;
        }
        let lower = found.range(..=header.previous).next_back();
        match lower {
            Some((previous, file)) if *previous == header.previous => {
                id = Some(header.previous);
                end = Some(header.previous_end.min(file.bytes));
            }
            Some((_, file)) if file.header.is_some() => {
                return Err(OpenError::Missing { file: segment_name(header.previous) });
            }
            // It was freed, as were all before it.
            _ => {}
        }
    }
    chain.left = found
        .into_iter()
        .map(|(id, Found { file, bytes, .. })| Segment { id, file, end: 0, bytes, failed: false })
        .collect();
    Ok(chain)
}

fn look<D: Disk>(disk: &mut D, id: u32, identity: Identity) -> Result<Found<D::File>, OpenError> {
    let name = segment_name(id);
    let io = || OpenError::io(format!("read {name}"));
    let file = disk.open(&name).map_err(io())?;
    let bytes = disk.len(&file).map_err(io())?;
    let mut block = vec![0; bytes.min(SEGMENT_HEADER) as usize];
    disk.read_at(&file, 0, &mut block).map_err(io())?;
    let header = match SegmentHeader::decode(&block, identity) {
        // A freed segment that has a new name, and not been written since.
        Ok(header) if header.id != id => None,
        Ok(header) => Some(header),
        Err(NoHeader::Invalid) => None,
        Err(NoHeader::OtherStore) => return Err(OpenError::OtherStore { file: name }),
        Err(NoHeader::Newer { major, minor }) => {
            return Err(OpenError::Newer { major, minor, known: MAJOR });
        }
    };
    Ok(Found { file, bytes, header })
}

/// Whether a file that none follows is part of the log: something in it counts.
fn is_used<D: Disk>(
    disk: &mut D,
    id: u32,
    found: &Found<D::File>,
    identity: Identity,
) -> Result<bool, OpenError> {
    let io = || OpenError::io(format!("read {}", segment_name(id)));
    let mut frames = Frames::new(id, identity, found.bytes, PIECE);
    frames.forgive();
    let mut first = match (frames.next(disk, &found.file).map_err(io())?, found.header) {
        (Some(_), Some(_)) => return Ok(true),
        // No header and no frame: never used.
        (None, None) => return Ok(false),
        (Some(frame), None) => frame.header.first,
        (None, Some(header)) => header.first,
    };
    // Header or first frame may be damaged, or may never have been durable. If they were, later frames
    // were written in the knowledge.
    loop {
        let next = match frames.next(disk, &found.file).map_err(io())? {
            Some(frame) => Some(frame.header),
            None => frames.resync(disk, &found.file).map_err(io())?,
        };
        match next {
            None => return Ok(false),
            Some(header) if header.durable > first => return Ok(true),
            Some(header) => first = first.min(header.first),
        }
    }
}
