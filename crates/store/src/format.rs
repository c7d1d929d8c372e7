//! Names, headers and checksums of segments and frames. Numbers are little-endian.

use crc32c::{crc32c, crc32c_append};

/// What this program writes.
pub(crate) const MAJOR: u16 = 1;
/// Raised when kinds of records are added that may be skipped.
pub(crate) const MINOR: u16 = 1;

/// Bytes before the first frame of a segment: a page, so that no frame shares one with the header.
pub(crate) const SEGMENT_HEADER: u64 = 4096;
/// Bytes before the records of a frame.
pub(crate) const FRAME_HEADER: usize = 32;
/// Frames begin at multiples of this.
const ALIGNMENT: usize = 8;

const MAGIC: [u8; 8] = *b"DUNLINSG";
/// Bytes of a segment's header that the checksum covers.
const COVERED: usize = 80;

/// The name of the store, which every checksum depends on. So neither frames of another store nor
/// frames that somebody sends as a payload are ever taken for ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) number: u128,
    seed: u32,
}

impl Identity {
    pub(crate) fn new(number: u128) -> Self {
        Self { number, seed: crc32c(&number.to_le_bytes()) }
    }

    fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c_append(self.seed, bytes)
    }
}

/// The first block of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) id: u32,
    /// The segment before it in the log, 0 if there is none, and where that one ends.
    pub(crate) previous: u32,
    pub(crate) previous_end: u64,
    /// Number of the first record in this segment.
    pub(crate) first: u64,
    /// All numbers and identifiers in the segments before are below these.
    pub(crate) next: Next,
}

/// Where numbering goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Next {
    pub(crate) number: u64,
    pub(crate) message: u64,
    pub(crate) stamp: u64,
}

/// Why a block is no header of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// It is something else, or damaged.
    Invalid,
    /// It is of another store.
    OtherStore,
    /// A newer program wrote it.
    Newer { major: u16, minor: u16 },
}

impl SegmentHeader {
    pub(crate) fn encode(&self, identity: Identity) -> [u8; SEGMENT_HEADER as usize] {
        let mut block = [0; SEGMENT_HEADER as usize];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            block[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        put(&MAJOR.to_le_bytes());
        put(&MINOR.to_le_bytes());
        put(&identity.number.to_le_bytes());
        put(&self.id.to_le_bytes());
        put(&self.previous.to_le_bytes());
        put(&0u32.to_le_bytes());
        put(&self.previous_end.to_le_bytes());
        put(&self.first.to_le_bytes());
        put(&self.next.number.to_le_bytes());
        put(&self.next.message.to_le_bytes());
        put(&self.next.stamp.to_le_bytes());
        debug_assert_eq!(at, COVERED);
        let checksum = crc32c(&block[..COVERED]);
        block[COVERED..COVERED + 4].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    /// The checksum does not depend on the identity here, so that another store's segment is told from a
    /// damaged one.
    pub(crate) fn decode(block: &[u8], identity: Identity) -> Result<Self, NoHeader> {
        let checksum = u32::from_le_bytes(array(block, COVERED).ok_or(NoHeader::Invalid)?);
        if !block.starts_with(&MAGIC) || checksum != crc32c(&block[..COVERED]) {
            return Err(NoHeader::Invalid);
        }
        let short = |at| u16::from_le_bytes(array(block, at).unwrap_or_default());
        let word = |at| u32::from_le_bytes(array(block, at).unwrap_or_default());
        let long = |at| u64::from_le_bytes(array(block, at).unwrap_or_default());
        if u128::from_le_bytes(array(block, 12).unwrap_or_default()) != identity.number {
            return Err(NoHeader::OtherStore);
        }
        if short(8) > MAJOR {
            return Err(NoHeader::Newer { major: short(8), minor: short(10) });
        }
        let next = Next { number: long(56), message: long(64), stamp: long(72) };
        let (previous, previous_end) = (word(32), long(40));
        Ok(Self { id: word(28), previous, previous_end, first: long(48), next })
    }
}

/// What stands before the records of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of records.
    pub(crate) length: u32,
    pub(crate) segment: u32,
    /// How many records.
    pub(crate) records: u32,
    /// Number of the first of them.
    pub(crate) first: u64,
    /// All records below this number were durable when the frame was written.
    pub(crate) durable: u64,
}

impl FrameHeader {
    /// Number of the first record behind the frame.
    pub(crate) fn next(&self) -> u64 {
        self.first.wrapping_add(self.records.into())
    }

