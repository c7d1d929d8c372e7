//! What was appended since the last flush.

use crate::format::{FRAME_HEADER, FrameHeader, Identity, frame_size};

/// Bytes of records in one frame. A frame is lost as a whole, and is in memory as a whole when it is read.
const FRAME_BYTES: usize = 1 << 20;

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
        self.bytes.shrink_to(4 * FRAME_BYTES);
    }

    /// Where the next frame begins in the segment.
    pub(crate) const fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Appends the record with this number; returns where it lies in the segment.
    #[inline]
    pub(crate) fn push(&mut self, record: &[u8], number: u64, durable: u64, id: Identity) -> u32 {
        if let Some(open) = &self.open
            && open.header.length as usize + record.len() > FRAME_BYTES
        {
            self.close(id);
        }
        let Self { segment, ref bytes, .. } = *self;
        let open = self.open.get_or_insert_with(|| {
            let header = FrameHeader { length: 0, segment, records: 0, first: number, durable };
            Open { at: bytes.len(), header }
        });
        if open.header.records == 0 {
            self.bytes.resize(open.at + FRAME_HEADER, 0);
        }
        let offset = self.start as usize + self.bytes.len();
        open.header.length += record.len() as u32;
        open.header.records += 1;
        self.bytes.extend_from_slice(record);
        offset as u32
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
