//! Checks on UTF-8 strings from outside.
//!
//! Topic names pass here once per PUBLISH, so the scan takes many bytes at a time and has no
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
    any(bytes, |byte| byte == 0)
}

/// Whether a byte is 0, `+` or `#`.
#[inline]
pub(crate) fn has_nul_or_wildcard(bytes: &[u8]) -> bool {
    // `+` and `#` differ in one bit: with that masked they are the same byte.
    const MASK: u8 = !(b'+' ^ b'#');
    any(bytes, |byte| byte == 0 || byte & MASK == b'+' & b'#')
}

/// Whether `test` holds for a byte. Blocks of sixteen become vector instructions; the last block
/// reaches back, so that some bytes are tested twice rather than one by one.
#[inline]
fn any(bytes: &[u8], test: impl Fn(u8) -> bool) -> bool {
    let (blocks, short) = bytes.as_chunks::<16>();
    match bytes.last_chunk::<16>() {
        Some(last) => blocks.iter().fold(any_in(last, &test), |found, block| {
            // Not `||`: a branch for each block costs more than the block.
            found | any_in(block, &test)
        }),
        None => match (short.first_chunk::<8>(), short.last_chunk::<8>()) {
            (Some(first), Some(last)) => any_in(first, &test) | any_in(last, &test),
            _ => short.iter().fold(false, |found, &byte| found | test(byte)),
        },
    }
}

#[inline]
fn any_in<const N: usize>(block: &[u8; N], test: impl Fn(u8) -> bool) -> bool {
    block.iter().fold(0, |found, &byte| found | u8::from(test(byte))) != 0
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
