//! Writing: records into the group, the group into a segment, and into another one when that fails.

use crate::disk::Disk;
use crate::error::WriteError;
use crate::format::{FRAME_HEADER, FrameHeader, Identity, SEGMENT_HEADER, SegmentHeader};
use crate::group::Group;
use crate::index::Place;
use crate::log::Log;
use crate::segment::Segment;
use crate::view::{Views, record_size};

/// Bytes of records that are copied in one go, and then are still in the cache.
const PIECE: usize = 32 << 10;

impl<D: Disk> Log<D> {
    /// Appends records to the group. There has to be room in the segment.
    ///
    /// # Panics
    /// If they are not what `journal` writes.
    pub(crate) fn put(&mut self, mut records: &[u8]) {
        while !records.is_empty() {
            let taken = self.put_some(records);
            assert!(taken > 0, "the broker appends records");
            records = &records[taken..];
            self.write();
        }
    }

    /// Appends the first of these records; returns their bytes.
    ///
    /// They are copied before they are looked at: they come from another core, and a copy asks for all of
    /// them at once, where a reader would wait for one after the other.
    fn put_some(&mut self, records: &[u8]) -> usize {
        let Some(size) = record_size(records) else { return 0 };
        let Self { group, index, .. } = self;
        let room = group.open(size, self.next, self.durable, self.identity);
        let start = group.bytes.len();
        let offset = group.end() as u32;
        group.bytes.extend_from_slice(&records[..records.len().min(size.max(PIECE)).min(room)]);
        let (mut taken, mut count) = (0, 0);
        // The last one may be cut off.
        for (record, view) in Views::new(&group.bytes[start..]).map_while(|read| read) {
            let length = record.len() as u32;
            index.apply(&view, Place { segment: group.segment, offset: offset + taken, length });
            taken += length;
            count += 1;
        }
        group.bytes.truncate(start + taken as usize);
        group.opened(count, taken as usize);
        self.next += u64::from(count);
        self.counters.records += u64::from(count);
        taken as usize
    }

