//! Reading the frames of a segment.

use std::io;

use crate::disk::Disk;
use crate::format::{FRAME_HEADER, FrameHeader, Identity, SEGMENT_HEADER};

/// Reads frame after frame, a large piece of the file at a time.
pub(crate) struct Frames {
    segment: u32,
    identity: Identity,
    /// Where the next frame begins, in the file.
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where the buffer begins, in the file.
    base: u64,
    piece: usize,
    /// How often reading may yet fail. After that, blocks that the disk cannot read are taken for zeros,
    /// which no frame has: damage like any other.
    patience: u32,
    /// The disk has failed to read something.
    refused: bool,
}

/// So often a disk may fail to read before what it cannot read is given up. It has tried for itself each
/// time.
const PATIENCE: u32 = 3;

/// A frame that is whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) header: FrameHeader,
    /// Where it begins.
    pub(crate) offset: u64,
    pub(crate) records: &'a [u8],
}

impl Frame<'_> {
    /// Where its first record lies.
    pub(crate) const fn start(&self) -> u64 {
        self.offset + FRAME_HEADER as u64
    }
}

impl Frames {
    /// Reads a segment that ends at `end`, so many bytes at a time.
    pub(crate) fn new(segment: u32, identity: Identity, end: u64, piece: usize) -> Self {
        let (at, base) = (SEGMENT_HEADER, SEGMENT_HEADER);
        let (buffer, patience, refused) = (Vec::new(), PATIENCE, false);
        Self { segment, identity, at, end, buffer, base, piece, patience, refused }
    }

    /// Goes on over what the disk cannot read, at once.
    pub(crate) const fn forgive(&mut self) {
        self.patience = 0;
    }

    /// Whether the disk has failed to read something.
    pub(crate) const fn was_refused(&self) -> bool {
        self.refused
    }

    /// Reads another segment from its begin on, with the same memory.
    pub(crate) fn begin(&mut self, segment: u32, end: u64) {
        let buffer = std::mem::take(&mut self.buffer);
        let patience = self.patience;
        *self = Self { buffer, patience, ..Self::new(segment, self.identity, end, self.piece) };
        self.buffer.clear();
    }

    /// Where the next frame would begin.
    pub(crate) const fn position(&self) -> u64 {
        self.at
    }

    /// Goes back to a frame that was read.
    pub(crate) const fn back_to(&mut self, offset: u64) {
        self.at = offset;
    }

    /// Whether everything was read.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    /// The next frame; `None` at the end, and where something else is.
    pub(crate) fn next<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &D::File,
    ) -> io::Result<Option<Frame<'_>>> {
        let Some(header) = self.frame_at(disk, file, self.at)? else { return Ok(None) };
        let offset = self.at;
        self.at += header.size() as u64;
        let start = (offset - self.base) as usize + FRAME_HEADER;
        let records = &self.buffer[start..start + header.length as usize];
        Ok(Some(Frame { header, offset, records }))
    }

    /// Goes on with the next frame that is whole, if there is one; returns its header.
    pub(crate) fn resync<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &D::File,
    ) -> io::Result<Option<FrameHeader>> {
        let mut at = self.at + 8;
        while at + FRAME_HEADER as u64 <= self.end {
            self.ensure(disk, file, at, FRAME_HEADER)?;
            let bytes = &self.buffer[(at - self.base) as usize..];
            let segment = self.segment.to_le_bytes();
            let headers = bytes.windows(FRAME_HEADER).step_by(8);
            let steps = headers.clone().count();
            match headers.clone().position(|header| header[8..12] == segment) {
                Some(step) => {
                    at += 8 * step as u64;
                    if let Some(header) = self.frame_at(disk, file, at)? {
                        self.at = at;
                        return Ok(Some(header));
                    }
                    at += 8;
                }
                None => at += 8 * steps as u64,
            }
        }
        Ok(None)
    }

    /// Whether something begins here that was meant to be a frame of this segment.
    pub(crate) fn is_begun<D: Disk>(&mut self, disk: &mut D, file: &D::File) -> io::Result<bool> {
        if self.at + FRAME_HEADER as u64 > self.end {
            return Ok(false);
        }
        self.ensure(disk, file, self.at, FRAME_HEADER)?;
        let header = FrameHeader::decode(&self.buffer[(self.at - self.base) as usize..]);
        Ok(header.is_some_and(|header| header.segment == self.segment))
    }

    fn frame_at<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &D::File,
        at: u64,
    ) -> io::Result<Option<FrameHeader>> {
        if at + FRAME_HEADER as u64 > self.end {
            return Ok(None);
        }
        self.ensure(disk, file, at, FRAME_HEADER)?;
        let decode = |bytes: &[u8]| FrameHeader::decode(bytes);
        let Some(header) = decode(&self.buffer[(at - self.base) as usize..]) else {
            return Ok(None);
        };
        let possible = header.segment == self.segment
            && header.length > 0
            && header.size() as u64 <= self.end - at;
        if !possible {
            return Ok(None);
        }
        self.ensure(disk, file, at, header.size())?;
        let frame = &self.buffer[(at - self.base) as usize..];
        Ok(header.verify(frame, self.identity).then_some(header))
    }

    /// Has so many bytes from `at` on in the buffer.
    fn ensure<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &D::File,
        at: u64,
        length: usize,
    ) -> io::Result<()> {
        let filled = self.base + self.buffer.len() as u64;
        if at >= self.base && at + length as u64 <= filled {
            return Ok(());
        }
        let kept = if at >= self.base && at < filled {
            let rest = (at - self.base) as usize..;
            let kept = self.buffer.len() - rest.start;
            self.buffer.copy_within(rest, 0);
            kept
        } else {
            0
        };
        self.base = at;
        let wanted = (length.max(self.piece) as u64).min(self.end - at) as usize;
        // What is there already is written over, so most pieces need no zeros.
        self.buffer.resize(wanted.max(kept), 0);
        let (from, into) = (at + kept as u64, &mut self.buffer[kept..]);
        let read = match disk.read_at(file, from, into) {
            Err(error) if self.patience == 0 => {
                self.refused = true;
                read_blocks(disk, file, from, into, error)
            }
            read => read,
        };
        if read.is_err() {
            self.refused = true;
            self.patience = self.patience.saturating_sub(1);
            self.buffer.truncate(kept);
        }
        read
    }
}

/// What the disk fails to read as a unit.
const BLOCK: usize = 4096;

/// Reads block by block what could not be read in one piece, with zeros for what cannot be read at all; the
/// `error` if that is everything, which says more of the disk than of its blocks.
pub(crate) fn read_blocks<D: Disk>(
    disk: &mut D,
    file: &D::File,
    offset: u64,
    into: &mut [u8],
    error: io::Error,
) -> io::Result<()> {
    let mut readable = false;
    let (mut done, length) = (0, into.len());
    while done < length {
        let at = offset + done as u64;
        let whole = BLOCK - (at % BLOCK as u64) as usize;
        let block = &mut into[done..length.min(done + whole)];
        done += block.len();
        match disk.read_at(file, at, block) {
            Ok(()) => readable = true,
            Err(_) => block.fill(0),
        }
    }
    if readable { Ok(()) } else { Err(error) }
}
