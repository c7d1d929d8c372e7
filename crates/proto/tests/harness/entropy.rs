//! Decisions from bytes: of a fuzzer, of a shrinking test or of a seeded generator.

/// Bytes that decide. When they run out, every decision is the first.
#[derive(Debug, Clone)]
pub(crate) struct Entropy<'a>(&'a [u8]);

impl<'a> Entropy<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// A number below `end`; 0 if there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let number = if end <= 256 { usize::from(self.u8()) } else { self.u32() as usize };
        number % end.max(1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// So many bytes, or what is left.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Changes, takes out or puts in a byte.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let byte = self.u8();
        match self.below(4) {
            _ if bytes.is_empty() => bytes.push(byte),
            0 => bytes[at] = byte,
            1 => bytes[at] ^= 1 << (byte % 8),
            2 => {
                bytes.remove(at);
            }
            _ => bytes.insert(at, byte),
        }
    }
}

/// Bytes without end from a seed (splitmix64).
#[derive(Debug)]
pub(crate) struct Seeded(u64);

impl Seeded {
    /// The seed of the environment variable `DUNLIN_SEED`, or a fixed one; printed, so that a
    /// failing test says how to run it again.
    pub(crate) fn from_env() -> Self {
        let seed = std::env::var("DUNLIN_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(20_260_101);
        eprintln!("DUNLIN_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub(crate) fn fill(&mut self, bytes: &mut Vec<u8>, len: usize) {
        bytes.clear();
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_be_bytes());
        }
        bytes.truncate(len);
    }
}