    /// Sees to it that a segment is being written which has room for so many bytes of records. What is larger
    /// than a segment gets one to itself, which grows.
    pub(crate) fn make_room(&mut self, bytes: usize) -> Result<(), WriteError> {
        let end = self.group.end();
        if self.active && (self.fits(bytes) || end <= SEGMENT_HEADER) {
            return Ok(());
        }
        if self.active {
            // What is in the segments before the last one is durable: that is how the end of the log can be
            // told from damage.
            self.sync()?;
            if self.fits(bytes) {
                // What had to be written elsewhere is in a new segment now.
                return Ok(());
            }
        }
        let spare = self.take_spare()?;
        let header = self.header_after(spare.id, self.segments.back());
        self.group.begin(spare.id, 0, &header.encode(self.identity));
        self.segments.push_back(spare);
        self.active = true;
        Ok(())
    }

    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.group.end() + Group::bound(bytes) <= self.options.segment_bytes
    }

    /// Writes the complete frames of the group that were not written yet. A failure is remembered, and mended
    /// with the next flush.
    pub(crate) fn write(&mut self) {
        let complete = self.group.complete();
        if self.broken || self.group.written >= complete {
            return;
        }
        let Some(segment) = self.segments.back_mut() else { return };
        let rest = &self.group.bytes[self.group.written..complete];
        let offset = self.group.start + self.group.written as u64;
        match self.disk.write_at(&mut segment.file, offset, &[rest]) {
            Ok(()) => {
                self.counters.written_bytes += rest.len() as u64;
                self.group.written = complete;
                segment.end = self.group.start + complete as u64;
                let grown = segment.end.saturating_sub(segment.bytes);
                segment.bytes += grown;
                self.pool.disk_bytes += grown;
            }
            Err(_) => {
                self.counters.failures += 1;
                self.broken = true;
            }
        }
    }

    /// Makes the group durable where it is.
    pub(crate) fn flush(&mut self) -> Result<(), WriteError> {
        self.write();
        if self.broken {
            return Err(WriteError::Broken(std::io::Error::other("a write has failed")));
        }
        let Some(segment) = self.segments.back_mut().filter(|_| !self.group.bytes.is_empty())
        else {
            return Ok(());
        };
        self.counters.syncs += 1;
        if let Err(error) = self.disk.sync(&mut segment.file) {
            self.counters.failures += 1;
            self.broken = true;
            return Err(error.into());
        }
        self.group.is_durable();
        self.durable = self.next;
        Ok(())
    }

    /// After a failure, writes the group into a fresh segment. The failed one ends before the group.
    pub(crate) fn mend(&mut self) -> Result<(), WriteError> {
        if !self.broken {
            return Ok(());
        }
        let mut spare = self.take_spare()?;
        // A segment whose header is not durable is none.
        let whole = self.group.start == 0;
        let before = self.segments.len() - usize::from(whole);
        let before = before.checked_sub(1).and_then(|at| self.segments.get(at));
        let mut header = self.header_after(spare.id, before);
        if !whole {
            header.previous_end = self.group.start;
        }
        let frames = if whole { SEGMENT_HEADER as usize } else { 0 };
        let mut bytes = header.encode(self.identity).to_vec();
        bytes.extend_from_slice(&self.group.bytes[frames..]);
        seal_again(&mut bytes[SEGMENT_HEADER as usize..], spare.id, self.identity);
        // The header puts an end to the segment before. That must not happen before all that lies behind
        // this end lies here, because after a restart it may have been durable there.
        let (head, rest) = bytes.split_at(SEGMENT_HEADER as usize);
        let Self { disk, .. } = self;
        let written = disk.write_at(&mut spare.file, SEGMENT_HEADER, &[rest]);
        let written = written.and_then(|()| disk.sync(&mut spare.file));
        if let Err(error) = written.and_then(|()| disk.write_at(&mut spare.file, 0, &[head])) {
            self.counters.failures += 1;
            self.discard(&spare);
            return Err(error.into());
        }
        self.counters.written_bytes += bytes.len() as u64;
        let start = self.group.start + frames as u64;
        self.move_places(start, spare.id, &bytes);
        if whole {
            if let Some(failed) = self.segments.pop_back() {
                self.discard(&failed);
            }
        } else if let Some(failed) = self.segments.back_mut() {
            failed.end = start;
            failed.failed = true;
        }
        spare.end = bytes.len() as u64;
        self.pool.disk_bytes += spare.end.saturating_sub(spare.bytes);
        spare.bytes = spare.bytes.max(spare.end);
        self.group.begin(spare.id, 0, &bytes);
        self.group.written = bytes.len();
        self.segments.push_back(spare);
        self.broken = false;
        Ok(())
    }

    /// The records of the group, which lay from `start` on, lie behind the header of another segment.
    fn move_places(&mut self, start: u64, segment: u32, bytes: &[u8]) {
        let mut at = SEGMENT_HEADER as usize;
        while let Some(header) = bytes.get(at..).and_then(FrameHeader::decode) {
            let mut offset = at + FRAME_HEADER;
            let records = &bytes[offset..offset + header.length as usize];
            for (record, view) in Views::new(records).flatten() {
                let length = record.len() as u32;
                let before = start + (offset as u64 - SEGMENT_HEADER);
                let from = Place { segment: self.group.segment, offset: before as u32, length };
                let to = Place { segment, offset: offset as u32, length };
                self.index.moved(&view, from, to);
                offset += record.len();
            }
            at += header.size();
        }
    }

    fn header_after(&self, id: u32, before: Option<&Segment<D::File>>) -> SegmentHeader {
        SegmentHeader {
            id,
            previous: before.map_or(0, |segment| segment.id),
            previous_end: before.map_or(0, |segment| segment.end),
            first: self.durable,
            next: self.index.next,
        }
    }

    fn take_spare(&mut self) -> Result<Segment<D::File>, WriteError> {
        self.pool.take(&mut self.disk).map_err(|error| {
            self.counters.failures += 1;
            self.room = crate::options::Room::Full;
            error.into()
        })
    }

    fn discard(&mut self, segment: &Segment<D::File>) {
        self.pool.disk_bytes -= segment.bytes;
        self.pool.discarded.push(crate::format::segment_name(segment.id));
    }
}

/// Makes the frames those of another segment.
fn seal_again(frames: &mut [u8], segment: u32, identity: Identity) {
    let mut at = 0;
    while let Some(header) = frames.get(at..).and_then(FrameHeader::decode) {
        FrameHeader { segment, ..header }.seal(&mut frames[at..], identity);
        at += header.size();
    }
}
