//! Checks on UTF-8 strings from outside.
//!
//! Topic names pass here once per PUBLISH, so the scan takes eight bytes at a time and has no
//! early exit: what it looks for is hardly ever there.

use crate::violation::Violation;

/// A UTF-8 encoded string without U+0000.
///
/// # Errors
/// The bytes are not UTF-8 or contain U+0000.
#[inline]
pub fn parse(bytes: &[u8]) -> Result<&str, Violation> {
    // [MQTT-1.5.4-1]
    let text = core::str::from_utf8(bytes).map_err(|_| Violation::StringNotUtf8)?;
    // [MQTT-1.5.4-2]
    if has_nul(bytes) { Err(Violation::StringContainsNul) } else { Ok(text) }
}

/// Whether a byte is 0.
#[inline]
pub(crate) fn has_nul(bytes: &[u8]) -> bool {
    any(bytes, zero_in)
}

/// Whether a byte is 0, `+` or `#`.
#[inline]
pub(crate) fn has_nul_or_wildcard(bytes: &[u8]) -> bool {
    // `+` and `#` differ in one bit: with that masked they are the same byte.
    const MASK: u64 = splat(!(b'+' ^ b'#'));
    const WILDCARD: u64 = splat(b'+' & b'#');
    any(bytes, |word| zero_in(word) | zero_in((word & MASK) ^ WILDCARD))
}

/// Whether `test` is non-zero for a word of the bytes. A word may take some bytes twice, and a
/// text shorter than a word is filled up with `/`, which no test here looks for.
#[inline]
fn any(bytes: &[u8], test: impl Fn(u64) -> u64) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        let word = bytes.iter().fold(splat(b'/'), |word, &byte| word << 8 | u64::from(byte));
        return test(word) != 0;
    };
    let (words, _) = bytes.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| found | test(u64::from_be_bytes(*word)));
    found | test(u64::from_be_bytes(*last)) != 0
}

/// Non-zero if and only if a byte of the word is zero.
#[inline]
const fn zero_in(word: u64) -> u64 {
    word.wrapping_sub(splat(0x01)) & !word & splat(0x80)
}

#[inline]
const fn splat(byte: u8) -> u64 {
    u64::from_be_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_byte_wherever_it_stands() {
        for len in 1..40_usize {
            for at in 0..len {
                for (byte, nul, special) in [
                    (0, true, true),
                    (b'+', false, true),
                    (b'#', false, true),
                    (b'/', false, false),
                ] {
                    let mut bytes = [b'a'; 40];
                    bytes[at] = byte;
                    assert_eq!(has_nul(&bytes[..len]), nul);
                    assert_eq!(has_nul_or_wildcard(&bytes[..len]), special);
                }
            }
        }
    }

    #[test]
    fn no_other_byte_is_taken_for_a_wildcard() {
        for byte in 0..=u8::MAX {
            let special = matches!(byte, 0 | b'+' | b'#');
            assert_eq!(has_nul_or_wildcard(&[b'a', byte]), special, "{byte}");
            assert_eq!(has_nul_or_wildcard(&[byte; 11]), special, "{byte}");
        }
        assert!(!has_nul_or_wildcard(b""));
    }

    #[test]
    fn surrogates_overlong_forms_and_nul_are_refused() {
        let bad: [&[u8]; 4] = [b"\xED\xA0\x80", b"\xC0\xAF", b"\xF5\x80\x80\x80", b"a\xC3"];
        for bytes in bad {
            assert_eq!(parse(bytes), Err(Violation::StringNotUtf8));
        }
        assert_eq!(parse(b"a\0b"), Err(Violation::StringContainsNul));
        assert_eq!(parse("\u{FEFF}Aµ\u{10FFFF}".as_bytes()), Ok("\u{FEFF}Aµ\u{10FFFF}"));
    }
}
