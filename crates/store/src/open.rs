//! Opening: which segments make up the log, and what is in them.

use std::collections::VecDeque;
use std::io;

use dunlin_broker::journal::{RetainedState, State};

use crate::chain::{self, Chain};
use crate::clean::keep_copy;
use crate::damage;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::format::{FrameHeader, Identity, SEGMENT_HEADER, segment_name};
use crate::group::Group;
use crate::index::{Index, Place};
use crate::log::Log;
use crate::options::{Damage, OnDamage, Options, Report, Room, Status, Torn};
use crate::reader::{Frame, Frames};
use crate::restore;
use crate::segment::{Pool, SPARES, Segment};
use crate::version;
use crate::view::Views;

/// Bytes read from the disk at once.
pub(crate) const PIECE: usize = 4 << 20;

pub(crate) fn open<D: Disk>(
    mut disk: D,
    mut options: Options,
    retained: &mut dyn FnMut(RetainedState),
) -> Result<(Log<D>, State, Report), OpenError> {
    // Room for a few frames, and whole blocks.
    options.segment_bytes = options.segment_bytes.max(4 * SEGMENT_HEADER) & !(SEGMENT_HEADER - 1);
    options.minimum_segments = options.minimum_segments.max(2);
    let names = disk.list().map_err(OpenError::io("list the directory"))?;
    let known = version::read(&mut disk, &names)?;
    let created = known.is_none();
    let identity = match known {
        Some(identity) => identity,
        None => version::create(&mut disk, &names, options.identity)?,
    };
    let mut chain = chain::find(&mut disk, &names, identity)?;
    let mut reading = Reading::new(identity, options.on_damage);
    reading.report.created = created;
    for at in 0..chain.log.len() {
        reading.read(&mut disk, &mut chain, at)?;
    }
    let Reading { mut index, mut report, next, tail, .. } = reading;
    let group = tail_group(&mut disk, &chain, &tail)?;
    index.settle();
    let state = restore::restore(&mut disk, &chain.log, &index, identity, retained)?;
    keep_copies(&mut disk, &chain, &mut report);
    let pool = pool_of(&mut disk, &mut chain, &options);
    let uncertain = !group.bytes.is_empty();
    let mut log = Log {
        disk,
        options,
        identity,
        index,
        segments: chain.log,
        active: uncertain,
        pool,
        group,
        broken: uncertain,
        next,
        durable: if uncertain { tail.durable } else { next },
        cleaned: VecDeque::new(),
        cleaning: None,
        owes_cleaning: false,
        room: Room::Ready,
        counters: Status { damaged: report.damage.len() as u64, ..Status::default() },
    };
    // A full or failing disk is told by the status, and when something is to be written.
    drop(log.sync());
    for _ in 0..SPARES {
        drop(log.prepare());
    }
    Ok((log, state, report))
}

/// What was written last. It was read, but from a cache perhaps, and what a flush did to it is not known. So
/// it is written once more, as after a failure.
#[derive(Default)]
struct Tail {
    offset: u64,
    /// All records before it are durable: those below this number.
    durable: u64,
}

fn tail_group<D: Disk>(
    disk: &mut D,
    chain: &Chain<D::File>,
    tail: &Tail,
) -> Result<Group, OpenError> {
    let mut group = Group::default();
    if let Some(last) = chain.log.back().filter(|_| tail.offset > 0) {
        // If nothing in the segment is certain, its header is not either.
        let start = if tail.offset == SEGMENT_HEADER { 0 } else { tail.offset };
        let mut bytes = vec![0; (last.end - start) as usize];
        let read = disk.read_at(&last.file, start, &mut bytes);
        read.map_err(OpenError::io(format!("read {}", segment_name(last.id))))?;
        group.begin(last.id, start, &bytes);
    }
    Ok(group)
}

/// The log while it is read.
struct Reading {
    index: Index,
    frames: Frames,
    on_damage: OnDamage,
    report: Report,
    /// Number of the next record.
    next: u64,
    tail: Tail,
}

impl Reading {
    fn new(identity: Identity, on_damage: OnDamage) -> Self {
        let mut index = Index::new(identity.number as u64);
        index.begin_reading();
        let mut frames = Frames::new(0, identity, 0, PIECE);
        frames.forgive();
        Self { index, frames, on_damage, report: Report::default(), next: 1, tail: Tail::default() }
    }

