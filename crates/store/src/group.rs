//! What was appended since the last flush.

use crate::format::{FRAME_HEADER, FrameHeader, Identity, frame_size};

/// Bytes of records in one frame. A frame is lost as a whole, and is in memory as a whole when it is read. It
/// is filled, summed up and written while it is in the cache of the core.
const FRAME_BYTES: usize = 128 << 10;

/// Memory that an empty group keeps.
const KEPT_BYTES: usize = 4 << 20;

/// Frames that may be lost, as they are to lie in their segment. They are kept until they are durable, so that
/// they can be written again elsewhere.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) segment: u32,
    /// Where it begins in the segment. At 0 the segment's header is part of it.
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
    /// So many of the bytes are written.
    pub(crate) written: usize,
    /// The frame that is not complete.
    open: Option<Open>,
}

struct Open {
    at: usize,
    header: FrameHeader,
}

impl Group {
    /// A group that goes on behind what is durable.
    pub(crate) fn begin(&mut self, segment: u32, start: u64, header: &[u8]) {
        debug_assert!(self.open.is_none(), "groups end with a frame");
        self.segment = segment;
        self.start = start;
        self.bytes.clear();
        self.bytes.extend_from_slice(header);
        self.written = 0;
    }

    /// All of it is durable.
    pub(crate) fn is_durable(&mut self) {
        self.begin(self.segment, self.end(), &[]);
        // A large message does not keep its memory.
        self.bytes.shrink_to(KEPT_BYTES);
    }

    /// How many of the bytes are those of complete frames.
    pub(crate) fn complete(&self) -> usize {
        self.open.as_ref().map_or(self.bytes.len(), |open| open.at)
    }

    /// Where the next frame begins in the segment.
    pub(crate) const fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Makes the frame ready for a record of so many bytes, which has this number; returns the bytes of
    /// records that it has room for.
    pub(crate) fn open(&mut self, size: usize, number: u64, durable: u64, id: Identity) -> usize {
        if self.open.as_ref().is_some_and(|open| open.header.length as usize + size > FRAME_BYTES) {
            self.close(id);
        }
        let Self { segment, ref mut bytes, .. } = *self;
        let open = self.open.get_or_insert_with(|| {
            let header = FrameHeader { length: 0, segment, records: 0, first: number, durable };
            let at = bytes.len();
            bytes.resize(at + FRAME_HEADER, 0);
            Open { at, header }
        });
        // One that is larger has a frame to itself.
        size.max(FRAME_BYTES - open.header.length as usize)
    }

    /// So many records of so many bytes lie behind those of the frame now.
    pub(crate) fn opened(&mut self, records: u32, bytes: usize) {
        if let Some(open) = &mut self.open {
            open.header.length += bytes as u32;
            open.header.records += records;
        }
    }

    /// Completes the frame; `false` if there is none.
    pub(crate) fn close(&mut self, identity: Identity) -> bool {
        let Some(Open { at, header }) = self.open.take() else { return false };
        self.bytes.resize(at + header.size(), 0);
        header.seal(&mut self.bytes[at..], identity);
        true
    }

    /// The most that so many bytes of records in frames take.
    pub(crate) const fn bound(bytes: usize) -> u64 {
        // Of two frames that follow each other, the records are more than one would hold.
        let frames = 2 * bytes / FRAME_BYTES + 1;
        (bytes + frames * frame_size(0) + frames * 8) as u64
    }
}