    /// Bytes of the whole frame.
    pub(crate) const fn size(&self) -> usize {
        frame_size(self.length as usize)
    }

    /// Completes a frame whose records are at their place: fills in the header.
    pub(crate) fn seal(&self, frame: &mut [u8], identity: Identity) {
        frame[4..8].copy_from_slice(&self.length.to_le_bytes());
        frame[8..12].copy_from_slice(&self.segment.to_le_bytes());
        frame[12..16].copy_from_slice(&self.records.to_le_bytes());
        frame[16..24].copy_from_slice(&self.first.to_le_bytes());
        frame[24..32].copy_from_slice(&self.durable.to_le_bytes());
        let checksum = identity.checksum(&frame[4..FRAME_HEADER + self.length as usize]);
        frame[..4].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads a header. Whether it is one, only the checksum tells.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            length: u32::from_le_bytes(array(bytes, 4)?),
            segment: u32::from_le_bytes(array(bytes, 8)?),
            records: u32::from_le_bytes(array(bytes, 12)?),
            first: u64::from_le_bytes(array(bytes, 16)?),
            durable: u64::from_le_bytes(array(bytes, 24)?),
        })
    }

    /// Whether the frame that begins with this header is whole.
    pub(crate) fn verify(&self, frame: &[u8], identity: Identity) -> bool {
        let covered = frame.get(4..FRAME_HEADER + self.length as usize);
        let checksum = array(frame, 0).map(u32::from_le_bytes);
        covered.is_some_and(|covered| checksum == Some(identity.checksum(covered)))
    }
}

/// Bytes a frame with so many bytes of records takes.
pub(crate) const fn frame_size(length: usize) -> usize {
    (FRAME_HEADER + length).next_multiple_of(ALIGNMENT)
}

/// The file name of a segment.
pub(crate) fn segment_name(id: u32) -> String {
    format!("{id:016x}.seg")
}

/// The segment that a file name names.
pub(crate) fn segment_id(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    let id = u32::from_str_radix(digits, 16).ok().filter(|id| *id > 0)?;
    (segment_name(id) == name).then_some(id)
}

/// The name under which a damaged segment is kept.
pub(crate) fn damaged_name(id: u32) -> String {
    format!("{id:016x}.damaged")
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_no_bit_may_change() {
        let identity = Identity::new(77);
        let next = Next { number: 1, message: u64::MAX, stamp: 3 };
        let header =
            SegmentHeader { id: 9, previous: 8, previous_end: 1 << 33, first: u64::MAX, next };
        let mut block = header.encode(identity);
        assert_eq!(SegmentHeader::decode(&block, identity), Ok(header));
        assert_eq!(
            SegmentHeader::decode(&block, Identity::new(78)),
            Err(NoHeader::OtherStore),
            "a segment of another store is not damaged"
        );
        for bit in 0..(COVERED + 4) * 8 {
            block[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&block, identity), Err(NoHeader::Invalid), "{bit}");
            block[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn frames_belong_to_one_segment_of_one_store() {
        let header = FrameHeader { length: 5, segment: 3, records: 2, first: 10, durable: 9 };
        assert_eq!((header.size(), header.next()), (40, 12));
        let mut frame = vec![7; header.size()];
        header.seal(&mut frame, Identity::new(1));
        assert_eq!(FrameHeader::decode(&frame), Some(header));
        assert!(header.verify(&frame, Identity::new(1)));
        assert!(!header.verify(&frame, Identity::new(2)));
        assert!(!header.verify(&frame[..36], Identity::new(1)));
        frame[36] ^= 1;
        assert!(!header.verify(&frame, Identity::new(1)));
    }

    #[test]
    fn only_names_as_we_write_them_are_segments() {
        assert_eq!(segment_id(&segment_name(0xABC)), Some(0xABC));
        for name in ["abc.seg", "0000000000000000.seg", "000000000000000A.seg", "LOCK"] {
            assert_eq!(segment_id(name), None, "{name}");
        }
    }
}