    /// Reads one segment of the log.
    fn read<D: Disk>(
        &mut self,
        disk: &mut D,
        chain: &mut Chain<D::File>,
        at: usize,
    ) -> Result<(), OpenError> {
        let last = at + 1 == chain.log.len();
        let following = chain.first.get(at + 1).copied().flatten();
        let Segment { id, ref file, ref mut end, .. } = chain.log[at];
        let io = || OpenError::io(format!("read {}", segment_name(id)));
        if let Some(header) = chain.headers[at] {
            self.next = self.next.max(header.first);
            let next = &mut self.index.next;
            next.number = next.number.max(header.next.number);
            next.message = next.message.max(header.next.message);
            next.stamp = next.stamp.max(header.next.stamp);
        }
        self.report.segments += 1;
        self.frames.begin(id, *end);
        self.tail = Tail::default();
        loop {
            if let Some(frame) = self.frames.next(disk, file).map_err(io())? {
                self.next = apply(&mut self.index, id, &frame)?;
                let durable = frame.header.durable;
                if self.tail.offset == 0 || durable > self.tail.durable {
                    self.tail = Tail { offset: frame.offset, durable };
                }
                self.report.frames += 1;
                self.report.records += u64::from(frame.header.records);
                continue;
            }
            let from = self.frames.position();
            if from >= *end {
                return Ok(());
            }
            let begun = self.frames.is_begun(disk, file).map_err(io())?;
            let found = self.frames.resync(disk, file).map_err(io())?;
            // What is durable is known by the frames that were written later. In the last segment, a gap
            // with nothing of the kind behind it is what was being written in the end.
            let lost = !last || self.goes_on(disk, file, found).map_err(io())?;
            if !lost {
                if begun || found.is_some() {
                    self.report.torn = Some(Torn { file: segment_name(id), offset: from });
                }
                *end = from;
                return Ok(());
            }
            let to = if found.is_some() { self.frames.position() } else { *end };
            let next = found.map(|header| header.first).or(following).unwrap_or(self.next);
            let damage = Damage {
                file: segment_name(id),
                copy: None,
                offset: from,
                end: to,
                first: self.next,
                next: next.max(self.next),
                sessions: 0,
                topics: 0,
            };
            self.note(disk, file, damage)?;
            if found.is_none() {
                return Ok(());
            }
        }
    }

    /// Whether this frame, or one behind it, was written when what is missing here was durable.
    fn goes_on<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &D::File,
        mut found: Option<FrameHeader>,
    ) -> io::Result<bool> {
        let from = self.frames.position();
        while found.is_some_and(|header| header.durable <= self.next) {
            found = match self.frames.next(disk, file)? {
                Some(frame) => Some(frame.header),
                None => self.frames.resync(disk, file)?,
            };
        }
        self.frames.back_to(from);
        Ok(found.is_some())
    }

    fn note<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &D::File,
        mut damage: Damage,
    ) -> Result<(), OpenError> {
        if self.on_damage == OnDamage::Refuse {
            return Err(OpenError::Damaged { file: damage.file, offset: damage.offset });
        }
        // How much was lost is worth knowing, but not worth failing for.
        let touched = damage::touched(disk, file, damage.offset, damage.end);
        (damage.sessions, damage.topics) = touched.unwrap_or_default();
        self.next = damage.next;
        self.report.damage.push(damage);
        Ok(())
    }
}

fn apply(index: &mut Index, segment: u32, frame: &Frame<'_>) -> Result<u64, OpenError> {
    let mut offset = frame.start() as u32;
    for read in Views::new(frame.records) {
        let Some((record, view)) = read else {
            return Err(OpenError::Record { file: segment_name(segment), offset: offset.into() });
        };
        let length = record.len() as u32;
        index.apply(&view, Place { segment, offset, length });
        offset += length;
    }
    Ok(frame.header.next())
}

/// Keeps what is damaged as it is, for who wants to look at it.
fn keep_copies<D: Disk>(disk: &mut D, chain: &Chain<D::File>, report: &mut Report) {
    for damage in &mut report.damage {
        let segment = chain.log.iter().find(|segment| segment_name(segment.id) == damage.file);
        damage.copy = segment.and_then(|found| keep_copy(disk, &found.file, found.id).ok());
    }
}

/// Makes spares of the files that are not part of the log. They get new names: what is left in them must
/// not be taken for the end of the log some day.
fn pool_of<D: Disk>(disk: &mut D, chain: &mut Chain<D::File>, options: &Options) -> Pool<D::File> {
    let log_bytes = chain.log.iter().map(|segment| segment.bytes).sum();
    let mut pool = Pool {
        spares: VecDeque::new(),
        discarded: Vec::new(),
        next_id: chain.next_id,
        segment_bytes: options.segment_bytes,
        disk_bytes: log_bytes,
    };
    for left in std::mem::take(&mut chain.left) {
        pool.disk_bytes += left.bytes;
        // Tried again by `prepare`.
        drop(pool.give_back(disk, left));
    }
    pool
}
