//! Hostile variants of what is well-formed, from a seed: what the tests named `hostile` do on a stable
//! compiler, where libFuzzer would need another one.
//!
//! Random bytes get no further than the first check of a parser. So a sample is taken that it accepts, and
//! something in it is damaged, repeated, cut, or replaced by a word that means something there.

/// Bytes that a repetition may grow an input to: more than any line or packet that is meant, so that what
/// is not linear shows.
const LONGEST: usize = 128 * 1024;

/// Bytes that parsers look out for.
const PIVOTS: &[u8] = b"\0\n\r\t \"#$%'+,-./0:;=?@[\\]_{|}~\x01\x7F\x80\xC0\xEF\xFE\xFF";

/// Numbers at the ends of what types hold, and texts that are taken for numbers.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "1e309",
    "0x10",
    "1_0",
    "nan",
    "+5",
    "00",
    "1.5",
    "-9223372036854775808",
];

/// A source of hostile variants; the same seed gives the same ones.
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    /// The variants of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring streams, and zero would stay zero.
        Self { state: (seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1 }
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let drawn = (self.state >> 11) as usize;
        if end == 0 { 0 } else { drawn % end }
    }

    /// One of them.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// A variant of one of the samples, damaged in some places with the help of `words`.
    pub(crate) fn variant(&mut self, samples: &[&[u8]], words: &[&str]) -> Vec<u8> {
        let mut bytes = self.pick(samples).to_vec();
        // Now and then what was right stays right, so that the way behind it is seen too.
        for _ in 0..self.below(6) {
            self.damage(&mut bytes, samples, words);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    /// The same as text; what became no UTF-8 is replaced, for whoever reads text from a file.
    pub(crate) fn text(&mut self, samples: &[&str], words: &[&str]) -> String {
        let samples: Vec<&[u8]> = samples.iter().map(|sample| sample.as_bytes()).collect();
        let bytes = self.variant(&samples, words);
        String::from_utf8(bytes).unwrap_or_else(|not| {
            // Most that reads text refuses the whole file then; replaced, the rest is still tried.
            String::from_utf8_lossy(not.as_bytes()).into_owned()
        })
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, samples: &[&[u8]], words: &[&str]) {
        let (from, to) = self.range(bytes);
        match self.below(12) {
            0 => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte = *self.pick(PIVOTS);
                }
            }
            2 => drop(bytes.splice(from..from, [*self.pick(PIVOTS)])),
            3 => drop(bytes.drain(from..to)),
            4 => bytes.truncate(from),
            5 if !words.is_empty() => {
                let word = *self.pick(words);
                drop(bytes.splice(from..from, word.bytes()));
            }
            6 if !words.is_empty() => {
                let word = *self.pick(words);
                drop(bytes.splice(from..to, word.bytes()));
            }
            7 => self.replace_number(bytes, from),
            8 => {
                let copy = bytes[from..to].to_vec();
                let at = self.below(bytes.len() + 1);
                drop(bytes.splice(at..at, copy));
            }
            9 => self.repeat(bytes, from, to),
            10 => self.move_line(bytes),
            _ => {
                let other = self.pick(samples).to_vec();
                let (first, last) = self.range(&other);
                drop(bytes.splice(from..to, other[first..last].iter().copied()));
            }
        }
    }

    /// Part of it, mostly a short one.
    fn range(&mut self, bytes: &[u8]) -> (usize, usize) {
        let from = self.below(bytes.len() + 1);
        let longest = if self.below(4) == 0 { bytes.len() } else { 16 };
        let to = (from + self.below(longest + 1)).min(bytes.len());
        (from, to)
    }

    fn replace_number(&mut self, bytes: &mut Vec<u8>, near: usize) {
        let from = (near..bytes.len()).find(|&at| bytes[at].is_ascii_digit());
        let Some(from) = from else { return };
        let to = (from..bytes.len()).find(|&at| !bytes[at].is_ascii_digit());
        let number = *self.pick(NUMBERS);
        drop(bytes.splice(from..to.unwrap_or(bytes.len()), number.bytes()));
    }

    /// Many times the same: a long word, a file of one line, brackets within brackets.
    fn repeat(&mut self, bytes: &mut Vec<u8>, from: usize, to: usize) {
        let part = bytes[from..to].to_vec();
        if part.is_empty() {
            return;
        }
        let most = LONGEST.saturating_sub(bytes.len()) / part.len();
        // Mostly few, for speed, at times as many as there may be.
        let times = if self.below(8) == 0 { most } else { self.below(most.min(300) + 1) };
        drop(bytes.splice(to..to, part.repeat(times)));
    }

    fn move_line(&mut self, bytes: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> =
            bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        if lines.len() > 1 {
            let line = lines.remove(self.below(lines.len()));
            let at = self.below(lines.len() + 1);
            lines.insert(at, line);
            *bytes = lines.concat();
        }
    }
}

/// Runs a test for so many seeds, or as many as the environment says in `SEEDS`, or for the one in `SEED`;
/// a seed that fails is named.
pub(crate) fn seeds(count: u64, test: impl Fn(&mut Mutator)) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        let run = std::panic::AssertUnwindSafe(|| test(&mut Mutator::new(seed)));
        let outcome = std::panic::catch_unwind(run);
        assert!(outcome.is_ok(), "run again with SEED={seed}");
    }
}
